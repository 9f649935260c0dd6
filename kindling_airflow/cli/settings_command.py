"""``settings``: the effective settings of a pipe's task, and the source of each."""

from __future__ import annotations

import argparse
import json
from typing import TYPE_CHECKING

from kindling_airflow.cli.sources.source import read_source
from kindling_airflow.common.immutable import EMPTY
from kindling_airflow.common.wording import did_you_mean
from kindling_airflow.errors import WrongCallError

if TYPE_CHECKING:
    from kindling_airflow.translator.setting_sources import SettingSource


def show_settings(args: argparse.Namespace) -> int:
    """Print the effective settings of a pipe's task, each with its source."""
    from kindling_airflow.definitions.compile import compile_planned, planned_as
    from kindling_airflow.definitions.options import options_of
    from kindling_airflow.translator import TaskSpec
    from kindling_airflow.translator.setting_sources import layers_of, setting_sources

    source = read_source(args.source, args)
    definition = source.definition
    if definition is None:
        raise WrongCallError(
            f"{args.source!r} has no task settings: name a definition (*.kindling.yaml)"
        )
    if args.pipe not in source.plan.pipe_ids:
        hint = did_you_mean(args.pipe, source.plan.pipe_ids)
        raise WrongCallError(f"DAG {definition.dag_id!r} has no pipe {args.pipe!r}.{hint}")
    compiled = compile_planned(planned_as(definition, source.plan), complete=False)
    task = next(
        node
        for node in compiled.spec.nodes()
        if isinstance(node, TaskSpec) and node.pipe_id == args.pipe
    )
    streaming = source.streaming()
    defaults = {} if streaming is None else streaming.defaults()
    tags = source.plan.graph.nodes[args.pipe].tags
    found = setting_sources(
        layers_of(options_of(definition), args.pipe, tags, defaults.get(args.pipe, EMPTY))
    )
    if args.json:
        document = {
            "dag_id": definition.dag_id,
            "pipe_id": args.pipe,
            "task_id": task.task_id,
            "priority_weight": task.priority_weight,
            "trigger_rule": task.trigger_rule,
            "settings": [setting.to_json() for setting in found],
        }
        print(json.dumps(document, indent=2))
        return 0
    print(f"Task {task.task_id!r} of DAG {definition.dag_id!r}: pipe {args.pipe!r}")
    rows = [_row(setting) for setting in found]
    if all(setting.key != ("priority",) for setting in found):
        rows.append(("priority", str(task.priority_weight), "the plan: longest path from here"))
    rows.append(("trigger_rule", task.trigger_rule, "the plan, by on_error"))
    widths = [max(len(row[n]) for row in rows) for n in (0, 1)]
    for key, value, source_text in rows:
        print(f"  {key:<{widths[0]}}  {value:<{min(widths[1], 60)}}  {source_text}")
    print("Other settings have Airflow's defaults, from its configuration.")
    return 0


def _row(setting: SettingSource) -> tuple[str, str, str]:
    covers = f" (overrides {', '.join(setting.covers)})" if setting.covers else ""
    value = setting.value
    text = value if isinstance(value, str) else json.dumps(value, default=str)
    return ".".join(setting.key), text, f"{setting.source}{covers}"
