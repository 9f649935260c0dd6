"""Values of every Spark type: generated in Python, made in Spark, and looked at after a round trip.

A value travels to Spark as a text, and is compared as what :meth:`Kind.seen` makes of what comes
back; so neither years that Python's dates lack nor time zones come in between.
"""

from __future__ import annotations

import json
import struct
from base64 import b64encode
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any
from urllib.parse import quote_plus
from zoneinfo import ZoneInfo

from hypothesis import strategies as st

__all__ = ["KINDS", "TEXTS", "Kind", "folder_problem", "hostile_names"]

_DAY = 86_400_000_000
_YEAR = 366 * _DAY


@dataclass(frozen=True)
class Kind:
    """One of Spark's types.

    Attributes:
        name: as DDL has it.
        values: texts of its values.
        made: SQL that makes a value of the column ``{}`` of texts.
        shown: SQL that shows a value, so that equal values look the same in Python.
        seen: a value as it looks after it was shown.
    """

    name: str
    values: st.SearchStrategy[str]
    made: str
    shown: str = "CAST({} AS STRING)"
    seen: Callable[[Any], Any] = lambda shown: shown
    wanted: Callable[[str], Any] = lambda text: text


def _bits(value: Any) -> Any:
    number = float(value)
    return "nan" if number != number else struct.pack(">d", number).hex()


def _hex(value: bytes) -> str:
    return value.hex().upper()


def _integers(bits: int) -> st.SearchStrategy[str]:
    least, most = -(2 ** (bits - 1)), 2 ** (bits - 1) - 1
    return st.sampled_from([least, -1, 0, 1, most]).map(str) | st.integers(least, most).map(str)


def _floats(width: Any) -> st.SearchStrategy[str]:
    return st.floats(width=width).map(_java_text)


def _java_text(number: float) -> str:
    return {"inf": "Infinity", "-inf": "-Infinity", "nan": "NaN"}.get(repr(number), repr(number))


def _decimals(precision: int, scale: int) -> st.SearchStrategy[str]:
    def text(unscaled: int) -> str:
        digits = str(abs(unscaled)).rjust(scale + 1, "0")
        cut = len(digits) - scale
        return "-" * (unscaled < 0) + digits[:cut] + "." * (scale > 0) + digits[cut:]

    whole = 10**precision - 1
    return st.integers(-whole, whole).map(text)


_HOSTILE = "a0 /=%:#?*[]{}\\\"'^.,;()&+~$!@|<>`\n\t\r\x01\x7f\u0085é\u00a0ß\u200b\u2028😀"
TEXTS = [
    *("", " ", "a ", " a", "01234", "1e3", "null", "NULL", "NaN", "true", "2020-01-01", "-0", "+1"),
    *("__HIVE_DEFAULT_PARTITION__", "a._COPYING_", "._COPYING_", "_", ".", "..", "_x=1", "a=b/c"),
    *(
        "%00",
        "%2F",
        "a%",
        "\x00",
        "x\x00y",
        "x" * 250,
        "x" * 300,
        "/" * 90,
        "é" * 130,
        "ê",
        "e\u0302",
    ),
    *(
        "\\",
        "\\\\N",
        "\n",
        "\r\n",
        "'",
        '"',
        "`",
        "{}",
        "${x}",
        "日本",
        "\ufffd",
        "\ufeff",
        "I",
        "\u0131",
    ),
]
_texts = st.sampled_from(TEXTS) | st.text(alphabet=_HOSTILE, max_size=12) | st.text(max_size=8)
# The hours that changes of clocks repeat or leave out, the calendar's change, and far years.
_moments = st.sampled_from(
    [1603585800000000, 1603589400000001, 1585447200000000, -12219292800000000, -62135596800000000,
     253402300799999999, -1, 0]
) | st.integers(-2270 * _YEAR, 20_000 * _YEAR)  # fmt: skip

_keys = st.text(alphabet="abc é.", min_size=1, max_size=3)

