"""``plan``, ``explain``, ``diff``, ``graph`` and ``forecast``: show a plan in several ways."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from kindling_airflow.cli.sources.memory_budget import shared_lines
from kindling_airflow.cli.sources.source import read_durations, read_source
from kindling_airflow.common.atomic_write import write_whole
from kindling_airflow.errors import WrongCallError


def show_plan(args: argparse.Namespace) -> int:
    """Print the plan, in the layout of the user's document or as JSON."""
    from kindling_airflow.execution_plan.text import visualize_plan

    plan = read_source(args.source, args).plan
    if args.json:
        text = _json(plan.to_json())
    elif args.memory_budget is not None:
        text = "\n".join([visualize_plan(plan), "", *shared_lines(plan)])
    else:
        text = visualize_plan(plan)
    _write(args, text)
    return 0


def explain_pipe(args: argparse.Namespace) -> int:
    """Print the explanation of a pipe's position."""
    from kindling_airflow.plan_report import explain

    plan = read_source(args.source, args).plan
    explanation = explain(plan, args.pipe, read_durations(args))
    print(_json(explanation.to_json()) if args.json else explanation.text())
    return 0


def show_difference(args: argparse.Namespace) -> int:
    """Print the difference of two plans."""
    from kindling_airflow.plan_report import diff

    old, new = read_source(args.old, args).plan, read_source(args.new, args).plan
    found = diff(old, new, durations=read_durations(args))
    print(_json(found.to_json()) if args.json else found.text())
    return 1 if args.exit_code and not found.is_empty else 0


def draw_plan(args: argparse.Namespace) -> int:
    """Print the plan as a drawing."""
    from kindling_airflow.plan_report import plan_dot, plan_mermaid, plan_page

    if args.durations and args.format != "html":
        raise WrongCallError(f"--durations: format {args.format} shows no durations; use html")
    source = read_source(args.source, args)
    if args.format == "html":
        title = source.definition.dag_id if source.definition is not None else source.path.name
        text = plan_page(source.plan, title, read_durations(args))
    else:
        text = {"mermaid": plan_mermaid, "dot": plan_dot}[args.format](source.plan)
    _write(args, _json({"format": args.format, "text": text}) if args.json else text)
    return 0


def show_forecast(args: argparse.Namespace) -> int:
    """Print how long a run takes at several widths."""
    from kindling_airflow.plan_report import forecast

    if args.width is not None and args.width < 1:
        raise WrongCallError(f"--width must be at least 1, not {args.width}")
    source = read_source(args.source, args)
    width = args.width
    if width is None and source.definition is not None:
        width = source.definition.width
    found = forecast(source.plan, width, read_durations(args))
    print(_json(found.to_json()) if args.json else found.text())
    return 0


def _json(document: Any) -> str:
    return json.dumps(document, indent=2)


def _write(args: argparse.Namespace, text: str) -> None:
    """Print a text, or write it to the file of ``--output``."""
    text = text if text.endswith("\n") else f"{text}\n"
    if args.output is None:
        sys.stdout.write(text)
        return
    try:
        write_whole(Path(args.output), text)
    except OSError as error:
        raise WrongCallError(f"cannot write {args.output!r}: {error.strerror}") from error
    print(args.output)
