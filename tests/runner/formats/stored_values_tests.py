"""What goes into a table comes out of it, or is refused: generated values, types and names.

Each example is a table with a column of every type that the format has, in it and inside of other
types, and with partition columns of some of them. It is written in one time zone and read in
another. ``KINDLING_STORED_EXAMPLES`` says how many columns are generated for each format.
"""

from __future__ import annotations

import itertools
import json
import os
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import date, datetime, timezone
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from pyspark.errors import StreamingQueryException

from kindling_airflow.errors import PipeRunError
from kindling_airflow.runner.providers.contract import Case
from kindling_airflow.runner.providers.interface import StreamWrite, Write
from kindling_airflow.runner.providers.memory_tables import MemoryTables
from kindling_airflow.runner.providers.publishing.storable_columns import refusals_of
from kindling_airflow.tags.intervals import IntervalSlice
from kindling_airflow.tags.stream_settings import StreamTrigger
from tests.runner.formats.stored_values import KINDS, Kind, folder_problem, hostile_names

_ROWS = 5
_PARTS = 3
_NOT_AS_DATA = {
    "delta": ("INTERVAL",),
    "iceberg": ("INTERVAL", "VARIANT"),
    "memory": (),
    "parquet": (),
    "table": (),
}
_NOT_AS_PARTITION = {
    "delta": ("BINARY", "INTERVAL", "VARIANT"),
    "iceberg": ("INTERVAL", "VARIANT"),
    "memory": (),
    "parquet": ("BINARY", "VARIANT"),
    "table": ("BINARY", "VARIANT"),
}
_NOT_IN_DELTAS_NAMES = " ,;{}()\n\t="
_PLAIN = re.compile(r"[A-Za-z_]\w*", re.ASCII)
_MODES = {
    "delta": ("overwrite", "overwrite_interval", "append", "merge"),
    "iceberg": ("overwrite", "overwrite_interval", "append", "merge"),
    "memory": ("overwrite",),
    "parquet": ("overwrite", "overwrite_interval", "append"),
    "table": ("overwrite",),
}
_COLUMNS = len(KINDS) + _PARTS
_EXAMPLES = int(os.environ.get("KINDLING_STORED_EXAMPLES", "160"))
_DAYS = (date(2020, 3, 29), date(2020, 3, 30))
_numbers = itertools.count()


@dataclass(frozen=True)
class Column:
    """A column of generated values, by row; None where a row has none."""

    name: str
    kind: Kind
    texts: tuple[str | None, ...]


@dataclass(frozen=True)
class Table:
    columns: tuple[Column, ...]
    parts: tuple[str, ...]

    def rows(self, keep: list[int]) -> Table:
        columns = (replace(c, texts=tuple(c.texts[n] for n in keep)) for c in self.columns)
        return replace(self, columns=tuple(columns))


def _can(kind: Kind, refused: tuple[str, ...]) -> bool:
    return not kind.name.startswith(refused or ("-",))


def _fits(fmt: str, mode: str, name: str, *, is_part: bool) -> bool:
    if fmt == "delta" and set(name) & set(_NOT_IN_DELTAS_NAMES):
        return False
    if fmt == "delta" and mode == "merge" and "`" in name:
        return False
    if fmt == "iceberg" and is_part and not _PLAIN.fullmatch(name):
        return False
    hidden = name.startswith(".") and fmt in ("parquet", "table")
    return not is_part or (name == name.strip() and name != "" and not hidden)


@st.composite
def tables(draw: Any, fmt: str, mode: str) -> Table:
    data = [kind for kind in KINDS if _can(kind, _NOT_AS_DATA[fmt])]
    able = [kind for kind in KINDS if _can(kind, _NOT_AS_PARTITION[fmt])]
    parts = draw(st.lists(st.sampled_from(able), min_size=_PARTS, max_size=_PARTS))
    kinds = [(kind, False) for kind in data] + [(kind, True) for kind in parts]
    names = draw(hostile_names(len(kinds)))
    columns, part_names = [], []
    for n, (name, (kind, is_part)) in enumerate(zip(names, kinds, strict=True)):
        fitting = name if _fits(fmt, mode, name, is_part=is_part) else f"c{n}"
        values = st.none() | kind.values if draw(st.booleans()) else kind.values
        texts = draw(st.lists(values, min_size=_ROWS, max_size=_ROWS))
        columns.append(Column(fitting, kind, tuple(texts)))
        if is_part:
            part_names.append(fitting)
    order = draw(st.permutations(range(len(columns))))
    return Table(tuple(columns[n] for n in order), tuple(part_names))


def _quoted(name: str) -> str:
    return "`" + name.replace("`", "``") + "`"


