"""The tags that this package reads, in one table, and the words that look like them.

Tags are free: what an entity or a pipe has of its own goes into the manifest and is left alone. But
a misspelt one would go there, too, and what it was written for would not happen. So a tag that this
package does not read is refused where it is likely to be meant for it:

- it is spelled like a known one, but for a letter or two, for case, dashes, dots and underscores;
- it lies in a namespace of this package (``retry.``, ``stream.``, ``provider.``, ...);
- it is known, but for entities where a pipe has it, or the other way round;
- it is a tag of the framework behind the user's document that is spelled otherwise here.

Everything else is free (``layer``, ``team.owner``), and so is all that begins with ``x.``.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal

__all__ = ["FREE", "KNOWN_TAGS", "KnownTag", "likely_tag", "word_problems"]

Kind = Literal["entity", "pipe"]

FREE = "x."
"""What begins with this is never looked at."""


@dataclass(frozen=True, slots=True)
class KnownTag:
    """One tag.

    Attributes:
        name: its name; of a family of tags what they begin with, with a dot at its end.
        of: what has it.
        values: what it may be, for a reader of messages and pages.
        meaning: what it is for, in one line.
    """

    name: str
    of: Kind
    values: str
    meaning: str

    def text(self) -> str:
        """Return its name as messages have it: a family with a placeholder."""
        return f"{self.name}NAME" if self.name.endswith(".") else self.name


def _tags(of: Kind, table: str) -> Iterator[KnownTag]:
    for line in table.strip().splitlines():
        name, values, meaning = (cell.strip() for cell in line.split("|"))
        yield KnownTag(name, of, values, meaning)


KNOWN_TAGS: tuple[KnownTag, ...] = (
    *_tags(
        "entity",
        """
        provider_type          | a type's name                | how the entity is stored
        provider.path          | a path                       | where its data is
        provider.extra_columns | fail, ignore                 | stored columns that are not declared
        provider.new_columns   | fail, add                    | columns that the table does not have
        provider.option.       | any                          | an option of Spark's reader
        provider.table         | a name                       | the table of a catalog or database
        provider.format        | parquet, orc                 | what the files of a table are
        provider.connection    | an id                        | the Airflow connection
        provider.url           | a JDBC URL                   | the database
        provider.query         | a query                      | what is read in place of a table
        provider.driver        | a class                      | the JDBC driver
        provider.servers       | host:port, ...               | the brokers of Kafka
        provider.topic         | a name                       | the topic
        provider.value_format  | json, raw                    | what the values of records are
        provider.malformed     | fail, aside, drop, keep      | records that are not as declared
        provider.key           | a column                     | the key of the records
        provider.partitions    | a whole number               | the partitions of a new topic
        write_mode             | overwrite, append, ...       | how the entity is written
        interval.column        | a column                     | in which slice a row lies
        interval.timezone      | a time zone                  | the zone of that column's days
        size_bytes             | a whole number               | how large the entity is
        """,
    ),
    *_tags(
        "pipe",
        """
        duration_hint           | a number of seconds         | how long the pipe takes
        processing_mode         | batch, streaming            | whether it runs as a stream
        priority                | a number                    | how urgent it is
        retry.attempts          | a whole number              | how often a failed pipe is retried
        retry.interval_seconds  | a number of seconds         | the pause before each retry
        timeout_seconds         | a number of seconds         | how long one try may take
        on_empty_input          | run, skip                   | what a run does if inputs are empty
        pool_slots              | a whole number              | the slots of its pool that it takes
        owner                   | a name                      | the owner of its task
        interval.read           | all, slice, lookback        | how much of its inputs is read
        interval.read.          | all, slice, lookback        | the same for one input, by its id
        interval.lookback       | a length of time            | how far before its interval it reads
        sql.check               | true, false                 | whether its query is parsed
        quality.on_violation    | fail, warn                  | what failed expectations do
        quality.examples        | a whole number              | how many violating rows are quoted
        stream.trigger          | default, 10s, ...           | when the next batch is taken
        stream.output_mode      | append, update, complete    | what of a batch is written
        stream.watermark        | a column and a delay        | how late rows may be
        stream.checkpoint       | a path                      | where its progress is kept
        stream.starting_offsets | an offset                   | where a new query begins
        stream.option.          | any                         | an option of the stream's reader
        stream.ready_timeout    | a duration                  | how long it may take to get ready
        stream.drain_timeout    | a duration                  | how long it may take to finish
        stream.silence_timeout  | a duration                  | how long its driver may be silent
        stream.stall_timeout    | a duration                  | how long it may make no progress
        """,
    ),
)

_NAMESPACES = ("provider", "interval", "stream", "quality", "retry", "sql")
_ON_BOTH = frozenset({"owner", "priority"})  # words that entities may well have for themselves
_SHORT, _LONG = 6, 8  # letters from which on one, two wrong letters still are the same word
_SEPARATORS = re.compile(r"[._\-\s]+")
_HISTORY = (
    "tables keep no history of their rows by themselves here. SCD type 1, rows that replace those "
    "with the same key: set write_mode: merge and merge_columns. SCD type 2, a history: let the "
    "pipe read its own output and return all versions with columns for their validity, or add "
    "versions by write_mode: append"
)
_WRITES = "set write_mode: overwrite, overwrite_interval, append, or merge with merge_columns"
_TRIES = "set retry.attempts, or the key 'retries' of the definition"
_FRAMEWORKS = {"scd.": _HISTORY, "write.": _WRITES}
_AT_THE_ENTITY = " (at the entity that the pipe writes)"
_FIELD = "give it to the declaration as an argument; it is not a tag"
_ELSEWHERE: Mapping[Kind, Mapping[str, str]] = {
    "entity": {
        **dict.fromkeys(("scd", "scdtype"), _HISTORY),
        "writemode": _WRITES,
        **dict.fromkeys(("clustercolumns", "mergecolumns", "partitioncolumns"), _FIELD),
    },
    "pipe": {
        **dict.fromkeys(("scd", "scdtype"), f"{_HISTORY}{_AT_THE_ENTITY}"),
        "writemode": f"{_WRITES}{_AT_THE_ENTITY}",
        **dict.fromkeys(("retries", "retry"), _TRIES),
        **dict.fromkeys(("retrydelay", "retrydelayseconds"), "set retry.interval_seconds"),
        **dict.fromkeys(
            ("timeout", "executiontimeout", "executiontimeoutseconds"), "set timeout_seconds"
        ),
        **dict.fromkeys(("drivingentityids", "expectations", "usewatermark"), _FIELD),
    },
}


def word_problems(kind: Kind, tags: Mapping[str, Any], own_provider: bool = False) -> Iterator[str]:
    """Yield what is wrong with the names of tags that seem to be meant for this package.

    What ``provider.*`` an entity may have depends on its type, and ``interval.*`` on its inputs;
    :mod:`~kindling_airflow.tags.storage_types` and
    :mod:`~kindling_airflow.tags.interval_checks` look at them.

    Args:
        kind: what has the tags.
        tags: the tags.
        own_provider: whether they are of an entity whose type comes from elsewhere: its provider
            may read any tag.
    """
    plain = _PLAIN[kind]
    if plain.issuperset(tags):
        return  # as nearly always
    for key in tags:
        if key not in plain and (text := _problem(kind, key, own_provider)):
            yield text


def likely_tag(kind: Kind, key: str) -> str | None:
    """Return the known tag that an unknown one was likely meant to be, or None.

    >>> likely_tag("pipe", "retry_atempts"), likely_tag("pipe", "layer")
    ('retry.attempts', None)
    """
    return _nearest(_bare(key), _BARE[kind])


@lru_cache(maxsize=4096)
def _problem(kind: Kind, key: str, own_provider: bool) -> str | None:
    """Return what is wrong with a tag's name, or None; a plan may have 100,000 tags of one name."""
    if key.startswith((FREE, "interval.", *_FAMILIES[kind])) and key not in _FAMILIES[kind]:
        return None
    if kind == "entity" and key.startswith("provider."):
        return None
    other: Kind = "pipe" if kind == "entity" else "entity"
    if key in _PLAIN[other] or key.startswith(_FAMILIES[other]):
        if key in _ON_BOTH:
            return None
        whose = "entities" if other == "entity" else "pipes"
        where = "the entity that the pipe reads or writes" if kind == "pipe" else "the pipe"
        return f"tag {key!r} is for {whose} and has no effect here\n  Fix: set it on {where}."
    text = _elsewhere(kind, key) or _misspelt(kind, other, key, own_provider)
    if text is None:
        return None
    return f"unknown tag {key!r}{text}, or name it '{FREE}{key}' if it is for your own readers."


