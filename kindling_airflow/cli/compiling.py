"""``compile`` and ``validate``: from declarations to a manifest, and every problem on the way."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from kindling_airflow.cli.notes import notes_on, notes_together
from kindling_airflow.cli.sources import Source, read_source
from kindling_airflow.errors import KindlingAirflowError, ManifestError, WrongCallError, problems_of
from kindling_airflow.plan_report.wording import counted

__all__ = ["compile_source", "validate_sources"]


def compile_source(called: argparse.Namespace) -> int:
    """Check a source in full and write its manifest."""
    source = read_source(called.source, called, fresh=True)
    if source.project is None:
        raise WrongCallError(f"{called.source!r} is a plan: there is nothing left to compile")
    target = _target(source, called.output)
    manifest, plan = source.project.base, source.plan
    try:
        manifest.write(target)
    except ManifestError as error:
        raise WrongCallError(str(error)) from error
    if called.json:
        figures = plan.get_summary()
        print(json.dumps({"manifest": str(target), "digest": manifest.digest, **figures}))
        return 0
    entities = counted(len(manifest.entities), "entity", "entities")
    print(f"{target}: {counted(len(manifest.pipes), 'pipe')}, {entities}")
    what = f"DAG {source.definition.dag_id!r}" if source.definition is not None else "Plan"
    print(f"{what}: {_shape(source)}")
    _print_notes(source)
    return 0


def _target(source: Source, output: str | None) -> Path:
    if output is not None:
        return Path(output)
    if source.definition is not None:
        from kindling_airflow.dag_factory.definition import manifest_beside

        return source.definition.manifest or manifest_beside(source.path)
    if source.path.is_dir():
        return source.path.resolve().with_suffix(".manifest.json")
    raise WrongCallError("name the manifest to write: --output FILE")


def _shape(source: Source) -> str:
    plan = source.plan
    streams = len(plan.streaming_pipes())
    width = f"at most {plan.max_parallelism()} side by side"
    return (
        f"{counted(plan.total_pipes(), 'pipe')} in "
        f"{counted(plan.total_generations(), 'generation')}, "
        f"{f'{streams} of them streams' if streams else width}"
    )


def _print_notes(source: Source) -> None:
    for note in notes_on(source):
        print(f"  note: {note}")


def validate_sources(called: argparse.Namespace) -> int:
    """Check each source in full; say of each whether it is sound.

    Raises:
        WrongCallError: some of them are not there, or options do not go with them; the others
            have been checked.
    """
    from kindling_airflow.dag_factory.import_budget import seconds_for_all, seconds_for_one

    limit = seconds_for_one() or seconds_for_all()
    found: dict[str, list[str]] = {}
    sound: list[Source] = []
    wrong: list[str] = []
    for name in called.sources:
        try:
            source = read_source(name, called, fresh=True, seconds=limit)
        except WrongCallError as error:
            found[name] = [str(error)]
            wrong.append(str(error))
        except KindlingAirflowError as error:
            found[name] = list(problems_of(error))
            if not called.json:
                text = str(error)  # most name their file themselves
                print(text if text.startswith(name) else f"{name}: {text}")
        else:
            found[name] = []
            sound.append(source)
            if not called.json:
                print(f"{name}: sound: {_shape(source)}")
                _print_notes(source)
    if called.json:
        print(json.dumps(found, indent=2))
    else:
        for note in notes_together(sound):
            print(f"note: {note}")
    if wrong:
        raise WrongCallError("; ".join(dict.fromkeys(wrong)))
    return 1 if any(found.values()) else 0
