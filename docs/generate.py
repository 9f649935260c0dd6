"""Writes the parts of the documentation that follow from the code: ``python docs/generate.py``.

A page marks such a part, and everything between the two marks is replaced:

    <!-- generated: file dags/kindling_dags.py -->
    ...
    <!-- end -->

Whole files, such as a drawing, are in ``FILES``. With ``--check`` nothing is written; the exit
status is 1 where a page or file is out of date.
"""

from __future__ import annotations

import ast
import contextlib
import io
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import textwrap
from collections.abc import Callable, Mapping
from functools import lru_cache
from pathlib import Path, PurePosixPath
from typing import Any

from docs.rooms import rooms_svg, rooms_table
from kindling_airflow.cli.command_table import COMMANDS, Argument
from kindling_airflow.cli.main import main as command_line
from kindling_airflow.cli.run.definition_keys import KEYS, Held
from kindling_airflow.definitions.compile import Compiled, compile_definition
from kindling_airflow.definitions.definition import Definition
from kindling_airflow.definitions.schema_check import resolved
from kindling_airflow.execution_plan.text import visualize_plan
from kindling_airflow.manifest.harvest import harvest
from kindling_airflow.manifest.project_settings import ENTITY_SETTINGS, PIPE_SETTINGS
from kindling_airflow.provider_info import get_provider_info
from kindling_airflow.tags.names import PROVIDER_TYPE_TAG
from kindling_airflow.tags.registry import REGISTRY, Kind, Tag
from kindling_airflow.tags.storage_types import STORAGE_TYPES

ROOT = Path(__file__).resolve().parent.parent
SCHEMA = ROOT / "kindling_airflow" / "definitions" / "definition.schema.json"
SETTINGS_SCHEMA = ROOT / "kindling_airflow" / "tags" / "settings.schema.json"
_PART = re.compile(r"<!-- generated: (?P<call>.+?) -->\n.*?<!-- end -->", re.DOTALL)
_LANGUAGES = {
    ".py": "python",
    ".yaml": "yaml",
    ".sh": "bash",
    ".csv": "text",
    ".json": "json",
    ".sql": "sql",
}


def main(arguments: list[str]) -> int:
    """Renew every page; return the exit status."""
    with tempfile.TemporaryDirectory() as home:
        os.environ["AIRFLOW_HOME"] = home  # importing airflow puts its configuration there
        now = {page: renewed(page) for page in pages()} | {f: make() for f, make in FILES.items()}
        stale = {f: text for f, text in now.items() if not _is(f, text)}
    for page, text in stale.items():
        if "--check" not in arguments:
            page.write_text(text, "utf-8")
        sys.stdout.write(f"{page.relative_to(ROOT).as_posix()}\n")
    return 1 if stale and "--check" in arguments else 0


def _is(file: Path, text: str) -> bool:
    return file.is_file() and file.read_text("utf-8") == text