def _elsewhere(kind: Kind, key: str) -> str | None:
    """Return what to write for a word of another place, or None."""
    remedy = _ELSEWHERE[kind].get(_bare(key))
    for namespace, framework_remedy in _FRAMEWORKS.items():
        if key.casefold().startswith(namespace):
            remedy = framework_remedy + (_AT_THE_ENTITY if kind == "pipe" else "")
    return None if remedy is None else f", which has no effect\n  Fix: {remedy}"


def _misspelt(kind: Kind, other: Kind, key: str, own_provider: bool) -> str | None:
    """Return what a word was likely meant to be, or what its namespace has; None for a free one."""
    nearest = likely_tag(kind, key) or likely_tag(other, key)
    if nearest is not None and not (own_provider and nearest.startswith("provider.")):
        return f". Did you mean {nearest!r}?\n  Fix: correct it"
    first, dot, _ = key.casefold().partition(".")
    if not dot or first not in _NAMESPACES:
        return None
    known = [tag.text() for tag in KNOWN_TAGS if tag.name.startswith(f"{first}.")]
    return f". Known tags: {', '.join(known)}.\n  Fix: correct it"


def _bare(name: str) -> str:
    """Return a name without what separates its words, in lower case.

    >>> _bare("Retry-Attempts"), _bare("retryAttempts")
    ('retryattempts', 'retryattempts')
    """
    return _SEPARATORS.sub("", name).casefold()


