"""Hypothesis strategies: ids, and sets of pipes that form a graph without cycles."""

from __future__ import annotations

from hypothesis import strategies as st

from kindling_airflow.data_pipes import DataPipesRegistry, argument_name

__all__ = ["acyclic_pipes", "json_tags", "pipe_ids", "readable_ids"]


def pipe_ids() -> st.SearchStrategy[str]:
    """Return every legal id: any text without surrounding spaces, escapes look-alikes included."""
    anything = st.text(min_size=1, max_size=40)
    tricky = st.text(alphabet="_x205f. -éA", min_size=1, max_size=12)
    long = st.text(alphabet="_x2 a", min_size=150, max_size=260)
    numbered = st.integers(0, 99).map("generation_{}".format)
    return st.one_of(anything, tricky, long, numbered).filter(lambda text: text == text.strip())


def readable_ids() -> st.SearchStrategy[str]:
    """Return ids as people write them."""
    return st.from_regex(r"(bronze|silver|gold)\.[a-z]{1,6}", fullmatch=True)


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
    draw: st.DrawFn, ids: st.SearchStrategy[str] | None = None, max_pipes: int = 12
) -> DataPipesRegistry:
    """Return pipes without a cycle, declared in any order.

    Some read external entities, some read their own output, some carry a ``duration_hint``.
    """
    chosen = draw(
        st.lists(ids if ids is not None else readable_ids(), max_size=max_pipes, unique=True)
    )
    declarations: dict[str, list[str]] = {}
    for n, pipe_id in enumerate(chosen):
        earlier = (
            st.lists(st.sampled_from(chosen[:n]), max_size=4, unique=True) if n else st.just([])
        )
        inputs = [f"{producer} rows" for producer in draw(earlier)]
        if draw(st.booleans()):
            inputs.append("somewhere else")
        if draw(st.integers(0, 5)) == 0:
            inputs.append(f"{pipe_id} rows")
        declarations[pipe_id] = draw(st.permutations(inputs))
    registry = DataPipesRegistry()
    for pipe_id in draw(st.permutations(chosen)):
        hint = draw(st.none() | st.integers(1, 10_000) | st.floats(0.001, 1e12))
        registry.register_pipe(
            pipe_id,
            input_entity_ids=_callable_together(declarations[pipe_id]),
            output_entity_id=f"{pipe_id} rows",
            tags=None if hint is None else {"duration_hint": hint},
        )
    return registry


def _callable_together(entity_ids: list[str]) -> list[str]:
    """Return the entities without those that would come in under an argument that is taken."""
    return list({argument_name(entity_id): entity_id for entity_id in entity_ids}.values())
