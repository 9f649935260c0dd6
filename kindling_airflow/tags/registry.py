"""Every tag that means something to this package: one row each.

The tables of ``docs/tags.md``, the completion of editors (``settings.schema.json``) and the words
that are refused because they look like a tag all follow from these rows, and so do the checks of
values that need nothing but the value.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal

from kindling_airflow.data_pipes.expectations import EXAMPLES_TAG, MOST_EXAMPLES, ON_VIOLATION_TAG
from kindling_airflow.data_pipes.sql_inputs import CHECK_TAG
from kindling_airflow.tags import names as n
from kindling_airflow.tags.intervals import LOOKBACK, READS, TIME_ZONE, WRITE_MODES
from kindling_airflow.tags.paths import is_catalog_name
from kindling_airflow.tags.values import (
    ANY,
    BOOLEAN,
    COUNT,
    DELAY,
    DURATION,
    FACTOR,
    FINITE,
    LIMIT,
    POSITIVE,
    SLOTS,
    TEXT,
    Value,
    choice,
    whole,
)

__all__ = [
    "REGISTRY",
    "TASK_TAGS",
    "Kind",
    "Tag",
    "read_task_tags",
    "tag_row",
    "value_problems",
]

Kind = Literal["entity", "pipe"]

TASK_TAGS = (
    *(n.ATTEMPTS_TAG, n.RETRY_INTERVAL_TAG, n.TIMEOUT_TAG),
    *(n.POOL_SLOTS_TAG, n.OWNER_TAG),
)
"""The tags that set how a pipe's task is run."""


@dataclass(frozen=True, slots=True)
class Tag:
    """One tag.

    Attributes:
        name: its name; of a family of tags their common prefix, which ends with a dot.
        value: what it may be.
        default: what holds without it, in Markdown.
        meaning: what it is for, in Markdown; the first sentence stands alone.
        of: what has it.
        section: the table of the documentation that it is in.
        types: the storage types for which the row holds; none for all.
    """

    name: str
    value: Value
    default: str
    meaning: str
    of: Kind
    section: str
    types: tuple[str, ...] = ()

    def text(self) -> str:
        """Return its name as messages have it: a family with a placeholder."""
        return f"{self.name}NAME" if self.name.endswith(".") else self.name


_Row = tuple[str, Value, str, str]


def _row(name: str, value: Value, default: str, meaning: str) -> _Row:
    return name, value, default, meaning


def _rows(of: Kind, section: str, *rows: _Row, types: tuple[str, ...] = ()) -> tuple[Tag, ...]:
    return tuple(Tag(*row, of, section, types) for row in rows)


_TEXT = Value("text", {"type": "string"})
_COLUMN = Value(
    "the name of a column", _TEXT.schema, lambda v: isinstance(v, str) and bool(v.strip())
)
_NAME = Value("a name, or a list of names", {"type": ["string", "array"]})
_TYPE = Value("a storage type", {"type": "string"})

