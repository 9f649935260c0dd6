"""Plans with streams: gates between their generations, a task that stops them, room for all."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kindling_airflow.common.immutable import canonical_json
from kindling_airflow.errors import TranslationError
from kindling_airflow.execution_plan import ExecutionPlan, Generation
from kindling_airflow.execution_plan.critical_path import data_flow
from kindling_airflow.execution_strategy import ExecutionPlanGenerator
from kindling_airflow.translator import DagSpec, GateSpec, TranslateOptions, task_id, translate
from kindling_airflow.translator.stream_problems import lifetime_problem
from kindling_airflow.translator.streams import streaming_part
from tests.builders import graph, plan
from tests.strategies import acyclic_pipes, pipe_ids

STREAM = {"processing_mode": "streaming"}
CHAIN = "[src] -> ingest -> clean -> alert, clean -> report"
HYBRID = "[src] -> ingest -> clean -> alert, clean -> daily -> weekly"


def streams(*names: str, **more: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {name: {**STREAM, **more.get(name, {})} for name in (*names, *more)}


def hybrid(**more: dict[str, Any]) -> ExecutionPlan:
    return plan(HYBRID, "hybrid", streams("ingest", "clean", "alert", **more))


def spec(of: ExecutionPlan, **options: Any) -> DagSpec:
    return translate(of, TranslateOptions("shop", "shop_pool", **{"width": 9, **options}))


def refusal(of: ExecutionPlan, **options: Any) -> tuple[str, ...]:
    with pytest.raises(TranslationError) as refused:
        spec(of, **options)
    return tuple(text.removeprefix("DAG 'shop': ") for text in refused.value.problems)


def edges(dag: DagSpec) -> dict[str, tuple[tuple[str, ...], str]]:
    return {
        node.task_id: (node.upstream, node.trigger_rule)
        for node in dag.nodes()
        if node is not dag.outcome
    }


def test_each_generation_of_streams_waits_for_the_gate_of_the_one_before() -> None:
    dag = spec(plan(CHAIN, "streaming"))
    assert edges(dag) == {
        "alert": ((), "none_failed"),
        "report": ((), "none_failed"),
        "clean": (("ready_0",), "all_success"),
        "ingest": (("ready_1",), "all_success"),
        "ready_0": ((), "none_failed"),
        "ready_1": (("ready_0",), "all_success"),
        "ready_2": (("ready_1",), "all_success"),
        "stop_streams": ((), "none_failed"),
    }
    assert [[task.task_id for task in group.tasks] for group in dag.groups] == [
        ["alert", "report"],
        ["clean"],
        ["ingest"],
    ]
    assert dag.lifetime == "continuous"


def test_a_gate_is_in_the_group_of_its_generation() -> None:
    dag = spec(plan(CHAIN, "streaming", streams(alert={"stream.ready_timeout": "20m"}, report={})))
    assert dag.groups[0].gate == GateSpec(
        task_id="ready_0",
        label="generation 0 ready",
        upstream=(),
        trigger_rule="none_failed",
        streams=("alert", "report"),
        timeout_seconds=1200.0,
        doc="Ends when the streams of its generation are ready; what comes next waits for it. "
        "Fails as soon as one of them has failed, or one of a generation before.",
    )
    assert [gate.earlier for gate in dag.gates()] == [
        (),
        ("alert", "report"),
        ("alert", "report", "clean"),
    ]
    assert [gate.timeout_seconds for gate in dag.gates()] == [1200.0, 600.0, 600.0]


@pytest.mark.parametrize("lifetime", ["continuous", "available_now"])
def test_a_stream_knows_how_long_its_driver_may_say_nothing(lifetime: str) -> None:
    said = {"stream.ready_timeout": "20m", "stream.silence_timeout": "1h"}
    dag = spec(plan("a -> b", "streaming", streams(a=said, b={})), lifetime=lifetime)
    found = {task.task_id: task.stream for task in dag.tasks()}
    assert {
        name: own and (own.start_seconds, own.silence_seconds) for name, own in found.items()
    } == {
        "a": (1200.0, 3600.0),
        "b": (600.0, 180.0),
    }


def test_a_stream_knows_whose_end_it_waits_for_when_it_is_to_stop() -> None:
    found = {task.task_id: task.stream for task in spec(plan(CHAIN, "streaming")).tasks()}
    assert {name: stream and stream.producers for name, stream in found.items()} == {
        "alert": ("clean",),
        "report": ("clean",),
        "clean": ("ingest",),
        "ingest": (),
    }
    assert {stream and stream.lifetime for stream in found.values()} == {"continuous"}


def test_the_outcome_is_behind_everything() -> None:
    outcome = spec(plan(CHAIN, "streaming")).outcome
    assert outcome is not None
    assert set(outcome.upstream) == {
        *("ingest", "clean", "alert", "report"),
        *("ready_0", "ready_1", "ready_2", "stop_streams"),
    }
    assert outcome.trigger_rule == "none_failed"


def test_a_bounded_run_stops_by_itself() -> None:
    dag = spec(plan("[src] -> a", "streaming"), lifetime="bounded", duration_seconds=3600)
    assert dag.stop is not None
    assert (dag.stop.streams, dag.stop.after_seconds) == (("a",), 3600)
    assert dag.stop.doc == (
        "Mark it as a success to stop the streams: sources first, and each takes what is there "
        "before it ends. It ends by itself after 3600 s."
    )
    forever = spec(plan("[src] -> a", "streaming")).stop
    assert forever is not None
    assert forever.after_seconds is None
    assert forever.doc.endswith("before it ends.")


def test_batch_pipes_of_a_hybrid_plan_wait_for_all_streams_and_for_each_other() -> None:
    dag = spec(hybrid())
    assert edges(dag) == {
        "alert": ((), "none_failed"),
        "clean": (("ready_0",), "all_success"),
        "ingest": (("ready_1",), "all_success"),
        "daily": (("ready_2",), "none_failed_min_one_success"),
        "weekly": (("daily", "ready_2"), "none_failed_min_one_success"),
        "ready_0": ((), "none_failed"),
        "ready_1": (("ready_0",), "all_success"),
        "ready_2": (("ready_1",), "all_success"),
        "stop_streams": ((), "none_failed"),
    }
    assert dag.stop is not None
    assert dag.stop.streams == ("ingest", "clean", "alert")
    assert [group.gate is None for group in dag.groups] == [False, False, False, True, True]
    assert [task.stream is None for task in dag.tasks()] == [False, False, False, True, True]


def test_a_stream_that_reads_a_batch_pipe_goes_on_until_that_has_ended() -> None:
    drawing = "[src] -> s -> b, [src] -> a -> b, a -> t"
    dag = spec(plan(drawing, "hybrid", streams("s", "t")))
    assert edges(dag)["b"] == (("a", "ready_0"), "none_failed_min_one_success")
    stream = {task.task_id: task.stream for task in dag.tasks()}["t"]
    assert stream is not None
    assert stream.producers == ("a",)


def test_config_based_plans_are_what_their_pipes_are() -> None:
    def named(*tagged: str) -> DagSpec:
        return spec(plan(HYBRID, "config_based", streams(*tagged)))

    everything = ("ingest", "clean", "alert", "daily", "weekly")
    assert len(named(*everything).gates()) == 4
    assert edges(named("ingest", "clean", "alert")) == edges(spec(hybrid()))
    assert named().lifetime is None


def test_available_now_is_a_plan_in_forward_order_with_data_edges() -> None:
    dag = spec(hybrid(), lifetime="available_now")
    assert edges(dag) == {
        "ingest": ((), "none_failed"),
        "clean": (("ingest",), "none_failed"),
        "alert": (("clean",), "none_failed"),
        "daily": (("clean",), "none_failed"),
        "weekly": (("daily",), "none_failed"),
    }
    assert [[task.task_id for task in group.tasks] for group in dag.groups] == [
        ["ingest"],
        ["clean"],
        ["alert", "daily"],
        ["weekly"],
    ]
    assert (dag.gates(), dag.stop, dag.outcome) == ((), None, None)
    assert dag.lifetime == "available_now"
    taken = [task.task_id for task in dag.tasks() if task.stream is not None]
    assert taken == ["ingest", "clean", "alert"]
    assert {task.stream.producers for task in dag.tasks() if task.stream} == {()}


def test_available_now_gives_streams_to_a_plan_in_forward_order() -> None:
    tagged = streams("ingest", "clean", "alert")
    dag = spec(plan(HYBRID, "batch", tagged), lifetime="available_now")
    assert edges(dag) == edges(spec(hybrid(), lifetime="available_now"))
    assert [task.task_id for task in dag.tasks() if task.stream] == ["ingest", "clean", "alert"]
    assert spec(plan(HYBRID, "batch", tagged)).lifetime is None


def test_all_pipes_of_a_streaming_plan_are_streams_in_forward_order_too() -> None:
    dag = spec(plan(CHAIN, "streaming"), lifetime="available_now", barrier="generation")
    assert all(task.stream is not None for task in dag.tasks())
    assert [empty.task_id for empty in dag.barriers] == ["generation_0_done", "generation_1_done"]
    assert edges(dag)["clean"] == (("ingest", "generation_0_done"), "none_failed")


def test_the_digest_is_that_of_the_plan_whatever_the_order() -> None:
    chain = plan(CHAIN, "streaming")
    assert spec(chain).plan_digest == chain.digest
    assert spec(chain, lifetime="available_now").plan_digest == chain.digest


def test_urgency_follows_the_data_whatever_starts_first() -> None:
    def weights(dag: DagSpec) -> dict[str, int]:
        return {task.task_id: task.priority_weight for task in dag.tasks()}

    expected = {"ingest": 4, "clean": 3, "alert": 1, "daily": 2, "weekly": 1}
    assert weights(spec(hybrid())) == expected
    assert weights(spec(hybrid(), lifetime="available_now")) == expected


def test_a_stream_that_lives_on_is_tried_again_and_again_unless_somebody_says_otherwise() -> None:
    dag = spec(hybrid(alert={"retry.attempts": 3}), overrides={"clean": {"retries": 1}})
    found = {task.task_id: task.settings for task in dag.tasks()}
    ingest = found["ingest"]
    assert (ingest.retries, ingest.retry_delay_seconds) == (10, 10)
    assert (ingest.retry_exponential_backoff, ingest.max_retry_delay_seconds) == (True, 300)
    assert (found["alert"].retries, found["alert"].retry_delay_seconds) == (3, 10)
    assert (found["clean"].retries, found["clean"].retry_delay_seconds) == (1, 10)
    assert found["daily"].retries is None
    assert {task.settings.retries for task in spec(hybrid(), settings={"retries": 2}).tasks()} == {
        2
    }
    ending = spec(hybrid(), lifetime="available_now")
    assert {task.settings.retries for task in ending.tasks()} == {None}


def test_a_stream_that_lives_on_logs_warnings_unless_somebody_says_otherwise() -> None:
    def levels(**options: Any) -> dict[str, str | None]:
        tasks = spec(hybrid(), **options).tasks()
        return {t.task_id: t.settings.spark.get("conf", {}).get("spark.log.level") for t in tasks}

    quiet = {**dict.fromkeys(("ingest", "clean", "alert"), "WARN"), "daily": None, "weekly": None}
    assert levels() == quiet
    assert levels(lifetime="bounded", duration_seconds=60) == quiet
    other = {"spark": {"conn_id": "lake", "conf": {"spark.cores.max": 2}}}
    assert levels(settings=other) == quiet
    assert levels(overrides={"clean": {"spark": {"conf": {"spark.log.level": "INFO"}}}}) == {
        **quiet,
        "clean": "INFO",
    }
    assert set(levels(lifetime="available_now").values()) == {None}


def test_all_tasks_that_live_on_may_be_active_at_once() -> None:
    chain = plan(CHAIN, "streaming")
    assert spec(chain, width=4).max_active_tasks() == 4 + 3 + 1
    assert spec(chain, width=4, lifetime="available_now").max_active_tasks() == 4
    elsewhere = spec(chain, overrides={"clean": {"pool": "default_pool"}}, width=3)
    assert elsewhere.max_active_tasks() == 3 + 1 + 3 + 1


def test_a_pool_that_cannot_hold_all_streams_is_refused_with_the_numbers() -> None:
    chain = plan(CHAIN, "streaming")
    assert spec(chain, width=4).width == 4
    assert refusal(chain, width=3) == (
        (
            "pool 'shop_pool' has a width of 3, but its 4 streams take 4 for as long as the run "
            "lasts: "
            "some "
            "would wait forever\n"
            "  Fix: raise width to 4 at least, or lower the slots per pipe."
        ),
    )
    assert spec(chain, width=1, lifetime="available_now").width == 1


def test_a_hybrid_plan_needs_room_for_its_largest_batch_pipe_besides() -> None:
    large = {"weekly": {"pool_slots": 3}}
    assert spec(hybrid(), width=6, overrides=large).width == 6
    assert refusal(hybrid(), width=5, overrides=large) == (
        (
            "pool 'shop_pool' has a width of 5, but its 3 streams take 3 for as long as the run "
            "lasts, "
            "and "
            "the largest batch pipe takes 3 more: some would wait forever\n"
            "  Fix: raise width to 6 at least, or lower the slots per pipe."
        ),
    )


def test_further_pools_count_for_themselves() -> None:
    elsewhere = {"alert": {"pool": "alerts", "pool_slots": 2}}
    assert spec(hybrid(), width=3, pools={"alerts": 2}, overrides=elsewhere).width == 3
    assert refusal(hybrid(), width=3, pools={"alerts": 1}, overrides=elsewhere) == (
        (
            "pipe 'alert' takes 2 slots, but pool 'alerts' has a width of 1: no such task could "
            "ever "
            "start\n  Fix: raise the width, or lower the slots per pipe."
        ),
        (
            "pool 'alerts' has a width of 1, but its one stream takes 2 for as long as the run "
            "lasts: "
            "some "
            "would wait forever\n"
            "  Fix: raise pools: {alerts} to 2 at least, or lower the slots per pipe."
        ),
    )
    unknown = {"alert": {"pool": "nowhere"}}
    assert refusal(hybrid(), overrides=unknown) == (
        (
            "pool 'nowhere' of pipe 'alert' has no width\n"
            "  Fix: set its slots: 'pools: {nowhere: 4}'."
        ),
    )


def test_how_many_slots_airflows_own_pool_has_is_not_known() -> None:
    dag = spec(plan(CHAIN, "streaming"), width=1, overrides={"*": {"pool": "default_pool"}})
    assert len(dag.tasks()) == 4


@pytest.mark.parametrize(
    "submitted", [{"deploy_mode": "cluster"}, {"conf": {"spark.submit.deployMode": "cluster"}}]
)
def test_cluster_mode_is_refused_where_it_shows(submitted: dict[str, Any]) -> None:
    options: dict[str, Any] = {"settings": {"spark": submitted}}
    assert refusal(hybrid(), **options) == (
        (
            "pipe 'ingest' (and 2 more) would run in cluster mode, where a driver can neither "
            "report "
            "that "
            "its stream is ready nor be asked to stop\n"
            "  Fix: set deploy_mode: client for streams; their executors may be anywhere."
        ),
    )
    assert spec(hybrid(), overrides={"daily": {"spark": submitted}}).lifetime == "continuous"
    assert spec(hybrid(), lifetime="available_now", **options).lifetime == "available_now"


def test_a_limit_of_time_is_refused_where_a_stream_lives_longer() -> None:
    limited = hybrid(clean={"timeout_seconds": 60})
    text = (
        "pipe 'clean' may run for 60 s (execution_timeout_seconds), but its stream runs {}\n"
        "  Fix: remove the limit; lifetime and duration set how long streams run."
    )
    assert refusal(limited) == (text.format("until it is stopped"),)
    assert refusal(limited, lifetime="bounded", duration_seconds=60) == (text.format("60 s"),)
    assert spec(limited, lifetime="bounded", duration_seconds=59).lifetime == "bounded"
    assert spec(limited, lifetime="available_now").lifetime == "available_now"
    assert spec(
        plan(HYBRID, "hybrid", streams("ingest", "clean", "alert")), settings={"retries": 1}
    )


def test_options_that_make_no_sense_for_streams_are_refused_at_once() -> None:
    chain = plan(CHAIN, "streaming")
    assert refusal(chain, on_error="continue", barrier="generation") == (
        (
            "barrier 'generation' is not supported here: streams do not end, and each generation "
            "of "
            "them "
            "has a gate\n  Fix: remove it."
        ),
        (
            "on_error 'continue' is not supported here: once a stream has failed permanently, all "
            "streams of "
            "the run are stopped\n  Fix: use 'skip_dependents', the default."
        ),
    )
    assert refusal(chain, group_by="tag:layer") == (
        (
            "group_by 'tag:layer' is not supported with streams: each generation of them has its "
            "gate\n"
            "  Fix: use group_by 'generation'."
        ),
    )
    ending = {"lifetime": "available_now", "on_error": "continue"}
    assert spec(chain, **ending, group_by="tag:layer").lifetime == "available_now"


def test_fail_fast_is_for_the_batch_pipes_of_a_hybrid_plan() -> None:
    assert spec(hybrid(), on_error="fail_fast").on_error == "fail_fast"
    assert len(refusal(hybrid(), on_error="continue")) == 1
    assert len(refusal(plan(CHAIN, "streaming"), on_error="fail_fast")) == 1


def test_a_stream_that_takes_what_is_there_and_ends_does_not_live_on() -> None:
    tags = {"stream.trigger": "available_now"}
    assert refusal(hybrid(alert=tags)) == (
        (
            "pipe 'alert': tag stream.trigger is 'available_now', so it would end before its input "
            "does, and the lifetime is 'continuous'\n"
            "  Fix: use lifetime 'available_now' for the whole plan, or another trigger."
        ),
    )
    assert spec(hybrid(alert=tags), lifetime="available_now").lifetime == "available_now"


def test_tags_that_make_no_sense_are_refused_here_as_well() -> None:
    assert refusal(hybrid(alert={"stream.trigger": "once"})) == (
        (
            "pipe 'alert': tag stream.trigger is 'once'\n"
            "  Fix: write 'default', a duration such as '10s', 'available_now', or 'continuous 1s'."
        ),
    )


def test_problems_of_settings_come_without_those_that_follow_from_them() -> None:
    assert refusal(hybrid(), width=1, overrides={"nobody": {}}) == (
        (
            "overrides: 'nobody' matches no pipe.\n"
            "  Fix: correct the pattern, or remove the override."
        ),
    )


def test_a_lifetime_without_streams_is_refused() -> None:
    assert refusal(plan(HYBRID), lifetime="continuous") == (
        (
            "lifetime 'continuous' is for streams, and the plan has none\n"
            "  Fix: tag the pipes that stream with processing_mode: streaming, or remove it."
        ),
    )
    assert refusal(plan(HYBRID, "batch", streams("alert")), lifetime="continuous") == (
        (
            "lifetime 'continuous' is for streams, and a plan of strategy 'batch' runs pipe "
            "'alert' as "
            "a batch pipe\n"
            "  Fix: use strategy 'config_based', or lifetime 'available_now'."
        ),
    )
    assert lifetime_problem(plan(HYBRID), None, None) is None
    assert lifetime_problem(hybrid(), "continuous", streaming_part(hybrid(), "continuous")) is None


def test_lifetimes_are_checked_with_the_other_options() -> None:
    def options(**said: Any) -> str:
        with pytest.raises(TranslationError) as refused:
            TranslateOptions("shop", "shop_pool", **said)
        (text,) = refused.value.problems
        return str(text)

    assert options(lifetime="continous") == (
        "DAG 'shop': lifetime: unknown value 'continous'. Did you mean 'continuous'?\n"
        "  Fix: use one of continuous, bounded, available_now."
    )
    text = (
        "DAG 'shop': a bounded lifetime needs a duration above 0\n"
        "  Fix: set how long the streams of a run last, such as 'duration: 1h'."
    )
    assert options(lifetime="bounded") == text
    assert options(lifetime="bounded", duration_seconds=0) == text


def test_a_generation_of_batch_pipes_alone_has_no_gate_wherever_it_is() -> None:
    """A strategy of somebody else may put batch pipes first."""
    tagged = streams("ingest", "clean", "alert")
    numbered = [["weekly_in"], ["alert"], ["clean"], ["ingest"]]
    drawing = "[src] -> ingest -> clean -> alert, [src] -> weekly_in"
    own = ExecutionPlan(
        ("ingest", "clean", "alert", "weekly_in"),
        tuple(Generation(n, tuple(ids)) for n, ids in enumerate(numbered)),
        graph(drawing),
        "own",
        {"execution_order": "hybrid", "streaming_pipes": list(tagged)},
    )
    dag = spec(own)
    assert [gate.task_id for gate in dag.gates()] == ["ready_1", "ready_2", "ready_3"]
    assert edges(dag)["clean"] == (("ready_1",), "all_success")
    assert edges(dag)["weekly_in"] == (("ready_3",), "none_failed_min_one_success")


def test_ids_of_gates_and_of_the_stop_are_reserved() -> None:
    assert task_id("ready_0") == "_x72_eady_0"
    assert task_id("stop_streams") == "_x73_top_streams"
    assert task_id("ready_now") == "ready_now"


def test_a_specification_is_a_document() -> None:
    document = spec(plan("[src] -> a", "streaming")).to_json()
    assert document["lifetime"] == "continuous"
    assert document["stop"] == {
        "task_id": "stop_streams",
        "label": "stop",
        "trigger_rule": "none_failed",
        "streams": ["a"],
        "after_seconds": None,
        "doc": "Mark it as a success to stop the streams: sources first, and each takes what is "
        "there before it ends.",
        "upstream": [],
    }
    (group,) = document["groups"]
    assert group["gate"]["streams"] == ["a"]
    assert group["tasks"][0]["stream"] == {
        "producers": [],
        "lifetime": "continuous",
        "start_seconds": 600.0,
        "silence_seconds": 180.0,
    }
    ending = spec(plan("[src] -> a", "streaming"), lifetime="available_now").to_json()
    assert (ending["lifetime"], ending["stop"]) == ("available_now", None)
    batch = spec(plan("[src] -> a")).to_json()
    assert batch.keys().isdisjoint({"lifetime", "stop"})
    canonical_json(document)


def test_every_task_is_found_by_its_id() -> None:
    dag = spec(hybrid())
    for node in dag.nodes():
        assert dag.find(node.task_id) is node
    assert dag.find("nobody") is None


@st.composite
def plans_with_streams(draw: st.DrawFn) -> ExecutionPlan:
    registry = draw(acyclic_pipes(draw(st.sampled_from([None, pipe_ids()]))))
    chosen = registry.get_pipe_ids()
    listed = draw(st.lists(st.sampled_from(chosen or [""]), unique=True, min_size=1))
    everything = ExecutionPlanGenerator(registry).generate_plan(None, "hybrid")
    tagged = {**{p: {} for p in chosen}, **{p: STREAM for p in listed if p}}
    for pipe in list(registry):
        registry.unregister_pipe(pipe.pipeid)
        registry.register_pipe(
            pipe.pipeid,
            input_entity_ids=pipe.input_entity_ids,
            output_entity_id=pipe.output_entity_id,
            tags=tagged[pipe.pipeid],
        )
    del everything
    return ExecutionPlanGenerator(registry).generate_plan(None, "hybrid")


@given(plans_with_streams())
def test_no_stream_begins_before_all_streams_that_read_from_it_are_ready(
    of: ExecutionPlan,
) -> None:
    if not of.streaming_pipes():
        return
    dag = spec(of, width=len(of.pipe_ids) + 1)
    gate_of = {name: gate for gate in dag.gates() for name in gate.streams}
    before = {
        gate.task_id: [g.task_id for g in dag.gates()[: n + 1]]
        for n, gate in enumerate(dag.gates())
    }
    running = {task.pipe_id: task for task in dag.tasks()}
    for consumer, producers in data_flow(of).producers.items():
        for producer in producers:
            reading, writing = running[consumer], running[producer]
            if reading.stream is None or writing.stream is None:
                continue
            (waited,) = writing.upstream
            assert gate_of[reading.task_id].task_id in before[waited]
    assert set(gate_of) == {task.task_id for task in dag.tasks() if task.stream is not None}
    assert dag.outcome is not None
    assert {*dag.outcome.upstream, dag.outcome.task_id} == {n.task_id for n in dag.nodes()}
