"""Secrets in a definition: where Airflow stores what it says, and messages must not show them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from kindling_airflow.common.redaction import is_secret_key, secret_values, text_has_secret
from kindling_airflow.common.redaction import without_secrets as text_without_secrets
from kindling_airflow.definitions.yaml_file import Problem, Where

_PLACES = ("warehouse", "checkpoints", "assets")  # each becomes part of names, reports and requests
_PASSWORD = re.compile(r"(?i)(passw(or)?d|passphrase|pwd|(api|access|secret|private)[._-]?key)$")
_CONNECTION = "keep it in an Airflow connection"


def secret_problems(document: Mapping[str, Any]) -> Iterator[Problem]:
    """Yield the keys of a definition whose secrets would be stored and shown as they stand."""
    for key in _PLACES:
        if text_has_secret(document.get(key)):
            yield (
                (key,),
                (
                    "contains a password, and would be logged and stored\n"
                    f"  Fix: {_CONNECTION}, and set the store's own properties in 'spark.conf', "
                    'such as spark.hadoop.fs.s3a.secret.key: "{{ conn.lake.password }}".'
                ),
            )
    params = document.get("params")
    for name, param in params.items() if isinstance(params, Mapping) else ():
        default = param.get("default") if isinstance(param, Mapping) else param
        named = _PASSWORD.search(str(name)) is not None and isinstance(default, str) and default
        if named or text_has_secret(default):
            yield (
                ("params", name),
                (
                    "its default is a secret, and Airflow displays run parameters\n"
                    f"  Fix: {_CONNECTION}, and remove the parameter."
                ),
            )
    run = document.get("dag_run")
    alerts = run.get("deadline", ()) if isinstance(run, Mapping) else ()
    for n, alert in enumerate(alerts if isinstance(alerts, (list, tuple)) else [alerts]):
        where: Where = ("dag_run", "deadline", *((n,) if isinstance(alerts, list) else ()))
        kwargs = alert.get("kwargs") if isinstance(alert, Mapping) else None
        for name, value in kwargs.items() if isinstance(kwargs, Mapping) else ():
            if text_has_secret(value) or (is_secret_key(name) and isinstance(value, str) and value):
                yield (
                    (*where, "kwargs", name),
                    (
                        "is a secret, and Airflow stores the arguments of a deadline's callback\n"
                        f"  Fix: {_CONNECTION}, and read it in the callback."
                    ),
                )


def hides_secrets_of(document: Mapping[str, Any]) -> Callable[[str], str]:
    """Return a function that takes the secrets of a document out of a text about it."""
    secrets = secret_values(document)
    return lambda text: text_without_secrets(text, secrets)
