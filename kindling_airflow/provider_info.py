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
                "python-modules": [
                    "kindling_airflow.operators.pipe",
                    "kindling_airflow.operators.ready_gate",
                    "kindling_airflow.operators.session",
                    "kindling_airflow.operators.stop_streams",
                    "kindling_airflow.operators.stream",
                ],
            }
        ],
        "extra-links": [
            "kindling_airflow.operators.links.buttons.EntityLocationLink",
            "kindling_airflow.operators.links.buttons.SparkPagesLink",
        ],
        # Stores of Hadoop that no provider of Airflow has; a URI stays as it is.
        "asset-uris": [
            {
                "schemes": [
                    *("abfs", "abfss", "dbfs", "hdfs", "s3a", "s3n", "viewfs", "wasb", "wasbs")
                ],
                "handler": None,
                "to_openlineage_converter": (
                    "kindling_airflow.operators.openlineage.dataset_of_asset"
                ),
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
                    },
                    "shared_warehouse": {
                        "description": (
                            "Whether a warehouse on a local path is one disk that every machine "
                            "mounts. Unless it is, a local warehouse is refused where tasks may "
                            "run on several machines (CeleryExecutor, KubernetesExecutor, deploy "
                            "mode 'cluster'), and by drivers whose executors run on a cluster."
                        ),
                        "version_added": "0.1.0",
                        "type": "boolean",
                        "example": "True",
                        "default": "False",
                    },
                    "warehouse_conn_id": {
                        "description": (
                            "Connection with which tasks in cluster deploy mode reach the "
                            "warehouse, or report_url, for reports and claims. Default: that of "
                            "the store's Airflow provider. For HDFS: host, port and login of the "
                            "NameNode's REST interface (WebHDFS)."
                        ),
                        "version_added": "0.1.0",
                        "type": "string",
                        "example": "aws_default",
                        "default": "",
                    },
                    "webhdfs_address": {
                        "description": (
                            "HTTP addresses of the NameNodes of an HDFS warehouse, separated by "
                            "commas; the active one is found. Default: those in the Hadoop "
                            "configuration of the worker (HADOOP_CONF_DIR), else port 9870 of the "
                            "warehouse's host."
                        ),
                        "version_added": "0.1.0",
                        "type": "string",
                        "example": "http://nn1:9870,http://nn2:9870",
                        "default": "",
                    },
                    "report_url": {
                        "description": (
                            "Where drivers in cluster deploy mode and their tasks exchange reports "
                            "and claims, in place of the warehouse: a folder that both mount, or a "
                            "URL as Airflow's object storage names it. Drivers use the same URL by "
                            "Hadoop's name of its scheme (s3a for s3)."
                        ),
                        "version_added": "0.1.0",
                        "type": "string",
                        "example": "s3://lake/kindling-reports",
                        "default": "",
                    },
                    "yarn_resource_manager": {
                        "description": (
                            "Web addresses of YARN's resource managers, separated by commas, by "
                            "which drivers in cluster deploy mode are followed and killed. The "
                            "Spark connection's extra yarn_resourcemanager_webapp_address comes "
                            "first; default: those in the Hadoop configuration of the worker."
                        ),
                        "version_added": "0.1.0",
                        "type": "string",
                        "example": "http://rm1:8088,http://rm2:8088",
                        "default": "",
                    },
                    "lease_seconds": {
                        "description": (
                            "How long a driver in cluster deploy mode counts as watched after its "
                            "task has renewed its lease, which it does four times as often. A "
                            "driver that nothing watches does not publish."
                        ),
                        "version_added": "0.1.0",
                        "type": "float",
                        "example": "120",
                        "default": "60",
                    },
                    "history_server": {
                        "description": (
                            "Address of the Spark history server, for the button 'Spark' of tasks "
                            "that have ended. The Spark connection's extra 'history-server' and "
                            "the Spark property spark.yarn.historyServer.address come first."
                        ),
                        "version_added": "0.1.0",
                        "type": "string",
                        "example": "https://spark-history.example.com",
                        "default": "",
                    },
                    "location_url": {
                        "description": (
                            "Page that shows where a table lies, for the button 'Table', with "
                            "{location}, {scheme}, {bucket} and {path} in it. Default: the "
                            "consoles of AWS and Google Cloud for s3a:// and gs://, else no "
                            "button."
                        ),
                        "version_added": "0.1.0",
                        "type": "string",
                        "example": "https://minio.example.com/browser/{bucket}/{path}",
                        "default": "",
                    },
                    "start_profile": {
                        "description": (
                            "What drivers in local and client mode start with. 'archive': the "
                            "class-data archive that 'airflow kindling warm' made, if it fits. "
                            "'light': also the serial collector and the first compiler alone, for "
                            "pipes that end within a few minutes. 'off': nothing. The Spark "
                            "property spark.kindling.startProfile says it for one definition or "
                            "pipe."
                        ),
                        "version_added": "0.1.0",
                        "type": "string",
                        "example": "light",
                        "default": "archive",
                    },
                    "start_profile_folder": {
                        "description": (
                            "Folder of the class-data archives, on every machine that runs tasks. "
                            "Default: the folder 'kindling-profile' in AIRFLOW_HOME."
                        ),
                        "version_added": "0.1.0",
                        "type": "string",
                        "example": "/data/kindling-profile",
                        "default": "",
                    },
                    "session_secret": {
                        "description": (
                            "Key from which the secrets of shared sessions are derived, the same "
                            "on all workers and triggerers. Default: [core] fernet_key. Without "
                            "either, pipes start their own drivers."
                        ),
                        "version_added": "0.1.0",
                        "type": "string",
                        "sensitive": True,
                        "example": "the output of: openssl rand -hex 32",
                        "default": "",
                    },
                    "session_host": {
                        "description": (
                            "Address at which the driver of a shared session listens, on the "
                            "worker that runs it. Default: the loopback interface where the local "
                            "executor runs all tasks, else the address of the worker's name."
                        ),
                        "version_added": "0.1.0",
                        "type": "string",
                        "example": "10.0.0.7",
                        "default": "",
                    },
                    "session_start_seconds": {
                        "description": (
                            "How long a pipe waits for its session to start, before it starts its "
                            "own driver."
                        ),
                        "version_added": "0.1.0",
                        "type": "float",
                        "example": "300",
                        "default": "120",
                    },
                    "session_wait_seconds": {
                        "description": (
                            "How long a pipe that runs in a shared session waits in its worker, "
                            "before it waits in the triggerer. 0: in its worker until it has ended."
                        ),
                        "version_added": "0.1.0",
                        "type": "float",
                        "example": "300",
                        "default": "60",
                    },
                    "import_timeout": {
                        "description": (
                            "Seconds that the import of one project may take while a DAG file is "
                            "parsed. Default: its share of what [core] dagbag_import_timeout "
                            "leaves, which no project can exceed."
                        ),
                        "version_added": "0.1.0",
                        "type": "float",
                        "example": "10",
                        "default": "",
                    },
                    "code_drift": {
                        "description": (
                            "What a task does if the project's code on its worker differs from "
                            "that of the compiled manifest or of its upstream tasks, or changes "
                            "while its driver runs: 'warn', 'fail' (the task fails, and is "
                            "retried) or 'ignore'."
                        ),
                        "version_added": "0.1.0",
                        "type": "string",
                        "example": "fail",
                        "default": "warn",
                    },
                    "preload": {
                        "description": (
                            "Whether the DAG processor, and a scheduler with the LocalExecutor, "
                            "import this package and the Spark provider once, before they fork a "
                            "child for each parse or task."
                        ),
                        "version_added": "0.1.0",
                        "type": "boolean",
                        "example": "False",
                        "default": "True",
                    },
                    "create_pools": {
                        "description": (
                            "Whether the scheduler creates the missing pools of a compiled DAG "
                            "when a run of it starts. Where it does not, the run's note says what "
                            "is missing, and 'airflow kindling pools --apply' creates it."
                        ),
                        "version_added": "0.1.0",
                        "type": "boolean",
                        "example": "False",
                        "default": "True",
                    },
                },
            }
        },
    }
