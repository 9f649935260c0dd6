"""``kindling-airflow jars``: whole, checked, once; with a Maven that this test plays."""

from __future__ import annotations

import hashlib
import json
import os
import sys
from pathlib import Path

import pytest

from kindling_airflow.cli import jars
from kindling_airflow.cli.jars import fetch_jars
from kindling_airflow.cli.main import main
from kindling_airflow.deployment.jars import FORMATS, Jar
from kindling_airflow.errors import KindlingAirflowError

CONTENT = b"a jar"
GOOD = Jar("org.example", "shop", "1.0", hashlib.sha256(CONTENT).hexdigest())
ABSENT = Jar("org.example", "absent", "2.0", "0" * 64)
OTHER = Jar("org.example", "other", "3.0", "1" * 64)

MAVEN = """\
#!{python}
import re, sys
from pathlib import Path
pom = Path(sys.argv[sys.argv.index("-f") + 1]).read_text()
folder = Path(re.search("<outputDirectory>(.*)</outputDirectory>", pom)[1])
Path({log!r}).open("a").write("called\\n")
for artifact, version in re.findall("<artifactId>([^<]*)</artifactId><version>([^<]*)<", pom)[1:]:
    if artifact == "absent":
        print("[ERROR] no such artifact")
    elif artifact not in ("jars", "maven-dependency-plugin"):
        (folder / f"{{artifact}}-{{version}}.jar").write_bytes(b"a jar")
"""


@pytest.fixture
def calls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A Maven on the path that makes any jar but one; returns where it notes its calls."""
    log = tmp_path / "calls"
    log.write_text("")
    program = tmp_path / "bin" / "mvn"
    program.parent.mkdir()
    program.write_text(MAVEN.format(python=sys.executable, log=str(log)))
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}{os.pathsep}{os.environ['PATH']}")
    return log


def test_a_jar_is_fetched_once(calls: Path, tmp_path: Path) -> None:
    folder = tmp_path / "jars"
    said: list[str] = []
    assert fetch_jars([GOOD], folder, said.append) == (GOOD,)
    assert fetch_jars([GOOD], folder, said.append) == ()
    assert (folder / "shop-1.0.jar").read_bytes() == CONTENT
    assert [path.name for path in folder.iterdir()] == ["shop-1.0.jar"]
    assert said == ["Fetching 1 jars with Maven ..."]
    assert calls.read_text() == "called\n"


def test_a_jar_that_was_damaged_is_fetched_again(calls: Path, tmp_path: Path) -> None:
    (tmp_path / "shop-1.0.jar").write_text("half")
    assert fetch_jars([GOOD], tmp_path) == (GOOD,)
    assert (tmp_path / "shop-1.0.jar").read_bytes() == CONTENT
    assert calls.read_text() == "called\n"


@pytest.mark.usefixtures("calls")
def test_a_jar_that_cannot_be_had_is_an_error_that_shows_why(tmp_path: Path) -> None:
    with pytest.raises(KindlingAirflowError) as raised:
        fetch_jars([ABSENT], tmp_path / "jars")
    assert str(raised.value) == (
        "org.example:absent:2.0 cannot be fetched:\n"
        "    [ERROR] no such artifact\n"
        "  Fix: configure a repository that has it for Maven (settings.xml) or spark-submit "
        f"(spark.jars.ivySettings), or copy 'absent-2.0.jar' to {str(tmp_path / 'jars')!r}."
    )


@pytest.mark.usefixtures("calls")
def test_a_jar_with_another_content_is_refused_and_not_kept(tmp_path: Path) -> None:
    with pytest.raises(KindlingAirflowError) as raised:
        fetch_jars([OTHER], tmp_path / "jars")
    assert str(raised.value) == (
        f"org.example:other:3.0: checksum mismatch: the SHA-256 is {GOOD.sha256}, not "
        f"{OTHER.sha256}\n"
        "  Fix: check the repository and the proxies in between; the file was deleted."
    )
    assert list((tmp_path / "jars").iterdir()) == []


def test_the_command_prints_the_setting_for_the_definition(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kindling_airflow.cli.jars.fetch_jars", lambda *_: ())
    assert main(["jars", "iceberg", "--folder", str(tmp_path)]) == 0
    assert capsys.readouterr().out == (
        f"1 jars for iceberg on Spark 4.1 in {tmp_path}, 0 of them fetched now; all checksums "
        "match.\n"
        "For the definition:\n\n"
        "spark:\n  conf:\n"
        f'    spark.jars: "{tmp_path}/iceberg-spark-runtime-4.1_2.13-1.12.0.jar"\n'
    )


def test_the_command_tells_programs_the_same(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kindling_airflow.cli.jars.fetch_jars", lambda *_: ())
    assert main(["jars", "--folder", str(tmp_path), "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["formats"] == ["delta", "iceberg", "postgresql", "kafka"]
    jars = [jar for name in said["formats"] for jar in FORMATS[name]["4.1"]]
    assert [found["path"] for found in said["jars"]] == said["conf"]["spark.jars"].split(",")
    assert said["packages"].split(",") == [jar.coordinates for jar in jars]


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (
            ["icebreg"],
            (
                "unknown format 'icebreg'. Did you mean 'iceberg'? "
                "Formats: delta, iceberg, postgresql, kafka"
            ),
        ),
        (
            ["delta", "--spark", "3.5"],
            "no jars of delta are known for Spark '3.5', only for 4.1",
        ),
    ],
)
def test_what_is_not_known_is_a_wrong_call(
    arguments: list[str], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["jars", *arguments]) == 2
    assert capsys.readouterr().err == f"kindling-airflow jars: {told}\n"


def test_spark_submit_fetches_where_there_is_no_maven(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    called: list[tuple[str, ...]] = []

    def output(*command: str) -> str:
        called.append(command)
        folder = Path(next(c for c in command if c.startswith("spark.jars.ivy=")).partition("=")[2])
        (folder / "jars").mkdir()
        (folder / "jars" / "org.example_shop-1.0.jar").write_bytes(CONTENT)
        return ""

    monkeypatch.setattr(jars.shutil, "which", lambda _name: None)
    monkeypatch.setattr(jars, "_output", output)
    assert fetch_jars([GOOD], tmp_path) == (GOOD,)
    assert [path.name for path in tmp_path.iterdir()] == ["shop-1.0.jar"]
    [command] = called
    assert "org.example:shop:1.0" in command
