"""Provider metadata for Airflow's providers manager. Must not import airflow (circular import)."""

from __future__ import annotations

from typing import Any

__all__ = ["get_provider_info"]


def get_provider_info() -> dict[str, Any]:
    """Return the provider's metadata in Airflow's form."""
    return {
        "package-name": "airflow-provider-kindling",
        "name": "Kindling",
        "description": "Compiles Spark pipeline plans into Apache Airflow DAGs.",
        "operators": [
            {
                "integration-name": "Kindling",
                "python-modules": ["kindling_airflow.operators.pipe"],
            }
        ],
        "cli": ["kindling_airflow.cli.airflow_commands.get_kindling_cli_commands"],
        "config": {
            "kindling": {
                "description": "Settings of airflow-provider-kindling.",
                "options": {
                    "warehouse": {
                        "description": (
                            "Root of the entities' tables, a path or URI, for definitions that "
                            "name none. Default: the folder 'warehouse' in AIRFLOW_HOME."
                        ),
                        "version_added": "0.1.0",
                        "type": "string",
                        "example": "s3a://lake/warehouse",
                        "default": "",
                    }
                },
            }
        },
    }
