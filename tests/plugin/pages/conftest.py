"""One API server for all tests of the pages.

``KINDLING_TEST_DATABASE`` is the address of an empty database for it; default: SQLite.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from tests.plugin.pages.world import World, world


@pytest.fixture(scope="session")
def pages_world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    database = os.environ.get("KINDLING_TEST_DATABASE", "")
    with world(tmp_path_factory.mktemp("pages"), database) as found:
        yield found
