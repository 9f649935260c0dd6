"""The wire between task and driver: nothing is lost on it, and nothing false gets across it."""

from __future__ import annotations

import hashlib
import json
import pickle
import re
from pathlib import PurePosixPath
from typing import Any
from urllib.parse import unquote

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from kindling_airflow.common.immutable import freeze
from kindling_airflow.common.path_names import escape_component
from kindling_airflow.errors import ReportError
from kindling_airflow.protocol.contracts import (
    CONTRACT_VERSION,
    REPORT_MARKER,
    START_MARKER,
    STREAM_MARKER,
    ExpectationReport,
    InputReport,
    RunFailure,
    RunReport,
    RunRequest,
    RunStart,
    StreamNews,
    quality_lines,
    report_in_line,
    start_in_line,
    stream_news_in_line,
)
from tests.strategies import json_tags

Loader = type[RunRequest] | type[RunReport] | type[RunStart] | type[StreamNews]

FIX = "\n  Fix: use the same release of airflow-provider-kindling on workers and in the driver."
REQUEST = {
    "version": 1,
    "attempt_key": "k1",
    "pipe_id": "silver.orders",
    "project_root": "/srv/dags/shop",
    "modules": ["shop.silver"],
    "warehouse": "s3a://lake",
}
REPORT = {"version": 1, "attempt_key": "k1", "pipe_id": "silver.orders", "status": "published"}

NESTINGS = (("[", "]"), ('{"a":', "}"))

# Text as a driver or a user may have it: half a surrogate pair comes from file names, for instance.
anything = st.text(st.characters(), max_size=20)
counts = st.none() | st.integers()


def requests() -> st.SearchStrategy[RunRequest]:
    return st.builds(
        RunRequest,
        attempt_key=anything,
        pipe_id=anything,
        project_root=anything,
        modules=st.lists(anything, max_size=3).map(tuple),
        warehouse=anything,
        plan_digest=anything,
        dag_id=anything,
        run_id=anything,
        task_id=anything,
        try_number=st.integers(),
        interval_start=st.none() | anything,
        interval_end=st.none() | anything,
        attempt_order=anything,
        report_path=anything,
        on_missing_interval=anything,
        stream=json_tags().map(freeze),
        code_digest=anything,
        code_roots=st.lists(anything, max_size=3).map(tuple),
        code_drift=anything,
        session=json_tags().map(freeze),
    )


def starts() -> st.SearchStrategy[RunStart]:
    return st.builds(RunStart, anything, anything, anything)


def news() -> st.SearchStrategy[StreamNews]:
    states = st.sampled_from(["starting", "ready", "draining"])
    return st.builds(StreamNews, anything, states, st.integers(), json_tags().map(freeze))


def reports() -> st.SearchStrategy[RunReport]:
    return st.builds(
        RunReport,
        attempt_key=anything,
        pipe_id=anything,
        status=st.sampled_from(["published", "skipped", "failed"]),
        output_entity_id=anything,
        location=anything,
        rows_written=counts,
        inputs=st.lists(st.builds(InputReport, anything, counts), max_size=3).map(tuple),
        duration_seconds=st.floats(allow_nan=False, allow_infinity=False),
        application_id=anything,
        plan_digest=anything,
        reason=anything,
        error=st.none() | st.builds(RunFailure, anything, anything, anything),
        expectations=outcomes(),
        extra=json_tags().map(freeze),
        code_digest=anything,
    )


def outcomes() -> st.SearchStrategy[tuple[ExpectationReport, ...]]:
    one = st.builds(
        ExpectationReport,
        name=anything,
        expects=anything,
        on_violation=st.sampled_from(["fail", "warn", "drop"]),
        outcome=st.sampled_from(["passed", "tolerated", "warned", "dropped", "failed"]),
        rows=st.integers(0),
        violations=counts,
    )
    return st.lists(one, max_size=3).map(tuple)


def refusal(loader: Loader, text: str) -> str:
    with pytest.raises(ReportError) as refused:
        loader.loads(text)
    return str(refused.value)


