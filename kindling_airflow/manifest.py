"""WHAT, as JSON: a project's declarations on disk.

    {"schema_version": 1, "digest": "sha256:...", "modules": [...], "sources": {...},
     "entities": [{"entityid": ...}, ...], "pipes": [{"pipeid": ..., "function": {...}}, ...]}

Functions are named by module and qualified name: a manifest holds no code. ``sources`` has the SHA-256
of each project file that was imported, so a manifest that is out of date says so by itself. Nothing
in it depends on the machine, the folder, the clock or the hash seed: same declarations, same bytes.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from kindling_airflow.data_entities import DataEntityRegistry
from kindling_airflow.data_pipes import DataPipesRegistry, PipeMetadata
from kindling_airflow.errors import KindlingAirflowError, ManifestError
from kindling_airflow.frozen import EMPTY, FrozenDict, digest_of, freeze, thaw

__all__ = ["MANIFEST_SCHEMA_VERSION", "FunctionRef", "Manifest"]

MANIFEST_SCHEMA_VERSION = 1

_PIPE_FIELDS = (
    "name",
    "tags",
    "input_entity_ids",
    "output_entity_id",
    "output_type",
    "use_watermark",
    "driving_entity_ids",
)
_ENTITY_FIELDS = (
    "name",
    "merge_columns",
    "tags",
    "schema",
    "partition_columns",
    "cluster_columns",
)


@dataclass(frozen=True, slots=True)
class FunctionRef:
    """Where a pipe's function is to be found: an importable module and a name in it."""

    module: str
    qualname: str


