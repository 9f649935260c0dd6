"""Selects pipes by one grammar for command line, definition files and run-time parameters.

    select(graph, "+gold.sales tag:layer=bronze,!*.tmp")

    text -- parser --> Selector -- matching: its words, evaluation: its operators --> pipe ids

Nothing backtracks, and nothing recurses deeper than a hundred parentheses, so a text from outside
can be wrong but cannot do harm.
"""

from __future__ import annotations

from kindling_airflow.selection.evaluation import select
from kindling_airflow.selection.parser import parse_selector
from kindling_airflow.selection.syntax import Selector

__all__ = ["Selector", "parse_selector", "select"]
