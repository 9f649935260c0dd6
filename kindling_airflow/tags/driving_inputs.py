"""Which inputs drive a pipe: without them, or without anything new in them, its run is skipped.

| driving input                                  | the run                                     |
|------------------------------------------------|---------------------------------------------|
| does not exist (never written, nothing landed) | is skipped                                  |
| has gained nothing, with ``use_watermark``     | is skipped                                  |
| exists and is empty, or its slice is           | publishes the result, perhaps without a row |
| the same, with ``on_empty_input: skip``        | is skipped if all driving inputs are empty  |

An empty input is a value: what was computed from the rows that it had would be stale otherwise. A
function is driven by its first input, unless it declares others. A query is driven by all that it
reads, because the order of tables in its text says nothing about them.
"""

from __future__ import annotations

from collections.abc import Iterator

from kindling_airflow.data_pipes import PipeMetadata
from kindling_airflow.errors import did_you_mean

__all__ = ["ON_EMPTY_TAG", "driving_inputs", "driving_problems", "skips_empty"]

ON_EMPTY_TAG = "on_empty_input"
_ON_EMPTY = ("run", "skip")


def driving_inputs(pipe: PipeMetadata) -> tuple[str, ...]:
    """Return the ids of the inputs that decide whether there is work."""
    if pipe.driving_entity_ids:
        return pipe.driving_entity_ids
    if pipe.sql is None:
        return pipe.input_entity_ids[:1]
    return tuple(e for e in pipe.input_entity_ids if e != pipe.output_entity_id)


def skips_empty(pipe: PipeMetadata) -> bool:
    """Return whether a run is skipped where all driving inputs exist and are empty."""
    return pipe.tags.get(ON_EMPTY_TAG) == "skip"


def driving_problems(pipe: PipeMetadata) -> Iterator[str]:
    """Yield what is wrong with what a pipe declares about its driving inputs."""
    value = pipe.tags.get(ON_EMPTY_TAG, _ON_EMPTY[0])
    if value not in _ON_EMPTY:
        yield (
            f"pipe {pipe.pipeid!r}: tag {ON_EMPTY_TAG} is {value!r}."
            f"{did_you_mean(str(value), _ON_EMPTY)}\n  Fix: use one of {', '.join(_ON_EMPTY)}."
        )
    if pipe.use_watermark and pipe.sql is not None and not pipe.driving_entity_ids:
        others = driving_inputs(pipe)
        if len(others) > 1:
            yield (
                f"pipe {pipe.pipeid!r}: use_watermark on a query with several inputs "
                f"({', '.join(map(repr, others))}), and nothing declares which of them is read by "
                "what it has gained\n"
                f"  Fix: name it, for example driving_entity_ids=[{others[0]!r}]."
            )
