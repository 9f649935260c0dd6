"""Arguments, tags and overrides: who wins, and what is refused before anything runs."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from kindling_airflow.errors import ExecutionError
from kindling_airflow.generation_executor import GenerationExecutor
from kindling_airflow.generation_executor.options import (
    BatchOptions,
    ErrorStrategy,
    PipeOptions,
    RetryPolicy,
    StreamingOptions,
    StreamLimits,
    pipe_options,
    stream_limits,
)
from kindling_airflow.tags.stream_settings import StreamSettings
from tests.builders import plan

RUN = {"retry_attempts": 1, "retry_interval_seconds": 10, "pipe_timeout": 60}


def settings_of(tags: dict[str, Any], overrides: dict[str, Any] | None = None) -> PipeOptions:
    """Return what holds for pipe ``a`` with these tags under the arguments ``RUN``."""
    options = BatchOptions(**RUN, overrides={"a": overrides} if overrides else {})
    return pipe_options(plan("a, b", tags={"a": tags}), options)["a"]


def test_without_a_word_of_its_own_a_pipe_has_the_settings_of_the_run() -> None:
    assert settings_of({"layer": "gold"}) == PipeOptions(RetryPolicy(1, 10), 60)


def test_a_tag_beats_the_argument_each_for_itself() -> None:
    assert settings_of({"retry.attempts": 3}) == PipeOptions(RetryPolicy(3, 10), 60)
    assert settings_of({"retry.interval_seconds": 0.5}) == PipeOptions(RetryPolicy(1, 0.5), 60)
    assert settings_of({"timeout_seconds": 5}) == PipeOptions(RetryPolicy(1, 10), 5)


def test_an_override_beats_the_tag() -> None:
    found = settings_of({"retry.attempts": 3, "timeout_seconds": 5}, {"retry.attempts": 0})
    assert found == PipeOptions(RetryPolicy(0, 10), 5)


def test_a_pipe_can_be_freed_of_the_time_limit() -> None:
    assert settings_of({"timeout_seconds": None}).timeout_seconds is None


def test_waits_grow_by_an_override_alone() -> None:
    said = {"retry.attempts": 3, "retry.backoff": 3, "retry.max_interval_seconds": 50}
    found = settings_of({"retry.backoff": 9}, said).retry
    assert found == RetryPolicy(3, 10, 3, 50)
    assert settings_of({"retry.backoff": 9}).retry == RetryPolicy(1, 10)


@pytest.mark.parametrize(
    ("policy", "waits"),
    [
        (RetryPolicy(3, 10), [10, 10, 10]),
        (RetryPolicy(3, 10, 2), [10, 20, 40]),
        (RetryPolicy(3, 10, 0.5), [10, 5, 2.5]),
        (RetryPolicy(3, 10, 2, 15), [10, 15, 15]),
        (RetryPolicy(3, 10, 1, 5), [5, 5, 5]),
        (RetryPolicy(3, 0, 2), [0, 0, 0]),
        (RetryPolicy(3, 50_000, 1e300), [50_000, 86_400, 86_400]),  # a day at most
        (RetryPolicy(3, 100_000, 2), [100_000, 100_000, 100_000]),  # but what is asked for
        (RetryPolicy(3, 5e-324, 0.5), [5e-324, 0, 0]),
    ],
)
def test_a_wait_follows_from_the_number_of_the_try(policy: RetryPolicy, waits: list[float]) -> None:
    assert [policy.wait_after(attempt) for attempt in (1, 2, 3)] == waits
    assert RetryPolicy(1, 1, 2).wait_after(10**9) == 86_400


@pytest.mark.parametrize(
    ("said", "problem"),
    [
        ({"backoff": 0}, "backoff must be a number above 0, not 0"),
        (
            {"max_interval_seconds": 0},
            "max_interval_seconds must be a number of seconds above 0, or None for no limit, not 0",
        ),
    ],
)
def test_a_policy_that_makes_no_sense_is_refused(said: dict[str, Any], problem: str) -> None:
    with pytest.raises(ExecutionError) as refused:
        RetryPolicy(**said)
    assert refused.value.problems == (f"retry policy: {problem}",)


def test_numbers_may_be_written_as_text() -> None:
    tags = {"retry.attempts": "2", "retry.interval_seconds": "1.5", "timeout_seconds": "9"}
    assert settings_of(tags) == PipeOptions(RetryPolicy(2, 1.5), 9)


def test_all_bad_settings_are_told_at_once_and_nothing_runs() -> None:
    ran: list[str] = []
    tags = {
        "a": {"retry.attempts": -1, "retry.interval_seconds": "soon", "timeout_seconds": 0},
        "b": {"retry.attempts": 1.5, "retry.interval_seconds": True},
    }
    overrides: dict[str, Any] = {
        "b": {"timeout_seconds": float("nan"), "retries": 2},
        "bb": {},
        "c": 7,
    }
    with pytest.raises(ExecutionError) as refused:
        GenerationExecutor(ran.append).execute(plan("a, b, c", tags=tags), overrides=overrides)
    assert str(refused.value) == (
        "9 problems in the execution's settings:\n"
        "1. overrides: pipe 'bb' is not in the plan. Did you mean 'b'?\n"
        "  Fix: correct the id, or remove the override.\n"
        "2. overrides: pipe 'c' must map to options, not 7\n"
        "  Fix: write them as a mapping, such as {'timeout_seconds': 600}.\n"
        "3. pipe 'a': tag retry.attempts must be a whole number of at least 0, not -1\n"
        "4. pipe 'a': tag retry.interval_seconds must be a number of seconds from 0 to a year, "
        "not 'soon'\n"
        "5. pipe 'a': tag timeout_seconds must be a number of seconds above 0, at most a "
        "year, not 0\n"
        "6. pipe 'b': override timeout_seconds must be a number of seconds above 0, or None for no "
        "limit, not nan\n"
        "7. pipe 'b': tag retry.attempts must be a whole number of at least 0, not 1.5\n"
        "8. pipe 'b': tag retry.interval_seconds must be a number of seconds from 0 to a year, "
        "not True\n"
        "9. pipe 'b': unknown override 'retries'.\n"
        "  Fix: use one of timeout_seconds, retry.attempts, retry.interval_seconds, retry.backoff, "
        "retry.max_interval_seconds."
    )
    assert ran == []


def test_bad_arguments_are_told_at_once() -> None:
    with pytest.raises(ExecutionError) as refused:
        GenerationExecutor(print).execute(
            plan("a"),
            max_workers=0,
            error_strategy="skip_dependants",
            pipe_timeout=-1,
            retry_attempts=True,
            retry_interval_seconds=float("inf"),
        )
    strategy, *others = refused.value.problems
    assert strategy == (
        "error_strategy: unknown value 'skip_dependants'. Did you mean 'skip_dependents'?\n"
        "  Fix: use one of fail_fast, continue, skip_dependents."
    )
    assert others == [
        "max_workers must be a whole number of at least 1, not 0",
        "pipe_timeout must be a number of seconds above 0, or None for no limit, not -1",
        "retry_attempts must be a whole number of at least 0, not True",
        "retry_interval_seconds must be a number of seconds from 0, not inf",
    ]


def test_everything_that_is_wrong_with_a_call_is_told_at_once() -> None:
    """The plan's order, an argument, an override, a tag, and a recommendation."""
    drawn = plan("a -> b", "streaming", tags={"a": {"timeout_seconds": 0}})
    metadata = {**drawn.metadata, "cache_recommendations": [7]}
    with pytest.raises(ExecutionError) as refused:
        GenerationExecutor(print).execute(
            replace(drawn, metadata=metadata), "no", overrides={"x": {}}, auto_cache=True
        )
    assert refused.value.problems == (
        (
            "a plan of strategy 'streaming' cannot be run as a batch: its order is reverse, so "
            "consumers would run before their producers\n"
            "  Fix: create a batch plan for these pipes, or start them as streams with "
            "execute_streaming()."
        ),
        "metadata: cache_recommendations[0] must be an object, not 7",
        "overrides: pipe 'x' is not in the plan.\n  Fix: correct the id, or remove the override.",
        "parallel must be true or false, not 'no'",
        (
            "pipe 'a': tag timeout_seconds must be a number of seconds above 0, at most a "
            "year, not 0"
        ),
    )


