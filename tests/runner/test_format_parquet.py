"""Parquet, in a process whose Spark has its jars; a file each, so that they run side by side."""

from __future__ import annotations

import pytest

from tests.runner.formats.own_process import assert_format_holds

pytestmark = pytest.mark.system


def test_what_is_tested_of_the_format_holds() -> None:
    assert_format_holds("parquet")