KINDS = (
    Kind("STRING", _texts, "{}", "{}"),
    Kind(
        "BINARY",
        (st.binary(max_size=6) | st.sampled_from([b"/" * 9, b"\xff" * 200])).map(_hex),
        "unhex({})",
        "hex({})",
    ),
    Kind("BOOLEAN", st.sampled_from(["true", "false"]), "CAST({} AS BOOLEAN)"),
    Kind("TINYINT", _integers(8), "CAST({} AS TINYINT)"),
    Kind("SMALLINT", _integers(16), "CAST({} AS SMALLINT)"),
    Kind("INT", _integers(32), "CAST({} AS INT)"),
    Kind("BIGINT", _integers(64), "CAST({} AS BIGINT)"),
    Kind("FLOAT", _floats(32), "CAST({} AS FLOAT)", "CAST({} AS DOUBLE)", _bits, _bits),
    Kind("DOUBLE", _floats(64), "CAST({} AS DOUBLE)", "{}", _bits, _bits),
    Kind("DECIMAL(10,2)", _decimals(10, 2), "CAST({} AS DECIMAL(10,2))"),
    Kind("DECIMAL(38,0)", _decimals(38, 0), "CAST({} AS DECIMAL(38,0))"),
    Kind("DECIMAL(38,38)", _decimals(38, 38), "CAST({} AS DECIMAL(38,38))"),
    Kind(
        "DATE",
        _moments.map(lambda micros: str(micros // _DAY)),
        "date_from_unix_date(CAST({} AS INT))",
        "CAST(unix_date({}) AS STRING)",
    ),
    Kind(
        "TIMESTAMP",
        _moments.map(str),
        "timestamp_micros(CAST({} AS BIGINT))",
        "CAST(unix_micros({}) AS STRING)",
    ),
    Kind(
        "TIMESTAMP_NTZ",
        _moments.map(str),
        "timestampadd(MICROSECOND, CAST({} AS BIGINT), TIMESTAMP_NTZ'1970-01-01 00:00:00')",
        "CAST(timestampdiff(MICROSECOND, TIMESTAMP_NTZ'1970-01-01 00:00:00', {}) AS STRING)",
    ),
    Kind(
        "INTERVAL YEAR TO MONTH",
        st.integers(-(2**31), 2**31 - 1).map(str),
        "make_ym_interval(0, CAST({} AS INT))",
        "CAST(12L * extract(YEAR FROM {}) + extract(MONTH FROM {}) AS STRING)",
    ),
    Kind(
        "INTERVAL DAY TO SECOND",
        st.integers(-(10**17), 10**17).map(str),
        "make_dt_interval(0, 0, 0, CAST(CAST({} AS DECIMAL(18,0)) / 1000000 AS DECIMAL(18,6)))",
        "CAST(CAST(((extract(DAY FROM {}) * 24L + extract(HOUR FROM {})) * 60L"
        " + extract(MINUTE FROM {})) * 60L * 1000000L"
        " + extract(SECOND FROM {}) * 1000000 AS BIGINT) AS STRING)",
    ),
    Kind(
        "VARIANT",
        st.recursive(
            st.none() | st.booleans() | st.integers(-(2**40), 2**40) | st.text(max_size=4),
            lambda inner: st.lists(inner, max_size=2) | st.dictionaries(_keys, inner, max_size=2),
            max_leaves=4,
        ).map(json.dumps),
        "parse_json({})",
        "to_json({})",
        json.loads,
        json.loads,
    ),
)


def hostile_names(count: int) -> st.SearchStrategy[list[str]]:
    """Return names of columns, as different as names of one table have to be."""
    names = (
        st.sampled_from(
            ["_day", ".day", "_metadata", "a b", "a=b", "a/b", "a.b", "%41", "a`b", "..."]
        )
        | st.text(alphabet=_HOSTILE, min_size=1, max_size=8)
        | st.sampled_from(["SELECT", "İ", "ß", "column", "x" * 100, "_", ".", "`", "key", "value"])
    )
    return st.lists(names, min_size=count, max_size=count, unique_by=lambda name: name.lower())


def folder_problem(fmt: str, column: str, kind: str, text: str) -> str:
    """Return why a format cannot have a value in a partition column; "" if it can.

    Written from what file systems and the formats say, and not from the package's own rules.
    """
    if kind == "STRING" and fmt != "iceberg":
        if text in ("", "__HIVE_DEFAULT_PARTITION__"):
            return "NULL"
        if "\0" in text:
            return "NUL"
        if fmt in ("parquet", "table") and text.endswith("._COPYING_"):
            return "_COPYING_"
    if kind == "TIMESTAMP" and fmt == "delta":
        if int(text) < -62135596800000000:
            return "year 1"
        if _comes_second(int(text)):
            return "twice"
    if kind in ("STRING", "BINARY"):
        if fmt == "iceberg":
            shown = b64encode(bytes.fromhex(text)).decode() if kind == "BINARY" else text
            folder = f"{quote_plus(column)}={quote_plus(shown)}"
        else:
            folder = "=".join(
                "".join(f"%{ord(c):02X}" if c in _IN_HEX or c < " " else c for c in part)
                for part in (column, text)
            )
        if len(folder.encode()) > 255:
            return "255"
    return ""


_ZONE = ZoneInfo("Europe/Zurich")  # in which the tests write
_CYCLE = 12_622_780_800  # seconds in 400 years, after which clocks change on the same days


def _comes_second(micros: int) -> bool:
    """Return whether an instant's local time has been there before, because clocks went back."""
    seconds = micros // 1_000_000
    while seconds >= 253_402_300_800 - 86_400:  # datetime ends with year 9999
        seconds -= _CYCLE
    local = datetime.fromtimestamp(seconds, timezone.utc).astimezone(_ZONE)
    return local.fold == 1


_IN_HEX = "\"#%'*/:=?\\{[]^\x7f"
