"""Hypothesis strategies: ids, and sets of pipes that form a graph without cycles."""

from __future__ import annotations

from hypothesis import strategies as st

from kindling_airflow.data_pipes import DataPipesRegistry, argument_name

__all__ = ["acyclic_pipes", "json_tags", "pipe_ids", "readable_ids"]


def pipe_ids() -> st.SearchStrategy[str]:
    """Return every legal id: any text without surrounding spaces, escapes look-alikes included."""
    anything = st.text(
        st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=40
    )
    tricky = st.text(alphabet="_x205f. -éA", min_size=1, max_size=12)
    long = st.text(alphabet="_x2 a", min_size=150, max_size=260)
    numbered = st.integers(0, 99).map("generation_{}".format)
    return st.one_of(anything, tricky, long, numbered).filter(lambda text: text == text.strip())


def readable_ids() -> st.SearchStrategy[str]:
    """Return ids as people write them."""
    tables = ["orders", "order_lines", "flights", "daily-sales", "b", "x"]
    return st.sampled_from(
        [f"{layer}.{t}" for layer in ("bronze", "silver", "gold") for t in tables]
    )


def json_tags() -> st.SearchStrategy[dict[str, object]]:
    """Return tags of every JSON type."""
    leaves = (
        st.none()
        | st.booleans()
        | st.integers()
        | st.text()
        | st.floats(allow_nan=False, allow_infinity=False)
    )
    values = st.recursive(
        leaves,
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
        max_leaves=6,
    )
    return st.dictionaries(st.text(), values, max_size=3)


@st.composite
def acyclic_pipes(
    draw: st.DrawFn,
    ids: st.SearchStrategy[str] | None = None,
    *,
    max_pipes: int = 9,
    hints: bool = False,
) -> DataPipesRegistry:
    """Return pipes without a cycle, declared in any order.

    Some read an external entity, some read their own output; what a pipe reads are the bits of one
    number, which is much quicker to draw than lists.

    Args:
        ids: where the pipe ids come from.
        max_pipes: how many pipes there are at most.
        hints: whether pipes carry a ``duration_hint``.
    """
    some_ids = ids if ids is not None else readable_ids()
    chosen = draw(st.lists(some_ids, max_size=max_pipes, unique=True))
    inputs: dict[str, list[str]] = {}
    for n, pipe_id in enumerate(chosen):
        bits = draw(st.integers(0, 2 ** (n + 2) - 1))
        readable = ["somewhere else", *(f"{earlier} rows" for earlier in chosen[: n + 1])]
        inputs[pipe_id] = [entity for k, entity in enumerate(readable) if bits >> k & 1]
    registry = DataPipesRegistry()
    for pipe_id in draw(st.permutations(chosen)):
        hint = draw(st.integers(1, 10_000) | st.floats(0.001, 1e12)) if hints else 1
        registry.register_pipe(
            pipe_id,
            input_entity_ids=_callable_together(inputs[pipe_id]),
            output_entity_id=f"{pipe_id} rows",
            tags={"duration_hint": hint} if hints else None,
        )
    return registry


def _callable_together(entity_ids: list[str]) -> list[str]:
    """Return the entities without those that would come in under an argument that is taken."""
    return list({argument_name(entity_id): entity_id for entity_id in entity_ids}.values())
