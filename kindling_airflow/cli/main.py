"""``kindling-airflow``: the command line that needs neither Airflow nor Spark.

Exit status: 0 done, 1 problems were found, 2 wrong call.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from kindling_airflow.errors import KindlingAirflowError

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command in ``arguments`` (default: the process's own); return its exit status."""
    parser = _parser()
    called = parser.parse_args(arguments)
    try:
        print(_compile(called.definition, called.output))
    except KindlingAirflowError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="kindling-airflow", description="Compiles Spark pipeline plans into Airflow DAGs."
    )
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    compiling = commands.add_parser(
        "compile",
        help="import a project's declarations and write its manifest",
        description=(
            "Checks a definition in full (declarations, graph, plan) and writes the manifest of "
            "its project beside it, so that Airflow need not import the project to parse its DAG."
        ),
    )
    compiling.add_argument("definition", type=Path, help="a *.kindling.yaml file")
    compiling.add_argument(
        "-o", "--output", type=Path, help="default: where the definition looks for it"
    )
    return parser


def _compile(path: Path, output: Path | None) -> str:
    from kindling_airflow.dag_factory.compile import compile_definition
    from kindling_airflow.dag_factory.definition import Definition, manifest_beside
    from kindling_airflow.harvest import harvest

    definition = Definition.from_file(path)
    manifest = harvest(definition.project_root, definition.modules)
    compiled = compile_definition(definition, manifest)
    target = output or definition.manifest or manifest_beside(path)
    manifest.write(target)
    plan = compiled.plan
    return (
        f"{target}: {len(manifest.pipes)} pipes, {len(manifest.entities)} entities\n"
        f"DAG {definition.dag_id!r}: {plan.total_pipes()} pipes in {plan.total_generations()} "
        f"generations, at most {plan.max_parallelism()} side by side"
    )


if __name__ == "__main__":
    sys.exit(main())
