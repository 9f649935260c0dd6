"""A driver's Python imports what it needs, and whatever it needs."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from kindling_airflow.runner import lean_start


def _zip_in(folder: Path) -> Path:
    folder.mkdir(parents=True)
    path = folder / "pyspark.zip"
    path.touch()
    return path


def test_the_zip_of_an_installed_pyspark_gives_way_to_the_package(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    zipped = _zip_in(tmp_path / "pyspark" / "python" / "lib")
    monkeypatch.setattr(sys, "path", ["/own", str(zipped), str(tmp_path)])
    lean_start.import_compiled_pyspark()
    assert sys.path == ["/own", str(tmp_path)]


def test_the_zip_of_a_spark_distribution_gives_way_to_the_folder_beside_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    zipped = _zip_in(tmp_path / "spark" / "python" / "lib")
    package = tmp_path / "spark" / "python" / "pyspark"
    package.mkdir()
    (package / "__init__.py").touch()
    monkeypatch.setattr(sys, "path", ["/own", str(zipped), "/more"])
    lean_start.import_compiled_pyspark()
    assert sys.path == ["/own", str(tmp_path / "spark" / "python"), "/more"]


@pytest.mark.parametrize("place", ["spark/python/lib", "pyspark/python/lib", "elsewhere"])
def test_a_zip_without_its_folder_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    path = ["/own", str(_zip_in(tmp_path / place)), "pyspark.zip"]
    monkeypatch.setattr(sys, "path", list(path))
    lean_start.import_compiled_pyspark()
    assert sys.path == path


def test_a_relative_zip_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", ["pyspark.zip"])
    lean_start.import_compiled_pyspark()
    assert sys.path == ["pyspark.zip"]


_ASK = """
import sys
from kindling_airflow.runner.lean_start import import_pandas_on_demand
from py4j.protocol import INPUT_CONVERTER
import_pandas_on_demand()
def converted(value):
    found = [c for c in INPUT_CONVERTER if c.can_convert(value)]
    return found[0].convert(value, None) if found else None
assert converted("a text") is None
assert converted(b"bytes") is None
assert "pandas" not in sys.modules
import numpy
class Counts(numpy.ndarray): pass
assert type(converted(numpy.int64(3))) is int and converted(numpy.int64(3)) == 3
for array in (numpy.array([1]), numpy.array([1]).view(Counts)):
    assert [type(c).__name__ for c in INPUT_CONVERTER if c.can_convert(array)][0] == "_IfNumpys"
print("right")
"""


def test_what_is_numpys_is_converted_and_nothing_else_imports_pandas() -> None:
    done = subprocess.run([sys.executable, "-c", _ASK], capture_output=True, text=True, check=False)
    assert (done.stdout.strip(), done.stderr) == ("right", "")
