"""The compiled DAG in a manifest file: what a worker needs in order to start one task.

``kindling-airflow compile`` writes it behind the declarations, one line for each task:

    {... the manifest ...,
      "dag": {
        "guard": {"release": ..., "definition": "<sha256>", "settings": [...], "text": "<sha256>"},
        "outline": {...},
        "tasks": {
          "silver.orders": {...}}}}

A worker reads three of the lines: no graph is built and nothing is planned, however many pipes the
DAG has. The settings of tasks (Spark's properties, callbacks) stay in the definition alone.

The lines are used only while everything that they follow from is unchanged: this release, the bytes
of the definition, of its layers of settings and of the manifest file, and the project's files.
Otherwise the definition is compiled.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kindling_airflow import __version__
from kindling_airflow.common.atomic_write import write_whole
from kindling_airflow.common.immutable import freeze, thaw
from kindling_airflow.definitions.dag_parts import (
    DagParts,
    Outline,
    PipeParts,
    code_of,
    dag_parts,
)
from kindling_airflow.definitions.definition import Definition, check_package, manifest_of, wrapped
from kindling_airflow.definitions.options import options_of
from kindling_airflow.definitions.settings_file import settings_files
from kindling_airflow.definitions.yaml_file import DefinitionFile
from kindling_airflow.errors import ManifestError
from kindling_airflow.manifest import DAG_PART, Manifest
from kindling_airflow.manifest.harvest import is_unchanged
from kindling_airflow.manifest.project_code import CodeIdentity
from kindling_airflow.translator import (
    EmptySpec,
    GateSpec,
    NodeSpec,
    SessionSpec,
    StopSpec,
    StreamTask,
    TaskSpec,
)
from kindling_airflow.translator.overrides import resolved_settings
from kindling_airflow.translator.session_settings import session_settings
from kindling_airflow.translator.task_settings import STREAM_DEFAULTS, TAGS

if TYPE_CHECKING:
    from kindling_airflow.definitions.compile import Compiled

_START = f'{DAG_PART}    "guard": '
_END = "\n    }\n  }\n}\n"
_KINDS: Mapping[str, type[NodeSpec]] = {
    "pipe": TaskSpec,
    "empty": EmptySpec,
    "gate": GateSpec,
    "stop": StopSpec,
    "session": SessionSpec,
}
_KIND_OF = {kind: name for name, kind in _KINDS.items()}


def write_compiled(path: Path, read: DefinitionFile, manifest: Manifest) -> None:
    """Write a project's manifest with the DAG of a definition; the file appears atomically.

    A plan by a strategy of another distribution follows from code that has no digest here: its
    manifest is written without the DAG.

    Args:
        path: the file.
        read: the definition file.
        manifest: the declarations of its project.

    Raises:
        DefinitionError: the definition cannot be compiled.
        ManifestError: the file cannot be written.
    """
    from kindling_airflow.definitions.compile import compile_definition
    from kindling_airflow.execution_strategy import strategy_by_name

    definition = Definition.from_read_file(read)
    digests = _settings_digests(definition)  # before the files are used
    compiled = compile_definition(definition, manifest)
    if not type(strategy_by_name(definition.strategy)).__module__.startswith("kindling_airflow."):
        manifest.write(path)
        return
    code = code_of(compiled)
    head = manifest.dumps().removesuffix("\n}\n")
    tail = "\n".join(_lines(compiled)) + _END
    guard = {
        "release": __version__,
        "definition": read.digest,
        "settings": digests,
        "sources": dict(sorted(manifest.sources.items())),
        "code": {"digest": code.digest, "roots": list(code.roots), "problem": code.problem},
        "text": hashlib.sha256((head + tail).encode()).hexdigest(),
    }
    try:
        write_whole(path, f"{head}{_START}{_json(guard)},\n{tail}")
    except OSError as error:
        problem = f"cannot write the manifest {str(path)!r}: {error.strerror}"
        raise ManifestError([problem]) from error


def _lines(compiled: Compiled) -> Iterator[str]:
    parts, nodes = dag_parts(compiled), compiled.plan.graph.nodes
    tasks = []
    for node in compiled.spec.nodes():
        entry = {"kind": _KIND_OF[type(node)], **_fields(node)}
        if isinstance(node, TaskSpec):
            tags = nodes[node.pipe_id].tags
            entry["settings"] = {tag: thaw(tags[tag]) for tag in TAGS if tag in tags}
            entry["stream"] = None if node.stream is None else _fields(node.stream)
            entry["parts"] = _fields(parts.of_pipe(node))
        elif isinstance(node, SessionSpec):
            del entry["settings"]  # they may hold secrets: the definition has them
            entry["parts"] = _fields(parts.of_session(node))
        tasks.append(f"      {_json(node.task_id)}: {_json(entry)}")
    yield f'    "outline": {_json(parts.outline.to_json())},'
    yield '    "tasks": {'
    yield ",\n".join(tasks)


def read_compiled_task(read: DefinitionFile, task_id: str) -> tuple[DagParts, NodeSpec] | None:
    """Return one task of a definition from its compiled manifest, with what its DAG needs.

    Args:
        read: the definition file.
        task_id: the task.

    Returns:
        None where the definition has to be compiled: there is no compiled DAG, anything that it
        follows from has changed, or it has no such task.

    Raises:
        DefinitionError: its package was made from another state of the project.
    """
    path = manifest_of(read)
    try:
        data = b"" if path is None else path.read_bytes()
    except OSError:
        return None  # reading it again reports why
    start = data.find(_START.encode())
    end = data.find(b",\n", start + len(_START))
    guard = _guard(data[start + len(_START) : end]) if 0 <= start < end else None
    if guard is None or guard.get("release") != __version__ or "code" not in guard:
        return None
    text = hashlib.sha256(memoryview(data)[:start])
    text.update(memoryview(data)[end + 2 :])
    if guard["definition"] != read.digest or guard["text"] != text.hexdigest():
        return None
    definition = Definition.from_checked_file(read)
    if guard["settings"] != _settings_digests(definition):
        return None
    outline = Outline.from_json(_value(data, end + 2))
    root, modules = definition.project_root, definition.modules
    if not is_unchanged(root, outline.modules, guard["sources"], modules):
        return None
    with wrapped(definition):
        check_package(definition, outline.package_digest, guard["sources"])
    place = data.find(f"\n      {_json(task_id)}: ".encode(), end)
    if place < 0:
        return None
    code = CodeIdentity(**freeze(guard["code"]))
    return _task(definition, outline, _value(data, place + 1), code)


def _task(
    definition: Definition, outline: Outline, entry: dict[str, Any], code: CodeIdentity
) -> tuple[DagParts, NodeSpec]:
    kind, own = _KINDS[entry.pop("kind")], freeze(entry.pop("parts", None))
    found = dict(freeze(entry))
    if kind is TaskSpec:
        pipe_id, is_stream = found["pipe_id"], found["stream"] is not None
        found["stream"] = StreamTask(**found["stream"]) if is_stream else None
        defaults = {pipe_id: STREAM_DEFAULTS} if is_stream and outline.stop else {}
        tags = {pipe_id: found["settings"]}
        found["settings"] = resolved_settings(options_of(definition), tags, defaults)[pipe_id]
    elif kind is SessionSpec:
        options, first = options_of(definition), found["pipe_ids"][0]
        like = resolved_settings(options, {first: {}})[first]
        found["settings"] = session_settings(like, options)
    node = kind(**found)

    def graph() -> Any:
        from kindling_airflow.definitions.compile import plan_definition

        return plan_definition(definition).plan.graph

    def parts(_: TaskSpec | SessionSpec) -> PipeParts:
        return PipeParts(**own)

    upstream = node.upstream
    found_parts = DagParts(
        definition, outline, parts, parts, lambda _: upstream, graph, lambda: code
    )
    return found_parts, node


def _fields(record: Any) -> dict[str, Any]:
    return {item.name: thaw(getattr(record, item.name)) for item in fields(record)}


def _settings_digests(definition: Definition) -> list[str | None]:
    """Return the SHA-256 of each layer of settings, None for a file that is not there.

    The file of durations is one of them here: priorities follow from it.
    """
    found: list[str | None] = []
    layers = settings_files(definition.project_root, definition.settings)
    for path in layers if definition.durations is None else [*layers, definition.durations]:
        with suppress(OSError):
            found.append(hashlib.sha256(path.read_bytes()).hexdigest())
            continue
        found.append(None)
    return found


def _value(data: bytes, start: int) -> Any:
    """Return the value on the line that starts at a place: it follows the first colon."""
    start = data.index(b": ", start) + 2
    return json.loads(data[start : data.find(b"\n", start)].rstrip(b","))


def _guard(text: bytes) -> dict[str, Any] | None:
    with suppress(ValueError):
        found = json.loads(text)
        return found if isinstance(found, dict) else None
    return None


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=True, allow_nan=False)