BATCH_FIELDS = (
    "parallel, max_workers, error_strategy, pipe_timeout, retry_attempts, "
    "retry_interval_seconds, overrides"
)


def test_everything_that_is_wrong_with_a_call_for_streams_is_told_at_once() -> None:
    tags = {
        "a": {"processing_mode": "streaming", "stream.ready_timeout": "soon"},
        "b": {"retry.attempts": -1},
    }
    hybrid = plan("a -> b", "hybrid", tags)
    options: dict[str, Any] = {"max_workers": 0, "overrides": {"x": {}}}
    with pytest.raises(ExecutionError) as refused:
        GenerationExecutor(print).execute_streaming(
            hybrid, {"poll_seconds": 0}, batch_options=options
        )
    assert refused.value.problems == (
        "max_workers must be a whole number of at least 1, not 0",
        "overrides: pipe 'x' is not in the plan.\n  Fix: correct the id, or remove the override.",
        (
            "pipe 'a': tag stream.ready_timeout must be a duration above 0, not 'soon'\n"
            "  Fix: write it like '30s' or '10m'."
        ),
        "pipe 'b': tag retry.attempts must be a whole number of at least 0, not -1",
        "poll_seconds must be a number of seconds above 0, not 0",
        (
            "the pipe runner cannot start streams\n"
            "  Fix: give it a method start(pipe_id) that returns a StreamHandle."
        ),
    )


