"""Coordinates of jars: complete, unique, and pinned by their content."""

from __future__ import annotations

import re

import pytest

from kindling_airflow.deployment.jars import FORMATS, Jar, packages_setting, spark_jars_setting

ALL = [jar for by_spark in FORMATS.values() for jars in by_spark.values() for jar in jars]


@pytest.mark.parametrize("jar", ALL, ids=lambda jar: jar.file_name)
def test_each_jar_is_pinned_by_its_content(jar: Jar) -> None:
    assert re.fullmatch(r"[0-9a-f]{64}", jar.sha256)
    assert re.fullmatch(r"[\w.]+:[\w.-]+:\d+\.\d+\.\d+", jar.coordinates)


def test_no_two_jars_have_one_file() -> None:
    assert len({jar.file_name for jar in ALL}) == len(ALL)
    assert len({jar.sha256 for jar in ALL}) == len(ALL)


def test_settings_keep_the_order() -> None:
    jars = [Jar("a", "x", "1", ""), Jar("b", "y", "2", "")]
    assert spark_jars_setting("/opt/jars/", jars) == "/opt/jars/x-1.jar,/opt/jars/y-2.jar"
    assert packages_setting(jars) == "a:x:1,b:y:2"
