"""Resolves the settings of pipes from tags, definition, overrides; once per kind of pipe.

Pipes that the same patterns match, and that say the same of themselves, share one
:class:`TaskSettings`; a thousand pipes under three patterns cost a handful of merges.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from kindling_airflow.common.id_globs import Glob, glob_specificity
from kindling_airflow.common.immutable import EMPTY, canonical_json
from kindling_airflow.common.wording import did_you_mean, some_pipes
from kindling_airflow.tags.registry import read_task_tags
from kindling_airflow.translator.options import TranslateOptions
from kindling_airflow.translator.task_settings import (
    TAGS,
    TaskSettings,
    frozen_settings,
    merged,
    setting_problems,
    tag_settings,
)

_Tags = Mapping[str, Mapping[str, Any]]


def settings_by_pipe(
    options: TranslateOptions,
    tags: _Tags,
    defaults: Mapping[str, Mapping[str, Any]] = EMPTY,
) -> tuple[dict[str, TaskSettings], list[str]]:
    """Return what holds for each pipe, and what is wrong with it.

    Args:
        options: the deployment's options.
        tags: each pipe's own tags, in the order of the plan.
        defaults: settings of some pipes that everything else comes before.

    Returns:
        the settings by pipe, empty if there are problems; and the problems.
    """
    problems = [*override_problems(options.overrides, tags), *setting_tag_problems(tags)]
    if problems:
        return {}, problems
    found = resolved_settings(options, tags, defaults)
    return found, _pool_problems(options, found)


def resolved_settings(
    options: TranslateOptions, tags: _Tags, defaults: Mapping[str, Mapping[str, Any]] = EMPTY
) -> dict[str, TaskSettings]:
    """Return what holds for each pipe, from layers that are known to be valid.

    Args:
        options: the deployment's options.
        tags: as for :func:`settings_by_pipe`; only those in ``TAGS`` count.
        defaults: as for :func:`settings_by_pipe`.
    """
    made: dict[object, TaskSettings] = {}
    found = {}
    for pipe_id, (patterns, tagged) in _kinds(options, tags).items():
        own = {**defaults[pipe_id], **tagged} if pipe_id in defaults else tagged
        kind = (patterns, canonical_json(own) if own else "")
        if kind not in made:
            layers = [options.settings, *(options.overrides[pattern] for pattern in patterns)]
            settings: Mapping[str, Any] = own
            for layer in layers:
                settings = merged(settings, layer)
            made[kind] = frozen_settings({"pool": options.pool, **settings})
        found[pipe_id] = made[kind]
    return found


def _kinds(
    options: TranslateOptions, tags: _Tags
) -> dict[str, tuple[tuple[str, ...], Mapping[str, Any]]]:
    """Return of each pipe the patterns that match it, the widest first, and its own settings."""
    matchers = [
        (pattern, Glob.parse(pattern).matcher())
        for pattern in sorted(options.overrides, key=glob_specificity)
    ]
    known = TAGS.keys()
    return {
        pipe_id: (
            tuple([pattern for pattern, matches in matchers if matches(pipe_id)]),
            {} if known.isdisjoint(own) else tag_settings(own),
        )
        for pipe_id, own in tags.items()
    }


def override_problems(
    overrides: Mapping[str, Mapping[str, Any]], pipe_ids: Mapping[str, Any]
) -> Iterator[str]:
    """Yield the patterns that match no pipe, and what is wrong with any settings."""
    yield from (f"overrides: {text}" for _, text in unmatched_patterns(overrides, pipe_ids))
    for pattern, settings in overrides.items():
        yield from (f"overrides: {pattern!r}: {problem}" for problem in setting_problems(settings))


def unmatched_patterns(
    patterns: Iterable[str], pipe_ids: Mapping[str, Any]
) -> Iterator[tuple[str, str]]:
    """Yield the patterns that match no pipe, each with what is wrong about that."""
    for pattern in patterns:
        if not any(True for _ in Glob.parse(pattern).finder()(pipe_ids)):
            hint = did_you_mean(pattern, pipe_ids)
            fix = "correct the pattern, or remove the override"
            yield pattern, f"{pattern!r} matches no pipe.{hint}\n  Fix: {fix}."


def setting_tag_problems(tags: _Tags) -> Iterator[str]:
    """Yield what is wrong with tags that are settings of a pipe's task."""
    for pipe_id, own in tags.items():
        if not TAGS.keys().isdisjoint(own):
            yield from (f"pipe {pipe_id!r}: {text}" for text in read_task_tags(own)[1])


def _pool_problems(options: TranslateOptions, found: Mapping[str, TaskSettings]) -> list[str]:
    """Return the pools of unknown width, and the pipes that their pool could never run."""
    by_settings: dict[tuple[str, int], list[str]] = {}
    for pipe_id, settings in found.items():
        by_settings.setdefault((settings.pool, settings.pool_slots), []).append(pipe_id)
    problems = []
    for (pool, slots), pipe_ids in by_settings.items():
        width = options.width_of(pool)
        if width is None:
            problems.append(
                f"pool {pool!r} of {some_pipes(pipe_ids)} has no width\n"
                f"  Fix: set its slots: 'pools: {{{pool}: 4}}'."
            )
        elif slots > width:
            problems.append(
                f"{some_pipes(pipe_ids)} takes {slots} slots, but pool {pool!r} has a width of "
                f"{width}: no such task could ever start\n"
                "  Fix: raise the width, or lower the slots per pipe."
            )
    return problems