@pytest.mark.parametrize("strategy", ["streaming", "hybrid"])
def test_options_of_the_wrong_kind_are_refused(strategy: str) -> None:
    wrong: Any = None
    with pytest.raises(ExecutionError) as refused:
        GenerationExecutor(print).execute_streaming(plan("a", strategy), wrong, batch_options=3)
    assert refused.value.problems == (
        (
            "batch_options must be a mapping or BatchOptions, not 3\n"
            f"  Fix: pass any of {BATCH_FIELDS}, or omit them."
        ),
        (
            "streaming_options must be a mapping or StreamingOptions, not None\n"
            "  Fix: pass any of ready_timeout, drain_timeout, stop_timeout, poll_seconds, or omit "
            "them."
        ),
        (
            "the pipe runner cannot start streams\n"
            "  Fix: give it a method start(pipe_id) that returns a StreamHandle."
        ),
    )


def test_overrides_must_be_a_mapping() -> None:
    overrides: Any = ["a"]
    with pytest.raises(ExecutionError) as refused:
        GenerationExecutor(print).execute(plan("a"), overrides=overrides)
    assert str(refused.value) == (
        "overrides must map pipe ids to options, not ['a']\n"
        "  Fix: write them like {'gold.sales': {'timeout_seconds': 600}}."
    )


def test_a_retry_policy_is_checked_where_it_is_made() -> None:
    with pytest.raises(ExecutionError) as refused:
        RetryPolicy(-1, -1)
    assert refused.value.problems == (
        "retry policy: attempts must be a whole number of at least 0, not -1",
        "retry policy: interval_seconds must be a number of seconds from 0, not -1",
    )
    assert RetryPolicy() == RetryPolicy(attempts=0, interval_seconds=30)


def test_error_strategies_are_known_by_name() -> None:
    for strategy in ErrorStrategy:
        result = GenerationExecutor(lambda _: None).execute(
            plan("a"), error_strategy=strategy.value
        )
        assert result.all_succeeded


def test_streaming_options_may_be_given_by_name() -> None:
    assert StreamingOptions.of({"ready_timeout": 5}) == StreamingOptions(ready_timeout=5)
    assert StreamingOptions.of({}) == StreamingOptions()
    options = StreamingOptions(poll_seconds=1)
    assert StreamingOptions.of(options) is options


def test_unknown_streaming_options_are_refused() -> None:
    with pytest.raises(ExecutionError) as refused:
        StreamingOptions.of({"ready_timout": 5})
    assert str(refused.value) == (
        "unknown streaming option 'ready_timout'. Did you mean 'ready_timeout'?\n"
        "  Fix: use one of ready_timeout, drain_timeout, stop_timeout, poll_seconds."
    )


def test_streaming_options_are_seconds_above_zero() -> None:
    with pytest.raises(ExecutionError) as refused:
        StreamingOptions(ready_timeout=0, poll_seconds=-1)
    assert refused.value.problems == (
        "poll_seconds must be a number of seconds above 0, not -1",
        "ready_timeout must be a number of seconds above 0, not 0",
    )


def test_a_stream_may_have_times_of_its_own() -> None:
    tags = {
        "b": {"stream.ready_timeout": "2m"},
        "c": {"stream.drain_timeout": "90s"},
    }
    streams = plan("b -> c -> d", "streaming", tags=tags)
    assert stream_limits(streams, StreamingOptions(drain_timeout=5)) == {
        "b": StreamLimits(120, 5),
        "c": StreamLimits(600, 90),
        "d": StreamLimits(600, 5),
    }


def test_a_stream_of_which_nothing_is_said_has_the_same_times_as_on_airflow() -> None:
    usual, options = StreamSettings(), StreamingOptions()
    assert stream_limits(plan("a", "streaming"), options) == {
        "a": StreamLimits(usual.ready_timeout, usual.drain_timeout)
    }


def test_times_of_streams_that_are_none_are_told_together() -> None:
    tags = {"b": {"stream.ready_timeout": "0s", "stream.drain_timeout": 5}}
    with pytest.raises(ExecutionError) as refused:
        stream_limits(plan("a -> b", "streaming", tags=tags), StreamingOptions())
    fix = "\n  Fix: write it like '30s' or '10m'."
    assert refused.value.problems == (
        f"pipe 'b': tag stream.drain_timeout must be a duration above 0, not 5{fix}",
        f"pipe 'b': tag stream.ready_timeout must be a duration above 0, not '0s'{fix}",
    )


def test_batch_options_may_be_given_by_name() -> None:
    assert BatchOptions.of({"parallel": True}) == BatchOptions(parallel=True)
    options = BatchOptions(max_workers=1)
    assert BatchOptions.of(options) is options
    with pytest.raises(ExecutionError, match=r"^unknown batch option 'paralel'\. Did you mean"):
        BatchOptions.of({"paralel": True})
