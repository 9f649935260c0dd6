"""One API server for all tests of the pages."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.plugin.pages.world import World, world


@pytest.fixture(scope="session")
def pages_world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with world(tmp_path_factory.mktemp("pages")) as found:
        yield found
