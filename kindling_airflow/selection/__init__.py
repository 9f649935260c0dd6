"""WHICH pipes: one grammar for the command line, definition files and run-time parameters.

    select(graph, "+gold.sales tag:layer=bronze,!*.tmp")

    text -- parser --> Selector -- matching: its words, evaluation: its operators --> pipe ids

Nothing recurses and nothing backtracks, so a text from outside can be wrong but cannot do harm.
"""

from __future__ import annotations

from kindling_airflow.selection.evaluation import select
from kindling_airflow.selection.parser import parse_selector
from kindling_airflow.selection.syntax import Selector

__all__ = ["SELECT_PARAM", "Selector", "parse_selector", "select"]

SELECT_PARAM = "select"
"""The entry of a run's conf, and the param of a DAG, that selects the pipes of a run."""
