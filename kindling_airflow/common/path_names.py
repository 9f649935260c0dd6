"""Names that are safe as files and folders."""

from __future__ import annotations

import hashlib
import re

_UNSAFE = re.compile(rb"[^A-Za-z0-9_.\-]")
_LONGEST = 150


def escape_component(text: str, *, longest: int = _LONGEST) -> str:
    """Return a string as one harmless path component; different strings give different ones.

    Unsafe characters, a leading dot or underscore (Spark hides such paths) and ``%`` are
    percent-encoded; what is longer than ``longest`` (at least 20) is cut and gets its digest.

    >>> escape_component("silver.orders"), escape_component("../a b"), escape_component("_x")
    ('silver.orders', '%2E.%2Fa%20b', '%5Fx')
    """
    raw = text.encode("utf-8", "surrogatepass")
    encoded = _UNSAFE.sub(lambda found: b"%%%02X" % ord(found[0]), raw).decode("ascii")
    if encoded[:1] in (".", "_"):
        encoded = f"%{ord(encoded[0]):02X}{encoded[1:]}"
    if len(encoded) <= longest:
        return encoded or "%"
    return f"{encoded[: longest - 20].rstrip('%')}%%{hashlib.sha256(raw).hexdigest()[:16]}"