REGISTRY: tuple[Tag, ...] = (
    *_rows(
        "entity",
        "entities",
        _row(
            n.PROVIDER_TYPE_TAG,
            _TYPE,
            "`parquet`",
            "How the entity is stored: {storage types}, or "
            "[a custom type](how-to/own-entity-provider.md).",
        ),
        _row(
            n.PATH_TAG,
            _TEXT,
            "the entity's id",
            "Path or URI of the data. Relative paths start at the warehouse and must not leave it "
            "(`..`). Absolute paths and URIs are taken as they are. For {types}.",
        ),
        _row(
            n.GRACE_TAG,
            DURATION,
            "`1d`",
            "How long files stay that a publish has taken out of the table, for readers that have "
            "begun, such as `12h`. Only where the table is published by a log, as on "
            "[object stores](how-to/object-stores.md). For {types}.",
        ),
        _row(
            n.EXTRA_COLUMNS_TAG,
            choice("fail", "ignore"),
            "`fail`",
            "What happens to stored columns that a declared `schema` does not have: `fail`, or "
            "`ignore` to leave them out. For {types}.",
        ),
        _row(
            n.NEW_COLUMNS_TAG,
            choice("fail", "add"),
            "`fail`",
            "What happens to columns of a result that the table does not have, where its other "
            "rows stay: `fail`, or `add`. For {types}.",
        ),
        _row(
            n.OPTION_TAGS,
            ANY,
            "",
            "Option `NAME` of Spark's reader; for `parquet` and `table` also of its writer. `true` "
            "and `false` may be booleans. Takes precedence over the defaults below.",
        ),
        _row(
            n.WRITE_MODE_TAG,
            choice(*WRITE_MODES),
            "`overwrite`",
            "How the entity is written: `overwrite`, `overwrite_interval`, `append` or `merge`, if "
            "its type supports it. See [Run by run](how-to/intervals.md).",
        ),
        _row(
            n.COLUMN_TAG,
            _COLUMN,
            "the only partition column, with `overwrite_interval`",
            "The column that assigns a row to a slice.",
        ),
        _row(
            n.TIMEZONE_TAG,
            TIME_ZONE,
            "`UTC`",
            "The time zone of that column's days and texts, such as `Europe/Zurich`.",
        ),
        _row(
            n.SIZE_TAG,
            Value("a whole number of bytes", {"type": "number", "minimum": 0}),
            "unknown",
            "Approximate size of the entity in bytes, a whole number. Entities that several pipes "
            "read are cached by their size. See "
            "[Cache recommendations](strategies.md#cache-recommendations).",
        ),
    ),
    *_rows(
        "entity",
        "table",
        _row(
            n.TABLE_TAG,
            _NAME,
            "the entity's id",
            "`[catalog.][database.]table`, or a list of these names if one has a dot in it. Names "
            "are always quoted.",
        ),
        _row(
            n.PATH_TAG,
            _TEXT,
            "the entity's id",
            "The folder of the data, as above. Its path must not contain any of `[]{}*?\\`, which "
            "Spark takes for a pattern.",
        ),
        _row(
            n.FORMAT_TAG,
            choice("parquet", "orc"),
            "`parquet`",
            "The format of the files: `parquet` or `orc`.",
        ),
        types=("table",),
    ),
    *_rows(
        "entity",
        "iceberg",
        _row(
            n.CATALOG_TAG,
            Value("the name of a catalog", _TEXT.schema, is_catalog_name),
            "the definition's `catalog`",
            "The catalog that has the table, under a name that follows from the entity's id: "
            "`silver.orders` in the catalog `lake` is `lake.silver.orders`.",
        ),
        _row(
            n.TABLE_TAG,
            _NAME,
            "",
            "`catalog.database.table`, in place of a folder or of `provider.catalog`.",
        ),
        _row(
            n.CONNECTION_TAG,
            _TEXT,
            "the definition's `catalog`",
            "The Airflow connection with the address of the catalog and the account.",
        ),
        types=("iceberg",),
    ),
    *_rows(
        "entity",
        "jdbc",
        _row(
            n.CONNECTION_TAG,
            _TEXT,
            "",
            "The Airflow connection with the address of the database and the account.",
        ),
        _row(
            n.URL_TAG,
            _TEXT,
            "from the connection",
            "The JDBC URL. Without user and password: these come from a connection alone.",
        ),
        _row(n.TABLE_TAG, _TEXT, "", "The table that is read."),
        _row(n.QUERY_TAG, _TEXT, "", "A query in place of a table; the database executes it."),
        _row(
            n.DRIVER_TAG,
            _TEXT,
            "by the URL",
            "The driver's class. Known for PostgreSQL, MySQL, MariaDB, SQL Server, Oracle, Db2 and "
            "SQLite. Its jar belongs in `spark.jars`.",
        ),
        types=("jdbc",),
    ),
    *_rows(
        "entity",
        "files",
        _row(
            n.MALFORMED_TAG,
            choice("fail", "aside"),
            "`fail`",
            "What happens to records that cannot be read: `fail` fails the run with file and line; "
            "`aside` leaves them out, counts them in the note of the run, and keeps them with file "
            "and reason as JSON lines in `_kindling/malformed/<entity>/<task instance>` beneath "
            "the warehouse. `aside` is for batch pipes.",
        ),
        types=("csv", "json"),
    ),
    *_rows(
        "entity",
        "kafka",
        _row(
            n.CONNECTION_TAG,
            _TEXT,
            "",
            "The Airflow connection with the addresses of the brokers and the login.",
        ),
        _row(
            n.SERVERS_TAG,
            Value("hosts with ports", {"type": "string"}),
            "from the connection",
            "`host:9092,other:9092`; sufficient where no login is needed.",
        ),
        _row(
            n.TOPIC_TAG, Value("the name of a topic", _TEXT.schema), "the entity's id", "The topic."
        ),
        _row(
            n.PARTITIONS_TAG,
            Value("a whole number of at least 1", {"type": "integer", "minimum": 1}, SLOTS.fits),
            "the brokers' default",
            "The number of partitions with which the topic is created if it does not exist.",
        ),
        _row(
            n.VALUE_FORMAT_TAG,
            choice("json", "raw"),
            "`json` with a declared schema, else `raw`",
            "The format of the values; see below.",
        ),
        _row(
            n.MALFORMED_TAG,
            choice("fail", "drop", "keep"),
            "`fail`",
            "`json` alone: what happens to values that are not as declared (another type, a key in "
            "other case, not UTF-8, more than one value): `fail`, `drop`, `keep`.",
        ),
        _row(
            n.KEY_TAG,
            _TEXT,
            "no key",
            "`json` alone: the column whose text becomes the record's key.",
        ),
        types=("kafka",),
    ),
    *_rows(
        "pipe",
        "pipes",
        _row(
            n.DURATION_TAG,
            POSITIVE,
            "1",
            "Approximate duration of the pipe in seconds, a positive number. Only the ratios "
            "matter: when slots are scarce, the pipe with the longest remaining path starts first. "
            "See [Pools and width](how-to/pools-and-width.md).",
        ),
        _row(
            n.READ_TAG,
            choice(*READS),
            "`all`",
            "How much is read of inputs that have an `interval.column`: `all`, the `slice` of the "
            "run's interval, or `lookback`. See [Run by run](how-to/intervals.md).",
        ),
        _row(n.READ_TAGS, choice(*READS), "`interval.read`", "The same for one input, by its id."),
        _row(
            n.LOOKBACK_TAG,
            LOOKBACK,
            "",
            "How far before its interval a run reads, such as `2d`: a number of `m`, `h`, `d` or "
            "`w`. Makes `lookback` the default of `interval.read`.",
        ),
        _row(
            n.ON_EMPTY_TAG,
            choice("run", "skip"),
            "`run`",
            "What a run does if all driving inputs exist and are empty: `run` (the result, perhaps "
            "without a row, is published), or `skip` (the output stays as it was). See "
            "[below](#empty-inputs).",
        ),
        _row(
            CHECK_TAG,
            BOOLEAN,
            "`True`",
            "`False` for a [query](how-to/sql-pipes.md) that Spark accepts and the parser does "
            "not: it is not parsed when the plan is compiled, and its inputs have to be named.",
        ),
        _row(
            n.MODE_TAG,
            choice("batch", "streaming", folded=True),
            "`batch`",
            "`streaming` if the pipe runs without end; its query has [its own tags](#streams). "
            "The strategies `config_based` and `hybrid` read it. See "
            "[Execution strategies](strategies.md).",
        ),
        _row(
            n.PRIORITY_TAG,
            FINITE,
            "0",
            "Urgency of the pipe, a number; larger is more urgent. The strategy `priority` reads "
            "it. See [Execution strategies](strategies.md#priority-urgent-pipes-first).",
        ),
        _row(
            n.ATTEMPTS_TAG,
            COUNT,
            "0",
            "How often a failed pipe is retried: as a task, and in an "
            "[execution in one process](execution.md#options).",
        ),
        _row(n.RETRY_INTERVAL_TAG, DELAY, "30", "How many seconds to wait before each retry."),
        _row(n.TIMEOUT_TAG, LIMIT, "no limit", "How many seconds one attempt may take."),
        _row(n.POOL_SLOTS_TAG, SLOTS, "1", "How many slots of its pool the pipe's task takes."),
        _row(n.OWNER_TAG, TEXT, "", "Owner of the pipe's task."),
        _row(
            ON_VIOLATION_TAG,
            choice("fail", "warn"),
            "as declared",
            "`fail` or `warn`: what [expectations](how-to/quality-checks.md) that are not met do "
            "in this deployment, in place of the declared `fail` or `warn`.",
        ),
        _row(
            EXAMPLES_TAG,
            whole(0, MOST_EXAMPLES),
            "0",
            f"How many violating rows the error of a failed expectation quotes, up to "
            f"{MOST_EXAMPLES}. Logs have other readers than tables.",
        ),
    ),
    *_rows(
        "pipe",
        "unusual",
        _row(
            n.UNUSUAL_ROWS_TAG,
            choice("off", "warn", "fail"),
            "`warn`",
            "What happens if a run writes unusually many or few rows: nothing (`off`), a warning "
            "in the task's log and in the report (`warn`), or the run fails and nothing is "
            "published (`fail`).",
        ),
        _row(
            n.UNUSUAL_DURATION_TAG,
            choice("off", "warn", "fail"),
            "`warn`",
            "The same for a run that takes unusually long. `fail` is decided when the result is "
            "staged: a slow run is not published, and is retried.",
        ),
        _row(
            n.UNUSUAL_DEVIATIONS_TAG,
            FACTOR,
            "6",
            "How many standard deviations from the median are usual. A standard deviation is "
            "estimated as 1.4826 times the median absolute deviation.",
        ),
        _row(
            n.UNUSUAL_SHARE_TAG,
            FACTOR,
            "0.5",
            "Which part of the median is usual in any case: with `0.5`, half of the usual rows to "
            "one and a half times as many. Durations may also always differ by 10 seconds.",
        ),
        _row(
            n.UNUSUAL_RUNS_TAG,
            whole(3, 50),
            "20",
            "How many of the last successful runs a run is compared with.",
        ),
        _row(
            n.UNUSUAL_LEAST_TAG,
            whole(3, 50),
            "5",
            "How many runs there have to be. With fewer, no run is unusual.",
        ),
    ),
    *_rows(
        "pipe",
        "streams",
        _row(
            n.TRIGGER_TAG,
            Value("a trigger", {"type": "string"}),
            "`default`",
            "When the query takes its next batch: as soon as the previous one has ended "
            "(`default`), at an interval (`10s`), once for all available data (`available_now`), "
            "or row by row with a checkpoint at an interval (`continuous 1s`; Spark then reports "
            "[neither progress nor lag](how-to/kafka.md#row-by-row)). With "
            "[`lifetime: available_now`](definition.md#streams) every stream takes the available "
            "data, whatever its tag is.",
        ),
        _row(
            n.OUTPUT_MODE_TAG,
            Value("an output mode", {"enum": ["append", "update", "complete"]}),
            "`append`",
            "What of a batch's result is written: new rows (`append`), changed rows, which replace "
            "those with the same `merge_columns` (`update`), or the whole result in place of the "
            "table (`complete`).",
        ),
        _row(
            n.WATERMARK_TAG,
            Value("a column and a duration", {"type": "string"}),
            "",
            "How late rows of the driving input may be, by which column: `event_time 10m`.",
        ),
        _row(
            n.CHECKPOINT_TAG,
            Value("a path", _TEXT.schema),
            "the pipe's id",
            "Path of the query's checkpoint: relative to the root of checkpoints, absolute, or a "
            "URI. No two streams share one.",
        ),
        _row(
            n.OFFSETS_TAG,
            Value("an offset", {"type": ["string", "integer"]}),
            "the reader's",
            "Where a query without a checkpoint begins. For `kafka`: `earliest`, `latest`, or "
            "JSON. For `delta`: `earliest`, `latest`, a version or a timestamp. For `iceberg`: a "
            "timestamp.",
        ),
        _row(
            n.STREAM_OPTION_TAGS,
            ANY,
            "",
            "Option `NAME` of the driving input's reader, such as `maxFilesPerTrigger`.",
        ),
        _row(
            n.READY_TIMEOUT_TAG,
            DURATION,
            "`10m`",
            "How long the stream may take from its start until it is ready, on Airflow and "
            "[in one process](execution.md#streams).",
        ),
        _row(
            n.DRAIN_TIMEOUT_TAG,
            DURATION,
            "`5m`",
            "How long it may take to process the available data when it is to stop, or to become "
            "ready if it is not by then.",
        ),
        _row(
            n.SILENCE_TIMEOUT_TAG,
            DURATION,
            "`3m`",
            "How long the stream's driver may report nothing: it reports its state every two "
            "seconds, and one that is silent for longer is killed and retried. At least `10s`; "
            "`0s` for never. Until its first report `stream.ready_timeout` holds instead: the "
            "driver may have to wait for its turn on a cluster.",
        ),
        _row(
            n.STALL_TIMEOUT_TAG,
            DURATION,
            "`10m`",
            "How long the stream may make no progress, although its source has more data or does "
            "not answer, before it counts as stalled; `0s` for never. Not with a continuous "
            "trigger, of which no stall can be seen.",
        ),
    ),
)


