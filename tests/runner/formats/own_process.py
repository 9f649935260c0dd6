"""The tests of a format run in a process of their own, whose Spark has the jars."""

from __future__ import annotations

from pathlib import Path

from tests.nested import assert_tests_pass

__all__ = ["assert_format_holds"]

_FOLDER = Path(__file__).parent
_OF_TABLES = (
    "format_tests.py",
    "query_tests.py",
    "stream_tests.py",
    "stream_pipe_tests.py",
    "killed_driver_tests.py",
    "fence_tests.py",
    "reader_tests.py",
    "fault_tests.py",
    "empty_tests.py",
    "name_tests.py",
    "stored_values_tests.py",
)


def assert_format_holds(kind: str, **variables: str) -> None:
    """Run what is tested of ``delta``, ``iceberg``, ``kafka``, ``parquet``, or of two together.

    Args:
        kind: the format, or two with a plus.
        variables: of the environment.
    """
    own = {
        "kafka": ("kafka_tests.py",),
        "parquet": ("fault_tests.py", "empty_tests.py", "stored_values_tests.py"),
        "delta+iceberg": ("query_tests.py",),
        "iceberg+postgresql": (
            "format_tests.py",
            "fence_tests.py",
            "reader_tests.py",
            "catalog_tests.py",
        ),
    }
    names = own.get(kind, (f"{kind}_tests.py", *_OF_TABLES))
    files = [_FOLDER / name for name in names]
    assert_tests_pass(files, **variables, KINDLING_TEST_FORMAT=kind)
