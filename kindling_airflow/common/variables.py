"""Variables of a shell in texts that no shell reads: ``$HOME``, ``${BUCKET}``, ``~``.

Nothing expands them here, so that a folder of that very name would be made.
"""

from __future__ import annotations

import re

_VARIABLE = re.compile(r"\$\{[^{}]*\}|(?:^|(?<=[/:=,]))\$[A-Za-z_]\w*")
_HOME = re.compile(r"~[\w.-]*(?=/|$)")


def variable_problem(text: object, *, is_path: bool = True) -> str | None:
    """Return what is wrong with a text that names a variable of a shell, or None.

    Args:
        text: the text; what is not a text names none.
        is_path: whether a ``~`` at its beginning would be a home directory.

    >>> print(variable_problem("$HOME/lake"))
    '$HOME/lake' names '$HOME', and shell variables are not expanded here
    >>> variable_problem("s3a://lake/_$folder$"), variable_problem("~x", is_path=False)
    (None, None)
    """
    if not isinstance(text, str) or ("$" not in text and "~" not in text):
        return None
    found = _VARIABLE.search(text) or (_HOME.match(text) if is_path else None)
    if found is None:
        return None
    return f"{text!r} names {found.group()!r}, and shell variables are not expanded here"
