#!/bin/bash
# Checks a pipeline project: check.sh [FOLDER]. FOLDER has the project as it is deployed now.
set -euo pipefail
deployed="${1:-}"

for definition in dags/*.kindling.yaml; do
    kindling-airflow package "$definition"     # the zip for the cluster
    kindling-airflow validate "$definition"    # everything up to the DAG
    kindling-airflow compile "$definition"     # the manifest, so that Airflow imports nothing
    if [ -n "$deployed" ]; then
        kindling-airflow diff "$deployed/$definition" "$definition"
    fi
done

# All pipes on sample data, in one local session.
rm -rf sample
cp -r warehouse sample
kindling-airflow run dags/orders.kindling.yaml --warehouse sample
