"""Definition -> manifest -> plan -> DagSpec: the chain of pure steps behind one DAG."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from kindling_airflow.definitions.catalog import in_catalog
from kindling_airflow.definitions.definition import Definition, check_package, wrapped
from kindling_airflow.definitions.operator_arguments import argument_name_problems
from kindling_airflow.definitions.options import options_of
from kindling_airflow.definitions.plan_checks import (
    query_param_problems,
    schedule_problems,
    stream_key_problems,
    stream_type_problems,
)
from kindling_airflow.definitions.project_manifests import project_manifest
from kindling_airflow.definitions.references import reference_problems
from kindling_airflow.definitions.settings_file import read_settings
from kindling_airflow.definitions.templates import template_problems
from kindling_airflow.definitions.yaml_file import Problem
from kindling_airflow.errors import (
    DefinitionError,
    TranslationError,
)
from kindling_airflow.execution_plan import ExecutionPlan
from kindling_airflow.execution_strategy import ExecutionPlanGenerator
from kindling_airflow.manifest import Manifest
from kindling_airflow.selection import select as select_pipes
from kindling_airflow.tags.plan_checks import check_entities, memory_problems
from kindling_airflow.tags.storage_needs import plan_storage_problems
from kindling_airflow.translator import (
    Closing,
    DagSpec,
    TranslateOptions,
    translate,
)
from kindling_airflow.translator.overrides import unmatched_patterns
from kindling_airflow.translator.streams import Streaming, streaming_part


@dataclass(frozen=True, slots=True)
class Planned:
    """A definition with its plan.

    Attributes:
        definition: the definition.
        base: the declarations as the project's modules make them.
        manifest: the declarations under the deployment's settings.
        plan: the plan of the chosen pipes.
    """

    definition: Definition
    base: Manifest
    manifest: Manifest
    plan: ExecutionPlan


@dataclass(frozen=True, slots=True)
class Compiled(Planned):
    """A definition with everything that follows from it.

    Attributes:
        spec: the plan, compiled.
    """

    spec: DagSpec


def plan_definition(definition: Definition, manifest: Manifest | None = None) -> Planned:
    """Plan a definition: settings, selection and strategy applied.

    Args:
        definition: what to plan.
        manifest: the project's manifest, where the caller has it already.

    Raises:
        DefinitionError: wrapping whatever is wrong on the way, with the definition's name.
    """
    with wrapped(definition):
        base, effective = _manifests(definition, manifest)
        plan = plan_of(
            effective,
            strategy=definition.strategy,
            pipes=definition.pipes,
            select=definition.select,
            exclude=definition.exclude,
            warehouse=definition.warehouse,
        )
    return Planned(definition, base, effective, plan)


def planned_as(definition: Definition, plan: ExecutionPlan) -> Planned:
    """Return a definition with a plan that was made elsewhere, of its project.

    Raises:
        DefinitionError: as :func:`plan_definition`.
    """
    with wrapped(definition):
        base, effective = _manifests(definition, None)
        check_entities(
            effective.definitions_of(plan.pipe_ids), effective.entities, definition.warehouse
        )
    return Planned(definition, base, effective, plan)


def _manifests(definition: Definition, manifest: Manifest | None) -> tuple[Manifest, Manifest]:
    """Return a project's declarations as its modules make them, and under the settings."""
    base = project_manifest(definition) if manifest is None else manifest
    layers = read_settings(definition.project_root, definition.settings)
    effective = base.with_settings(layers) if layers else base
    return base, in_catalog(effective, definition.catalog)


def compile_definition(
    definition: Definition, manifest: Manifest | None = None, *, complete: bool = True
) -> Compiled:
    """Compile a definition as far as that goes without Airflow.

    Args:
        definition: what to compile.
        manifest: the project's manifest, where the caller has it already.
        complete: find all that building the DAG would find, references that stand for nothing
            among it; who goes on to build it need not.

    Raises:
        DefinitionError: wrapping whatever is wrong on the way, with the definition's name.
    """
    return compile_planned(plan_definition(definition, manifest), complete=complete)


