"""Text files, read by the driver itself: what they begin with, and where in them a record is.

Spark reports a record that is wrong without the number of its line, because the parts of a file are
read side by side. It is looked up once a run has failed.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Any

from pyspark.sql import DataFrame, SparkSession

_LONGEST = 64 * 1024
_CHUNK = 1024 * 1024
_MOST_CHUNKS = 256


def beginning(frame: DataFrame, name: str) -> bytes:
    """Return what a file that a frame reads begins with, unpacked."""
    stream = _opened(frame.sparkSession, name)
    try:
        return _read(frame.sparkSession, stream, _LONGEST)
    finally:
        stream.close()


def lines_of(session: SparkSession, name: str) -> Iterator[bytes]:
    """Yield the lines of a file, without their ends; of an endless file, the first part."""
    stream = _opened(session, name)
    rest = b""
    try:
        for _ in range(_MOST_CHUNKS):
            chunk = _read(session, stream, _CHUNK)
            if not chunk:
                break
            *lines, rest = (rest + chunk).split(b"\n")
            for line in lines:
                yield line.removesuffix(b"\r")
        else:
            return
    finally:
        stream.close()
    if rest:
        yield rest.removesuffix(b"\r")


def line_number(session: SparkSession, name: str, digest: str) -> int | None:
    """Return the number of the line that has a digest, from 1 on; None if it is not found."""
    for number, line in enumerate(lines_of(session, name), 1):
        plain = line.removeprefix(b"\xef\xbb\xbf") if number == 1 else line
        if digest in (digest_of(plain), digest_of(line)):
            return number
    return None


def digest_of(line: bytes) -> str:
    """Return the result of Spark's function ``md5`` for a line."""
    return hashlib.md5(line, usedforsecurity=False).hexdigest()


def plain_path(session: Any, name: str) -> str:
    """Return a file's path, as readers take it, of the URI by which Spark names it."""
    jvm = session._jvm
    return str(jvm.org.apache.hadoop.fs.Path(jvm.java.net.URI(name)).toString())


def _opened(session: Any, name: str) -> Any:
    jvm, conf = session._jvm, session._jsc.hadoopConfiguration()
    path = jvm.org.apache.hadoop.fs.Path(jvm.java.net.URI(name))
    stream = path.getFileSystem(conf).open(path)
    codec = jvm.org.apache.hadoop.io.compress.CompressionCodecFactory(conf).getCodec(path)
    return stream if codec is None else codec.createInputStream(stream)


def _read(session: Any, stream: Any, most: int) -> bytes:
    jvm = session._jvm
    bounded = jvm.org.apache.commons.io.input.BoundedInputStream(stream, most)
    return bytes(jvm.org.apache.commons.io.IOUtils.toByteArray(bounded))
