"""Jars that tests need and no Python package brings: fetched once, checked, kept under build/."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from kindling_airflow.cli.jars import fetch_jars
from kindling_airflow.deployment.jars import FORMATS, Jar

__all__ = ["SQLITE_JDBC", "fetched", "format_jars", "jar"]

_FOLDER = Path(__file__).resolve().parents[2] / "build" / "jars"

SQLITE_JDBC = Jar(
    "org.xerial",
    "sqlite-jdbc",
    "3.50.3.0",
    "a3f53a2aa15ae9425a9e793bbe9c8e5288febeb4b65ef5c1a4e80d4c2045cf08",
)


def jar(wanted: Jar) -> Path:
    """Return where a jar is; fails the test that needs it if it cannot be had."""
    return fetched([wanted])[0]


def format_jars(name: str) -> list[Path]:
    """Return the jars of a format; fails the test that needs them if one cannot be had."""
    return fetched(FORMATS[name]["4.1"])


def fetched(jars: Sequence[Jar]) -> list[Path]:
    """Return where jars are; fails the test that needs them if one cannot be had."""
    fetch_jars(jars, _FOLDER)
    return [_FOLDER / wanted.file_name for wanted in jars]