@lru_cache(maxsize=256)
def tag_row(of: Kind, name: str, storage_type: str = "") -> Tag:
    """Return the row of a tag: of an entity's, the one for its storage type, if there is one.

    Raises:
        LookupError: no such tag.
    """
    rows = [row for row in REGISTRY if row.of == of and row.name == name]
    own = [row for row in rows if storage_type in row.types]
    return (own or [row for row in rows if not row.types] or rows)[0]


def value_problems(
    of: Kind, tags: Mapping[str, Any], names: Iterable[str], storage_type: str = ""
) -> list[str]:
    """Return what is wrong with the values of some tags, each by itself.

    >>> value_problems("pipe", {"on_empty_input": "skip", "layer": "gold"}, ["on_empty_input"])
    []
    """
    return [
        problem
        for name in names
        if name in tags
        for problem in tag_row(of, name, storage_type).value.problems(f"tag {name}", tags[name])
    ]


def read_task_tags(tags: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """Return the tags of a pipe that set how its task is run, and what is wrong with them.

    Numbers may be written as text, and a tag may be null: then the default holds.

    >>> read_task_tags({"retry.attempts": "2", "layer": "gold"})
    ({'retry.attempts': 2}, [])
    >>> read_task_tags({"pool_slots": 0})[1]
    ['tag pool_slots must be a whole number of at least 1, not 0']
    """
    rows = [tag_row("pipe", name) for name in TASK_TAGS if name in tags]
    found = {row.name: row.value.read(tags[row.name]) for row in rows}
    problems = [
        problem
        for row in rows
        if found[row.name] is not None
        for problem in row.value.problems(f"tag {row.name}", found[row.name])
    ]
    return found, problems
