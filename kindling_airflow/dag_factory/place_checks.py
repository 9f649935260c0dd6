"""What only Airflow knows of the places that a DAG writes to: its warehouse, and who runs tasks.

A local disk is a different one on each worker. Where an executor or a cluster may run a task, or
its driver, on another machine, tables of one task would not be there for the next.
"""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module
from typing import TYPE_CHECKING

from airflow.configuration import conf

from kindling_airflow.errors import DefinitionError
from kindling_airflow.tags.paths import is_absolute
from kindling_airflow.tags.places import place_problems
from kindling_airflow.tags.storage_needs import local_places
from kindling_airflow.translator import TaskSpec

if TYPE_CHECKING:
    from kindling_airflow.data_pipes import PipeMetadata
    from kindling_airflow.definitions.compile import Compiled

__all__ = ["check_places", "configured_executors", "runs_elsewhere"]

_LOCAL = frozenset({"LocalExecutor", "SequentialExecutor"})
_REMOTE = frozenset({"CeleryExecutor", "KubernetesExecutor"})


def check_places(compiled: Compiled) -> None:
    """Check the places of a definition with what Airflow is configured with.

    Raises:
        DefinitionError: one place has two ids, storage does not keep what a format promises, or
            a machine's own disk is used by tasks that may run on several.
    """
    configured = compiled.definition.warehouse or ""
    if "{{" in configured:
        return  # only known to a run
    from kindling_airflow.operators.pipe import warehouse_root

    warehouse = warehouse_root(configured)
    entities = compiled.manifest.entities
    found = map(compiled.manifest.get_pipe_definition, compiled.plan.pipe_ids)
    pipes = [pipe for pipe in found if pipe is not None]
    problems: list[str] = []
    if not is_absolute(configured):  # else it was compiled with this place
        from kindling_airflow.definitions.compile import compiled_storage_problems

        problems += place_problems(pipes, entities, warehouse)
        problems += compiled_storage_problems(compiled, warehouse)
    problems += _own_disk_problems(compiled, pipes, warehouse)
    if problems:
        source = compiled.definition.source
        raise DefinitionError(f"{source}: {problem}" for problem in problems)


def _own_disk_problems(
    compiled: Compiled, pipes: list[PipeMetadata], warehouse: str
) -> Iterator[str]:
    if conf.getboolean("kindling", "shared_warehouse", fallback=False):
        return
    tasks = compiled.spec.tasks()
    streams = [task.pipe_id for task in tasks if task.stream is not None]
    checkpoints, entities = compiled.definition.checkpoints, compiled.manifest.entities
    noted: set[str] = set()
    for reason, pipe_ids in _reasons(tasks).items():
        mine = [pipe for pipe in pipes if pipe.pipeid in pipe_ids]
        for place in local_places(mine, entities, warehouse, streams, checkpoints):
            if place not in noted:
                noted.add(place)
                yield (
                    f"tables are written to {place!r}, a local disk, and {reason}, each of which "
                    "has another disk: a task would not find what another one has written\n"
                    "  Fix: use storage that every machine reaches ([kindling] warehouse, or the "
                    "key 'warehouse'), such as hdfs://, or s3a:// with tables of a catalog. If "
                    "all machines mount this folder from one network disk, set [kindling] "
                    "shared_warehouse = True."
                )


def _reasons(tasks: tuple[TaskSpec, ...]) -> dict[str, set[str]]:
    """Return why tasks, or their drivers, may run on several machines, and which pipes."""
    executors = configured_executors()
    default = next(iter(executors.values()))
    found: dict[str, set[str]] = {}
    for task in tasks:
        spark = task.settings.spark
        mode = spark.get("deploy_mode") or (spark.get("conf") or {}).get("spark.submit.deployMode")
        named = task.settings.executor
        executor = default if named is None else executors.get(named, named)
        if runs_elsewhere(executor):
            reason = f"{executor.rpartition('.')[2]} runs tasks on several machines"
        elif mode == "cluster":
            reason = "deploy mode 'cluster' runs drivers on several machines"
        else:
            continue
        found.setdefault(reason, set()).add(task.pipe_id)
    return found


def configured_executors() -> dict[str, str]:
    """Return the executors that ``[core] executor`` names, by alias or class; the default first."""
    found: dict[str, str] = {}
    for part in str(conf.get("core", "executor", fallback="LocalExecutor")).split(";"):
        for text in part.rpartition("=")[2].split(","):
            alias, colon, name = text.strip().partition(":")
            found.setdefault(alias, name if colon else alias)
            if colon:
                found.setdefault(name, name)
    return found


def runs_elsewhere(executor: str) -> bool:
    """Return whether an executor may run tasks on other machines than the scheduler's.

    An executor's class says so itself; one that cannot be imported may.
    """
    name = executor.rpartition(".")[2]
    if name in _LOCAL or name in _REMOTE:
        return name in _REMOTE
    module, _, name = executor.rpartition(".")
    try:
        return not getattr(import_module(module), name).is_local
    except Exception:  # third-party code: anything may come out
        return True
