"""The execution of a module that makes a declaration: it distinguishes a repeat from a mistake.

A loop or a copied line that takes an id twice does so while one module is executed once. A cell of
a notebook that is run again, a statement typed again, and a module that is reloaded are further
executions of the same place, and what they declare supersedes what the one before did.
"""

from __future__ import annotations

import inspect
import sys
from dataclasses import dataclass
from types import CodeType, FrameType

_PACKAGE = f"{__package__.partition('.')[0]}."
_INTERACTIVE = "__main__"  # of notebooks and prompts; each cell or statement is compiled anew


@dataclass(frozen=True, slots=True, eq=False)
class Execution:
    """One execution of a module's code, or of a cell's.

    Attributes:
        module: the module's name.
        code: what is executed; compiled again by each further execution.
    """

    module: str
    code: CodeType

    def is_again(self, earlier: Execution | None) -> bool:
        """Return whether this is a further execution of where the earlier one was."""
        return (
            earlier is not None
            and self.code is not earlier.code
            and self.module == earlier.module
            and (self.module == _INTERACTIVE or self.code.co_filename == earlier.code.co_filename)
        )


def current_execution() -> Execution | None:
    """Return which module is being executed now, outside of this package; None for none."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        module = str(frame.f_globals.get("__name__", ""))
        is_module_level = not frame.f_code.co_flags & inspect.CO_NEWLOCALS
        if is_module_level and not module.startswith(_PACKAGE):
            return Execution(module, frame.f_code)
        frame = frame.f_back
    return None
