"""What CSV and JSON files hold is what pipes get, or the run fails and names the file and line."""

from __future__ import annotations

import csv
import gzip
import io
import json
from pathlib import Path
from typing import Any

import pytest

from tests.runner import streams
from tests.runner.conftest import Project

pytestmark = pytest.mark.system


def files(project: Project, **texts: str | bytes) -> Path:
    """Write files into the folder of the source; ``__`` in a name is a dot, ``___`` a slash."""
    folder = project.warehouse / "src"
    for name, text in texts.items():
        path = folder / name.replace("___", "/").replace("__", ".")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return folder


def source(project: Project, kind: str, schema: str | None = None, **tags: Any) -> None:
    """Declare the source, and a pipe that copies it; ``option_X`` is a tag of Spark's reader."""
    named = {f"provider.{key.replace('option_', 'option.')}": value for key, value in tags.items()}
    project.entity("src", tags={"provider_type": kind, **named}, schema=schema)
    project.pipe("out", lambda src: src, "src")


def refusal(project: Project) -> str:
    """Return why the copy failed; it is not tried again."""
    report = project.run("out")
    assert (report.status, report.extra.get("permanent")) == ("failed", True), report
    assert report.error is not None
    return report.error.message


def copied(project: Project) -> list[tuple[Any, ...]]:
    report = project.run("out")
    assert report.error is None, report.error
    return project.rows("out")


def uri(project: Project, name: str) -> str:
    return repr((project.warehouse / "src" / name).as_uri())


SCHEMAS = pytest.mark.parametrize("schema", [None, "id INT, name STRING"], ids=["open", "typed"])


class TestColumnsBelongTogetherByName:
    @SCHEMAS
    def test_files_in_another_order_are_refused_by_name(
        self, project: Project, schema: str | None
    ) -> None:
        files(project, a__csv="id,name\n1,x\n", b__csv="name,id\ny,2\n")
        source(project, "csv", schema)
        text = refusal(project)
        assert f"the header of {uri(project, 'b.csv')} does not fit" in text
        assert "column 1 is 'name'" in text

    def test_the_error_of_files_without_a_schema_compares_them(self, project: Project) -> None:
        files(project, a__csv="id,name\n1,x\n", b__csv="name,id,more\ny,2,3\n", c__csv="id\n1\n")
        source(project, "csv")
        a, b, c = (uri(project, f"{n}.csv") for n in "abc")
        assert refusal(project) == (
            f"entity 'src': the header of {b} does not fit that of {a}\n"
            "  - column 'more' is not there\n"
            f"the header of {c} does not fit that of {a}\n"
            "  - column 'name' is missing\n"
            "  Fix: rewrite the files, or read them as a separate entity."
        )

    def test_names_that_are_written_otherwise_are_the_same(self, project: Project) -> None:
        files(
            project,
            a__csv="id,name\n1,x\n",
            b__csv='\ufeff"ID","Name"\r\n2,y',
            c__csv="",
            d__csv="id,name\n",
            e__csv__gz=gzip.compress(b"id,name\n3,z\n"),
        )
        source(project, "csv")
        assert copied(project) == [(1, "x"), (2, "y"), (3, "z")]

    def test_packed_files_and_other_separators_are_looked_at_as_well(
        self, project: Project
    ) -> None:
        files(project, a__csv="id\tname\n1\tx\n", b__csv__gz=gzip.compress(b"name\tid\ny\t2\n"))
        source(project, "csv", option_sep="\\t")
        assert f"the header of {uri(project, 'b.csv.gz')}" in refusal(project)

    def test_with_a_separator_of_two_characters_spark_looks(self, project: Project) -> None:
        files(project, a__csv="id::name\n1::x\n", b__csv="name::id\ny::2\n")
        source(project, "csv", option_sep="::")
        text = refusal(project)
        assert f"the header of {uri(project, 'b.csv')} does not fit its columns" in text

    @SCHEMAS
    def test_without_headers_the_position_counts_and_the_number_must_agree(
        self, project: Project, schema: str | None
    ) -> None:
        files(project, a__csv="1,x\n", b__csv="2,y\n")
        source(project, "csv", schema, option_header=False)
        assert copied(project) == [(1, "x"), (2, "y")]
        files(project, c__csv="3,z,9\n")
        text = refusal(project)  # of which file Spark takes the number of columns is its own choice
        assert "line 1 of 'file:" in text
        assert "does not fit the columns and types" in text

    def test_columns_without_a_name_are_named_by_spark(self, project: Project) -> None:
        files(project, a__csv=",a,a\n0,1,2\n", b__csv=",a,a\n1,3,4\n")
        source(project, "csv")
        project.declared.pipes.unregister_pipe("out")
        project.pipe("out", lambda src: src.toDF("n", "x", "y"), "src")
        assert copied(project) == [(0, 1, 2), (1, 3, 4)]

    def test_folders_name_columns_whose_types_are_declared(self, project: Project) -> None:
        files(
            project,
            **{
                "code=01234___a__csv": "id,name\n1,x\n",
                "code=7___b__csv": "id,name\n2,y\n",
            },
        )
        source(project, "csv", "code STRING, id INT, name STRING")
        assert copied(project) == [("01234", 1, "x"), ("7", 2, "y")]

    def test_a_pipe_that_takes_one_column_is_held_to_all(self, project: Project) -> None:
        files(project, a__csv="id,name\n1,x\n2\n")
        source(project, "csv")
        project.declared.pipes.unregister_pipe("out")
        project.pipe("out", lambda src: src.select("id"), "src")
        assert f"line 3 of {uri(project, 'a.csv')}" in refusal(project)
        project.declared.pipes.unregister_pipe("out")
        project.pipe("out", lambda src: src.groupBy().count(), "src")
        assert f"line 3 of {uri(project, 'a.csv')}" in refusal(project)