class TestRequest:
    @given(requests())
    def test_comes_out_as_it_went_in(self, request: RunRequest) -> None:
        assert RunRequest.loads(request.dumps()) == request

    @given(requests())
    def test_is_one_line_of_plain_characters_so_that_it_fits_into_an_argument(
        self, request: RunRequest
    ) -> None:
        text = request.dumps()
        assert text.isascii()
        assert text.isprintable()

    def test_is_readable_json(self) -> None:
        said = json.loads(RunRequest("k1", "p", "/root", ("a", "b"), "/tables").dumps())
        assert said == {
            "version": 1,
            "attempt_key": "k1",
            "pipe_id": "p",
            "project_root": "/root",
            "modules": ["a", "b"],
            "warehouse": "/tables",
            "plan_digest": "",
            "dag_id": "",
            "run_id": "",
            "task_id": "",
            "try_number": 1,
            "interval_start": None,
            "interval_end": None,
            "settings": {},
            "parameters": {},
            "attempt_order": "",
            "report_path": "",
            "package": "",
            "on_missing_interval": "full",
            "stream": {},
            "code_digest": "",
            "code_roots": [],
            "code_drift": "warn",
            "claim": {},
            "session": {},
            "usual": {},
        }

    def test_what_may_be_left_out_has_a_default(self) -> None:
        read = RunRequest.loads(json.dumps(REQUEST))
        assert read.modules == ("shop.silver",)
        assert (read.try_number, read.interval_start, read.plan_digest) == (1, None, "")

    def test_everything_that_is_wrong_is_said_at_once(self) -> None:
        document = {
            "version": 1,
            "attempt_key": 7,
            "project_root": "/srv",
            "modules": "shop",
            "warehouse": None,
            "try_number": "1",
            "interval_start": 0,
        }
        assert refusal(RunRequest, json.dumps(document)) == (
            "the run request is wrong: attempt_key must be a string, not 7; pipe_id is missing; "
            "modules must be a list of strings, not 'shop'; warehouse must be a string, not None; "
            "try_number must be a whole number, not '1'; "
            f"interval_start must be a string or null, not 0{FIX}"
        )

    @pytest.mark.parametrize("modules", [5, None, {"a": 1}, ["a", None], [["a"]]])
    def test_modules_are_a_list_of_names_and_nothing_else(self, modules: object) -> None:
        text = refusal(RunRequest, json.dumps({**REQUEST, "modules": modules}))
        assert text.startswith("the run request is wrong: modules must be a list of strings, not ")