def pages() -> list[Path]:
    """Return every page: the readme, and those in ``docs``."""
    return [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


def renewed(page: Path) -> str:
    """Return a page's text with every generated part renewed."""

    def part(found: re.Match[str]) -> str:
        name, *words = found["call"].split()
        return f"<!-- generated: {found['call']} -->\n{_PARTS[name](*words)}\n<!-- end -->"

    return _PART.sub(part, page.read_text("utf-8"))


def file_block(path: str) -> str:
    """Return a whole file as a code block."""
    return _fenced(_LANGUAGES[Path(path).suffix], (ROOT / path).read_text("utf-8"))


def function_block(path: str, name: str) -> str:
    """Return a function of a file, decorators included, as a code block."""
    text = (ROOT / path).read_text("utf-8")
    function = next(
        node
        for node in ast.parse(text).body
        if isinstance(node, ast.FunctionDef) and node.name == name
    )
    first = min([function.lineno, *(d.lineno for d in function.decorator_list)])
    return _fenced("python", "\n".join(text.splitlines()[first - 1 : function.end_lineno]))


def definition_keys(*path: str) -> str:
    """Return a table of the keys of a definition, or of a mapping in it."""
    schema = definition_schema(*path)
    rows = [
        f"| `{key}` | {_kind(said)}{_range(said)} | {_required(schema, key)}"
        f"{_cell(said.get('description', ''))} |"
        for key, said in schema["properties"].items()
    ]
    return "\n".join(["| key | type | meaning |", "|---|---|---|", *rows])


def definition_schema(*path: str) -> dict[str, Any]:
    """Return the published schema of a definition, or of a mapping in it."""
    schema: dict[str, Any] = json.loads(SCHEMA.read_text("utf-8"))
    for key in path:
        schema = resolved(schema["properties"][key])
        if "properties" not in schema and "additionalProperties" in schema:
            schema = resolved(schema["additionalProperties"])  # a mapping with free keys
    properties = {key: resolved(said) for key, said in schema["properties"].items()}
    return {**schema, "properties": properties}


def tags_block(*sections: str) -> str:
    """Return the tables of some sections of the registry of tags, as one."""
    rows = [
        f"| `{row.text()}` | {_cell(row.default)} | {_cell(_meaning(row))} |"
        for row in REGISTRY
        if row.section in sections
    ]
    return "\n".join(["| tag | default | meaning |", "|---|---|---|", *rows])


def _meaning(row: Tag) -> str:
    having = [name for name, known in STORAGE_TYPES.items() if row.name in known.tags]
    listed = {"{types}": having, "{storage types}": sorted(STORAGE_TYPES)}
    text = row.meaning
    for mark, names in listed.items():
        text = text.replace(mark, ", ".join(f"`{name}`" for name in names))
    return text


def storage_types_block() -> str:
    """Return a table of what streams can do with each storage type."""
    rows = []
    for name, known in sorted(STORAGE_TYPES.items()):
        schema = ", with a declared `schema`" if known.source and known.source.needs_schema else ""
        drives = f"yes{schema}" if known.source else ""
        batch = known.write_modes if known.is_written else ()
        cells = (", ".join(f"`{mode}`" for mode in modes) for modes in (batch, known.stream_modes))
        rows.append(f"| `{name}` | {' | '.join([next(cells), drives, next(cells)])} |")
    head = "| type | `write_mode` of pipes | drives a stream | `stream.output_mode` of streams |"
    return "\n".join([head, "|---|---|---|---|", *rows])


def settings_schema() -> str:
    """Return the JSON Schema of a settings file, with which editors complete tags."""
    fields: dict[str, Any] = {
        "name": {"type": "string"},
        "output_type": {"type": "string"},
        "schema": {"type": "string"},
        "use_watermark": {"type": "boolean"},
    }
    names = {"type": "array", "items": {"type": "string"}}

    def section(kind: Kind, keys: tuple[str, ...]) -> dict[str, Any]:
        settings = {key: fields.get(key, names) for key in keys}
        settings["tags"] = _tags_schema(kind)
        one = {"type": "object", "properties": settings, "additionalProperties": False}
        return {"type": ["object", "null"], "additionalProperties": one}

    schema = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Settings of a deployment",
        "type": ["object", "null"],
        "properties": {
            "pipes": section("pipe", PIPE_SETTINGS),
            "entities": section("entity", ENTITY_SETTINGS),
        },
        "additionalProperties": False,
    }
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"


def _tags_schema(kind: Kind) -> dict[str, Any]:
    plain: dict[str, Any] = {}
    families: dict[str, Any] = {}
    for row in REGISTRY:
        if row.of != kind:
            continue
        found, key = plain, row.name
        if row.name.endswith("."):
            found, key = families, f"^{re.escape(row.name)}."
        also = found.setdefault(key, {"description": "", "anyOf": [{"type": "null"}]})
        texts = [also["description"], re.sub(r"\[(.+?)\]\(.+?\)", r"\1", _meaning(row))]
        also["description"] = " Or: ".join(filter(None, texts))
        if row.value.schema not in also["anyOf"]:
            also["anyOf"].append(dict(row.value.schema))
        if row.name == PROVIDER_TYPE_TAG:
            also["examples"] = sorted(STORAGE_TYPES)
    return {"type": "object", "properties": plain, "patternProperties": families}


