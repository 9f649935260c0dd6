"""The manifest: a project's declarations as a JSON file.

    {"schema_version": 1, "digest": "sha256:...", "modules": [...], "sources": {...},
     "entities": [{"entityid": ...}, ...],
     "pipes": [{"pipeid": ..., "function": {...}}, {"pipeid": ..., "sql": "..."}, ...]}

Functions are named by module and qualified name: a manifest holds no Python, and a driver takes
them from what the import of the modules declares. Queries are stored as they are. ``sources`` has
the SHA-256 of each project file that was imported, and of each file with a query, so that a
manifest can be recognised as out of date. Nothing in it depends on the machine, the folder, the
clock or the hash seed: same declarations, same bytes.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from kindling_airflow.common.atomic_write import write_whole
from kindling_airflow.common.gc_pause import collector_paused
from kindling_airflow.common.immutable import (
    EMPTY,
    TOO_DEEP,
    FrozenDict,
    digest_of,
    digest_problems,
    freeze,
    thaw,
)
from kindling_airflow.data_entities import DataEntityRegistry
from kindling_airflow.data_pipes import DataPipesRegistry, PipeMetadata
from kindling_airflow.data_pipes.registry import innermost
from kindling_airflow.errors import DeclarationError, ManifestError
from kindling_airflow.manifest.project_settings import SettingsLayer, apply_settings

__all__ = [
    "DAG_PART",
    "ENTITY_FIELDS",
    "MANIFEST_SCHEMA_VERSION",
    "PIPE_FIELDS",
    "FunctionRef",
    "Manifest",
]

MANIFEST_SCHEMA_VERSION = 1
_PROGRAM = "__main__"
DAG_PART = ',\n  "dag": {\n'
"""What the compiled DAG of a definition begins with, behind the declarations in a manifest file."""

PIPE_FIELDS = (
    "pipeid",
    "name",
    "tags",
    "input_entity_ids",
    "output_entity_id",
    "output_type",
    "use_watermark",
    "driving_entity_ids",
)
# Of a query alone: they stand in the manifest where they say something.
_QUERY_FIELDS = ("sql", "sql_file", "sql_parameters")
ENTITY_FIELDS = (
    "entityid",
    "name",
    "merge_columns",
    "tags",
    "schema",
    "partition_columns",
    "cluster_columns",
)


@dataclass(frozen=True, slots=True)
class FunctionRef:
    """Where a pipe's function was declared: the module, and its name in it.

    A driver imports the project's modules and takes the function of the pipe's id from what they
    declare, so it need not be a name that can be imported:

        stage_of.<locals>.stage     made by a function
        <lambda>
        stage.<partial>             a partial application of it
        Loader.<instance>           an object that can be called

    Attributes:
        module: the module; never ``__main__``, which is another one in a driver.
        qualname: the name, of the same text for the same declaration in every process.
    """

    module: str
    qualname: str

    @property
    def by_name(self) -> bool:
        """Whether the name can be imported; else the function is found by the pipe's id alone."""
        return "<" not in self.qualname

    @classmethod
    def of(cls, function: Callable[..., Any]) -> FunctionRef:
        """Return where a function was declared; the module is "" where that is unknown."""
        inner = innermost(function)
        qualname = getattr(inner, "__qualname__", "") or f"{type(inner).__qualname__}.<instance>"
        if isinstance(function, functools.partial):
            qualname += ".<partial>"
        return cls(getattr(inner, "__module__", "") or "", qualname)


