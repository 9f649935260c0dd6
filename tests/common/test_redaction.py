"""Secrets are told by their keys, and leave no trace in a text; nothing else is touched."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kindling_airflow.common.redaction import is_secret_key, secret_values, without_secrets


@pytest.mark.parametrize(
    "key",
    [
        "spark.hadoop.fs.s3a.access.key",
        "spark.hadoop.fs.s3a.secret.key",
        "spark.hadoop.fs.s3a.session.token",
        "spark.hadoop.fs.azure.account.key.lake.dfs.core.windows.net",
        "spark.hadoop.fs.azure.sas.raw.lake.blob.core.windows.net",
        "spark.hadoop.fs.azure.account.oauth2.client.secret",
        "spark.hadoop.fs.gs.auth.service.account.private.key",
        "spark.ssl.keyPassword",
        "provider.option.password",
        "AWS_SECRET_ACCESS_KEY",
        "SHOP_API_KEY",
        "apikey",
        "PGPASSWORD",
        "passphrase",
        "db_credentials",
    ],
)
def test_keys_of_secrets(key: str) -> None:
    assert is_secret_key(key)


@pytest.mark.parametrize(
    "key",
    [
        "spark.executor.memory",
        "spark.hadoop.fs.s3a.endpoint",
        "spark.hadoop.fs.s3a.aws.credentials.provider",
        "spark.sql.shuffle.partitions",
        "merge_columns",
        "keyspace",
        "PATH",
        7,
    ],
)
def test_keys_of_what_everybody_may_see(key: object) -> None:
    assert not is_secret_key(key)


def test_values_are_found_however_deep_and_come_longest_first() -> None:
    settings = {
        "a.password": "hunter2",
        "b": [{"token": "tok-4711"}, {"secret": ["one-two", 12345678, None]}],
        "c": "visible",
    }
    assert secret_values(settings) == ("12345678", "tok-4711", "hunter2", "one-two")


@pytest.mark.parametrize(
    "value", ["", "true", "False", "none", "1234", "0.5", "abcd", "org.apache.hadoop.fs.Provider"]
)
def test_values_that_would_be_found_everywhere_are_no_secrets(value: str) -> None:
    assert secret_values({"token": value}) == ()


def test_a_token_with_dots_is_no_class() -> None:
    assert secret_values({"token": "eyJhbGciOi.eyJzdWIi.SflKxwRJSM"}) != ()


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("s3://key:hidden@bucket/a", "s3://key:***@bucket/a"),
        ("jdbc:x://h/d?user=me&password=hidden", "jdbc:x://h/d?user=me&password=***"),
        ("jdbc:sqlserver://h;user=me;password=hidden", "jdbc:sqlserver://h;user=me;password=***"),
        ("https://h/c?sv=1&sig=hidden&se=2", "https://h/c?sv=1&sig=***&se=2"),
        ("http://h:8080/a@b and x = y", "http://h:8080/a@b and x = y"),
        ("no url at all: password", "no url at all: password"),
    ],
)
def test_passwords_in_urls_are_hidden(text: str, shown: str) -> None:
    assert without_secrets(text, ()) == shown


@given(st.text("ab:/@?=&;", max_size=30), st.text("xyz", min_size=5, max_size=8))
def test_a_secret_leaves_no_trace(text: str, secret: str) -> None:
    assert secret not in without_secrets(f"{text}{secret}{text}", [secret])
