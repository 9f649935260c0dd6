"""What every test may rely on: no leftovers of other tests, and no clock."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings

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


@pytest.fixture(autouse=True)
def _no_declarations_left_over() -> Iterator[None]:
    yield
    DataPipes.reset()
    DataEntities.reset()
