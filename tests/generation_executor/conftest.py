"""Whatever was configured about logging before (importing Airflow does it), we are heard."""

from __future__ import annotations

import logging

import pytest


@pytest.fixture(autouse=True)
def _loggers_speak() -> None:
    for name, logger in logging.root.manager.loggerDict.items():
        if name.startswith("kindling_airflow") and isinstance(logger, logging.Logger):
            logger.disabled, logger.propagate = False, True
            logger.setLevel(logging.NOTSET)
