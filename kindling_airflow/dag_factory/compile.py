"""Definition -> manifest -> plan -> DagSpec: the chain of pure steps behind one DAG."""

from __future__ import annotations

from dataclasses import dataclass

from kindling_airflow.dag_factory.definition import Definition
from kindling_airflow.errors import DefinitionError, ManifestError, ProblemsError
from kindling_airflow.execution_plan import ExecutionPlan
from kindling_airflow.execution_strategy import ExecutionPlanGenerator
from kindling_airflow.harvest import harvest, is_current
from kindling_airflow.manifest import Manifest
from kindling_airflow.translator import DagSpec, TranslateOptions, translate

__all__ = ["Compiled", "compile_definition", "project_manifest"]


@dataclass(frozen=True, slots=True)
class Compiled:
    """A definition with everything that follows from it."""

    definition: Definition
    manifest: Manifest
    plan: ExecutionPlan
    spec: DagSpec


def project_manifest(definition: Definition) -> Manifest:
    """Return the project's manifest: the compiled one while it is current, else a fresh harvest.

    Raises:
        ManifestError: the manifest that is named or lies there cannot be read.
        HarvestError, DeclarationError: the project's modules cannot be imported.
    """
    if definition.manifest is not None:
        if not definition.manifest.is_file():
            problem = (
                f"there is no manifest {str(definition.manifest)!r}\n"
                "  Fix: write it with 'kindling-airflow compile', or leave the key 'manifest' out."
            )
            raise ManifestError([problem])
        compiled = Manifest.read(definition.manifest)
        if is_current(compiled, definition.project_root, definition.modules):
            return compiled
    return harvest(definition.project_root, definition.modules)


def compile_definition(definition: Definition, manifest: Manifest | None = None) -> Compiled:
    """Compile a definition as far as that goes without Airflow.

    Args:
        definition: what to compile.
        manifest: the project's manifest, where the caller has it already.

    Raises:
        DefinitionError: wrapping whatever is wrong on the way, with the definition's name.
    """
    try:
        manifest = project_manifest(definition) if manifest is None else manifest
        plan = ExecutionPlanGenerator(manifest).generate_plan(definition.pipes, definition.strategy)
        spec = translate(plan, _options(definition))
    except ProblemsError as error:
        raise DefinitionError(
            f"{definition.source}: {problem}" for problem in error.problems
        ) from error
    except OSError as error:
        raise DefinitionError([f"{definition.source}: {error}"]) from error
    return Compiled(definition, manifest, plan, spec)


def _options(definition: Definition) -> TranslateOptions:
    return TranslateOptions(
        dag_id=definition.dag_id,
        pool=definition.pool,
        width=definition.width,
        pool_slots=definition.pool_slots,
        retries=definition.retries,
        retry_delay_seconds=definition.retry_delay_seconds,
    )
