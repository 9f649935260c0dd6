"""Queries in a session with the extensions of both table formats; each alone is in its own file."""

from __future__ import annotations

import pytest

from tests.runner.formats.own_process import assert_format_holds

pytestmark = pytest.mark.system


def test_parameters_reach_a_query_whatever_parser_the_session_has() -> None:
    assert_format_holds("delta+iceberg")