def compile_planned(
    planned: Planned, *, closing: Closing = Closing.AS_NEEDED, complete: bool = True
) -> Compiled:
    """Compile a definition that has its plan already.

    Args:
        planned: the definition with its plan.
        closing: when there is a task behind all pipes.
        complete: as for :func:`compile_definition`.

    Raises:
        DefinitionError: as :func:`compile_definition`.
    """
    definition, plan = planned.definition, planned.plan
    streaming = streaming_part(plan, definition.lifetime, definition.duration)
    _check_keys(planned, streaming, complete, closing)
    with wrapped(definition):
        base = planned.base
        check_package(definition, base.digest if definition.package else "", base.sources)
        declared = planned.manifest
        problems = memory_problems(declared.definitions_of(plan.pipe_ids), declared.entities)
        problems += query_param_problems(plan, definition.params)
        problems += stream_type_problems(plan, declared, streaming)
        spec = _translated(plan, options_of(definition, closing), streaming, problems)
        compiled = Compiled(definition, planned.base, planned.manifest, plan, spec)
        problems = compiled_storage_problems(compiled, definition.warehouse)
        if problems:
            raise TranslationError(problems)
    return compiled


def compiled_storage_problems(compiled: Compiled, warehouse: str | None) -> list[str]:
    """Return what a definition's pipes write to storage that does not keep what formats promise.

    Args:
        compiled: the definition.
        warehouse: its warehouse, as far as that is known; None, or a template, where it is not.
    """
    definition = compiled.definition
    streaming = streaming_part(compiled.plan, definition.lifetime, definition.duration)
    tasks = {task.pipe_id: task for task in compiled.spec.tasks()}
    return plan_storage_problems(
        compiled.manifest.definitions_of(compiled.plan.pipe_ids),
        compiled.manifest.entities,
        warehouse,
        streams={} if streaming is None else streaming.settings,
        checkpoints=definition.checkpoints,
        conf_of=lambda pipe_id: tasks[pipe_id].settings.spark.get("conf") or {},
    )


def _translated(
    plan: ExecutionPlan,
    options: TranslateOptions,
    streaming: Streaming | None,
    problems: Sequence[str],
) -> DagSpec:
    """Translate a plan of which some problems are known already.

    Raises:
        TranslationError: those, and what the translation finds besides.
    """
    try:
        spec = translate(plan, options, streaming)
    except TranslationError as error:
        more = [text for text in error.problems if not text.endswith(tuple(problems))]
        raise TranslationError([*problems, *more]) from error
    if problems:
        raise TranslationError(problems)
    return spec


def _check_keys(
    planned: Planned, streaming: Streaming | None, complete: bool, closing: Closing
) -> None:
    """Refuse keys of a definition that the plan or the installation shows to be wrong.

    Raises:
        DefinitionError: listing each with its line.
    """
    definition, known = planned.definition, dict.fromkeys(planned.plan.pipe_ids)
    found: list[Problem] = [
        (("overrides", pattern), text)
        for pattern, text in unmatched_patterns(definition.overrides, known)
    ]
    found += argument_name_problems(definition) if complete else ()
    is_group = closing is Closing.ALWAYS
    if not is_group:  # it runs when its DAG does
        found += schedule_problems(definition, planned.plan)
    found += stream_key_problems(definition, planned.plan, streaming, is_group=is_group)
    found += template_problems(definition, is_group=is_group)
    problems = [definition.located(problem) for problem in found]
    problems += reference_problems(definition) if complete else ()
    if problems:
        raise DefinitionError(problems)


def plan_of(
    manifest: Manifest,
    *,
    strategy: str = "batch",
    pipes: Sequence[str] | None = None,
    select: Sequence[str] = (),
    exclude: Sequence[str] = (),
    warehouse: str | None = None,
) -> ExecutionPlan:
    """Return the validated plan of the chosen pipes.

    Args:
        manifest: the declarations.
        strategy: the name of the strategy.
        pipes: ids of pipes; default: all.
        select: which of these, in the selection grammar; default: all.
        exclude: which of these not.
        warehouse: the root of the entities' relative paths, as far as it is known.

    Raises:
        SelectionError: what is selected or excluded matches nothing, or leaves nothing.
        GraphValidationError: the pipes do not form a valid graph.
        DeclarationError: the tags of their entities make no sense.
    """
    generator = ExecutionPlanGenerator(manifest)
    if select or exclude:
        graph = generator.graph_builder.build_graph(pipes)
        pipes = select_pipes(graph, select or "**", exclude)
    plan = generator.generate_plan(pipes, strategy)
    check_entities(manifest.definitions_of(plan.pipe_ids), manifest.entities, warehouse)
    return plan