class TestEncodings:
    LATIN = "id,name\n1,x\n2,Zürich\n".encode("latin-1")

    @SCHEMAS
    @pytest.mark.parametrize("multi", [False, True])
    def test_csv_that_is_not_utf8_is_refused_with_its_line(
        self, project: Project, schema: str | None, multi: bool
    ) -> None:
        files(project, a__csv=self.LATIN)
        source(project, "csv", schema, option_multiLine=multi)
        assert refusal(project) == (
            "entity 'src': its files have records that cannot be read\n"
            f"  - line 3 of {uri(project, 'a.csv')} has bytes that are not UTF-8\n"
            "  Fix: set the encoding, for example provider.option.encoding: ISO-8859-1."
        )

    def test_csv_in_a_named_encoding_is_read(self, project: Project) -> None:
        files(project, a__csv=self.LATIN)
        source(project, "csv", option_encoding="ISO-8859-1")
        assert copied(project) == [(1, "x"), (2, "Zürich")]

    @pytest.mark.parametrize("schema", [None, "id INT, name STRING"])
    def test_utf16_is_refused_and_read_once_it_is_named(
        self, project: Project, schema: str | None
    ) -> None:
        files(project, a__csv="id,name\n1,Zürich\n2,\u0a0a\n".encode("utf-16"))
        source(project, "csv", schema, option_encoding="UTF-16")
        assert copied(project) == [(1, "Zürich"), (2, "\u0a0a")]

    @pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be"])
    def test_utf16_that_is_not_named_is_refused(self, project: Project, encoding: str) -> None:
        files(project, a__csv="id,name\n1,x\n".encode(encoding))
        source(project, "csv")
        assert "provider.option.encoding" in refusal(project)

    def test_a_replacement_character_of_the_file_stays(self, project: Project) -> None:
        files(project, a__csv="id,name\n1,a\ufffdb\n")
        source(project, "csv")
        assert copied(project) == [(1, "a\ufffdb")]

    @pytest.mark.parametrize("schema", [None, "id INT, name STRING"])
    def test_json_that_is_not_utf8_is_refused_with_its_line(
        self, project: Project, schema: str | None
    ) -> None:
        files(project, a__json='{"id": 1}\n{"id": 2, "name": "Zürich"}\n'.encode("latin-1"))
        source(project, "json", schema)
        assert refusal(project) == (
            "entity 'src': its files have records that cannot be read\n"
            f"  - line 2 of {uri(project, 'a.json')} has bytes that are not UTF-8\n"
            "  Fix: set the encoding, for example provider.option.encoding: ISO-8859-1."
        )

    @pytest.mark.parametrize("encoding", ["ISO-8859-1", "UTF-8"])
    def test_json_in_a_named_encoding_is_read(self, project: Project, encoding: str) -> None:
        files(project, a__json='{"id": 2, "name": "Zürich"}\n'.encode(encoding))
        source(project, "json", "id INT, name STRING", option_encoding=encoding)
        assert copied(project) == [(2, "Zürich")]


