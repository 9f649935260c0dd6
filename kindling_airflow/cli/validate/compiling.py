"""``compile`` and ``validate``: write a manifest, or report every problem."""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from kindling_airflow.cli.sources.source import Source, read_source
from kindling_airflow.cli.validate.across_definitions import (
    Waiting,
    notes_across,
    same_dag_id,
    waiting_dags,
)
from kindling_airflow.cli.validate.notes import notes_on, notes_together
from kindling_airflow.common.wording import counted
from kindling_airflow.errors import (
    DefinitionError,
    KindlingAirflowError,
    ManifestError,
    WrongCallError,
    problems_of,
)


def compile_source(args: argparse.Namespace) -> int:
    """Check a source in full and write its manifest."""
    source = read_source(args.source, args, fresh=True)
    if source.project is None:
        raise WrongCallError(f"{args.source!r} is a plan: nothing to compile")
    target = _target(source, args.output)
    manifest, plan = source.project.base, source.plan
    try:
        _write(target, source)
    except ManifestError as error:
        raise WrongCallError(str(error)) from error
    if args.json:
        figures = plan.get_summary()
        print(json.dumps({"manifest": str(target), "digest": manifest.digest, **figures}))
        return 0
    entities = counted(len(manifest.entities), "entity", "entities")
    print(f"{target}: {counted(len(manifest.pipes), 'pipe')}, {entities}")
    what = f"DAG {source.definition.dag_id!r}" if source.definition is not None else "Plan"
    print(f"{what}: {_shape(source)}")
    _print_notes(source)
    return 0


def _write(target: Path, source: Source) -> None:
    """Write the manifest, with the DAG of a definition where Airflow would read it there."""
    manifest: Any = source.project and source.project.base
    if source.definition is None or target.resolve() != _target(source, None).resolve():
        manifest.write(target)
        return
    from kindling_airflow.definitions.compiled_dag import write_compiled
    from kindling_airflow.definitions.yaml_file import read_definition_file

    write_compiled(target, read_definition_file(source.path), manifest)


def _target(source: Source, output: str | None) -> Path:
    if output is not None:
        return Path(output)
    if source.definition is not None:
        from kindling_airflow.definitions.definition import manifest_beside

        return source.definition.manifest or manifest_beside(source.path)
    if source.path.is_dir():
        return source.path.resolve().with_suffix(".manifest.json")
    raise WrongCallError("set the manifest to write: --output FILE")


def _shape(source: Source) -> str:
    plan = source.plan
    streams = len(plan.streaming_pipes())
    width = f"at most {plan.max_parallelism()} in parallel"
    return (
        f"{counted(plan.total_pipes(), 'pipe')} in "
        f"{counted(plan.total_generations(), 'generation')}, "
        f"{f'{streams} of them streams' if streams else width}"
    )


def _print_notes(source: Source) -> None:
    for note in notes_on(source):
        print(f"  note: {note}")


def validate_sources(args: argparse.Namespace) -> int:
    """Check each source in full, and definitions against each other; print whether each is valid.

    Raises:
        WrongCallError: sources do not exist, or options do not apply to them; the others have been
            checked.
    """
    from kindling_airflow.definitions.import_budget import seconds_for_all, seconds_for_one

    limit = seconds_for_one() or seconds_for_all()
    found: dict[str, list[str]] = {}
    valid: dict[str, Source] = {}
    wrong: list[str] = []
    for name in args.sources:
        try:
            source = read_source(name, args, fresh=True, seconds=limit)
            if problem := same_dag_id(source, list(valid.values())):
                raise DefinitionError([problem])
        except WrongCallError as error:
            found[name] = [str(error)]
            wrong.append(str(error))
        except KindlingAirflowError as error:
            found[name] = list(problems_of(error))
            if not args.json:
                text = str(error)  # most begin with their file
                print(text if text.startswith(name) else f"{name}: {text}")
        else:
            found[name] = []
            valid[name] = source
            if not args.json:
                print(f"{name}: OK: {_shape(source)}")
                _print_notes(source)
    _report_together(found, valid, as_json=args.json)
    if wrong:
        raise WrongCallError("; ".join(dict.fromkeys(wrong)))
    return 1 if any(found.values()) else 0


def _report_together(
    found: Mapping[str, list[str]], valid: Mapping[str, Source], *, as_json: bool
) -> None:
    """Print notes on the sources together; as JSON, also the problems of each.

    In JSON the notes are under ``*``, which is not a source, if there are any.
    """
    sources = list(valid.values())
    waiting, notes = waiting_dags(sources), [*notes_together(sources), *notes_across(sources)]
    if not as_json:
        for each in waiting:
            print(_wait_line(each))
        for note in notes:
            print(f"note: {note}")
        return
    single = [f"{name}: {note}" for name, source in valid.items() for note in notes_on(source)]
    together: dict[str, Any] = {}
    if single or notes:
        together["notes"] = [*single, *notes]
    for each in waiting:
        waits = together.setdefault("waits_for", {}).setdefault(each.dag_id, [])
        waits.append({"asset": each.asset, "of": each.mode, "updated_by": list(each.writers)})
    print(json.dumps({**found, "*": together} if together else found, indent=2))


def _wait_line(each: Waiting) -> str:
    writers = ", ".join(f"DAG {dag_id!r}" for dag_id in each.writers)
    by = f"updated by {writers}" if writers else "not updated by any of these"
    return f"DAG {each.dag_id!r} waits for asset {each.asset!r}: {by}"
