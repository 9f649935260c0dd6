"""What a driver's JVM starts with in this deployment: the start-up profile, as it is configured.

``[kindling] start_profile`` says which (``archive``, ``light`` or ``off``), the Spark property
``spark.kindling.startProfile`` says it for a definition or a pipe.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from airflow.providers.common.compat.sdk import conf

from kindling_airflow.deployment.start_profile import (
    MODE_PROPERTY,
    ProfileMode,
    archive_in,
    driver_options,
    find_installation,
)

__all__ = ["profile_folder", "profile_mode", "submit_options"]

log = logging.getLogger(__name__)
_OPTIONS_PROPERTIES = ("spark.driver.defaultJavaOptions", "spark.driver.extraJavaOptions")
_OPTIONS_VARIABLES = ("SPARK_SUBMIT_OPTS", "JAVA_TOOL_OPTIONS", "JDK_JAVA_OPTIONS")
_DEFAULT_FOLDER = "kindling-profile"


def profile_folder() -> Path:
    """Return the folder of the deployment's archives: ``[kindling] start_profile_folder``.

    Where it says nothing it is ``kindling-profile`` in AIRFLOW_HOME; a relative path starts there.
    """
    from airflow.configuration import AIRFLOW_HOME

    said = conf.get("kindling", "start_profile_folder", fallback="")
    return Path(AIRFLOW_HOME) / (said or _DEFAULT_FOLDER)


def profile_mode(properties: Mapping[str, Any]) -> ProfileMode:
    """Return the mode that a driver's properties choose, else the deployment's."""
    for place, said in (
        (MODE_PROPERTY, properties.get(MODE_PROPERTY)),
        ("[kindling] start_profile", conf.get("kindling", "start_profile", fallback="")),
    ):
        if said:
            try:
                return ProfileMode(str(said).strip().lower())
            except ValueError:
                known = ", ".join(mode.value for mode in ProfileMode)
                log.warning("%s is none of %s: %r does not count", place, known, said)
    return ProfileMode.ARCHIVE


def submit_options(
    properties: Mapping[str, Any],
    environment: Mapping[str, str],
    spark_binary: str,
    properties_file: str | None = None,
) -> str:
    """Return ``SPARK_SUBMIT_OPTS`` of a driver: its profile, and what stood there before.

    Nothing that the user says is overridden, wherever it is said.

    Args:
        properties: the Spark properties that the driver is submitted with.
        environment: the variables that it is started with.
        spark_binary: the program that submits.
        properties_file: its file of properties, where it is not ``spark-defaults.conf``.
    """
    before = environment.get("SPARK_SUBMIT_OPTS", "")
    mode = profile_mode(properties)
    if mode is ProfileMode.OFF:
        return before
    installation = find_installation(environment, spark_binary)
    archive = archive_in(profile_folder(), installation) if installation else None
    said = [str(properties.get(name, "")) for name in _OPTIONS_PROPERTIES]
    said += [environment.get(name, "") for name in _OPTIONS_VARIABLES]
    home = installation.spark_home if installation is not None else None
    said += _said_in_file(properties_file, environment, home)
    # What stands later wins: the user's own.
    return f"{driver_options(mode, archive, ' '.join(said))} {before}".strip()


def _said_in_file(
    named: str | None, environment: Mapping[str, str], spark_home: Path | None
) -> list[str]:
    """Return the driver's options in the file of properties that spark-submit reads."""
    folder = environment.get("SPARK_CONF_DIR") or Path(spark_home or ".", "conf")
    path = Path(named) if named else Path(folder, "spark-defaults.conf")
    try:
        text = path.read_text("utf-8", "replace")
    except OSError:
        return []
    names = "|".join(re.escape(name) for name in _OPTIONS_PROPERTIES)
    return re.findall(rf"^\s*(?:{names})[\s=:]+(.*)$", text, re.MULTILINE)
