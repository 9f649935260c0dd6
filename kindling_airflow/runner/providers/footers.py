"""How many rows parquet files hold, by their footers: exact, and without a Spark job.

A count by Spark is two jobs, half a second of a small driver's time. What the footers of a few
files say is there in milliseconds; with many files Spark, which reads them side by side, is
quicker.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

__all__ = ["count_rows"]

_FEW = 32


def count_rows(frame: DataFrame) -> int:
    """Return the number of rows of a frame that is a plain read of parquet files.

    Args:
        frame: what ``spark.read.parquet`` returned, nothing done to it.
    """
    files = frame.inputFiles()
    if len(files) > _FEW:
        return frame.count()
    session: Any = frame.sparkSession
    conf, parquet = session._jsc.hadoopConfiguration(), session._jvm.org.apache.parquet.hadoop
    reader, input_file = parquet.ParquetFileReader, parquet.util.HadoopInputFile
    path, uri = session._jvm.org.apache.hadoop.fs.Path, session._jvm.java.net.URI
    rows = 0
    for name in files:
        footer = reader.open(input_file.fromPath(path(uri(name)), conf))
        try:
            rows += footer.getRecordCount()
        finally:
            footer.close()
    return rows
