"""Checks that a task makes before it starts its driver.

- **Selection**: a run for some pipes only, by ``select`` in its conf or in the form of the UI:
  ``airflow dags trigger shop --conf '{"select": "gold.x+"}'``. A pipe that is not selected is
  skipped without a driver; its table stays as it is, and its readers use that. Each task evaluates
  the selection itself, on the plan that its worker has compiled anyway.
- **Fail fast**: after a failure no pipe is started. Airflow's ``DAG(fail_fast=True)`` kills running
  pipes, skips the others, and reports success where the leaves were skipped. Here running pipes may
  end, and a pipe that is not started fails without a driver; so the run fails, and clearing the
  failed tasks resumes it.
- **Plan drift**: each task is compiled again as it starts. A pipe compares the digest of its plan
  with those in the reports of its upstream tasks, and warns where they differ.
- **Code drift**: a plan does not change where only the body of a function does. A pipe also
  compares its project's code with that of the compiled manifest and of its upstream tasks.
  ``[kindling] code_drift`` sets what a difference does: ``warn``, ``fail`` or ``ignore``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import (
    AirflowException,
    AirflowFailException,
    AirflowSkipException,
    conf,
)

from kindling_airflow.common.shared_ids import SELECT_PARAM
from kindling_airflow.common.wording import first_of
from kindling_airflow.errors import SelectionError
from kindling_airflow.manifest.project_code import CodeIdentity
from kindling_airflow.operators.upstream_reports import REPORT_KEY

if TYPE_CHECKING:
    from airflow.sdk import Context

    from kindling_airflow.pipe_graph import PipeGraph

__all__ = [
    "fail_after_failure",
    "identify_code",
    "reject_selection",
    "skip_unless_any_selected",
    "skip_unless_selected",
    "warn_of_drift",
]

_MOST_NAMED = 5
_MOST_UPSTREAM = 10  # each costs a call to Airflow
_MODES = ("warn", "fail", "ignore")
_SAME_COPY = (
    "  Fix: deploy the same copy of the project to every worker, or use a package; then start a "
    "new run."
)

Check = Callable[["Context"], None]


def skip_unless_selected(
    graph: Callable[[], PipeGraph], key: str = SELECT_PARAM, reporting_pipe: str | None = None
) -> Check:
    """Return a check that skips a task whose pipe is not selected in the run.

    An invalid selection is reported once: one task fails, and with it the run; the others are
    skipped.

    Args:
        graph: makes the graph of the plan's pipes; called only by a run with a selection.
        key: the entry of the run's conf, or the param, that holds the selection.
        reporting_pipe: the pipe whose task fails if the selection is invalid; it has no upstream
            tasks. None: every task fails.
    """

    def check(context: Context) -> None:
        selection = _selection(context, key)
        if not selection:
            _reject_empty_list(context, key, selection)
            return
        from kindling_airflow.selection import select

        task: Any = context["ti"].task
        try:
            pipes = select(graph(), selection)
        except SelectionError as error:
            if reporting_pipe in (None, task.pipe_id):
                raise AirflowFailException(
                    f"{key!r} of this run selects no pipes: {error}"
                ) from error
            reason = (
                f"{key!r} of this run selects no pipes; the failed task of pipe "
                f"{reporting_pipe!r} reports why."
            )
        else:
            if task.pipe_id in pipes:
                return
            reason = f"Pipe {task.pipe_id!r} is not selected in this run ({key}: {selection!r})."
        task.on_skipped_callback = ()  # nothing has changed
        raise AirflowSkipException(reason)

    return check


def skip_unless_any_selected(
    graph: Callable[[], PipeGraph], pipe_ids: Sequence[str], key: str = SELECT_PARAM
) -> Check:
    """Return a check that skips a task for several pipes of which none is selected in the run.

    An invalid selection skips it as well: it is reported by a task of a pipe.

    Args:
        graph: as for :func:`skip_unless_selected`.
        pipe_ids: the pipes.
        key: the entry of the run's conf, or the param, that holds the selection.
    """

    def check(context: Context) -> None:
        selection = _selection(context, key)
        if not selection:
            return
        from kindling_airflow.selection import select

        try:
            chosen = set(select(graph(), selection))
        except SelectionError:
            chosen = set()
        if chosen.isdisjoint(pipe_ids):
            raise AirflowSkipException(
                f"None of its pipes is selected in this run ({key}: {selection!r})."
            )

    return check


def reject_selection(key: str = SELECT_PARAM, reporting_pipe: str | None = None) -> Check:
    """Return a check that fails a task of a run with a selection, where all pipes run together.

    Streams wait until each other is ready, so a run of some of them would never start.

    Args:
        key: the entry of the run's conf, or the param, that would hold the selection.
        reporting_pipe: the pipe whose failure callbacks are called; None: those of every task.
    """

    def check(context: Context) -> None:
        selection = _selection(context, key)
        if selection:
            task: Any = getattr(context.get("ti"), "task", None)
            if task is not None and reporting_pipe not in (None, getattr(task, "pipe_id", None)):
                task.on_failure_callback = ()
            raise AirflowFailException(
                f"This run selects some pipes ({key}: {selection!r}), but the streams of a plan "
                "run together, because each waits until the others are ready\n"
                f"  Fix: start a run without {key!r}; with lifetime: available_now it can select."
            )

    return check


def _selection(context: Mapping[str, Any], key: str) -> Any:
    conf = getattr(context.get("dag_run"), "conf", None) or {}
    params: Mapping[str, Any] = context.get("params") or {}
    found = conf[key] if key in conf else params.get(key)
    return found.strip() if isinstance(found, str) else found


def _reject_empty_list(context: Context, key: str, selection: Any) -> None:
    """Reject ``select: []`` in a run's conf, which does not ask for all pipes.

    Empty text is what the form of the UI sends where it is not filled in, and so is an empty list
    where that is the default of the DAG's param.
    """
    conf = getattr(context.get("dag_run"), "conf", None) or {}
    if key not in conf or not isinstance(selection, (list, tuple)):
        return
    defaults: Mapping[str, Any] = getattr(context.get("dag"), "params", None) or {}
    if key not in defaults or defaults[key] != selection:
        raise AirflowFailException(
            f"{key!r} of this run is an empty list, which selects no pipes\n"
            f"  Fix: name some pipes, or omit {key!r} to run all of them."
        )


def fail_after_failure(prefix: str = "") -> Check:
    """Return a check that fails a task if another task of the run has failed.

    Its ``on_failure_callback`` is not called: the failure was reported by the task that caused it.

    Args:
        prefix: how the ids of the tasks begin whose failures count; default: all of the DAG.
    """

    def check(context: Context) -> None:
        ti: Any = context["ti"]
        run = {"dag_id": ti.dag_id, "run_ids": [ti.run_id]}
        if not ti.get_ti_count(states=["failed"], **run):  # one number, whatever the DAG's size
            return
        states = ti.get_task_states(**run).get(ti.run_id, {})
        failed = sorted(t for t, state in states.items() if state == "failed")
        own = [repr(task_id) for task_id in failed if task_id.startswith(prefix)]
        if own:
            ti.task.on_failure_callback = ()
            raise AirflowFailException(
                f"{ti.task_id!r} was not started: {first_of(own, _MOST_NAMED)} failed in this run, "
                "and on_error is 'fail_fast'\n"
                "  Fix: correct the cause, then clear the failed tasks of this run."
            )

    return check


def identify_code(code: Callable[[], CodeIdentity]) -> Check:
    """Return a check that records which code of the project a task is for.

    It warns, or fails the task, if that is not the code of the compiled manifest.

    Args:
        code: returns which; called by each task as it starts.
    """

    def check(context: Context) -> None:
        task: Any = context["ti"].task
        task.code_drift, task.code = _code_drift_mode(), code()
        if task.code.problem:
            _report_drift(task, task.code.problem)
        if task.code.changed:
            changed = first_of(list(map(repr, task.code.changed)), _MOST_NAMED)
            _report_drift(
                task,
                "the project's code on this worker differs from that of the compiled manifest: "
                f"{changed}\n"
                "  Fix: compile the manifest again, and deploy it with the same copy of the "
                "project to every worker.",
            )

    return check


def _code_drift_mode() -> str:
    mode = conf.get("kindling", "code_drift", fallback="warn") or "warn"
    if mode not in _MODES:
        raise AirflowFailException(
            f"[kindling] code_drift is {mode!r}\n  Fix: set it to one of {', '.join(_MODES)}."
        )
    return str(mode)


def _report_drift(task: Any, text: str) -> None:
    """Warn of other code, or fail the task; a retry may be on a worker with the right one."""
    if task.code_drift == "fail":
        raise AirflowException(text)
    if task.code_drift == "warn":
        task.log.warning("%s", text)


def warn_of_drift(upstream_of: Callable[[str], Sequence[str]]) -> Check:
    """Return a check that warns where upstream tasks had another plan, or other code.

    Other plans are noted for the report. Other code fails the task where that is configured.

    Args:
        upstream_of: returns the ids of a task's upstream tasks in the DAG.
    """

    def check(context: Context) -> None:
        ti: Any = context["ti"]
        task = ti.task
        plans: dict[str, str] = {}
        codes: dict[str, str] = {}
        for name in islice(upstream_of(ti.task_id), _MOST_UPSTREAM):
            report = _report_of(ti, name)
            _note_other(plans, name, report.get("plan_digest"), task.plan_digest)
            _note_other(codes, name, report.get("code_digest"), task.code.digest)
        if plans:
            task.plan_drift = plans
            task.log.warning(
                "The plan of this DAG changed during the run: this task has plan %s, upstream "
                "tasks had others: %s. Their output is complete. Start a new run if all pipes have "
                "to run on one plan.",
                task.plan_digest,
                _named(plans),
            )
        if codes:
            _report_drift(
                task,
                "this run mixes two states of the project's code: this task has code "
                f"{task.code.digest}, upstream tasks had others: {_named(codes)}\n{_SAME_COPY}",
            )

    return check


def _note_other(found: dict[str, str], name: str, digest: Any, own: str) -> None:
    if digest and own and digest != own:
        found[name] = str(digest)


def _named(digests: Mapping[str, str]) -> str:
    return ", ".join(f"{name!r} ({digest})" for name, digest in digests.items())


def _report_of(ti: Any, task_id: str) -> Mapping[str, Any]:
    try:
        report = ti.xcom_pull(task_ids=task_id, key=REPORT_KEY)
    except Exception as error:  # the check must not fail a run
        ti.task.log.debug("The report of %s is not available: %s", task_id, error)
        return {}
    return report if isinstance(report, dict) else {}
