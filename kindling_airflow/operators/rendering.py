"""Templates that cannot be rendered: they fail without a retry where one cannot succeed."""

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
    """Fail permanently on broken syntax, or a name that the run does not have.

    What a template looks up elsewhere (a variable, a connection, an XCom) may exist at the next
    try.

    Raises:
        AirflowFailException: a retry cannot render the template.
    """
    from jinja2 import TemplateSyntaxError, UndefinedError

    try:
        yield
    except TemplateSyntaxError as error:
        text = masked(f"A template of this task is invalid: {error.message}")
        raise AirflowFailException(
            f"{text}\n  Fix: correct it in the definition; the log above names the field."
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
            f"A template of this task uses {name!r}, which this run does not have\n  Fix: {fix}."
        ) from error
