import pytest
from pyspark.sql import SparkSession

from kindling_airflow.runner.providers.contract import RULES, Case


@pytest.fixture(scope="session")
def spark():
    return SparkSession.builder.master("local[1]").getOrCreate()


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_orc_tables_hold_the_contract(rule, spark, tmp_path):
    rule(Case(spark, str(tmp_path), {"provider_type": "shop_entities:OrcProvider"}))
