"""The manifests of definitions' projects: compiled, harvested, or those of the last harvest.

All projects of a DAG file that need it are harvested together, each in its own process, so that one
that hangs or fails does not affect the others.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timezone

from kindling_airflow.definitions.airflow_channel import Channel
from kindling_airflow.definitions.definition import Definition
from kindling_airflow.definitions.import_budget import seconds_for_all, seconds_for_one
from kindling_airflow.definitions.last_manifests import last_harvested, last_manifest, remember
from kindling_airflow.definitions.outside_modules import outside_module_problems
from kindling_airflow.errors import HarvestError, LateHarvestError, ManifestError, ProblemsError
from kindling_airflow.manifest import Manifest
from kindling_airflow.manifest.harvest import harvest, is_current
from kindling_airflow.manifest.harvest_calls import HarvestOrder, harvest_all

log = logging.getLogger(__name__)

_Project = tuple[str, tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class ProjectManifest:
    """The manifest of a definition's project.

    Attributes:
        manifest: the manifest; None where there is none.
        error: why there is none, or why it is the one of the last harvest.
    """

    manifest: Manifest | None = None
    error: ProblemsError | None = None


def project_manifest(definition: Definition) -> Manifest:
    """Return the project's manifest: the compiled one while it is current, else a fresh harvest.

    Raises:
        ManifestError: the manifest that is named or beside the definition cannot be read.
        HarvestError, DeclarationError: the project's modules cannot be imported, here or by a
            driver.
    """
    compiled = current_manifest(definition)
    if compiled is not None:
        return compiled
    seconds = seconds_for_one() or seconds_for_all()
    manifest = harvest(definition.project_root, definition.modules, seconds=seconds)
    _check_modules(definition, manifest)
    return manifest


def current_manifest(definition: Definition) -> Manifest | None:
    """Return the compiled manifest of the project, or None where it is missing or out of date.

    Raises:
        ManifestError: the manifest that is named or beside the definition cannot be read.
    """
    if definition.manifest is None:
        return None
    if not definition.manifest.is_file():
        problem = (
            f"manifest not found: {str(definition.manifest)!r}\n"
            "  Fix: write it with 'kindling-airflow compile', or remove the key 'manifest'."
        )
        raise ManifestError([problem])
    compiled = Manifest.read(definition.manifest)
    current = is_current(compiled, definition.project_root, definition.modules)
    return compiled if current else None


def project_manifests(definitions: Sequence[Definition]) -> list[ProjectManifest]:
    """Return the manifest of each definition's project, in order."""
    found: dict[int, ProjectManifest] = {}
    waiting: dict[_Project, list[int]] = {}
    for n, definition in enumerate(definitions):
        try:
            compiled = current_manifest(definition)
        except ManifestError as error:
            found[n] = ProjectManifest(error=error)
            continue
        if compiled is not None:
            found[n] = ProjectManifest(compiled)
        else:
            project = str(definition.project_root), definition.modules
            waiting.setdefault(project, []).append(n)
    orders = {
        project: HarvestOrder(definitions[ns[0]].project_root, project[1], seconds_for_one())
        for project, ns in waiting.items()
    }
    for project, harvested in _harvested(orders).items() if orders else ():
        for n in waiting[project]:
            found[n] = harvested
            try:
                if harvested.manifest is not None:
                    _check_modules(definitions[n], harvested.manifest)
            except HarvestError as error:
                found[n] = ProjectManifest(error=error)
    return [found[n] for n in range(len(definitions))]


def _check_modules(definition: Definition, manifest: Manifest) -> None:
    """Refuse a project whose drivers would not find what it imports here.

    Raises:
        HarvestError: listing each such module.
    """
    problems = outside_module_problems(definition, manifest.sources)
    if problems:
        raise HarvestError(problems)


def _harvested(orders: dict[_Project, HarvestOrder]) -> dict[_Project, ProjectManifest]:
    """Harvest projects; those whose last harvest is the longest ago come first."""
    ages = {key: last_harvested(order.root, order.modules) for key, order in orders.items()}
    keys = sorted(orders, key=ages.__getitem__)
    results = harvest_all(
        [orders[key] for key in keys], seconds=seconds_for_all(), channel=Channel()
    )
    return {key: _kept(orders[key], result) for key, result in zip(keys, results, strict=True)}


def _kept(order: HarvestOrder, result: Manifest | ProblemsError) -> ProjectManifest:
    """Return what a harvest has given; if it was late, what the one before has."""
    if isinstance(result, Manifest):
        remember(order.root, order.modules, result)
        return ProjectManifest(result)
    last = None
    if isinstance(result, LateHarvestError):
        last = last_manifest(order.root, order.modules)
    if last is None:
        return ProjectManifest(error=result)
    seen = last_harvested(order.root, order.modules)
    when = datetime.fromtimestamp(seen, timezone.utc).isoformat(timespec="seconds")
    note = f"the DAG is made from the import of {when}; the project's files are unchanged since"
    error = LateHarvestError(f"{note}, but {problem}" for problem in result.problems)
    return ProjectManifest(last, error)