class TestMalformedCsv:
    @SCHEMAS
    @pytest.mark.parametrize("line", ["2", "2,y,z", '2,"y\nz"', "2,y,"])
    def test_a_line_of_another_number_of_fields_is_refused_with_its_number(
        self, project: Project, schema: str | None, line: str
    ) -> None:
        files(project, a__csv=f"id,name\n\n1,x\n{line}\n3,z")
        source(project, "csv", schema)
        assert f"line 4 of {uri(project, 'a.csv')}" in refusal(project)

    @SCHEMAS
    def test_a_value_over_two_lines_that_looks_like_two_rows_is_refused(
        self, project: Project, schema: str | None
    ) -> None:
        files(project, a__csv='id,name\n1,"first\n2,second"\n')
        source(project, "csv", schema)
        text = refusal(project)
        assert f"line 2 of {uri(project, 'a.csv')} leaves a quote open" in text
        assert "provider.option.multiLine: true" in text

    @SCHEMAS
    def test_values_over_several_lines_are_read_when_told(
        self, project: Project, schema: str | None
    ) -> None:
        text = 'id,name\n1,"first\n2,second"\n3,"x, y"\n'
        files(project, a__csv=text)
        source(project, "csv", schema, option_multiLine=True)
        _, *rows = csv.reader(io.StringIO(text))
        assert copied(project) == [(int(n), name) for n, name in rows]

    def test_quotes_within_quotes_are_read_or_refused(self, project: Project) -> None:
        text = 'id,name\n1,"say ""hi"""\n2,5" disk\n'
        files(project, a__csv=text)
        source(project, "csv")
        message = refusal(project)
        assert f"line 2 of {uri(project, 'a.csv')} has an unescaped quote within" in message
        assert "provider.option.escape" in message
        project.entity(
            "other",
            tags={
                "provider_type": "csv",
                "provider.path": "src",
                "provider.option.escape": '"',
            },
        )
        project.pipe("good", lambda other: other, "other")
        assert project.run("good").error is None
        assert project.rows("good") == [(1, 'say "hi"'), (2, '5" disk')]

    @pytest.mark.parametrize(
        ("kind", "value"),
        [
            ("INT", "99999999999"),
            ("INT", "one"),
            ("INT", " 3"),
            ("DATE", "2026-02-30"),
            ("DOUBLE", '"1,5"'),
            ("BOOLEAN", "yes"),
            ("TIMESTAMP", "2026-13-01 00:00:00"),
        ],
    )
    def test_a_value_that_does_not_fit_its_type_is_refused_with_its_line(
        self, project: Project, kind: str, value: str
    ) -> None:
        files(project, a__csv=f"id,x\n1,\n2,{value}\n")
        source(project, "csv", f"id INT, x {kind}")
        assert refusal(project) == (
            "entity 'src': its files have records that cannot be read\n"
            f"  - line 3 of {uri(project, 'a.csv')} does not fit the columns and types "
            "(MALFORMED_RECORD_IN_PARSING)\n"
            "  Fix: correct the files or the declared schema, or keep such records aside "
            "(provider.malformed: aside)."
        )

    def test_types_that_a_sample_suggests_are_kept_to(self, project: Project) -> None:
        lines = "".join(f"{n}\n" for n in range(2000))
        files(project, a__csv=f"id\n{lines}many\n")
        source(project, "csv", option_samplingRatio=0.001)
        report = project.run("out")
        assert report.error is not None
        assert f"line 2002 of {uri(project, 'a.csv')}" in report.error.message

    def test_permissive_is_what_the_entity_asks_for(self, project: Project) -> None:
        files(project, a__csv="id,name\n1,x\n2\n")
        source(project, "csv", option_mode="PERMISSIVE")
        assert copied(project) == [(1, "x"), (2, None)]

    @SCHEMAS
    def test_malformed_lines_are_counted_and_kept_aside(
        self, project: Project, schema: str | None
    ) -> None:
        files(project, a__csv="id,name\n1,x\n2\n3,y,z\n4,w\n")
        source(project, "csv", schema, malformed="aside")
        report = project.run("out")
        assert project.rows("out") == [(1, "x"), (4, "w")]
        place = project.warehouse / "_kindling" / "malformed" / "src"
        assert report.extra["note"].startswith("'src': 2 malformed records were kept aside in '")
        assert kept(place) == [
            (uri(project, "a.csv").strip("'"), "2"),
            (uri(project, "a.csv").strip("'"), "3,y,z"),
        ]
        files(project, a__csv="id,name\n1,x\n")
        assert "note" not in project.run("out").extra
        assert kept(place) == []

    def test_what_cannot_be_kept_aside_is_refused(self, project: Project) -> None:
        bad = b'2,"a",b\n' + "3,Zürich\n".encode("latin-1")
        files(project, a__csv=b",name\n1,x\n" + bad)
        source(project, "csv", malformed="aside")
        project.declared.pipes.unregister_pipe("out")
        project.pipe("out", lambda src: src.toDF("n", "name"), "src")
        report = project.run("out")
        assert report.error is None, report.error
        assert project.rows("out") == [(1, "x")]
        assert report.extra["note"].startswith("'src': 2 malformed records were kept aside in '")
        files(project, b__csv=',name\n4,"first\n5,second"\n')
        assert f"line 2 of {uri(project, 'b.csv')} leaves a quote open" in refusal(project)


