"""``version``: the installed releases, without importing them."""

from __future__ import annotations

import argparse
import json
import platform
from importlib.metadata import PackageNotFoundError, version

from kindling_airflow import __version__

_PACKAGES = (
    *("apache-airflow", "apache-airflow-providers-apache-spark", "networkx", "pyspark"),
    *("pyspark-client", "sqlglot"),
)


def show_version(args: argparse.Namespace) -> int:
    """Print the releases of this package and of its main dependencies."""
    found: dict[str, str | None] = {
        "airflow-provider-kindling": __version__,
        "python": platform.python_version(),
        **{name: _installed(name) for name in _PACKAGES},
    }
    if args.json:
        print(json.dumps(found, indent=2))
        return 0
    for name, release in found.items():
        print(f"{name} {release or '(not installed)'}")
    return 0


def _installed(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None