def _nested(kind: Kind) -> Kind:
    """Return a value inside of an array, a map and a struct."""
    inside = "{}.m[''][0]"
    made = f"named_struct('m', map('', array({kind.made}, NULL)))"
    return replace(kind, made=made, shown=kind.shown.replace("{}", inside))


def _filled(sql: str, column: str) -> str:
    return sql.replace("{}", column)


class Bench:
    """One entity, and the rows that it should have."""

    def __init__(self, spark: Any, folder: Path, fmt: str, table: Table, mode: str) -> None:
        self.spark, self.table, self.mode, self.fmt = spark, table, mode, fmt
        self.day = "slice_day" if fmt in ("delta", "iceberg") else "slice day"
        self.key = "the_id" if fmt == "delta" else "the id"
        self.parts = (*table.parts, *([self.day] if mode == "overwrite_interval" else []))
        self.case = Case(
            spark,
            str(folder),
            {"provider_type": fmt},
            entity_id=f"stored_{next(_numbers)}",
            memory=MemoryTables() if fmt in ("memory", "table") else None,
        )
        self.entity = self.case.entity(
            partition_columns=() if fmt == "memory" else self.parts, merge_columns=(self.key,)
        )

    def frame(self, table: Table, ids: list[int], days: list[date]) -> Any:
        """Return generated rows as Spark has them."""
        spark, number = self.spark, len(table.columns)
        spark.conf.set("spark.sql.session.timeZone", "Europe/Zurich")
        ddl = ", ".join(["id BIGINT", "day DATE", *(f"t{n} STRING" for n in range(number))])
        texts = list(zip(*(column.texts for column in table.columns), strict=True)) if ids else []
        rows = [(i, d, *t) for i, d, t in zip(ids, days, texts, strict=True)]
        given_ = spark.createDataFrame(rows, ddl)
        made = [f"id AS {_quoted(self.key)}"]
        for n, column in enumerate(table.columns):
            made.append(f"{_filled(column.kind.made, f't{n}')} AS {_quoted(column.name)}")
            if column.name not in table.parts:
                nested = _filled(_nested(column.kind).made, f"t{n}")
                made.append(f"{nested} AS nested_{n}")
        made.append(f"day AS {_quoted(self.day)}")
        return given_.selectExpr(*made)

    def publish(self, frame: Any, instance: str, mode: str, part: Any = None) -> None:
        provider = self.case.provider(self.entity)
        write = Write(instance, f"a{next(_numbers)}", mode, part)  # type: ignore[arg-type]
        provider.publish(self.entity, provider.stage(self.entity, frame, write), write)

    def stored(self, table: Table, columns: list[str]) -> dict[int, list[Any]]:
        """Return what is read, by row, as texts."""
        self.spark.conf.set("spark.sql.session.timeZone", "America/St_Johns")
        found = self.case.provider(self.entity).read(self.entity)
        assert found.columns == columns
        positions = iter(range(1, len(columns)))
        shown = ["p0"]
        for column in table.columns:
            shown.append(_filled(column.kind.shown, f"p{next(positions)}"))
            if column.name not in table.parts:
                shown.append(_filled(_nested(column.kind).shown, f"p{next(positions)}"))
        named = found.toDF(*(f"p{n}" for n in range(len(columns))))
        rows = named.selectExpr(*(f"{sql} AS s{n}" for n, sql in enumerate(shown))).collect()
        assert len({row[0] for row in rows}) == len(rows)
        return {row[0]: list(row[1:]) for row in rows}

    def compare(self, expected: dict[int, tuple[Table, int]], columns: list[str]) -> None:
        found = self.stored(self.table, columns)
        assert found.keys() == expected.keys()
        wrong = []
        for key, (table, n) in expected.items():
            values = iter(found[key])
            for column in table.columns:
                text = column.texts[n]
                for where in ("itself", "inside")[: 1 + (column.name not in table.parts)]:
                    shown = next(values)
                    seen = None if shown is None else column.kind.seen(shown)
                    wanted = None if text is None else column.kind.wanted(text)
                    if seen != wanted and not (column.kind.name == "VARIANT" and wanted is None):
                        part = " (partition)" * (column.name in table.parts)
                        wrong.append((column.kind.name + part, column.name, where, text, shown))
        assert not wrong, wrong[:10]


def _unstorable(bench: Bench, table: Table) -> tuple[Counter[str], set[int]]:
    """Return how many values of which column cannot be stored, and the rows that have them."""
    counts: Counter[str] = Counter()
    rows = set()
    for column in table.columns:
        for n, text in enumerate(column.texts):
            if column.name not in bench.entity.partition_columns or text is None:
                continue
            if folder_problem(bench.fmt, column.name, column.kind.name, text):
                counts[column.name] += 1
                rows.add(n)
    return counts, rows


