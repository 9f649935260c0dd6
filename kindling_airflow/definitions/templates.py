"""Templates of a definition, tried when it is compiled: what cannot be rendered ever is refused.

Airflow renders a task's templated arguments when it runs, and would try again and again what a
glance at the text shows to be wrong: braces that do not fit, a filter or a name that is not there.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from kindling_airflow.common.redaction import without_secrets
from kindling_airflow.common.wording import did_you_mean
from kindling_airflow.definitions.definition import Definition
from kindling_airflow.definitions.yaml_file import Problem, Where

_TEMPLATED = frozenset(
    {
        *("application", "conf", "files", "py_files", "jars", "driver_class_path", "packages"),
        *("exclude_packages", "keytab", "principal", "proxy_user", "name", "application_args"),
        *("env_vars", "post_submit_commands", "properties_file"),
    }
)
NAMES_OF_A_DATE = frozenset(
    {
        *("data_interval_end", "data_interval_start", "ds", "ds_nodash", "logical_date"),
        *("ts", "ts_nodash", "ts_nodash_with_tz"),
    }
)
"""What a run has only if it has a logical date: one that assets start has none."""

NAMES_OF_A_RUN = NAMES_OF_A_DATE | {
    *("asset_state_store", "conn", "dag", "dag_run", "exception", "expanded_ti_count", "inlets"),
    *("inlet_events", "macros", "map_index_template", "outlet_events", "outlets", "params"),
    *("partition_date", "partition_key", "prev_data_interval_end_success", "reason", "run_id"),
    *("prev_data_interval_start_success", "prev_end_date_success", "prev_start_date_success"),
    *("task", "task_instance", "task_instance_key_str", "task_reschedule_count", "ti", "var"),
    *("task_state_store", "templates_dict", "test_mode", "triggering_asset_events", "try_number"),
}
"""What Airflow renders templates with."""

_FILTERS = ("ds", "ds_nodash", "ts", "ts_nodash", "ts_nodash_with_tz")


def template_problems(definition: Definition, *, is_group: bool = False) -> Iterator[Problem]:
    """Yield the templates of a definition that could not be rendered in any run.

    Args:
        definition: the definition.
        is_group: it is part of a DAG that is not known here, and may have macros and filters.
    """
    for where, text in templates_of(definition):
        problem = _problem(text, is_group)
        if problem:
            yield where, problem


def templates_of(definition: Definition) -> Iterator[tuple[Where, str]]:
    """Yield what of a definition is a template, and where it stands."""
    for key in ("warehouse", "checkpoints"):
        yield from _templates(getattr(definition, key), (key,))
    for where, layer in definition.layers().items():
        for section in ("spark", "arguments"):
            for name, value in (layer.get(section) or {}).items():
                if name in _TEMPLATED:
                    yield from _templates(value, (*where, section, name))


def names_in(text: str) -> frozenset[str]:
    """Return the names that a template takes from a run; none where it is broken."""
    from jinja2 import TemplateSyntaxError, meta

    environment = _environment()
    try:
        return frozenset(meta.find_undeclared_variables(environment.parse(text)))
    except TemplateSyntaxError:
        return frozenset()


def _templates(value: Any, where: Where) -> Iterator[tuple[Where, str]]:
    if isinstance(value, str):
        if any(mark in value for mark in ("{{", "{%", "{#")):
            yield where, value
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield from _templates(item, (*where, key))
    elif isinstance(value, (list, tuple)):
        for n, item in enumerate(value):
            yield from _templates(item, (*where, n))


def _problem(text: str, is_group: bool) -> str:
    from jinja2 import TemplateAssertionError, TemplateSyntaxError

    shown = without_secrets(text)
    environment = _environment()
    try:
        environment.compile(text, raw=True)
    except TemplateAssertionError as error:  # a filter or a test that is not known
        fix = "use a filter of Jinja or Airflow, or correct the name"
        return "" if is_group else f"the template {shown!r}: {error.message}\n  Fix: {fix}."
    except TemplateSyntaxError as error:
        return (
            f"{shown!r} is not a valid template: {error.message}\n"
            "  Fix: correct the template; text with braces is written {{ '{{' }}."
        )
    unknown = () if is_group else sorted(names_in(text) - NAMES_OF_A_RUN - {*environment.globals})
    if not unknown:
        return ""
    hint = did_you_mean(unknown[0], NAMES_OF_A_RUN)
    return (
        f"the template {shown!r} uses {unknown[0]!r}, which is not defined in any run.{hint}\n"
        "  Fix: correct the name; a parameter of the run is {{ params.NAME }}."
    )


def _environment() -> Any:
    from jinja2.sandbox import SandboxedEnvironment

    environment = SandboxedEnvironment(extensions=["jinja2.ext.do"], cache_size=0)  # as Airflow's
    environment.filters.update(dict.fromkeys(_FILTERS, str))
    return environment
