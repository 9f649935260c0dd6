"""The JVM options of a driver: the start-up profile of this deployment.

Set by ``[kindling] start_profile`` (``archive``, ``light`` or ``off``), and for a definition or a
pipe by the Spark property ``spark.kindling.startProfile``.
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
    """Return the folder of the archives: ``[kindling] start_profile_folder``.

    The default is ``kindling-profile``; a relative path starts from AIRFLOW_HOME.
    """
    from airflow.configuration import AIRFLOW_HOME

    folder = conf.get("kindling", "start_profile_folder", fallback="")
    return Path(AIRFLOW_HOME) / (folder or _DEFAULT_FOLDER)


def profile_mode(properties: Mapping[str, Any]) -> ProfileMode:
    """Return the mode that a driver's properties set, else the deployment's."""
    for place, value in (
        (MODE_PROPERTY, properties.get(MODE_PROPERTY)),
        ("[kindling] start_profile", conf.get("kindling", "start_profile", fallback="")),
    ):
        if value:
            try:
                return ProfileMode(str(value).strip().lower())
            except ValueError:
                known = ", ".join(mode.value for mode in ProfileMode)
                log.warning("%s: %r is ignored: it is not one of %s", place, value, known)
    return ProfileMode.ARCHIVE


def submit_options(
    properties: Mapping[str, Any],
    environment: Mapping[str, str],
    spark_binary: str,
    properties_file: str | None = None,
) -> str:
    """Return ``SPARK_SUBMIT_OPTS`` of a driver: its profile, and the variable's own value.

    No option that the user sets, in any place, is overridden.

    Args:
        properties: the Spark properties that the driver is submitted with.
        environment: its environment variables.
        spark_binary: the name or path of spark-submit.
        properties_file: its properties file, if it is not ``spark-defaults.conf``.
    """
    before = environment.get("SPARK_SUBMIT_OPTS", "")
    mode = profile_mode(properties)
    if mode is ProfileMode.OFF:
        return before
    installation = find_installation(environment, spark_binary)
    archive = archive_in(profile_folder(), installation) if installation else None
    given = [str(properties.get(name, "")) for name in _OPTIONS_PROPERTIES]
    given += [environment.get(name, "") for name in _OPTIONS_VARIABLES]
    home = installation.spark_home if installation is not None else None
    given += _options_in_file(properties_file, environment, home)
    # The last one wins: the user's.
    return f"{driver_options(mode, archive, ' '.join(given))} {before}".strip()


def _options_in_file(
    name: str | None, environment: Mapping[str, str], spark_home: Path | None
) -> list[str]:
    """Return the driver's options in the properties file that spark-submit reads."""
    folder = environment.get("SPARK_CONF_DIR") or Path(spark_home or ".", "conf")
    path = Path(name) if name else Path(folder, "spark-defaults.conf")
    try:
        text = path.read_text("utf-8", "replace")
    except OSError:
        return []
    names = "|".join(re.escape(name) for name in _OPTIONS_PROPERTIES)
    return re.findall(rf"^\s*(?:{names})[\s=:]+(.*)$", text, re.MULTILINE)
