"""What listeners hear: which signals, with what, in which order, whatever the listeners do."""

from __future__ import annotations

import logging
from typing import Any

from kindling_airflow.execution_plan import ExecutionPlan
from kindling_airflow.generation_executor import GenerationExecutor, Skipped, signals
from kindling_airflow.generation_executor.signals import NAMESPACE, PAYLOADS
from tests.builders import plan
from tests.generation_executor.simulation import Does, Pipes, Simulation, fails, listening


def executor_of(script: Any = None, logger_provider: Any = None) -> GenerationExecutor:
    sim = Simulation()
    return GenerationExecutor(
        Pipes(sim, script),
        logger_provider=logger_provider,
        threads=sim.threads,
        new_run_id=lambda: "run",
    )


class Logbook(logging.Handler):
    """A logger provider of its own: what others configure about logging does not reach it."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []

    def get_logger(self, name: str) -> logging.Logger:
        logger = logging.Logger(name)
        logger.addHandler(self)
        return logger

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(record.getMessage())


def names_and_pipes(heard: list[tuple[str, dict[str, Any]]]) -> list[str]:
    return [" ".join(filter(None, (name, said.get("pipe_id")))) for name, said in heard]


def test_every_signal_has_its_name_its_text_and_its_payload() -> None:
    published = {
        name: getattr(signals, name) for name in signals.__all__ if hasattr(
            getattr(signals, name), "receivers_for"
        )
    }  # fmt: skip
    assert {f"orchestrator.{name}" for name in published} == set(PAYLOADS) == set(NAMESPACE)
    for name, signal in published.items():
        assert signal.name == f"orchestrator.{name}"
        assert signal.__doc__


def test_the_story_of_a_run_is_told_in_its_order() -> None:
    script = {
        "a": [Does(1, fails("once")), Does(1)],
        "b": Does(1, Skipped("nothing new")),
        "c": Does(1, fails("for good")),
    }
    executor = executor_of(script)
    with listening() as heard:
        result = executor.execute(
            plan("a -> b, a -> c -> d"), overrides={"a": {"retry.attempts": 1}}
        )
    assert names_and_pipes(heard) == [
        "execution_started",
        "cache_recommended",
        "generation_started",
        "pipe_started a",
        "pipe_retrying a",
        "pipe_completed a",
        "generation_completed",
        "generation_started",
        "pipe_started b",
        "pipe_skipped b",
        "pipe_started c",
        "pipe_failed c",
        "generation_failed",
        "pipe_skipped d",
        "execution_failed",
    ]
    for name, said in heard:
        assert set(said) == {"sender", *PAYLOADS[f"orchestrator.{name}"]}
        assert said["sender"] is executor
        assert (said["run_id"], said["plan"]) == ("run", result.plan)
    assert heard[-1][1]["result"] == result


def test_payloads_say_what_happened() -> None:
    script = {"a": [Does(1, fails("once")), Does(1, fails("twice"))]}
    executor = executor_of(script)
    with listening() as heard:
        result = executor.execute(plan("a -> b, c"), retry_attempts=1, retry_interval_seconds=7)
    told = {(name, said.get("pipe_id")): said for name, said in heard}
    retrying = told["pipe_retrying", "a"]
    assert (retrying["attempt"], retrying["error"], retrying["wait_seconds"]) == (1, "once", 7)
    assert str(retrying["exception"]) == "once"
    failed = told["pipe_failed", "a"]
    assert failed["result"] is result.pipe_result("a")
    assert str(failed["exception"]) == "twice"
    assert told["pipe_skipped", "b"]["result"] is result.pipe_result("b")
    assert told["pipe_skipped", "b"]["generation_number"] == 1
    assert told["pipe_completed", "c"]["generation_number"] == 0
    started = told["generation_started", None]
    assert (started["generation"].number, started["pipe_ids"]) == (0, ("a", "c"))
    assert told["generation_failed", None]["generation"] is result.plan.generations[0]
    assert told["generation_failed", None]["result"] == result.generation_results[0]


def test_only_the_pipes_that_run_are_announced_with_their_generation() -> None:
    executor = executor_of({"a": Does(1, fails())})
    with listening("generation_started") as heard:
        executor.execute(plan("a -> b, c -> d"))
    assert [said["pipe_ids"] for _, said in heard] == [("a", "c"), ("d",)]


def ends_of_generations(drawing: str, *failing: str, **options: Any) -> list[tuple[str, int]]:
    executor = executor_of({p: Does(1, fails()) for p in failing})
    with listening("generation_completed", "generation_failed") as heard:
        executor.execute(plan(drawing), **options)
    return [(name, said["generation"].number) for name, said in heard]


def test_a_generation_fails_with_each_pipe_that_failed_or_was_not_run() -> None:
    """'b' is not run, which is no success of its generation; 'e' depends on nothing that failed."""
    assert ends_of_generations("a -> b, c -> d -> e", "a") == [
        ("generation_failed", 0),
        ("generation_failed", 1),
        ("generation_completed", 2),
    ]


def test_a_generation_fails_by_its_own_pipes_alone_when_everything_is_run() -> None:
    assert ends_of_generations("a -> b -> c", "b", error_strategy="continue") == [
        ("generation_completed", 0),
        ("generation_failed", 1),
        ("generation_completed", 2),
    ]


def test_a_generation_of_which_nothing_is_run_neither_fails_nor_is_completed() -> None:
    assert ends_of_generations("a -> b -> c", "a") == [("generation_failed", 0)]
    assert ends_of_generations("a, b -> c", "a", error_strategy="fail_fast") == [
        ("generation_failed", 0)
    ]


def test_an_execution_that_went_well_is_completed() -> None:
    with listening("execution_completed", "execution_failed") as heard:
        executor_of().execute(plan("a"))
    assert names_and_pipes(heard) == ["execution_completed"]


def test_a_receiver_that_raises_is_logged_and_changes_nothing() -> None:
    logbook = Logbook()
    raising = {name.removeprefix("orchestrator."): ValueError("mine") for name in PAYLOADS}
    executor = executor_of({"b": Does(1, fails())})
    with listening() as quiet:
        expected = executor.execute(plan("a -> b -> c"))
    executor = executor_of({"b": Does(1, fails())}, logbook)
    with listening(raising=raising) as loud:
        result = executor.execute(plan("a -> b -> c"))
    assert result.get_summary() == expected.get_summary()
    assert names_and_pipes(loud) == names_and_pipes(quiet)
    assert logbook.lines[0].startswith(
        "a receiver of orchestrator.execution_started failed; the execution continues\n"
        "Traceback (most recent call last):\n"
    )
    assert logbook.lines[0].endswith("ValueError: mine")


def test_receivers_can_listen_to_one_executor_alone() -> None:
    heard: list[str] = []

    def listener(sender: Any, *, pipe_id: str, **_: Any) -> None:
        heard.append(pipe_id)

    one, other = executor_of(), executor_of()
    with signals.pipe_completed.connected_to(listener, sender=one):
        one.execute(plan("a"))
        other.execute(plan("b"))
    assert heard == ["a"]


def test_a_muted_signal_is_not_sent() -> None:
    with listening("pipe_completed") as heard, signals.pipe_completed.muted():
        executor_of().execute(plan("a"))
    assert heard == []


def test_a_receiver_may_execute_another_plan() -> None:
    """Each execution has threads of its own, so they do not take each other's messages."""
    sim = Simulation()
    executor = GenerationExecutor(Pipes(sim), threads=sim.threads)
    inner: list[ExecutionPlan] = []

    def follow_up(sender: Any, *, pipe_id: str, **_: Any) -> None:
        if pipe_id == "a":
            inner.append(executor.execute(plan("follow, up")).plan)

    with signals.pipe_completed.connected_to(follow_up):
        result = executor.execute(plan("a, b"), parallel=True)
    assert result.all_succeeded
    assert [p.pipe_ids for p in inner] == [("follow", "up")]


class _Mute:
    """A logger of a make that knows one method, and a provider of it."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.name = ""

    def get_logger(self, name: str) -> _Mute:
        self.name = name
        return self

    def info(self, text: str) -> None:
        self.lines.append(text)


def test_any_logger_will_do() -> None:
    logger = _Mute()
    sim = Simulation()
    script = {"b": Does(1, fails()), "c": Does(1, Skipped("nothing new"))}
    executor = GenerationExecutor(Pipes(sim, script), logger_provider=logger, threads=sim.threads)
    executor.execute(plan("a, b, c"))
    assert logger.name == "kindling_airflow.generation_executor"
    assert logger.lines == ["pipe 'a' done", "pipe 'c' skipped: nothing new"]