def _checked(bench: Bench, table: Table, write: Any) -> list[int]:
    """Let a result with values that the format would change be refused; return the other rows."""
    counts, bad = _unstorable(bench, table)
    if bad:
        with pytest.raises(PipeRunError) as refused:
            write(table, list(range(_ROWS)))
        lines = str(refused.value).splitlines()
        for name, rows in counts.items():
            told = [line for line in lines if line.startswith(f"  - column {name!r}: ")]
            numbers = [int(line.rpartition("(")[2].split()[0]) for line in told]
            assert sum(numbers) == rows, (name, rows, lines)
    return [n for n in range(_ROWS) if n not in bad]


def _round_trip(spark: Any, folder: Path, fmt: str, table: Table, mode: str) -> None:
    bench = Bench(spark, folder, fmt, table, mode)
    days = [_DAYS[n % 2] for n in range(_ROWS)]

    def written(table: Table, ids: list[int], instance: str, part: Any = None) -> list[str]:
        frame = bench.frame(table, ids, [days[n] for n in ids])
        bench.publish(frame, instance, mode, part)
        return list(frame.columns)

    kept = _checked(bench, table, lambda rows, ids: written(rows, ids, "refused"))
    expected = {n: (table, n) for n in kept}
    if mode == "overwrite":
        columns = written(table.rows(kept), kept, "one")
    elif mode == "append":
        written(table.rows(kept[::2]), kept[::2], "one")
        columns = written(table.rows(kept[1::2]), kept[1::2], "two")
    elif mode == "overwrite_interval":
        written(table.rows(kept), kept, "one")
        again = [n for n in kept if days[n] == _DAYS[1]]
        start, end = (datetime(2020, 3, day, tzinfo=timezone.utc) for day in (30, 31))
        part = IntervalSlice(bench.day, start, end)
        columns = written(table.rows(again[:1]), again[:1], "two", part)
        expected = {n: row for n, row in expected.items() if n not in again[1:]}
    else:
        written(table.rows(kept[:3]), kept[:3], "one")
        moved = kept[1:] + kept[:1]  # each key gets the values of the next row
        columns = written(table.rows(moved), kept, "two")
        expected = {n: (table, m) for n, m in zip(kept, moved, strict=True)}
    bench.compare(expected, columns)


def _cases(kind: str) -> list[tuple[str, str]]:
    formats = (kind, "memory", "table") if kind == "parquet" else (kind,)
    return [(fmt, mode) for fmt in formats for mode in _MODES[fmt]]


