"""A driver's Python imports what it needs: no pyspark out of a zip, no unused pandas.

Half a second and more of each driver's life, where most pipes take a few.
"""

from __future__ import annotations

import sys
from importlib import import_module
from pathlib import Path
from typing import Any

_DEPTH = 4  # .../pyspark/python/lib/pyspark.zip
_NUMPY_CONVERTERS = ("NumpyArrayConverter", "NumpyScalarConverter")


def import_compiled_pyspark() -> None:
    """Make pyspark importable from the folder that its zip belongs to.

    spark-submit puts ``pyspark.zip`` on the import path, and modules in a zip are recompiled in
    each process. The same files are beside it, and Python keeps them compiled.
    """
    zips = [entry for entry in sys.path if Path(entry).name == "pyspark.zip"]
    for entry in zips[:1]:
        parents = Path(entry).parents
        if len(parents) < _DEPTH:
            return
        distribution, package, installation = parents[1], parents[2], parents[3]
        if (distribution / "pyspark" / "__init__.py").is_file():
            sys.path[sys.path.index(entry)] = str(distribution)
        elif package.name == "pyspark" and str(installation) in sys.path:
            sys.path.remove(entry)


def import_pandas_on_demand() -> None:
    """Let pyspark look into what is numpy's only.

    To find out whether numpy is there its converters import pandas, if that is installed, and they
    are asked for every string that goes to Java.
    """
    import_module("pyspark.sql.types")  # registers them
    from py4j.protocol import INPUT_CONVERTER

    for place, converter in enumerate(INPUT_CONVERTER):
        if type(converter).__name__ in _NUMPY_CONVERTERS:
            INPUT_CONVERTER[place] = _IfNumpys(converter)


class _IfNumpys:
    def __init__(self, converter: Any) -> None:
        self._converter = converter

    def can_convert(self, value: Any) -> bool:
        homes = {base.__module__.partition(".")[0] for base in type(value).__mro__}
        return "numpy" in homes and bool(self._converter.can_convert(value))

    def convert(self, value: Any, gateway_client: Any) -> Any:
        return self._converter.convert(value, gateway_client)
