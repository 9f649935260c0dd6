"""What the driver itself reads in CSV files: headers, and quotes that Spark refuses."""

from __future__ import annotations

import csv

import pytest

from kindling_airflow.runner.providers.files.csv_header import header_of, header_problems
from kindling_airflow.runner.providers.files.csv_problems import has_stray_quote
from kindling_airflow.runner.providers.parquet.foreign import widens


@pytest.mark.parametrize(
    ("start", "options", "names"),
    [
        (b"id,name\n1,x", {}, ["id", "name"]),
        (b'\xef\xbb\xbf\r\n\r\nid;"full;name"\r\n1;x', {"sep": ";"}, ["id", "full;name"]),
        (b"id\tname", {"delimiter": "\\t"}, ["id", "name"]),
        (b"id, name \n", {}, ["id", " name "]),
        (b"id, name \n", {"ignoreLeadingWhiteSpace": "true"}, ["id", "name "]),
        (b"id, name \n", {"ignoreTrailingWhiteSpace": "true"}, ["id", " name"]),
        ("größe,x\n".encode("latin-1"), {"encoding": "ISO-8859-1"}, ["größe", "x"]),
        ("größe,x\n".encode("utf-16"), {"encoding": "UTF-16"}, ["größe", "x"]),
        (b'"a",b', {"quote": ""}, ['"a"', "b"]),
        (b'"two\nlines",b', {"multiLine": "true"}, ["two\nlines", "b"]),
        (b"", {}, []),
        (b" \n", {}, []),
        (b"id::name", {"sep": "::"}, None),
        (b"#x\nid", {"comment": "#"}, None),
    ],
)
def test_a_header(start: bytes, options: dict[str, str], names: list[str] | None) -> None:
    assert header_of(start, options) == names


def test_headers_are_compared_by_name_then_by_order() -> None:
    assert header_problems(["id", "name"], ["ID", "Name"]) == []
    assert header_problems(["id", "name"], ["name", "id"]) == [
        "column 1 is 'name', declared as 'id'",
        "column 2 is 'id', declared as 'name'",
    ]
    assert header_problems(["id", "name"], ["id", "title"]) == [
        "column 'name' is missing",
        "column 'title' is not declared",
    ]
    assert header_problems(["id"], ["id", "x"], declares=False) == ["column 'x' is not there"]
    assert header_problems(["id"], ["id", "id"]) == ["column 2 is 'id', declared as ''"]


@pytest.mark.parametrize("line", ['1,"a b"', '"a, b",2', '"a" ,2', '5" disk,x', "", ",,", '1,""'])
def test_lines_that_both_ways_of_escaping_read_alike(line: str) -> None:
    assert not has_stray_quote(line, ",", '"', "\\")
    assert not has_stray_quote(line, ",", '"', '"')


def test_a_quote_within_quotes_is_one_of_its_dialect() -> None:
    doubled, backslashed = 'x,"say ""hi"" !"', 'x,"say \\"hi\\" !"'
    assert next(csv.reader([doubled])) == ["x", 'say "hi" !']
    assert not has_stray_quote(doubled, ",", '"', '"')
    assert has_stray_quote(doubled, ",", '"', "\\")
    assert not has_stray_quote(backslashed, ",", '"', "\\")
    assert has_stray_quote(backslashed, ",", '"', '"')


@pytest.mark.parametrize(
    ("stored", "declared", "does"),
    [
        ("int", "bigint", True),
        ("bigint", "int", False),
        ("smallint", "double", True),
        ("bigint", "double", False),
        ("float", "double", True),
        ("double", "float", False),
        ("int", "decimal(10,0)", True),
        ("int", "decimal(10,2)", False),
        ("bigint", "decimal(20,0)", True),
        ("decimal(10,2)", "decimal(12,2)", True),
        ("decimal(10,2)", "decimal(10,3)", False),
        ("decimal(10,2)", "decimal(9,2)", False),
        ("string", "decimal(10,0)", False),
        ("string", "string", True),
        ("string", "binary", False),
        ("date", "timestamp", False),
    ],
)
def test_a_type_is_applied_where_it_holds_all_values(
    stored: str, declared: str, does: bool
) -> None:
    assert widens(stored, declared) is does