@dataclass(frozen=True, slots=True, eq=False)
class Manifest:
    """The declarations of one project; a source of pipes for graph builders and generators.

    Two manifests are equal when they have the same digest: 1 is neither 1.0 nor true.

    Attributes:
        pipes: the pipes in the order of declaration, without their functions.
        entities: the declared entities in the order of declaration.
        functions: where each pipe's function is, by pipe id.
        modules: the modules whose import makes the declarations, in that order.
        sources: SHA-256 of each project file that was read, by path relative to the project.
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
            ManifestError: a driver would not find a pipe's function again: by the import of the
                modules, or by name where there are none; lists every such pipe.
        """
        bare_pipes, own_entities = DataPipesRegistry(), DataEntityRegistry()
        functions: dict[str, FunctionRef] = {}
        problems = []
        for entity in entities:
            own_entities.register_entity(**_declaration(entity, ENTITY_FIELDS))
        for pipe in pipes:
            bare_pipes.register_pipe(**_pipe_declaration(pipe))
            function = pipe.execute or pipe.finish
            if function is None:
                continue
            ref = functions[pipe.pipeid] = FunctionRef.of(function)
            if not ref.module or (ref.module == _PROGRAM and modules):
                problems.append(
                    f"pipe {pipe.pipeid!r}: its function {ref.qualname!r} is not declared in a "
                    "module that a driver could import\n"
                    "  Fix: declare the pipe in one of the project's modules."
                )
            elif not modules and not ref.by_name:
                problems.append(
                    f"pipe {pipe.pipeid!r}: its function {ref.qualname!r} cannot be imported by "
                    "name, and the manifest names no modules whose import declares it\n"
                    "  Fix: name the modules that declare it, or declare a function at the top "
                    "level of a module."
                )
        if problems:
            raise ManifestError(problems)
        return cls(
            bare_pipes, own_entities, FrozenDict(functions), tuple(modules), freeze(sources or {})
        )

    def with_settings(self, layers: Sequence[SettingsLayer]) -> Manifest:
        """Return the manifest as it is under a deployment's settings.

        Raises:
            SettingsError: the settings do not fit; lists every problem.
        """
        pipes, entities = apply_settings(self, layers)
        return replace(self, pipes=pipes, entities=entities)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Manifest):
            return NotImplemented
        return self is other or self.digest == other.digest

    def __hash__(self) -> int:
        return hash(self.digest)

    def get_pipe_ids(self) -> list[str]:
        """Return the ids of all pipes, in the order of declaration."""
        return self.pipes.get_pipe_ids()

    def get_pipe_definition(self, pipeid: str) -> PipeMetadata | None:
        """Return a pipe's declaration, or None where there is none."""
        return self.pipes.get_pipe_definition(pipeid)

    def definitions_of(self, pipe_ids: Iterable[str]) -> list[PipeMetadata]:
        """Return the declarations of these pipes, as far as there are any."""
        return [pipe for pipe in map(self.get_pipe_definition, pipe_ids) if pipe is not None]

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
        """Write the manifest; the file appears whole or not at all.

        Raises:
            ManifestError: the file cannot be written.
        """
        try:
            write_whole(path, self.dumps())
        except OSError as error:
            problem = f"cannot write the manifest {str(path)!r}: {error.strerror}"
            raise ManifestError([problem]) from error

    def _content(self) -> dict[str, Any]:
        return {
            "modules": list(self.modules),
            "sources": dict(sorted(self.sources.items())),
            "entities": [_declaration(entity, ENTITY_FIELDS) for entity in self.entities],
            "pipes": [self._pipe_content(pipe) for pipe in self.pipes],
        }

    def _pipe_content(self, pipe: PipeMetadata) -> dict[str, Any]:
        """Return a pipe as the manifest has it: without what is left at its default."""
        declared = _pipe_declaration(pipe).items()
        record = {key: value for key, value in declared if value or value == ""}
        if pipe.name == pipe.pipeid:
            del record["name"]
        ref = self.functions.get(pipe.pipeid)
        if ref is not None:
            record["function"] = {"module": ref.module, "qualname": ref.qualname}
        return record

    @classmethod
    def read(cls, path: Path) -> Manifest:
        """Read a manifest from a file.

        Raises:
            ManifestError: no such file, no JSON, or not a manifest; names the file.
        """
        try:
            with collector_paused():
                text, found, _ = path.read_text(encoding="utf-8").partition(DAG_PART)
                document = json.loads(text + "\n}" if found else text)
        except OSError as error:
            problem = f"cannot read the manifest {str(path)!r}: {error.strerror}"
            raise ManifestError([problem]) from error
        except RecursionError as error:
            raise ManifestError([f"the manifest {str(path)!r}: {TOO_DEEP}"]) from error
        except ValueError as error:
            problem = f"the manifest {str(path)!r} is not a JSON document: {error}"
            raise ManifestError([problem]) from error
        try:
            return cls.from_json(document)
        except ManifestError as error:
            raise ManifestError(f"{str(path)!r}: {p}" for p in error.problems) from error

    @classmethod
    def from_json(cls, document: Any) -> Manifest:
        """Return the manifest that a JSON document describes.

        Fields that this release does not know are ignored, and a manifest that was written by hand
        may do without a digest.

        Raises:
            ManifestError: unknown schema version, wrong fields (lists them all), changed content.
        """
        if not isinstance(document, dict):
            raise ManifestError([f"a manifest is a JSON object, not {type(document).__name__}"])
        version = document.get("schema_version")
        if type(version) is not int or version != MANIFEST_SCHEMA_VERSION:
            problem = (
                f"manifest schema version {version!r} is unknown; this release reads version "
                f"{MANIFEST_SCHEMA_VERSION}\n  Fix: compile the manifest again."
            )
            raise ManifestError([problem])
        try:
            with collector_paused():
                return cls._from_fields(document)
        except RecursionError as error:
            raise ManifestError([f"the manifest: {TOO_DEEP}"]) from error

    @classmethod
    def _from_fields(cls, document: Mapping[str, Any]) -> Manifest:
        pipes, entities = DataPipesRegistry(), DataEntityRegistry()
        functions: dict[str, FunctionRef] = {}
        problems = [] if "pipes" in document else ["pipes is missing"]
        pipe_fields = (*PIPE_FIELDS, *_QUERY_FIELDS, "expectations")
        for n, entry in _entries(document, "entities", "entityid", problems):
            problems += _register(f"entities[{n}]", entities.register_entity, entry, ENTITY_FIELDS)
        for n, entry in _entries(document, "pipes", "pipeid", problems):
            if not pipes.register_usual(entry):
                problems += _register(f"pipes[{n}]", pipes.register_pipe, entry, pipe_fields)
            function = entry.get("function")
            if function is not None:
                ref = _function_ref(f"pipes[{n}]", function, problems)
                functions[entry["pipeid"]] = ref
        modules, sources = document.get("modules", []), document.get("sources", {})
        if not isinstance(modules, list) or not all(isinstance(m, str) for m in modules):
            problems.append("modules must be a list of module names")
        if not isinstance(sources, dict) or not all(isinstance(s, str) for s in sources.values()):
            problems.append("sources must be an object from file to SHA-256")
        problems = problems or digest_problems(
            document, "manifest", "compile the manifest again", implied=("dag",)
        )
        if problems:
            raise ManifestError(problems)
        return cls(pipes, entities, FrozenDict(functions), tuple(modules), freeze(sources))


