"""How a driver by hand starts as those of this package do: what the comparisons share."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path

from kindling_airflow.deployment.start_profile import (
    ProfileMode,
    archive_in,
    driver_options,
    find_installation,
)

__all__ = ["PROFILES", "ROOT", "same_start"]

ROOT = Path(__file__).resolve().parent.parent
PROFILES = ROOT / ".demo" / "profile"  # the demo's, so that it is made once


def same_start(environment: Mapping[str, str]) -> dict[str, str]:
    """Return the variables that give a driver by hand the Python and the profile of ours."""
    installation = find_installation(environment, "spark-submit")
    archive = archive_in(PROFILES, installation) if installation is not None else None
    options = driver_options(ProfileMode.LIGHT, archive)
    return {
        "PYSPARK_PYTHON": sys.executable,
        "SPARK_SUBMIT_OPTS": f"{options} {environment.get('SPARK_SUBMIT_OPTS', '')}",
    }