class TestReport:
    @given(reports())
    def test_comes_out_as_it_went_in(self, report: RunReport) -> None:
        assert RunReport.loads(json.dumps(report.to_json())) == report

    @given(anything.filter(lambda text: REPORT_MARKER not in text), reports())
    def test_is_found_in_its_line_behind_whatever_was_printed_before(
        self, printed: str, report: RunReport
    ) -> None:
        line = report.line()
        assert line.isascii()
        assert line.isprintable()
        text = report_in_line(f"{printed}{line}\r\n")
        assert text is not None
        assert RunReport.loads(text) == report

    @given(reports())
    def test_is_a_document_of_json_types_alone_because_it_becomes_an_xcom(
        self, report: RunReport
    ) -> None:
        document = report.to_json()
        assert json.loads(json.dumps(document)) == document
        assert _types(document) <= {dict, list, str, int, float, bool, type(None)}

    def test_what_was_read_can_be_sent_on_and_does_not_change(self) -> None:
        read = RunReport.loads(json.dumps({**REPORT, "extra": {"a": [1, {"b": 2}]}}))
        assert read.to_json()["extra"] == {"a": [1, {"b": 2}]}
        assert pickle.loads(pickle.dumps(read)) == read
        assert hash(read) == hash(RunReport.loads(json.dumps(read.to_json())))
        with pytest.raises(TypeError):
            read.extra["a"] = 1  # type: ignore[index]

    def test_an_expectation_that_cannot_be_read_is_named(self) -> None:
        item = {"name": "n", "expects": "e", "on_violation": "fail", "outcome": "ok", "rows": "1"}
        assert refusal(RunReport, json.dumps({**REPORT, "expectations": [item]})) == (
            "the run report's expectation is wrong: outcome must be one of passed, tolerated, "
            "warned, dropped, failed, not 'ok'; rows must be a whole number, not '1'\n"
            "  Fix: use the same release of airflow-provider-kindling on workers and in the driver."
        )

    def test_expectations_that_did_not_simply_pass_are_lines(self) -> None:
        item = {"name": "n", "expects": "x > 0", "rows": 2000, "violations": 3}
        report = {
            "expectations": [
                {**item, "outcome": "passed"},
                {**item, "outcome": "warned"},
                {**item, "outcome": "failed", "violations": None},
            ]
        }
        assert quality_lines(report) == [
            "expectation 'n' warned (x > 0): 3 of 2,000 rows (0.15 %)",
            "expectation 'n' failed (x > 0): 2,000 rows",
        ]
        assert quality_lines({}) == []

    def test_what_may_be_left_out_has_a_default(self) -> None:
        assert RunReport.loads(json.dumps(REPORT)) == RunReport("k1", "silver.orders", "published")

    def test_unknown_fields_of_a_later_release_of_this_version_are_ignored(self) -> None:
        later = {
            **REPORT,
            "mood": "good",
            "inputs": [{"entity_id": "x", "files": 3}],
            "error": {"type": "E", "message": "m", "hint": "h"},
        }
        read = RunReport.loads(json.dumps(later))
        assert read.inputs == (InputReport("x"),)
        assert read.error == RunFailure("E", "m")

    def test_everything_that_is_wrong_is_said_at_once(self) -> None:
        document = {
            "version": 1,
            "pipe_id": None,
            "status": "done",
            "rows_written": 1.5,
            "duration_seconds": True,
            "inputs": {},
            "error": "boom",
            "extra": [],
        }
        assert refusal(RunReport, json.dumps(document)) == (
            "the run report is wrong: attempt_key is missing; pipe_id must be a string, not None; "
            "status must be one of published, skipped, failed, not 'done'; "
            "rows_written must be a whole number or null, not 1.5; inputs must be a list, not {}; "
            "duration_seconds must be a number, not True; "
            f"error must be an object or null, not 'boom'; extra must be an object, not (){FIX}"
        )

    @pytest.mark.parametrize(
        ("part", "text"),
        [
            ({"inputs": ["x"]}, "the run report's input must be an object, not 'x'"),
            ({"inputs": [{}]}, "the run report's input is wrong: entity_id is missing"),
            (
                {"inputs": [{"entity_id": "x", "rows": "3"}]},
                "the run report's input is wrong: rows must be a whole number or null, not '3'",
            ),
            (
                {"error": {"message": 5}},
                "the run report's error is wrong: type is missing; message must be a string, not 5",
            ),
        ],
    )
    def test_wrong_parts_are_named(self, part: dict[str, Any], text: str) -> None:
        assert refusal(RunReport, json.dumps({**REPORT, **part})) == text + FIX

    def test_line_without_the_marker_has_no_report(self) -> None:
        assert report_in_line('{"version": 1}') is None
        assert report_in_line("KINDLING-REPORT") is None
        assert report_in_line("") is None

    def test_marker_starts_the_report_wherever_it_stands(self) -> None:
        assert report_in_line("KINDLING-REPORT  {} ") == "{}"
        assert report_in_line("50% doneKINDLING-REPORT {}\n") == "{}"


class TestStart:
    @given(anything.filter(lambda text: START_MARKER not in text), starts())
    def test_comes_out_of_its_line_as_it_went_in(self, printed: str, start: RunStart) -> None:
        line = start.line()
        assert line.isascii()
        assert line.isprintable()
        text = start_in_line(f"{printed}{line}\n")
        assert text is not None
        assert RunStart.loads(text) == start

    def test_is_no_report_and_a_report_is_no_start(self) -> None:
        assert report_in_line(RunStart("k1", "local-1", "http://worker:4040").line()) is None
        assert start_in_line(RunReport("k1", "p", "published").line()) is None