def _declaration(declared: Any, fields: Iterable[str]) -> dict[str, Any]:
    return {name: thaw(getattr(declared, name)) for name in fields}


def _pipe_declaration(pipe: PipeMetadata) -> dict[str, Any]:
    record = _declaration(pipe, PIPE_FIELDS)
    if pipe.sql is not None:
        record |= {key: value for key, value in _declaration(pipe, _QUERY_FIELDS).items() if value}
    if pipe.expectations:
        record["expectations"] = [expectation.to_json() for expectation in pipe.expectations]
    return record


def _function_ref(where: str, function: Any, problems: list[str]) -> FunctionRef:
    known = function if isinstance(function, dict) else {}
    module, qualname = known.get("module"), known.get("qualname")
    if isinstance(module, str) and isinstance(qualname, str) and module and qualname:
        return FunctionRef(module, qualname)
    problems.append(f"{where}: function must be an object with module and qualname")
    return FunctionRef("", "")


def _entries(
    document: Mapping[str, Any], key: str, id_field: str, problems: list[str]
) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield the objects of a list that have a unique id, each with its place."""
    entries = document.get(key, [])
    if not isinstance(entries, list):
        problems.append(f"{key} must be a list")
        return
    seen: dict[str, int] = {}
    for n, entry in enumerate(entries):
        declared = entry.get(id_field) if isinstance(entry, dict) else None
        if not isinstance(entry, dict):
            problems.append(f"{key}[{n}] must be an object")
        elif not isinstance(declared, str):
            problems.append(f"{key}[{n}]: {id_field} must be a string, not {declared!r}")
        elif (first := seen.setdefault(declared, n)) != n:
            problems.append(f"{key}[{n}]: {id_field} {declared!r} is taken by {key}[{first}]")
        else:
            yield n, entry


def _register(
    where: str, register: Callable[..., object], entry: Mapping[str, Any], fields: Iterable[str]
) -> list[str]:
    try:
        register(**{name: entry[name] for name in fields if name in entry})
    except DeclarationError as error:
        return [f"{where}: {problem}" for problem in error.problems]
    return []