def kept(place: Path) -> list[tuple[str, str]]:
    lines = [line for p in place.rglob("part-*") for line in p.read_text().splitlines()]
    found = sorted((row["file"], row["record"]) for row in map(json.loads, lines))
    return [(name.replace("file:/", "file:///", 1), record) for name, record in found]


class TestJson:
    @SCHEMAS
    @pytest.mark.parametrize(
        "line",
        ['{"id": 2', '{"id": 2}{"id": 3}', '{"id": 2},', "oops", '"text"', "7", "null"],
    )
    def test_a_line_that_is_not_one_object_is_refused_with_its_number(
        self, project: Project, schema: str | None, line: str
    ) -> None:
        files(project, a__json=f'{{"id": 1, "name": "x"}}\n\n{line}\n{{"id": 4}}')
        source(project, "json", schema)
        assert f"line 3 of {uri(project, 'a.json')} is not" in refusal(project)

    @pytest.mark.parametrize("value", ["99999999999", '"2"', "2.5", "{}", "[2]"])
    def test_a_value_of_another_type_is_refused_with_its_line(
        self, project: Project, value: str
    ) -> None:
        files(project, a__json=f'{{"id": 1, "name": "x"}}\n{{"id": {value}}}\n')
        source(project, "json", "id INT, name STRING")
        assert refusal(project) == (
            "entity 'src': its files have records that cannot be read\n"
            f"  - line 2 of {uri(project, 'a.json')} is not an object of these columns and types\n"
            "  Fix: correct the files or the declared schema, or keep such records aside "
            "(provider.malformed: aside)."
        )

    def test_a_key_in_other_case_is_refused_by_name(self, project: Project) -> None:
        files(project, a__json='{"id": 1, "name": "x"}\n{"ID": 2, "name": "y"}\n')
        source(project, "json", "id INT, name STRING")
        assert refusal(project) == (
            "entity 'src': its files have records that cannot be read\n"
            f"  - line 2 of {uri(project, 'a.json')} has the key 'ID', declared in different case\n"
            "  Fix: declare the column as the key is spelled, or use one spelling in the files."
        )

    @pytest.mark.parametrize(
        "record",
        [
            {"place": {"Zip": 1}},
            {"items": [{"sku": "a"}, {"SKU": "b"}]},
            {"more": {"Sku": {"A": 1}}},
            {"deep": [[{"x": {"Y": 1}}]]},
        ],
    )
    def test_so_it_is_however_deep(self, project: Project, record: dict[str, Any]) -> None:
        schema = (
            "place STRUCT<zip: INT>, items ARRAY<STRUCT<sku: STRING>>, "
            "more MAP<STRING, STRUCT<a: INT>>, deep ARRAY<ARRAY<STRUCT<x: STRUCT<y: INT>>>>"
        )
        good: dict[str, Any] = {
            "place": {"zip": 1},
            "items": [{"sku": "a"}, None],
            "more": {"A": {"a": 1}, "a": None},
            "deep": [[{"x": {"y": None}}, {"x": None}], None],
        }
        files(project, a__json=json.dumps(good) + "\n" + json.dumps({"unknown": 1, "more": None}))
        source(project, "json", schema)
        assert project.run("out").rows_written == 2
        files(project, b__json=json.dumps(record))
        assert f"line 1 of {uri(project, 'b.json')} has the key" in refusal(project)

    def test_without_a_schema_keys_that_differ_by_case_are_refused(self, project: Project) -> None:
        files(project, a__json='{"id": 1}\n{"ID": 2}\n')
        source(project, "json")
        assert f"line 2 of {uri(project, 'a.json')} has the key 'ID'" in refusal(project)
        files(project, a__json='{"id": 1, "ID": 2}\n')
        assert "an object has the key `id` twice, or in upper and lower case" in refusal(project)

    @SCHEMAS
    def test_what_is_valid_is_read_as_python_reads_it(
        self, project: Project, schema: str | None
    ) -> None:
        lines = ['{"id": 1, "name": "Zürich \\u00e9 \\n"}', '[{"id": 2}, {"id": 3, "name": ""}]']
        lines += ['  {"name": "x", "id": 4}  ', "", " \t", "[]", '{"id": null}']
        lines += [] if schema is None else ['{"id": 4, "id": 5}']
        files(
            project, a__json="\ufeff" + "\n".join(lines), b__json__gz=gzip.compress(b'{"id": 9}\n')
        )
        source(project, "json", schema)
        found = [json.loads(line) for line in lines if line.strip()]
        objects = [one for each in found for one in (each if isinstance(each, list) else [each])]
        expected = [(one.get("id"), one.get("name")) for one in [*objects, {"id": 9}]]
        assert copied(project) == sorted(expected, key=repr)

    @SCHEMAS
    def test_a_file_of_one_value_over_several_lines(
        self, project: Project, schema: str | None
    ) -> None:
        files(project, a__json='[{"id": 1},\n {"id": 2, "name": "x"}]', b__json='{\n"id": 3}\n')
        source(project, "json", schema, option_multiLine=True)
        assert copied(project) == [(1, None), (2, "x"), (3, None)]
        files(project, c__json='{"id": 4}\n{"id": 5}\n')
        text = refusal(project)
        assert f"{uri(project, 'c.json')} is not one valid JSON value" in text

    def test_a_truncated_archive_fails(self, project: Project) -> None:
        lines = "".join(json.dumps({"id": n, "name": f"{n * 7919}"}) + "\n" for n in range(5000))
        files(project, a__json__gz=gzip.compress(lines.encode())[:-2000])
        source(project, "json", "id INT, name STRING")
        assert project.run("out").status == "failed"

    def test_folders_name_columns_whose_types_are_declared(self, project: Project) -> None:
        files(project, **{"code=01234___a__json": '{"id": 1}', "code=7___b__json": '{"id": 2}'})
        source(project, "json", "id INT, code STRING")
        assert copied(project) == [(1, "01234"), (2, "7")]

    @SCHEMAS
    def test_malformed_records_are_counted_and_kept_aside(
        self, project: Project, schema: str | None
    ) -> None:
        bad = ['{"id": 2', '{"id": 3}{"id": 4}']
        text = "\n".join(['{"id": 1, "name": "x"}', *bad, '{"id": 5}'])
        files(project, a__json=text)
        source(project, "json", schema, malformed="aside")
        report = project.run("out")
        assert project.rows("out") == [(1, "x"), (5, None)]
        place = project.warehouse / "_kindling" / "malformed" / "src"
        assert report.extra["note"].startswith("'src': 2 malformed records were kept aside in '")
        assert [record for _, record in kept(place)] == bad