def keys_in_one_process() -> str:
    """Return a table of what ``run`` makes of each key of a definition."""
    rows = ["| keys | in one process | |", "|---|---|---|"]
    for held in Held:
        by_text: dict[str, list[str]] = {}
        for key, (kind, text) in KEYS.items():
            if kind is held:
                by_text.setdefault(text, []).append(f"`{key}`")
        rows += [
            f"| {', '.join(keys)} | {held.value} | {_cell(text)} |"
            for text, keys in by_text.items()
        ]
    return "\n".join(rows)


def manifest_entry(kind: str, declared_id: str) -> str:
    """Return the entry of a pipe or an entity in the manifest of the sample project."""
    id_field = {"pipes": "pipeid", "entities": "entityid"}[kind]
    document = _flights().manifest.to_json()
    entry = next(entry for entry in document[kind] if entry[id_field] == declared_id)
    return _json_block(entry)


def plan_block() -> str:
    """Return the plan of the sample project as text."""
    return _fenced("text", visualize_plan(_flights().plan))


def task_spec(pipe_id: str) -> str:
    """Return the specification of a pipe's task in the sample project."""
    spec = _flights().spec.to_json()
    task = next(t for g in spec["groups"] for t in g["tasks"] if t["pipe_id"] == pipe_id)
    return _json_block(task)


def operator_block(task_id: str) -> str:
    """Return what Airflow holds of a task of the sample project."""
    from kindling_airflow.dag_factory.build import build_dag

    dag = build_dag(_flights())
    task: Any = dag.get_task(task_id)
    shown = {
        "class": type(task).__name__,
        "dag_id": dag.dag_id,
        "task_id": task.task_id,
        "task_group": task.task_group.group_id,
        "upstream_task_ids": sorted(task.upstream_task_ids),
        "downstream_task_ids": sorted(task.downstream_task_ids),
        "pool": task.pool,
        "pool_slots": task.pool_slots,
        "priority_weight": task.priority_weight,
        "weight_rule": task.weight_rule,
        "trigger_rule": task.trigger_rule.value,
        "retries": task.retries,
        "conf": dict(task.conf),
        "doc": task.doc,
    }
    return _json_block(shown)


def settings_block(path: str) -> str:
    """Return the settings of every task of a definition, as the translator decides them."""
    compiled = compile_definition(Definition.from_file(ROOT / path))
    lines = [f"{t.task_id} {json.dumps(t.settings.to_json())}" for t in compiled.spec.tasks()]
    return _fenced("text", "\n".join(lines))


def effective_block(path: str, pipe_id: str) -> str:
    """Return what ``kindling-airflow settings`` prints of a pipe."""
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        command_line(["settings", str(ROOT / path), pipe_id])
    return _fenced("text", printed.getvalue())


def decisions() -> str:
    """Return a list of the decisions, by their titles."""
    found = sorted((ROOT / "docs" / "adr").glob("0*.md"))
    titles = {page: page.read_text("utf-8").partition("\n")[0] for page in found}
    return "\n".join(f"- [{title.lstrip('# ')}]({page.name})" for page, title in titles.items())


