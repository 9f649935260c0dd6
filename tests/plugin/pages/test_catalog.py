"""The pages cost nothing where they are not served, and their addresses are relative."""

from __future__ import annotations

import subprocess
import sys

from kindling_airflow.plugin.pages.catalog import PAGES, external_views

_IMPORTED = """
import sys
import kindling_airflow.plugin
print([name for name in sys.modules if "plugin.pages" in name or name == "fastapi"])
"""


def test_a_process_that_loads_the_plugin_imports_no_page() -> None:
    done = subprocess.run(
        [sys.executable, "-c", _IMPORTED], capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines()[-1] == "[]"


def test_addresses_are_relative_because_the_ui_may_be_below_a_path() -> None:
    assert all(view["href"].startswith("kindling/dags/") for view in external_views())


def test_every_tab_has_an_address_of_its_own_in_the_ui() -> None:
    assert len({page.tab for page in PAGES}) == len(PAGES)