class TestFoldersWithoutFiles:
    @pytest.mark.parametrize("kind", ["csv", "json", "parquet"])
    def test_an_empty_folder_is_a_table_without_rows_where_a_schema_is_declared(
        self, project: Project, kind: str
    ) -> None:
        (project.warehouse / "src" / "_temporary").mkdir(parents=True)
        source(project, kind, "id INT, name STRING")
        report = project.run("out")
        assert report.error is None
        assert report.reason != "" or report.rows_written == 0
        assert "does not exist" not in str(report.reason)

    @pytest.mark.parametrize("kind", ["csv", "json", "parquet"])
    def test_without_a_schema_it_does_not_exist_yet(self, project: Project, kind: str) -> None:
        (project.warehouse / "src").mkdir()
        source(project, kind)
        report = project.run("out")
        assert (report.status, report.error) == ("skipped", None)
        assert "does not exist yet" in str(report.reason)


def taken(project: Project) -> list[tuple[Any, ...]]:
    """Let the copy run as a stream that takes what is there, and return what it has written."""
    streams.taken(project, "out")
    return project.rows("out")


def streamed(project: Project, kind: str, schema: str, **declared: Any) -> None:
    project.entity("src", tags={"provider_type": kind}, schema=schema, **declared)
    project.entity("out", schema=schema)
    tags = {"processing_mode": "streaming"}
    project.pipe("out", lambda src: src, "src", tags=tags)


