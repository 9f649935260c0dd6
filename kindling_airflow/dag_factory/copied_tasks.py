"""Tasks that differ in little: two by Airflow's constructor, the others as copies of the first.

The constructor of an operator takes a quarter of a millisecond, five classes deep, and for a DAG of
1,000 pipes that is most of the time from manifest to DAG. Nearly all of it goes into arguments that
are the same for every pipe with the same settings.

What a copy must hold is not written down here, where the next Airflow would make it wrong: it is
learned, at every parse. The first two tasks of a kind are the constructor's. Only if a copy of the
first, with the second's own values, holds attribute by attribute what the second holds, are the
others copied; else all are the constructor's. A copy enters its group and its DAG by the same calls
as the constructor's tasks, and shares no container with another task.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Mapping
from datetime import date, datetime, timedelta, timezone
from enum import Enum
from typing import Any

from airflow.sdk import Param
from airflow.sdk.definitions.param import ParamsDict

from kindling_airflow.operators.driver.hidden_values import HiddenValue
from kindling_airflow.operators.pipe import KindlingPipeOperator, application_name
from kindling_airflow.operators.stored_fields import own_params

# Only for what goes to the constructor, which then says what is wrong with it.
_KEY = re.compile(r"[\w.-]{1,250}")
_WEIGHTS = range(-(2**31), 2**31)

_ATTRIBUTES = {"connections": "_connections", "settings": "_settings"}
_RELATIVES = ("upstream_task_ids", "downstream_task_ids")
_ARGUMENTS = "_BaseOperator__init_kwargs"
_VALUES = (str, int, float, bool, bytes, type(None), timedelta, date, datetime, timezone, Enum)
_CONTAINERS = (dict, list, set, ParamsDict)


class TaskKind:
    """Makes the tasks of pipes that differ in nothing but their own values.

    Args:
        arguments: what they share, as the operator's constructor takes it; ``dag`` among it.
        is_stored: they are of a whole DAG, which holds their params once.
    """

    def __init__(self, arguments: Mapping[str, Any], *, is_stored: bool = False) -> None:
        self._arguments = arguments
        self._is_stored = is_stored
        self._first: dict[str, Any] | None = None
        self._is_learned = False
        self._copies: _Copies | None = None

    def task(self, own: dict[str, Any]) -> Any:
        """Return the task of one pipe, in its DAG and its group.

        Args:
            own: the arguments that are the pipe's own, by the same names for every task of a kind.
        """
        if self._copies is not None and _is_usual(own):
            return self._copies.task(own)
        task = KindlingPipeOperator(**fresh({**self._arguments, **own}))
        if self._is_stored:
            task.params = own_params(task.params)
        if self._first is None:
            self._first = dict(vars(task))
        elif not self._is_learned and own["task_group"] is not None:
            copies = _Copies(self._first, own, named="name" not in self._arguments)
            self._is_learned = True
            if not _tells_of_new_tasks() and copies.would_be(task, own):
                self._copies = copies
        return task


class _Copies:
    """Copies of a task."""

    def __init__(self, state: dict[str, Any], own: Mapping[str, Any], *, named: bool) -> None:
        self._named = named
        self._dag = state["_dag"]
        arguments = state[_ARGUMENTS]
        apart = {_ATTRIBUTES.get(name, name) for name in own} | {_ARGUMENTS, *_RELATIVES}
        apart |= {"name"} if named else set()
        apart_arguments = {*own, *(("name",) if named else ())}
        self._state = state
        self._attributes = {k: v for k, v in state.items() if k not in apart and _is_container(v)}
        self._said = {
            k: v for k, v in arguments.items() if k not in apart_arguments and _is_container(v)
        }

    def task(self, own: dict[str, Any]) -> Any:
        """Return a copy with its own values, in its DAG and its group."""
        group = own["task_group"]
        task: Any = KindlingPipeOperator.__new__(KindlingPipeOperator)
        state = vars(task)
        state.update(self._values(own))
        state["_dag"] = state["task_group"] = None
        group.add(task)  # as the constructor does it
        state["task_group"] = group
        self._dag.add_task(task)
        return task

    def would_be(self, task: Any, own: dict[str, Any]) -> bool:
        """Return whether a copy would hold what the constructor's task holds, and share no more."""
        made = vars(task)
        values = self._values(own)
        return list(values) == list(made) and all(_alike(values[name], made[name]) for name in made)

    def _values(self, own: dict[str, Any]) -> dict[str, Any]:
        """Return the attributes of a task, in the order of the constructor's."""
        name = {"name": application_name(own["pipe_id"])} if self._named else {}
        values = {**self._state}
        values[_ARGUMENTS] = {
            **values[_ARGUMENTS],
            **{name: fresh(value) for name, value in self._said.items()},
            **own,
            **name,
        }
        for attribute, value in self._attributes.items():
            values[attribute] = fresh(value)
        for argument, value in own.items():
            values[_ATTRIBUTES.get(argument, argument)] = value
        values.update(name)
        for attribute in _RELATIVES:
            values[attribute] = set()
        values["task_id"] = own["task_group"].child_id(own["task_id"])
        values["inlets"], values["outlets"] = list(own["inlets"]), list(own["outlets"])
        values["_settings"] = own["settings"] or {}
        return values


def fresh(value: Any) -> Any:
    """Return a value with its plain containers copied; any other object is kept as it is."""
    kind = type(value)
    if kind is dict:
        return {key: fresh(item) for key, item in value.items()}
    if kind is list:
        return [fresh(item) for item in value]
    if kind is tuple:
        return tuple(map(fresh, value)) if _is_container(value) else value
    if kind is set:
        return set(value)
    if kind is ParamsDict:
        params = {name: _own_param(value.get_param(name)) for name in value}
        return ParamsDict(params, value.suppress_exception)
    return value


def _own_param(param: Any) -> Any:
    """Return a copy of a param, because a param changes when a run's value is put into it."""
    if type(param) is not Param:
        return copy.deepcopy(param)  # as Airflow does it for every task
    copied = Param.__new__(Param)
    vars(copied).update({name: fresh(value) for name, value in vars(param).items()})
    return copied


def _is_container(value: Any) -> bool:
    kind = type(value)
    return any(map(_is_container, value)) if kind is tuple else kind in _CONTAINERS


def _alike(value: Any, other: Any) -> bool:
    """Return whether a copy may hold the one where the constructor's task holds the other."""
    if value is other:
        return True  # the constructor's tasks share it, too
    kind = type(value)
    if kind is not type(other):
        return False
    if kind is dict:
        return list(value) == list(other) and all(_alike(value[k], other[k]) for k in value)
    if kind is list or kind is tuple:
        return len(value) == len(other) and all(map(_alike, value, other))
    if kind is HiddenValue:
        return _alike(value.value, other.value)
    if kind in (set, ParamsDict) or isinstance(value, _VALUES):
        return bool(value == other)
    return False


def _is_usual(own: Mapping[str, Any]) -> bool:
    return (
        own["task_group"] is not None
        and own["priority_weight"] in _WEIGHTS
        and bool(_KEY.fullmatch(own["task_id"]))
    )


def _tells_of_new_tasks() -> bool:
    """Return whether tasks are made inside of ``with some_setup_task:``, which writes each down."""
    try:
        from airflow.sdk.definitions._internal.setup_teardown import SetupTeardownContext
    except ImportError:  # a later Airflow may keep it elsewhere
        return True
    return bool(SetupTeardownContext.active)