class TestStreamNews:
    @given(anything.filter(lambda text: STREAM_MARKER not in text), news())
    def test_comes_out_of_its_line_as_it_went_in(self, printed: str, said: StreamNews) -> None:
        line = said.line()
        assert line.isascii()
        assert line.isprintable()
        text = stream_news_in_line(f"{printed}{line}\n")
        assert text is not None
        assert StreamNews.loads(text) == said

    def test_is_neither_a_start_nor_a_report(self) -> None:
        line = StreamNews("k1", "ready", 7).line()
        assert start_in_line(line) is None
        assert report_in_line(line) is None
        assert stream_news_in_line(RunStart("k1", "local-1").line()) is None

    def test_everything_that_is_wrong_is_said_at_once(self) -> None:
        document = {"version": 1, "attempt_key": "k1", "state": "up", "progress": 3}
        assert refusal(StreamNews, json.dumps(document)) == (
            "the stream news is wrong: state must be one of starting, ready, draining, not 'up'; "
            f"pid is missing; progress must be an object, not 3{FIX}"
        )


@pytest.mark.parametrize(
    ("loader", "what", "document"),
    [
        (
            StreamNews,
            "stream news",
            {"version": 1, "attempt_key": "k1", "state": "ready", "pid": 7, "progress": {}},
        ),
        (RunRequest, "run request", REQUEST),
        (RunReport, "run report", REPORT),
        (RunStart, "run start", {"version": 1, "attempt_key": "k1", "application_id": "local-1"}),
    ],
)
class TestVersion:
    @pytest.mark.parametrize("version", [0, 2, 1.0, True, "1", None, [1]])
    def test_another_version_is_refused(
        self, loader: Loader, what: str, document: dict[str, Any], version: object
    ) -> None:
        text = refusal(loader, json.dumps({**document, "version": version}))
        assert text == f"the {what} is not of version {CONTRACT_VERSION}{FIX}"

    def test_missing_version_is_refused(
        self, loader: Loader, what: str, document: dict[str, Any]
    ) -> None:
        unversioned = {key: document[key] for key in document if key != "version"}
        for nothing in (unversioned, [], "text", 1, None):
            text = refusal(loader, json.dumps(nothing))
            assert text == f"the {what} is not of version {CONTRACT_VERSION}{FIX}"

    def test_what_is_no_json_is_refused(
        self, loader: Loader, what: str, document: dict[str, Any]
    ) -> None:
        assert refusal(loader, "") == (
            f"the {what} is not a JSON document: Expecting value: line 1 column 1 (char 0)"
        )
        cut = json.dumps(document)[:-1]
        assert refusal(loader, cut).startswith(f"the {what} is not a JSON document: ")

    def test_numbers_that_json_has_not_are_refused(
        self, loader: Loader, what: str, document: dict[str, Any]
    ) -> None:
        for number in ("NaN", "-Infinity", "1e999"):
            text = json.dumps({**document, "more": [0.5]}).replace("0.5", number)
            assert refusal(loader, text).startswith(f"the {what} is not a JSON document: ")

    @pytest.mark.parametrize("depth", [900, 100_000])
    def test_nesting_without_end_is_refused(
        self, loader: Loader, what: str, document: dict[str, Any], depth: int
    ) -> None:
        for opening, closing in NESTINGS:
            said = refusal(loader, _nested(document, opening, closing, depth))
            assert re.match(
                rf"the {what} is not a JSON document: (lists and mappings are nested too deep"
                "|maximum recursion depth|Stack overflow)",
                said,
            ), said

    @pytest.mark.parametrize("depth", [0, 30])
    def test_nesting_that_ends_is_read(
        self, loader: Loader, what: str, document: dict[str, Any], depth: int
    ) -> None:
        for opening, closing in NESTINGS:
            text = _nested(document, opening, closing, depth)
            read = loader.loads(text)
            assert read.attempt_key == "k1"
            if isinstance(read, RunReport):
                assert read.to_json()["extra"] == json.loads(text)["extra"]

    @given(data=st.data())
    def test_of_any_json_text_only_a_report_error_comes_out(
        self, loader: Loader, what: str, document: dict[str, Any], data: st.DataObject
    ) -> None:
        values = st.recursive(
            st.none() | st.booleans() | st.integers() | st.floats() | anything,
            lambda inner: (
                st.lists(inner, max_size=3) | st.dictionaries(anything, inner, max_size=3)
            ),
            max_leaves=5,
        )
        names = st.sampled_from(sorted(loader.__dataclass_fields__)) | anything
        changes = data.draw(st.dictionaries(names, values, max_size=3))
        kept = data.draw(st.sampled_from([document, {"version": 1}, {}]))
        try:
            read = loader.loads(json.dumps({**kept, **changes}))
        except ReportError:
            return
        # What was accepted is whole: it can be sent on, and says the same.
        assert loader.loads(_sent(read)) == read

    @given(text=st.text() | st.text(alphabet='{}[]":,01eN \\u') | st.binary().map(repr))
    def test_of_any_text_only_a_report_error_comes_out(
        self, loader: Loader, what: str, document: dict[str, Any], text: str
    ) -> None:
        assert refusal(loader, text).startswith(f"the {what} is no")


