"""Templates that cannot be rendered: where another try is in vain, there is none."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

from airflow.providers.common.compat.sdk import AirflowFailException

from kindling_airflow.operators.driver.hidden_values import masked

__all__ = ["permanent_if_broken"]

_NO_SUCH_NAME = re.compile(r"'(?P<name>\w+)' is undefined")
_DATED = ("ds", "ts", "logical_date", "data_interval")


@contextmanager
def permanent_if_broken() -> Iterator[None]:
    """Fail for good what another try cannot render: broken syntax, a name that the run lacks.

    Raises:
        AirflowFailException: that is so. What a template looks up elsewhere (a variable, a
            connection, what another task has pushed) may be there at the next try.
    """
    from jinja2 import TemplateSyntaxError, UndefinedError

    try:
        yield
    except TemplateSyntaxError as error:
        text = masked(f"A template of this task is not valid: {error.message}")
        raise AirflowFailException(
            f"{text}\n  Fix: correct it in the definition; the log above has the field."
        ) from error
    except UndefinedError as error:
        found = _NO_SUCH_NAME.fullmatch(str(error.message))
        if found is None:
            raise
        name = found["name"]
        fix = "correct the name in the definition"
        if name.startswith(_DATED):
            fix = (
                "this run has no logical date (it was started by assets, or by hand without one); "
                f"use {{{{ run_id }}}} or {{{{ dag_run.run_after }}}}, or give {name!r} a default: "
                f"{{{{ {name} | default('none') }}}}"
            )
        raise AirflowFailException(
            f"A template of this task takes {name!r}, which this run does not have\n  Fix: {fix}."
        ) from error