@dataclass(frozen=True, slots=True)
class Manifest:
    """The declarations of one project; a source of pipes for graph builders and generators.

    Attributes:
        pipes: the pipes in the order of declaration, without their functions.
        entities: the declared entities in the order of declaration.
        functions: where each pipe's function is, by pipe id.
        modules: the modules whose import makes the declarations, in that order.
        sources: SHA-256 of each project file that was imported, by path relative to the project.
    """

    pipes: DataPipesRegistry
    entities: DataEntityRegistry
    functions: Mapping[str, FunctionRef] = field(default_factory=lambda: EMPTY)
    modules: tuple[str, ...] = ()
    sources: Mapping[str, str] = field(default_factory=lambda: EMPTY)

    @classmethod
    def from_registries(
        cls,
        pipes: DataPipesRegistry,
        entities: DataEntityRegistry,
        *,
        modules: Sequence[str] = (),
        sources: Mapping[str, str] | None = None,
    ) -> Manifest:
        """Return the manifest of two registries.

        Raises:
            ManifestError: a pipe's function cannot be found again by name (a lambda, a local function).
        """
        bare = DataPipesRegistry()
        functions: dict[str, FunctionRef] = {}
        problems = []
        for pipe in pipes:
            bare.register_pipe(pipe.pipeid, **_declaration(pipe, _PIPE_FIELDS))
            if pipe.execute is None:
                continue
            module = getattr(pipe.execute, "__module__", "")
            qualname = getattr(pipe.execute, "__qualname__", "")
            if not module or not qualname or "<" in qualname:
                problems.append(
                    f"pipe {pipe.pipeid!r}: its function {qualname or pipe.execute!r} cannot be imported "
                    "by name\n  Fix: declare a function at the top level of a module."
                )
            functions[pipe.pipeid] = FunctionRef(module, qualname)
        if problems:
            raise ManifestError(problems)
        return cls(bare, entities, FrozenDict(functions), tuple(modules), freeze(sources or {}))

    def get_pipe_ids(self) -> list[str]:
        """Return the ids of all pipes, in the order of declaration."""
        return self.pipes.get_pipe_ids()

    def get_pipe_definition(self, pipeid: str) -> PipeMetadata | None:
        """Return a pipe's declaration, or None where there is none."""
        return self.pipes.get_pipe_definition(pipeid)

    @property
    def digest(self) -> str:
        """``sha256:<hex>`` of the content."""
        return digest_of(self._content())

    def to_json(self) -> dict[str, Any]:
        """Return the manifest as a JSON document."""
        content = self._content()
        return {"schema_version": MANIFEST_SCHEMA_VERSION, "digest": digest_of(content), **content}

    def dumps(self) -> str:
        """Return the manifest as JSON text, readable in a diff; same manifest, same bytes."""
        return json.dumps(self.to_json(), indent=2, ensure_ascii=True, allow_nan=False) + "\n"

    def write(self, path: Path) -> None:
        """Write the manifest; the file appears whole or not at all."""
        draft = path.with_name(f".{path.name}.{os.getpid()}.tmp")
        try:
            draft.write_text(self.dumps(), encoding="utf-8")
            os.replace(draft, path)
        except OSError as error:
            draft.unlink(missing_ok=True)
            raise ManifestError([f"cannot write the manifest to {str(path)!r}: {error}"]) from error

    def _content(self) -> dict[str, Any]:
        return {
            "modules": list(self.modules),
            "sources": dict(sorted(self.sources.items())),
            "entities": [
                {"entityid": entity.entityid, **_declaration(entity, _ENTITY_FIELDS)}
                for entity in self.entities
            ],
            "pipes": [
                {
                    "pipeid": pipe.pipeid,
                    "function": _function_json(self.functions.get(pipe.pipeid)),
                    **_declaration(pipe, _PIPE_FIELDS),
                }
                for pipe in self.pipes
            ],
        }

    @classmethod
    def read(cls, path: Path) -> Manifest:
        """Read a manifest from a file.

        Raises:
            ManifestError: no such file, no JSON, or not a manifest; names the file.
        """
        try:
            document = json.loads(path.read_text(encoding="utf-8"))
        except OSError as error:
            raise ManifestError([f"cannot read the manifest {str(path)!r}: {error.strerror}"]) from error
        except (ValueError, RecursionError) as error:
            raise ManifestError([f"the manifest {str(path)!r} is no JSON document: {error}"]) from error
        try:
            return cls.from_json(document)
        except ManifestError as error:
            raise ManifestError(f"{str(path)!r}: {p}" for p in error.problems) from error

    @classmethod
    def from_json(cls, document: Any) -> Manifest:
        """Return the manifest that a JSON document describes; unknown optional fields are ignored.

        Raises:
            ManifestError: unknown schema version, changed content, or wrong fields; lists them all.
        """
        if not isinstance(document, dict):
            raise ManifestError([f"a manifest is a JSON object, not {type(document).__name__}"])
        version = document.get("schema_version")
        if version != MANIFEST_SCHEMA_VERSION:
            raise ManifestError(
                [
                    f"manifest schema version {version!r} is unknown; this release reads version "
                    f"{MANIFEST_SCHEMA_VERSION}\n  Fix: compile the manifest again."
                ]
            )
        pipes, entities = DataPipesRegistry(), DataEntityRegistry()
        functions: dict[str, FunctionRef] = {}
        problems = []
        for where, entry in _entries(document, "entities", problems):
            problems += _register(where, entry, "entityid", entities.register_entity, _ENTITY_FIELDS)
        for where, entry in _entries(document, "pipes", problems):
            problems += _register(where, entry, "pipeid", pipes.register_pipe, _PIPE_FIELDS)
            function = entry.get("function")
            if isinstance(function, dict) and isinstance(entry.get("pipeid"), str):
                ref = FunctionRef(str(function.get("module", "")), str(function.get("qualname", "")))
                functions[entry["pipeid"]] = ref
            elif function is not None:
                problems.append(f"{where}: function must be an object with module and qualname")
        modules, sources = document.get("modules", []), document.get("sources", {})
        if not isinstance(modules, list) or not all(isinstance(m, str) for m in modules):
            problems.append("modules must be a list of module names")
        if not isinstance(sources, dict):
            problems.append("sources must be an object from file to SHA-256")
        if problems:
            raise ManifestError(problems)
        manifest = cls(pipes, entities, FrozenDict(functions), tuple(modules), freeze(sources))
        said = document.get("digest")
        if said is not None and said != manifest.digest:
            raise ManifestError(
                [
                    f"the manifest's digest is {said}, its content has {manifest.digest}: it was edited "
                    "by hand or cut off\n  Fix: compile the manifest again."
                ]
            )
        return manifest


def _declaration(declared: Any, fields: Iterable[str]) -> dict[str, Any]:
    return {name: thaw(getattr(declared, name)) for name in fields}


def _function_json(ref: FunctionRef | None) -> dict[str, str] | None:
    return None if ref is None else {"module": ref.module, "qualname": ref.qualname}


def _entries(
    document: Mapping[str, Any], key: str, problems: list[str]
) -> list[tuple[str, dict[str, Any]]]:
    entries = document.get(key, [])
    if not isinstance(entries, list):
        problems.append(f"{key} must be a list")
        return []
    problems += [
        f"{key}[{n}] must be an object" for n, e in enumerate(entries) if not isinstance(e, dict)
    ]
    return [(f"{key}[{n}]", e) for n, e in enumerate(entries) if isinstance(e, dict)]


def _register(
    where: str, entry: Mapping[str, Any], id_field: str, register: Any, fields: Iterable[str]
) -> list[str]:
    if id_field not in entry:
        return [f"{where}: {id_field} is missing"]
    declaration = {name: entry[name] for name in fields if name in entry}
    try:
        register(entry[id_field], **declaration)
    except KindlingAirflowError as error:
        return [f"{where}: {problem}" for problem in getattr(error, "problems", (str(error),))]
    except (TypeError, ValueError, RecursionError) as error:
        return [f"{where}: {error}"]
    return []