_CASES = _cases(os.environ.get("KINDLING_TEST_FORMAT", "parquet"))
_TABLES = -(-_EXAMPLES // (_COLUMNS * len(_CASES)))


@pytest.fixture(autouse=True)
def _time_zone(spark: Any) -> Iterator[None]:
    yield
    spark.conf.set("spark.sql.session.timeZone", "UTC")


@pytest.mark.parametrize(("fmt", "mode"), _CASES)
def test_what_goes_in_comes_out_or_is_refused(
    fmt: str, mode: str, spark: Any, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("ware house")

    @settings(
        max_examples=_TABLES,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(table=tables(fmt, mode))
    def holds(table: Table) -> None:
        _round_trip(spark, folder, fmt, table, mode)

    holds()


_REFUSED = {
    "delta": {
        "make_ym_interval(1)": "column 'v' is of type INTERVAL YEAR TO MONTH",
        "array(make_dt_interval(1))": "column 'v[]' is of type INTERVAL DAY TO SECOND",
        "make_interval(1)": "column 'v' is of type INTERVAL",
        "array(NULL)": "column 'v[]' is of type VOID",
        "'a' COLLATE UTF8_LCASE": "column 'v' is of type STRING COLLATE UTF8_LCASE",
        "named_struct('a', 1, 'A', 2)": (
            "column 'v' has the field 'a' more than once, ignoring case"
        ),
        "named_struct('a b', 1)": "column 'v.a b' has ' ' in its name",
        "map('k', named_struct('a=', 1))": "column 'v.a=' has '=' in its name",
    },
    "iceberg": {
        "make_ym_interval(1)": "column 'v' is of type INTERVAL YEAR TO MONTH",
        "make_interval(1)": "column 'v' is of type INTERVAL",
        "NULL": "column 'v' is of type VOID",
        "named_struct('n', NULL)": "column 'v.n' is of type VOID",
        "parse_json('1')": "column 'v' is of type VARIANT",
        "'a' COLLATE UTF8_LCASE": "column 'v' is of type STRING COLLATE UTF8_LCASE",
    },
}
_REFUSED_AS_PARTITIONS = {
    "delta": ("X'41'", "array(1)", "parse_json('1')", "CAST(NULL AS VOID)"),
    "iceberg": ("array(1)", "named_struct('a', 1)"),
}


def test_what_a_format_cannot_have_is_refused_in_one_list(
    spark: Any, kind: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    case = Case(spark, str(tmp_path_factory.mktemp("refused")), {"provider_type": kind})
    for sql, problem in _REFUSED.get(kind, {}).items():
        with pytest.raises(PipeRunError) as refused:
            case.stage(case.entity(), spark.sql(f"SELECT 1 AS id, {sql} AS v"))
        assert str(refused.value) == (
            f"entity 'contract_orders': {kind} cannot store the result as it is\n"
            f"  - {problem}\n  Fix: cast, rename or remove these columns."
        )
    for sql in _REFUSED_AS_PARTITIONS.get(kind, ()):
        with pytest.raises(PipeRunError, match="  - partition column 'v' is of type "):
            case.stage(
                case.entity(partition_columns=("v",)), spark.sql(f"SELECT 1 AS id, {sql} AS v")
            )


def test_names_that_could_not_be_read_again_are_refused(
    spark: Any, kind: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    case = Case(spark, str(tmp_path_factory.mktemp("refused")), {"provider_type": kind})
    names = ["_tmp_metadata_row_index"]
    if kind == "iceberg":
        names += ["_deleted", "_file", "_last_updated_sequence_number", "_partition", "_pos"]
        names += ["_row_id", "_spec_id"]
    columns = ", ".join(f"1 AS {name}" for name in names)
    with pytest.raises(PipeRunError) as refused:
        case.stage(case.entity(), spark.sql(f"SELECT 1 AS id, {columns}"))
    told = str(refused.value).splitlines()[1:-1]
    assert [line.split("'")[1] for line in told] == names
    reserved = {"Spark", kind.title()}
    assert {line.rpartition(" reserved by ")[2] for line in told} <= reserved


def test_what_only_the_format_knows_is_an_error_of_the_package(
    spark: Any, kind: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    case = Case(spark, str(tmp_path_factory.mktemp("refused")), {"provider_type": kind})
    entity = case.entity()
    with (
        pytest.raises(PipeRunError, match=f"entity 'contract_orders': {kind} rejects the result: "),
        refusals_of(entity, kind),
    ):
        spark.sql("SELECT no_such_column")


def test_a_merge_takes_names_with_quotes(
    spark: Any, kind: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    if kind != "delta":  # parquet does not merge, and Iceberg never needed other quotes
        return
    case = Case(spark, str(tmp_path_factory.mktemp("merged")), {"provider_type": kind})
    entity = case.entity(merge_columns=("id",))
    case.publish(entity, spark.sql("SELECT 1 AS id, 2 AS `a``b`"))
    write = Write("1", "b", "merge")
    rows = spark.sql("SELECT * FROM VALUES (1, 3), (2, 4) AS t(id, `a``b`)")
    case.provider(entity).publish(entity, case.provider(entity).stage(entity, rows, write), write)
    assert sorted(map(tuple, case.provider(entity).read(entity).collect())) == [(1, 3), (2, 4)]


def test_a_stream_keeps_what_it_adds_or_fails(
    spark: Any, kind: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("stream")
    files = folder / "files"
    files.mkdir()
    case = Case(spark, str(folder / "house"), {"provider_type": kind})
    entity = case.entity(partition_columns=("code", "at"))
    provider: Any = case.provider(entity)

    def take(*texts: str) -> None:
        lines = [json.dumps({"id": n, "code": text, "s": 1603585800 + 3600 * n})
                 for n, text in enumerate(texts)]  # fmt: skip
        (files / f"{next(_numbers)}.json").write_text("\n".join(lines))
        rows = spark.readStream.schema("id INT, code STRING, s BIGINT").json(str(files))
        rows = rows.selectExpr("code", "id", "timestamp_seconds(s) AS at")
        write = StreamWrite("q", str(folder / "point"), trigger=StreamTrigger("available_now"))
        provider.start(entity, rows, write).awaitTermination()

    spark.conf.set("spark.sql.session.timeZone", "Europe/Zurich")
    if kind == "delta":  # whose sink would write local times, of which two instants have the same
        with pytest.raises(PipeRunError, match="as a local time of Europe/Zurich"):
            take("a/b")
        next(files.glob("*.json")).unlink()
        spark.conf.set("spark.sql.session.timeZone", "+01:00")
    take("a/b", "01")
    expected = [("01", 1, 1603589400), ("a/b", 0, 1603585800)]
    if kind == "iceberg":
        take("")
        expected.insert(0, ("", 0, 1603585800))
    else:
        with pytest.raises(StreamingQueryException, match="'', which would be read as NULL"):
            take("")
    spark.conf.set("spark.sql.session.timeZone", "Asia/Tokyo")
    read = provider.read(entity)
    assert read.columns == ["code", "id", "at"]
    seen = read.selectExpr("code", "id", "unix_seconds(at)").collect()
    assert sorted(map(tuple, seen)) == expected
