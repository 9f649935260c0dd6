"""Reads the arguments of the installed operator from its source, without importing it.

``validate`` finds an unknown argument without starting Airflow. Where the source is not to be had,
nothing is known and nothing is refused; Airflow itself does that when the DAG is built.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

from kindling_airflow.common.wording import did_you_mean
from kindling_airflow.definitions.definition import Definition
from kindling_airflow.definitions.yaml_file import Problem

_CLASSES = (
    ("apache-airflow-task-sdk", "airflow/sdk/bases/operator.py", "BaseOperator"),
    (
        "apache-airflow-providers-apache-spark",
        "airflow/providers/apache/spark/operators/spark_submit.py",
        "SparkSubmitOperator",
    ),
)


def argument_name_problems(definition: Definition) -> Iterator[Problem]:
    """Yield the arguments of a definition that the installed operator does not take."""
    names = [
        ((*where, section, name), name)
        for where, layer in definition.layers().items()
        for section in ("spark", "arguments")
        for name in layer.get(section) or ()
    ]
    if not names:
        return
    known = known_arguments()
    for where, name in names:
        if known and name not in known:
            hint = did_you_mean(name, known)
            text = f"the installed operator takes no argument {name!r}.{hint}"
            yield where, f"{text}\n  Fix: correct the name, or install a newer provider."


@lru_cache(maxsize=1)
def known_arguments() -> frozenset[str]:
    """Return the names that the operator's constructors take; empty where that is not known."""
    found: set[str] = set()
    for package, file, name in _CLASSES:
        try:
            tree = ast.parse(Path(str(distribution(package).locate_file(file))).read_text("utf-8"))
        except (PackageNotFoundError, OSError, SyntaxError, ValueError):
            return frozenset()
        found |= _constructor_arguments(tree, name)
    return frozenset(found)


def _constructor_arguments(tree: ast.Module, name: str) -> set[str]:
    bodies = [
        node.body for node in tree.body if isinstance(node, ast.ClassDef) and node.name == name
    ]
    return {
        argument.arg
        for body in bodies
        for node in body
        if isinstance(node, ast.FunctionDef) and node.name == "__init__"
        for argument in node.args.kwonlyargs
    }