def compile_block(path: str) -> str:
    """Return a call of ``kindling-airflow compile`` on a definition, and what it prints."""
    definition = ROOT / path
    project = definition.parent.parent
    with tempfile.TemporaryDirectory() as scratch:
        copy = Path(scratch) / "examples"  # the manifest goes beside the definition
        shutil.copytree(project.parent, copy, ignore=shutil.ignore_patterns("*.manifest.json"))
        folder, place = copy / project.name, definition.relative_to(project).as_posix()
        said = subprocess.run(
            [sys.executable, "-m", "kindling_airflow.cli.main", "compile", place],
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
    return _fenced("console", f"$ kindling-airflow compile {place}\n{said.stdout}")


def session_block(path: str) -> str:
    """Return a session in the tutorial's folder: each line of a script, and what it prints.

    Lines that end in ``# unseen`` are run, but not shown.
    """
    shown = []
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / "first_pipeline"
        source = ROOT / "docs" / "examples" / "first_pipeline"
        shutil.copytree(source, folder, ignore=shutil.ignore_patterns("*.manifest.json"))
        programs = os.pathsep.join((str(Path(sys.executable).parent), os.environ["PATH"]))
        for line in (ROOT / path).read_text("utf-8").splitlines():
            said = subprocess.run(
                [shutil.which("bash") or "bash", "-c", line],
                cwd=folder,
                env={**os.environ, "PATH": programs},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                check=False,
            )
            if not line.endswith("# unseen"):
                shown += [f"$ {line}", said.stdout.replace(f"{folder.resolve()}/", "").rstrip()]
    return _fenced("console", "\n".join(filter(None, shown)))


def commands_block() -> str:
    """Return every command of the command line with its arguments."""
    parts = []
    for command in COMMANDS:
        rows = [
            f"| {_flags(argument)} | {_cell(argument.options.get('help', ''))} |"
            for argument in command.arguments
        ]
        table = "\n".join(["| argument | meaning |", "|---|---|", *rows])
        parts.append(f"### `{command.name}`\n\n{command.description}\n\n{table}")
    return "\n\n".join(parts)


def airflow_settings_block() -> str:
    """Return the settings that Airflow's configuration takes for the provider."""
    options = get_provider_info()["config"]["kindling"]["options"]
    rows = [
        f"| `{name}` | {_cell(said['description'])} | {_example(said)} |"
        for name, said in options.items()
    ]
    return "\n".join(["| setting | meaning | example |", "|---|---|---|", *rows])


def _example(said: Mapping[str, Any]) -> str:
    return f"`{_cell(said['example'])}`" if said.get("example") else ""


def _flags(argument: Argument) -> str:
    said = argument.options.get("metavar", "")
    metavar = said if isinstance(said, str) else " ".join(said)
    choices = "|".join(argument.options.get("choices", ()))
    if not argument.flags[0].startswith("-"):
        many = " ..." if argument.options.get("nargs") in ("+", "*") else ""
        return f"`{metavar}{many}`"
    value = f" {metavar or choices}".rstrip()
    return ", ".join(f"`{_cell(flag + value)}`" for flag in argument.flags)


def module_reference(name: str) -> str:
    """Return what a module publishes, from its source: signatures and docstrings."""
    path = ROOT / "kindling_airflow" / Path(*name.split("."))
    path = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    text = path.read_text("utf-8")
    tree = ast.parse(text)
    parts = [f"## `kindling_airflow.{name}`", _fenced("text", ast.get_docstring(tree) or "")]
    published = _published(tree)
    for node in tree.body:
        if isinstance(node, (ast.ClassDef, ast.FunctionDef)) and node.name in published:
            parts += _described(node, text, "###")
    return "\n\n".join(parts)


def _published(tree: ast.Module) -> set[str]:
    for node in tree.body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__":
            return set(ast.literal_eval(node.value))
    return set()


def _described(node: ast.ClassDef | ast.FunctionDef, text: str, mark: str) -> list[str]:
    """Return a function, or a class with its public methods, as headed code and text."""
    docstring = ast.get_docstring(node) or ""
    parts = [f"{mark} `{node.name}`", _fenced("python", _header(node, text))]
    if docstring:
        parts.append(_fenced("text", docstring))
    if isinstance(node, ast.ClassDef):
        for inner in node.body:
            if isinstance(inner, ast.FunctionDef) and not inner.name.startswith("_"):
                parts += _described(inner, text, mark + "#")
    return parts


def _header(node: ast.ClassDef | ast.FunctionDef, text: str) -> str:
    """Return a definition's own lines, decorators included, up to its body."""
    first = min([node.lineno, *(d.lineno for d in node.decorator_list)])
    lines = text.splitlines()[first - 1 : node.body[0].lineno - 1] or [
        text.splitlines()[node.lineno - 1].partition(": ")[0] + ":"
    ]
    header = re.sub(r"[ ]+# (noqa|type):.*", "", textwrap.dedent("\n".join(lines)))
    return f"{header.rstrip()} ..."


def versions_block() -> str:
    """Return the locked releases of what the package stands on, the lowest and the newest."""
    locks = [_locked(name) for name in ("requirements-lowest.lock", "requirements.lock")]
    rows = [
        f"| `{name}` | {locks[0].get(name, '-')} | {locks[1][name]} |"
        for name in (
            *("apache-airflow", "apache-airflow-providers-apache-spark", "networkx", "pyspark"),
            "sqlglot",
        )
    ]
    return "\n".join(["| package | lowest | newest |", "|---|---|---|", *rows])


def _locked(file: str) -> dict[str, str]:
    """Return the releases of a lock file; of those for several Pythons, the newest Python's."""
    found = re.findall(r"^([A-Za-z0-9._-]+)==([^\s;\\]+)", (ROOT / file).read_text("utf-8"), re.M)
    locked: dict[str, str] = {}
    for name, release in found:
        locked[name.lower()] = max(locked.get(name.lower(), release), release, key=_parts)
    return locked


def _parts(release: str) -> list[int]:
    return [int(part) for part in re.findall(r"\d+", release)]


def jars_block(*formats: str) -> str:
    """Return the setting with which Spark finds the jars of some formats."""
    from kindling_airflow.deployment.jars import FORMATS, spark_jars_setting

    jars = [jar for name in formats for jar in FORMATS[name]["4.1"]]
    names = spark_jars_setting(PurePosixPath("/data/kindling/jars"), jars).split(",")
    lines = ",\n      ".join(names)
    return _fenced("yaml", f"spark:\n  conf:\n    spark.jars: >-\n      {lines}")


FILES: Mapping[Path, Callable[[], str]] = {
    ROOT / "docs" / "images" / "rooms.svg": rooms_svg,
    SETTINGS_SCHEMA: settings_schema,
}

_PARTS: Mapping[str, Callable[..., str]] = {
    "airflow-settings": airflow_settings_block,
    "commands": commands_block,
    "module": module_reference,
    "compile": compile_block,
    "decisions": decisions,
    "effective": effective_block,
    "file": file_block,
    "function": function_block,
    "jars": jars_block,
    "keys": definition_keys,
    "manifest": manifest_entry,
    "operator": operator_block,
    "plan": plan_block,
    "rooms": rooms_table,
    "run-keys": keys_in_one_process,
    "settings": settings_block,
    "storage-types": storage_types_block,
    "tags": tags_block,
    "session": session_block,
    "task-spec": task_spec,
    "versions": versions_block,
}


@lru_cache(maxsize=1)
def _flights() -> Compiled:
    """Return the sample project, compiled from its sources."""
    definition = Definition.from_file(ROOT / "dags" / "flights.kindling.yaml")
    manifest = harvest(definition.project_root, definition.modules)
    return compile_definition(definition, manifest)


def _kind(said: Mapping[str, Any]) -> str:
    names = {"array": "list", "object": "mapping"}
    return " or ".join(names.get(kind, kind) for kind in _kinds(said))


def _kinds(said: Mapping[str, Any]) -> list[str]:
    if "oneOf" in said:
        return [kind for choice in said["oneOf"] for kind in _kinds(choice)]
    if "enum" in said:
        return ["string"]
    return said["type"] if isinstance(said["type"], list) else [said["type"]]


def _range(said: Mapping[str, Any]) -> str:
    if "enum" in said:
        return ": " + ", ".join(f"`{value}`" for value in said["enum"])
    if "$comment" in said:
        return ": " + _cell(said["$comment"])
    least, most = said.get("minimum"), said.get("maximum")
    if "exclusiveMinimum" in said:
        return f", above {said['exclusiveMinimum']:,}, at most {most:,}"
    if least is None and most is None:
        return ""
    if most is None:
        return f", at least {least:,}"
    return f", {least:,} to {most:,}" if least is not None else f", at most {most:,}"


def _required(schema: Mapping[str, Any], key: str) -> str:
    return "**Required.** " if key in schema.get("required", ()) else ""


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("<", "&lt;").replace("\n", " ")


def _json_block(document: object) -> str:
    return _fenced("json", json.dumps(document, indent=2))


def _fenced(language: str, text: str) -> str:
    return f"```{language}\n{text.rstrip()}\n```"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