def refused(project: Project) -> str:
    return streams.refusal(project, "out")


class TestStreams:
    @pytest.mark.parametrize(
        ("later", "told"),
        [
            (b"name,id\ny,2\n", "the header of {} does not fit"),
            (b"id,name\n2\n", "line 2 of {} does not fit the columns and types"),
            (b"id,name\ntwo,y\n", "line 2 of {} does not fit the columns and types"),
            ("id,name\n2,Zürich\n".encode("latin-1"), "{} has bytes that became"),
        ],
        ids=["order", "ragged", "type", "bytes"],
    )
    def test_csv_that_comes_later_is_held_to_the_same(
        self, project: Project, later: bytes, told: str
    ) -> None:
        files(project, a__csv="id,name\n1,Zürich\n")
        streamed(project, "csv", "id INT, name STRING")
        assert taken(project) == [(1, "Zürich")]
        files(project, b__csv=later)
        assert told.format(uri(project, "b.csv")) in refused(project)

    @pytest.mark.parametrize(
        ("later", "told"),
        [
            (b'{"ID": 2}', "line 1 of {} has the key 'ID'"),
            (b'\n{"id": 2', "line 2 of {} is not one valid JSON value"),
            (b'{"id": 2}{"id": 3}', "line 1 of {} is not one valid JSON value"),
            (b'{"id": "two"}', "line 1 of {} is not an object of these columns and types"),
            ('{"name": "Zürich"}'.encode("latin-1"), "line 1 of {} has bytes that are not UTF-8"),
        ],
        ids=["case", "broken", "two", "type", "bytes"],
    )
    def test_json_that_comes_later_is_held_to_the_same(
        self, project: Project, later: bytes, told: str
    ) -> None:
        files(project, a__json='{"id": 1, "name": "Zürich"}\n')
        streamed(project, "json", "id INT, name STRING")
        assert taken(project) == [(1, "Zürich")]
        files(project, b__json=later)
        assert told.format(uri(project, "b.json")) in refused(project)

    def test_folders_of_json_files_have_to_be_known(self, project: Project) -> None:
        streamed(project, "json", "id INT, code STRING", partition_columns=["code"])
        files(project, **{"code=01234___a__json": '{"id": 1}'})
        assert taken(project) == [(1, "01234")]
