"""References in a definition, ``package.module:name``, and what they stand for.

A module is looked for in the project's folder, then where Python looks (Airflow adds the DAGs
folder, ``plugins`` and ``config`` to that), then beside the definition. A project's module is
imported so that it is forgotten afterwards: two projects may both have an ``alerts.py``. What the
modules declare is of no interest here, and goes nowhere.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from kindling_airflow.common.immutable import EMPTY
from kindling_airflow.common.interrupts import noticed_interrupts
from kindling_airflow.common.wording import did_you_mean
from kindling_airflow.data_entities import DataEntities, DataEntityRegistry
from kindling_airflow.data_pipes import DataPipes, DataPipesRegistry
from kindling_airflow.definitions.definition import Definition
from kindling_airflow.definitions.import_budget import seconds_for_all, seconds_for_one, time_limit
from kindling_airflow.definitions.python_objects import OBJECTS, put_back
from kindling_airflow.definitions.yaml_file import Where
from kindling_airflow.errors import DefinitionError
from kindling_airflow.manifest.harvest import isolated_imports
from kindling_airflow.manifest.harvest_calls import something_was_declared
from kindling_airflow.translator import CALLBACKS


class References:
    """Resolves the references of one definition; each is imported once.

    Args:
        definition: the definition that contains them.
    """

    def __init__(self, definition: Definition) -> None:
        self._definition = definition
        self._found: dict[str, Any] = {}

    def callbacks(self, value: Any, where: Where) -> list[Any]:
        """Return what a callback key names: one reference, or a list of them.

        Raises:
            DefinitionError: one of them cannot be imported, or made.
        """
        entries = value if isinstance(value, (list, tuple)) else [value]
        return [self._callback(entry, where) for entry in entries]

    def get(self, reference: str, where: Where) -> Any:
        """Return what a reference names.

        Raises:
            DefinitionError: there is no such module, or no such name in it.
        """
        if reference not in self._found:
            try:
                self._found[reference] = self._imported(reference)
            except _NotFound as error:
                raise DefinitionError([self._definition.located((where, str(error)))]) from error
        return self._found[reference]

    def _callback(self, entry: Any, where: Where) -> Any:
        if not isinstance(entry, Mapping):
            return self.get(entry, where)
        make = self.get(entry["class"], where)
        kwargs = put_back(entry.get("kwargs", {}), self._definition.objects)
        try:
            return make(**kwargs)
        except Exception as error:  # user code: anything may come out
            text = (
                f"{entry['class']!r} does not take these kwargs: {type(error).__name__}: {error}\n"
                "  Fix: correct the kwargs."
            )
            raise DefinitionError([self._definition.located((where, text))]) from error

    def _imported(self, reference: str) -> Any:
        module_name, _, name = reference.partition(":")
        if module_name == OBJECTS and self._definition.objects:
            found = put_back(reference, self._definition.objects)
        else:
            with _declaring_nothing(), _importable(module_name, self._definition):
                found = _attribute(_module(module_name), module_name, name)
        if not callable(found):
            kind = type(found).__name__
            article = "an" if kind[0] in "aeiouAEIOU" else "a"
            text = f"{reference!r} is {article} {kind}, not a callable"
            raise _NotFound(f"{text}\n  Fix: name a function.")
        return found


def reference_problems(definition: Definition) -> list[str]:
    """Return every reference of a definition that stands for nothing, each with its place."""
    references = References(definition)
    problems: list[str] = []
    for where, value in _callback_keys(definition):
        try:
            references.callbacks(value, where)
        except DefinitionError as error:
            problems += error.problems
    return problems


def _callback_keys(definition: Definition) -> Iterator[tuple[Where, Any]]:
    layers = {**definition.layers(), ("dag_run",): definition.dag_run}
    for where, layer in layers.items():
        for key in CALLBACKS:
            if layer.get(key) is not None:
                yield (*where, key), layer[key]
    alerts = definition.dag_run.get("deadline", ())
    for alert in alerts if isinstance(alerts, tuple) else [alerts]:
        if isinstance(alert, Mapping):
            yield ("dag_run", "deadline", "callback"), alert.get("callback", EMPTY)


class _NotFound(Exception):  # noqa: N818 (never leaves this module)
    """A reference stands for nothing."""


@contextmanager
def _declaring_nothing() -> Iterator[None]:
    """Keep declarations from the process's own registries, in which two projects would clash."""
    pipes, entities = DataPipesRegistry(), DataEntityRegistry()
    try:
        with DataPipes.declaring_into(pipes), DataEntities.declaring_into(entities):
            yield
    finally:
        if len(pipes) or len(entities):
            something_was_declared()


@contextmanager
def _importable(module_name: str, definition: Definition) -> Iterator[None]:
    """Let Python find a module in the project, where it always looks, or beside the definition."""
    top = module_name.partition(".")[0]
    if _holds(definition.project_root, top):
        with isolated_imports(definition.project_root):
            sys.path.insert(0, str(definition.project_root))
            yield
        return
    path = list(sys.path)
    if definition.folder is not None and _holds(definition.folder, top) and not _is_known(top):
        sys.path.append(str(definition.folder))
    try:
        yield
    finally:
        sys.path[:] = path


def _holds(folder: Path, top: str) -> bool:
    return (folder / f"{top}.py").is_file() or (folder / top / "__init__.py").is_file()


def _is_known(top: str) -> bool:
    try:
        return top in sys.modules or find_spec(top) is not None
    except ValueError:  # a module without a specification, such as __main__
        return True


def _module(name: str) -> Any:
    seconds = seconds_for_one() or seconds_for_all() / 2
    with noticed_interrupts() as interrupted:
        try:
            with time_limit(seconds, "its import"):
                return importlib.import_module(name)
        except BaseException as error:  # user code: anything may come out
            if interrupted():
                raise
            raise _not_imported(name, error) from error


def _not_imported(name: str, error: BaseException) -> _NotFound:
    missing = error.name if isinstance(error, ModuleNotFoundError) else None
    if missing and f"{name}.".startswith(f"{missing}."):
        fix = "correct the name, or put the module into the DAGs folder or the project"
        return _NotFound(f"module not found: {name!r}\n  Fix: {fix}.")
    text = f"module {name!r} failed to import: {type(error).__name__}: {error}"
    return _NotFound(f"{text}\n  Fix: correct the module.")


def _attribute(module: Any, module_name: str, name: str) -> Any:
    found = module
    for part in name.split("."):
        if not hasattr(found, part):
            hint = did_you_mean(part, (n for n in vars(module) if not n.startswith("_")))
            text = f"module {module_name!r} has no {name!r}.{hint}"
            raise _NotFound(f"{text}\n  Fix: correct the name.")
        found = getattr(found, part)
    return found