def _nearest(bare: str, known: Mapping[str, str]) -> str | None:
    """Return the known name that was likely meant, or None."""
    if bare in known:
        return known[bare]
    near = [(_distance(bare, name, _allowed(name)), name) for name in known]
    fitting = [
        (d, name)
        for d, name in near
        if d <= _allowed(name) and not (len(name) < _SHORT and len(bare) > len(name))
    ]
    return known[min(fitting)[1]] if fitting else None


def _allowed(name: str) -> int:
    return 2 if len(name) >= _LONG else 1


def _distance(one: str, other: str, most: int) -> int:
    """Return how many letters to add, drop, change or swap, counted up to one more than ``most``.

    >>> _distance("duration_hnt", "duration_hint", 2), _distance("onwer", "owner", 2)
    (1, 1)
    >>> _distance("layer", "duration_hint", 2)
    3
    """
    if abs(len(one) - len(other)) > most:
        return most + 1
    before: list[int] = []
    row = list(range(len(other) + 1))
    for n, letter in enumerate(one, 1):
        older, before, row = before, row, [n]
        for m, theirs in enumerate(other, 1):
            cost = min(row[m - 1] + 1, before[m] + 1, before[m - 1] + (letter != theirs))
            if n > 1 and m > 1 and letter == other[m - 2] and one[n - 2] == theirs:
                cost = min(cost, older[m - 2] + 1)
            row.append(cost)
    return min(row[-1], most + 1)


def _named(kind: Kind, *, families: bool) -> Iterable[str]:
    return (tag.name for tag in KNOWN_TAGS if tag.of == kind and tag.name.endswith(".") is families)


_KINDS: tuple[Kind, ...] = ("entity", "pipe")
_PLAIN = {kind: frozenset(_named(kind, families=False)) for kind in _KINDS}
_FAMILIES = {kind: tuple(_named(kind, families=True)) for kind in _KINDS}
_BARE = {kind: {_bare(name): name for name in sorted(_PLAIN[kind])} for kind in _KINDS}