def _nested(document: dict[str, Any], opening: str, closing: str, depth: int) -> str:
    """Return a document as text, with lists or objects that stand so deep in one another."""
    nested = opening * depth + "0" + closing * depth
    text = json.dumps({**document, "extra": {"x": "HERE"}})
    assert text.count('"HERE"') == 1
    return text.replace('"HERE"', nested)


def _sent(read: RunRequest | RunReport | RunStart | StreamNews) -> str:
    if isinstance(read, RunRequest):
        return read.dumps()
    if isinstance(read, RunReport):
        return json.dumps(read.to_json())
    line = read.line()
    text = start_in_line(line) if isinstance(read, RunStart) else stream_news_in_line(line)
    assert text is not None
    return text


class TestPathComponent:
    @given(anything | st.text(alphabet="._%/25F a\\\0", max_size=300), st.integers(20, 200))
    @example(text="..", longest=150)
    @example(text="", longest=150)
    @example(text="\ud800", longest=150)
    @example(text="_" * 151, longest=150)
    @example(text="é" * 100, longest=150)
    def test_is_one_visible_component_of_bounded_length(self, text: str, longest: int) -> None:
        component = escape_component(text, longest=longest)
        assert PurePosixPath("/root", component).parts == ("/", "root", component)
        assert "/" not in component
        assert "\\" not in component
        assert not component.startswith((".", "_"))
        assert 0 < len(component.encode()) <= longest
        assert component.isprintable()

    @given(
        st.lists(anything | st.text(alphabet="._%25EF/ a", min_size=1, max_size=12), unique=True)
    )
    @example(["", "%", "%25", "%%", "%2525"])
    @example([".", "%2E", "_", "%5F", "/", "%2F"])
    @example(["\ud800", "?", "\ufffd", "\udcff", "ÿ"])
    @example(["x" * 150, "x" * 151, "x" * 152, "x" * 150 + "%"])
    def test_different_texts_give_different_components(self, texts: list[str]) -> None:
        components = [escape_component(text) for text in texts]
        # An escaped text is a text of its own: it must not be taken for what it was made from.
        again = [escape_component(component) for component in components]
        pairs = {*zip(texts, components, strict=True), *zip(components, again, strict=True)}
        assert len({component for _, component in pairs}) == len({text for text, _ in pairs})

    @given(st.text(max_size=12))
    def test_short_text_can_be_read_back(self, text: str) -> None:
        assert unquote(escape_component(text), errors="strict") == (text or "%")

    def test_usual_ids_stay_as_they_are(self) -> None:
        for usual in ("silver.orders", "bronze.order-lines", "A_1", "9" * 150):
            assert escape_component(usual) == usual

    def test_long_text_keeps_its_beginning_and_gets_its_digest(self) -> None:
        text = "silver.orders " + "x" * 150
        digest = hashlib.sha256(text.encode()).hexdigest()[:16]
        assert escape_component(text) == "silver.orders%20" + "x" * 114 + "%%" + digest


def _types(value: Any) -> set[type]:
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return {type(value)}.union(*(_types(item) for item in inner))


def test_the_place_of_a_failure_is_the_last_of_its_lines() -> None:
    lines = [
        "Traceback of the pipe:",
        '  File "/shop/pipes.py", line 12, in daily',
        '    return rows["File \\"x\\", line 1, in y"]',
        '  File "/shop/more parts.py", line 3, in <lambda>',
        "    lambda: 1",
    ]
    assert RunFailure("KeyError", "'x'", "\n".join(lines)).place == (
        "/shop/more parts.py:3, in <lambda>"
    )
    assert RunFailure("KeyError", "'x'").place == ""
