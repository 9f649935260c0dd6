"""The FastAPI application that serves the pages below ``/kindling``."""

from __future__ import annotations

from functools import cache
from importlib import import_module

from fastapi import FastAPI

from kindling_airflow.plugin.pages.catalog import ROUTERS

__all__ = ["pages_app"]


@cache
def pages_app() -> FastAPI:
    """Return the application; Airflow mounts it into its API server."""
    app = FastAPI(title="Kindling", docs_url=None, redoc_url=None, openapi_url=None)
    for name in ROUTERS:
        app.include_router(import_module(name).router)
    return app
