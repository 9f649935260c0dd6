"""What a driver prints, and where it stands in the task's log."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from kindling_airflow.operators.driver.driver_output import DriverOutput
from kindling_airflow.protocol.contracts import RunReport, RunStart, StreamNews

SPARK = "26/11/24 11:27:36 INFO SparkContext: Running Spark version 4.1.3"
ERROR = "26/11/24 11:27:42 ERROR Executor: Exception in task 0.0 in stage 1.0 (TID 1)"
FOLD, UNFOLD = "::group::Spark", "::endgroup::"


def shown(*lines: str) -> list[str]:
    return list(read(*lines)[1])


def read(*lines: str) -> tuple[list[str], list[str], DriverOutput]:
    news: list[str] = []
    output = DriverOutput(news.append, news.append)
    return news, list(output.lines(f"{line}\n" for line in lines)), output


def test_sparks_lines_are_folded_and_the_pipes_stand_in_the_open() -> None:
    assert shown(SPARK, SPARK, "hello", "world", SPARK) == [
        *(FOLD, SPARK, SPARK, UNFOLD),
        *("hello", "world"),
        *(FOLD, SPARK, UNFOLD),
    ]


def test_every_line_is_masked_before_anybody_gets_it() -> None:
    output = DriverOutput(str, str, lambda line: line.replace("secret", "***"))
    said = [f"{SPARK} secret", "a secret", "ValueError: secret"]
    assert "secret" not in "".join([*output.lines(said), *output.last_lines()])


def test_a_stack_of_the_jvm_is_folded_with_the_error_that_it_belongs_to() -> None:
    stack = [
        ERROR,
        "org.apache.spark.api.python.PythonException: Traceback (most recent call last):",
        '  File "/srv/dags/shop/pipes.py", line 3, in convert',
        "    raise ValueError(n)",
        "ValueError: 7",
        "",
        "\tat org.apache.spark.api.python.BasePythonRunner$ReaderIterator.handle(Python.scala:581)",
        "\tat java.base/java.lang.Thread.run(Thread.java:840)",
        "Caused by: java.io.IOException: No space left on device",
        "\t... 12 more",
    ]
    assert shown(*stack, "done") == [FOLD, *stack, UNFOLD, "done"]


def test_a_stack_alone_is_folded_too() -> None:
    stack = [
        'Exception in thread "main" org.apache.spark.SparkException: Master must start with yarn',
        "\tat org.apache.spark.deploy.SparkSubmit.error(SparkSubmit.scala:1047)",
    ]
    assert shown(*stack) == [FOLD, *stack, UNFOLD]


def test_a_traceback_that_the_pipe_prints_stands_in_the_open() -> None:
    printed = [
        "Traceback (most recent call last):",
        '  File "/srv/dags/shop/pipes.py", line 3, in convert',
        "ValueError: 7",
    ]
    assert shown(SPARK, *printed) == [FOLD, SPARK, UNFOLD, *printed]


PROGRESS = [
    "26/11/24 16:29:36 INFO MicroBatchExecution: Streaming query made progress: {",
    '  "name" : "clean",',
    '  "sources" : [ {',
    '    "description" : "FileStreamSource[file:/warehouse/taken]"',
    "  } ]",
    "}",
]


def test_what_a_streaming_query_tells_in_many_lines_is_folded() -> None:
    plan = [
        "26/11/24 16:29:35 INFO FileStreamSource: Writing a plan",
        '~WriteToMicroBatchDataSourceV1 FileSink["/warehouse/cleaned"], Append',
        "+- ~Filter (number#2L >= cast(0 as bigint))",
        "   +- ~StreamingExecutionRelation FileStreamSource[file:/warehouse/taken]",
    ]
    assert shown(*plan, *PROGRESS, "{", "hello") == [FOLD, *plan, *PROGRESS, UNFOLD, "{", "hello"]


def test_a_document_of_sparks_that_is_cut_off_ends_with_the_next_of_its_lines() -> None:
    cut = PROGRESS[:3]
    assert shown(*cut, SPARK, "hello") == [FOLD, *cut, SPARK, UNFOLD, "hello"]


def test_the_progress_of_a_query_is_none_of_its_last_words() -> None:
    _, _, output = read(ERROR, *PROGRESS)
    assert output.last_lines() == [ERROR]


def test_a_streams_news_are_taken_out_where_somebody_wants_them() -> None:
    line = StreamNews("k", "ready", 1).line()
    heard: list[str] = []
    output = DriverOutput(print, print, on_news=heard.append)
    assert list(output.lines([SPARK, f"x{line}"])) == [FOLD, SPARK, UNFOLD, "x"]
    assert [StreamNews.loads(text).state for text in heard] == ["ready"]


def test_news_are_taken_out_with_the_line_that_they_begin() -> None:
    start, report = RunStart("k", "local-1"), RunReport("k", "p", "published")
    news, lines, _ = read(SPARK, "", start.line(), "hello", "", report.line())
    assert lines == [FOLD, SPARK, UNFOLD, "hello"]
    assert [text[0] for text in news] == ["{", "{"]
    assert RunReport.loads(news[1]) == report


def test_what_was_printed_before_the_news_on_their_line_is_shown() -> None:
    report = RunReport("k", "p", "published")
    news, lines, _ = read(f"50 % ... {report.line()}")
    assert lines == ["50 % ... "]
    assert len(news) == 1


def test_an_interrupted_reader_knows_that_it_folds() -> None:
    output = DriverOutput(print, print)
    lines = output.lines([SPARK, SPARK])
    next(lines)
    assert output.is_folding
    list(lines)
    assert not output.is_folding


def test_the_last_words_are_what_was_loud_without_stacks() -> None:
    _, _, output = read(SPARK, "before", ERROR, "\tat a.B.c(D.scala:1)", SPARK)
    assert output.last_lines() == ["before", ERROR]


def test_where_nothing_was_loud_the_last_words_are_the_last_lines() -> None:
    assert read(*[f"{SPARK} {n}" for n in range(30)])[2].last_lines() == [
        f"{SPARK} {n}" for n in range(10, 30)
    ]


@given(st.lists(st.sampled_from([SPARK, ERROR, "\tat a.B.c(D.scala:1)", "hello", "  more", ""])))
def test_no_line_is_lost_or_moved_and_folds_are_closed(lines: list[str]) -> None:
    seen = shown(*lines)
    marks = [line for line in seen if line in (FOLD, UNFOLD)]
    assert marks == [FOLD, UNFOLD] * (len(marks) // 2)
    assert [line for line in seen if line and line not in marks] == [line for line in lines if line]
