"""What every test may rely on: no leftovers of other tests, and no clock."""

from __future__ import annotations

import os
import shutil
import signal
import sys
import tempfile
import threading
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings

from kindling_airflow.common.child import calls as child_calls
from kindling_airflow.data_entities import DataEntities
from kindling_airflow.data_pipes import DataPipes

# A busy machine is not an error: nothing here fails because it took long. The examples are the same
# in every run, so a failure in CI is a failure everywhere.
settings.register_profile(
    "kindling",
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("kindling")

# A shell that starts the tests in the background has SIGINT ignored, and every process that a test
# starts would inherit that: tests that interrupt one would wait for ever.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# The threads of what runs the tests (pytest-xdist has some) have nothing to do with this package:
# they are no reason against a fork.
_RUNNERS_THREADS = frozenset(sys._current_frames()) - {threading.get_ident()}
_runs_alone = child_calls._runs_alone
child_calls._runs_alone = lambda: (
    _runs_alone() or len(sys._current_frames().keys() - _RUNNERS_THREADS) == 1
)

# An Airflow home of this session's own, set before anything imports airflow, which reads it once.
os.environ["AIRFLOW_HOME"] = tempfile.mkdtemp(prefix="kindling-airflow-home-")
os.environ["AIRFLOW__CORE__LOAD_EXAMPLES"] = "False"


# What "make test" leaves to "make extended": longer tests of Spark and schedulers. The others of
# their kind show in a quarter of an hour that the main ways work.
EXTENDED = frozenset(
    {
        "test_airflow_run.py",
        "test_backfill.py",
        "test_backfill_faults.py",
        "test_catalog_example.py",
        "test_catalog_table.py",
        "test_celery.py",
        "test_ci_example.py",
        "test_claims.py",
        "test_clicks.py",
        "test_cluster.py",
        "test_declared_schema.py",
        "test_empty_inputs.py",
        "test_examples.py",
        "test_format_delta.py",
        "test_format_iceberg.py",
        "test_format_iceberg_catalog.py",
        "test_format_kafka.py",
        "test_format_parquet.py",
        "test_history.py",
        "test_hostile_documents.py",
        "test_hostile_run.py",
        "test_jdbc.py",
        "test_kafka_values.py",
        "test_lineage.py",
        "test_logged_parquet.py",
        "test_misbehaving_on_airflow.py",
        "test_object_stores.py",
        "test_on_a_scheduler.py",
        "test_orphans.py",
        "test_package_on_s3.py",
        "test_page_of_a_run.py",
        "test_plan_page.py",
        "test_quality_oracle.py",
        "test_query_parsers.py",
        "test_run_command.py",
        "test_run_definition.py",
        "test_run_secrets.py",
        "test_run_streams.py",
        "test_services.py",
        "test_session_losses.py",
        "test_sessions.py",
        "test_site.py",
        "test_source_files.py",
        "test_stable_version.py",
        "test_start_profile.py",
        "test_stored_values.py",
        "test_streaming_driver.py",
        "test_streams.py",
        "test_versions.py",
        "test_yarn.py",
    }
)


# The files that take longest, longest first: a long one that begins last would keep one of two
# workers busy alone. Only the order matters, so the list need not be exact.
LONGEST = (
    "test_backfill_faults.py",
    "test_format_delta.py",
    "test_format_iceberg.py",
    "test_streams.py",
    "test_backfill.py",
    "test_truth.py",
    "test_flights.py",
    "test_width.py",
)


@pytest.hookimpl(tryfirst=True)  # before those that were asked for are picked by their marks
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if {"spark", "deployment"}.intersection(getattr(item, "fixturenames", ())):
            item.add_marker("system")
        is_extended = item.path.name in EXTENDED and item.get_closest_marker("system")
        if is_extended and not item.get_closest_marker("cluster"):
            item.add_marker("extended")
    # Who broke something small need not wait for Spark to hear of it; what is done for each release
    # goes on beside all else.
    items.sort(key=_turn)


def _turn(item: pytest.Item) -> tuple[bool, int]:
    """Return when a test has its turn; files stay together, and equal ones in their order."""
    name = item.path.name
    rank = LONGEST.index(name) if name in LONGEST else len(LONGEST)
    is_late = _comes_late(item)
    return is_late, rank if is_late else 0


def _comes_late(item: pytest.Item) -> bool:
    markers = {marker.name for marker in item.iter_markers()}
    return "system" in markers and "versions" not in markers


def pytest_unconfigure() -> None:
    shutil.rmtree(os.environ["AIRFLOW_HOME"], ignore_errors=True)


@pytest.fixture(autouse=True)
def _no_declarations_left_over() -> Iterator[None]:
    yield
    DataPipes.reset()
    DataEntities.reset()
