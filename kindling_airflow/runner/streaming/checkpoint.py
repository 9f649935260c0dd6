"""The checkpoint of a query, and the check that it still fits the pipe.

    <checkpoint>/offsets/ commits/ state/ sources/ metadata     Spark's
    <checkpoint>/kindling.json                                  what it was made for

Spark notices few of the changes that make a checkpoint unusable, some of them only when the first
batch fails, and others never: a query that reads another table, or sums where it counted, goes on
with numbers that are wrong. So what a checkpoint was made for is stored beside it, and a query
that is for something else is not started.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from kindling_airflow.errors import PipeRunError
from kindling_airflow.runner.providers.parquet.stream import latest_number
from kindling_airflow.tags.paths import is_absolute

if TYPE_CHECKING:
    from kindling_airflow.runner.providers.storage import Storage

_SIDECAR = "kindling.json"
_VERSION = 1


@dataclass(frozen=True, slots=True)
class Purpose:
    """What a checkpoint is made for, each point in words.

    Attributes:
        reads, writes: the driving input and the output: what, of which type, where.
        output_mode: of the query.
        by_batch: whether batches are published like the results of runs, and not by a sink.
        row_by_row: whether the trigger is continuous. Spark (4.1) cannot go on in batches from such
            a checkpoint: it fails for want of a watermark that it has not kept.
        state: the stateful operators of the query's plan.
        spark: the release of Spark, whose words ``state`` is in: major and minor number.
    """

    reads: str
    writes: str
    output_mode: str
    by_batch: bool
    state: tuple[str, ...]
    spark: str
    row_by_row: bool = False

    def differences(self, now: Purpose) -> Iterator[str]:
        """Yield what has changed so that the checkpoint does not fit any more."""
        if self.reads != now.reads:
            yield f"it reads {now.reads}, and has read {self.reads}"
        if self.writes != now.writes:
            yield f"it writes {now.writes}, and has written {self.writes}"
        if self.output_mode != now.output_mode:
            yield f"its output mode is {now.output_mode!r}, and was {self.output_mode!r}"
        if self.row_by_row and not now.row_by_row:
            yield (
                "it runs in batches, but the checkpoint is of a continuous trigger, from which "
                "Spark cannot continue in batches"
            )
        # Another release of Spark may put the same plan into other words.
        comparable = self.spark == now.spark
        if self.state != now.state if comparable else _kinds(self.state) != _kinds(now.state):
            yield f"its state is of {_listed(now.state)}, and was of {_listed(self.state)}"


def checkpoint_path(root: str, warehouse: str, name: str) -> str:
    """Return where a checkpoint lies."""
    if is_absolute(name):
        return name
    base = root or f"{warehouse.rstrip('/')}/_kindling/checkpoints"
    return f"{base.rstrip('/')}/{name}"


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A pipe's checkpoint.

    Attributes:
        storage: the session's files.
        path: its folder.
        pipe_id: the pipe.
    """

    storage: Storage
    path: str
    pipe_id: str

    def take(self, purpose: Purpose) -> None:
        """Make sure that the checkpoint fits, and note what it is for.

        Raises:
            PipeRunError: it is for something else, or its purpose is unknown.
        """
        begun = latest_number(self.storage, f"{self.path}/offsets")
        if begun is not None:
            known = self._purpose()
            problems = list(known.differences(purpose))
            done = latest_number(self.storage, f"{self.path}/commits")
            if known.by_batch != purpose.by_batch and begun != done:
                problems.append(
                    "batches are published in another way, and one is incomplete: with the "
                    "previous expectations, the query would finish it"
                )
            if problems:
                raise PipeRunError(self._refusal(problems))
            if known == purpose:
                return
        else:
            self._clear()
        self._note(purpose)

    def _clear(self) -> None:
        """Remove the files of a driver that died before its first batch had begun.

        Spark (4.1) does not begin where there is anything, so the pipe could never run again.
        Where batches are done but none has begun, files were deleted: Spark refuses it.
        """
        if latest_number(self.storage, f"{self.path}/commits") is None:
            for name in ("offsets", "state", "commits"):
                self.storage.delete(f"{self.path}/{name}")

    def query_id(self) -> str:
        """Return the id that Spark has given to the query whose checkpoint this is."""
        return str(json.loads(self.storage.read_text(f"{self.path}/metadata"))["id"])

    def _purpose(self) -> Purpose:
        path = f"{self.path}/{_SIDECAR}"
        if not self.storage.exists(path) and self.storage.exists(f"{path}.part"):
            self.storage.move(f"{path}.part", path)  # a driver died right before it did
        if not self.storage.exists(path):
            raise PipeRunError(
                f"pipe {self.pipe_id!r}: the checkpoint {self.path!r} was not created by a pipe: "
                f"it has no {_SIDECAR}\n{_BEGIN_ANEW}"
            )
        try:
            document: Any = json.loads(self.storage.read_text(path))
            if document["version"] != _VERSION:
                raise ValueError(f"version {document['version']!r}")
            stored = {"row_by_row": False, **document["purpose"]}
            stored = {name: stored[name] for name in Purpose.__dataclass_fields__}
            return Purpose(**{**stored, "state": tuple(stored["state"])})
        except (ValueError, KeyError, TypeError) as error:
            raise PipeRunError(
                f"pipe {self.pipe_id!r}: the purpose of its checkpoint cannot be read from "
                f"{path!r}: "
                f"{type(error).__name__}: {error}\n{_BEGIN_ANEW}"
            ) from None

    def _note(self, purpose: Purpose) -> None:
        path = f"{self.path}/{_SIDECAR}"
        document = {"version": _VERSION, "pipe": self.pipe_id, "purpose": asdict(purpose)}
        self.storage.write_text(f"{path}.part", json.dumps(document, sort_keys=True, indent=1))
        self.storage.delete(path)
        self.storage.move(f"{path}.part", path)

    def _refusal(self, problems: list[str]) -> str:
        listed = "\n".join(f"  - {problem}" for problem in problems)
        return (
            f"pipe {self.pipe_id!r} does not match its checkpoint {self.path!r} any "
            f"more\n{listed}\n"
            "  Fix: revert the change to the pipe, and it continues without data loss. Or "
            f"{_BEGIN_ANEW.removeprefix('  Fix: ')}"
        )


_BEGIN_ANEW = (
    "  Fix: give it a new checkpoint (stream.checkpoint) and start over: it then reads from "
    "stream.starting_offsets on, so rows that it has written are written again unless its output "
    "is new as well, and its state (counts, windows, seen keys) starts empty."
)


def _kinds(state: tuple[str, ...]) -> list[str]:
    return [text.partition(" [")[0].partition(" on ")[0] for text in state]


def _listed(state: tuple[str, ...]) -> str:
    return "; ".join(state) or "nothing"
