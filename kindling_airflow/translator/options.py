"""The options of a deployment for the translation of a plan."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from kindling_airflow.common.immutable import EMPTY, freeze
from kindling_airflow.common.shared_ids import DEFAULT_POOL, ErrorStrategy
from kindling_airflow.common.wording import did_you_mean
from kindling_airflow.data_entities import id_problems
from kindling_airflow.errors import TranslationError
from kindling_airflow.tags.stream_settings import LIFETIMES, Lifetime
from kindling_airflow.translator.task_settings import setting_problems

_GROUP_BY = re.compile(r"generation|tag:.*\S.*", re.DOTALL)
UNLIMITED = 2**31 - 1


OnError = ErrorStrategy


class Barrier(str, Enum):
    """What a pipe waits for beyond the pipes that it reads from."""

    NONE = "none"
    """Nothing."""
    GENERATION = "generation"
    """The whole generation before its own."""


class Closing(str, Enum):
    """When there is a task behind all pipes that fails if a pipe did."""

    AS_NEEDED = "as_needed"
    """Where Airflow would call a run with a failed pipe a success."""
    ALWAYS = "always"
    """In any case: the way out of a group among other tasks."""


@dataclass(frozen=True, slots=True)
class TranslateOptions:
    """How a plan becomes tasks.

    Attributes:
        dag_id: the DAG's id.
        pool: the pool that limits how many pipes run at once.
        width: the pool's slots, at least 1.
        on_error: what a failed pipe means for the others.
        barrier: what a pipe waits for beyond its own inputs.
        group_by: what the UI shows as groups: ``generation``, or ``tag:<name>``.
        pools: the slots of further pools that overrides name.
        settings: the settings of every task, see
            :class:`~kindling_airflow.translator.task_settings.TaskSettings`.
        overrides: settings by glob over the pipe ids; the more specific pattern wins.
        assets: what the identifiers of the entities' assets begin with; None for no assets.
        closing: when there is a task behind all pipes.
        lifetime: the lifetime of the streams of a run: ``continuous``, ``bounded`` or
            ``available_now``; None: ``continuous``, where there are any.
        duration_seconds: how long a bounded run's streams live.
        session_pool: where the tasks of shared sessions take a slot each.
        durations: seconds by pipe id, from which priorities follow; they come before the tag
            ``duration_hint``. Ids that are not in the plan are ignored.
        memory_budget: the bytes that each shared session has for entities that several of its
            pipes read; None: no limit.

    Raises:
        TranslationError: a value is not of its type or out of range; lists every problem.
    """

    dag_id: str
    pool: str
    width: int = 4
    on_error: OnError = OnError.SKIP_DEPENDENTS
    barrier: Barrier = Barrier.NONE
    group_by: str = "generation"
    pools: Mapping[str, int] = field(default_factory=lambda: EMPTY)
    settings: Mapping[str, Any] = field(default_factory=lambda: EMPTY)
    overrides: Mapping[str, Mapping[str, Any]] = field(default_factory=lambda: EMPTY)
    assets: str | None = None
    closing: Closing = Closing.AS_NEEDED
    lifetime: Lifetime | None = None
    duration_seconds: float | None = None
    session_pool: str = DEFAULT_POOL
    durations: Mapping[str, float] = field(default_factory=lambda: EMPTY)
    memory_budget: int | None = None

    def __post_init__(self) -> None:
        problems = [*id_problems("dag_id", self.dag_id), *id_problems("pool", self.pool)]
        problems += id_problems("session_pool", self.session_pool)
        problems += [*_slot_problems(self), *_word_problems(self)]
        problems += setting_problems(self.settings)
        problems += [
            f"overrides: {pattern!r} must be a mapping of settings, not {layer!r}\n"
            "  Fix: write them as a mapping, such as {'retries': 2}."
            for pattern, layer in self.overrides.items()
            if not isinstance(layer, Mapping)
        ]
        if problems:
            raise TranslationError(f"DAG {self.dag_id!r}: {problem}" for problem in problems)
        for name, kind in _WORDS.items():
            object.__setattr__(self, name, kind(getattr(self, name)))
        for name in ("pools", "settings", "overrides", "durations"):
            object.__setattr__(self, name, freeze(getattr(self, name)))

    def width_of(self, pool: str) -> int | None:
        """Return how many slots a pool has, as far as the deployment sets it."""
        if pool == self.pool:
            return self.width
        return self.pools.get(pool, UNLIMITED if pool == DEFAULT_POOL else None)


_WORDS: Mapping[str, type[Enum]] = {"on_error": OnError, "barrier": Barrier, "closing": Closing}


def _slot_problems(options: TranslateOptions) -> list[str]:
    widths = {"width": options.width, **{f"pools: {k!r}": v for k, v in options.pools.items()}}
    return [
        f"{name} must be a whole number of at least 1, not {value!r}"
        for name, value in widths.items()
        if type(value) is not int or value < 1
    ]


def _word_problems(options: TranslateOptions) -> list[str]:
    problems = []
    for name, kind in _WORDS.items():
        chosen, known = getattr(options, name), [word.value for word in kind]
        if chosen not in known:
            problems.append(
                f"{name}: unknown value {chosen!r}.{did_you_mean(str(chosen), known)}\n"
                f"  Fix: use one of {', '.join(known)}."
            )
    if not isinstance(options.group_by, str) or not _GROUP_BY.fullmatch(options.group_by):
        problems.append(
            f"group_by: unknown value {options.group_by!r}\n"
            "  Fix: use 'generation', or 'tag:layer' with the name of a tag of your pipes."
        )
    elif options.barrier == Barrier.GENERATION and options.group_by != "generation":
        problems.append(
            f"group_by {options.group_by!r} conflicts with barrier 'generation': pipes of one "
            "group would wait for each other through a barrier outside of it\n"
            "  Fix: use group_by 'generation', or no barrier."
        )
    return problems + _lifetime_problems(options)


def _lifetime_problems(options: TranslateOptions) -> list[str]:
    lifetime, seconds = options.lifetime, options.duration_seconds
    if lifetime is not None and lifetime not in LIFETIMES:
        problem = (
            f"lifetime: unknown value {lifetime!r}.{did_you_mean(str(lifetime), LIFETIMES)}\n"
            f"  Fix: use one of {', '.join(LIFETIMES)}."
        )
        return [problem]
    if lifetime == "bounded" and (seconds is None or seconds <= 0):
        problem = (
            "a bounded lifetime needs a duration above 0\n"
            "  Fix: set how long the streams of a run last, such as 'duration: 1h'."
        )
        return [problem]
    return []
