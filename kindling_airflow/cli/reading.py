"""``plan``, ``explain``, ``diff``, ``graph`` and ``forecast``: a plan, read in several ways."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from kindling_airflow.cli.sources.memory_budget import shared_lines
from kindling_airflow.cli.sources.source import read_durations, read_source
from kindling_airflow.common.whole_file import write_whole
from kindling_airflow.errors import WrongCallError

__all__ = ["draw_plan", "explain_pipe", "show_difference", "show_forecast", "show_plan"]


def show_plan(called: argparse.Namespace) -> int:
    """Print the plan, in the layout of the user's document or as JSON."""
    from kindling_airflow.execution_plan.text import visualize_plan

    plan = read_source(called.source, called).plan
    if called.json:
        text = _json(plan.to_json())
    elif called.memory_budget is not None:
        text = "\n".join([visualize_plan(plan), "", *shared_lines(plan)])
    else:
        text = visualize_plan(plan)
    _write(called, text)
    return 0


def explain_pipe(called: argparse.Namespace) -> int:
    """Print why a pipe is where it is."""
    from kindling_airflow.plan_report import explain

    plan = read_source(called.source, called).plan
    explanation = explain(plan, called.pipe, read_durations(called))
    print(_json(explanation.to_json()) if called.json else explanation.text())
    return 0


def show_difference(called: argparse.Namespace) -> int:
    """Print what changes between two plans."""
    from kindling_airflow.plan_report import diff

    old, new = read_source(called.old, called).plan, read_source(called.new, called).plan
    found = diff(old, new, durations=read_durations(called))
    print(_json(found.to_json()) if called.json else found.text())
    return 1 if called.exit_code and not found.is_empty else 0


def draw_plan(called: argparse.Namespace) -> int:
    """Print the plan as a drawing."""
    from kindling_airflow.plan_report import plan_dot, plan_mermaid, plan_page

    if called.durations and called.format != "html":
        raise WrongCallError(f"--durations: a drawing as {called.format} shows no times, html does")
    source = read_source(called.source, called)
    if called.format == "html":
        title = source.definition.dag_id if source.definition is not None else source.path.name
        text = plan_page(source.plan, title, read_durations(called))
    else:
        text = {"mermaid": plan_mermaid, "dot": plan_dot}[called.format](source.plan)
    _write(called, _json({"format": called.format, "text": text}) if called.json else text)
    return 0


def show_forecast(called: argparse.Namespace) -> int:
    """Print how long a run takes at which width."""
    from kindling_airflow.plan_report import forecast

    if called.width is not None and called.width < 1:
        raise WrongCallError(f"--width must be at least 1, not {called.width}")
    source = read_source(called.source, called)
    width = called.width
    if width is None and source.definition is not None:
        width = source.definition.width
    found = forecast(source.plan, width, read_durations(called))
    print(_json(found.to_json()) if called.json else found.text())
    return 0


def _json(document: Any) -> str:
    return json.dumps(document, indent=2)


def _write(called: argparse.Namespace, text: str) -> None:
    """Print a text, or put it into the file that was asked for, whole or not at all."""
    if called.output is None:
        sys.stdout.write(text if text.endswith("\n") else f"{text}\n")
        return
    target = Path(called.output)
    try:
        write_whole(target, text if text.endswith("\n") else f"{text}\n")
    except OSError as error:
        raise WrongCallError(f"cannot write {called.output!r}: {error.strerror}") from error
    print(target)
