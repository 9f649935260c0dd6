"""Secrets are found in a text by their form; prose, programs and templates are left alone."""

from __future__ import annotations

import base64
import json
import time

import pytest

from kindling_airflow.common.redaction import (
    document_without_secrets,
    is_secret_key,
    secret_values,
    secrets_in,
    spans_of_secrets,
    text_has_secret,
    without_secrets,
)

S = "h0rse-Battery.77"
BASIC = base64.b64encode(f"elastic:{S}".encode()).decode()

FORMS = [
    f"jdbc:postgresql://u:{S}@h/db",
    f"https://user:{S}@repo.example/maven2",
    f"https://{S}0011@github.com/x",
    f"postgresql+psycopg2://u:{S}@h/db",
    f"mongodb://u:{S}@h1:27017,h2:27017/db?authSource=admin",
    f"s3a://key:{S}@bucket/x",
    f"redis://:{S}@h:6379/0",
    f"http://u:p@ss{S}@h/x",
    f"http://u:pa/ss{S}@h/x",
    f"jdbc:oracle:thin:scott/{S}@host:1521:sid",
    f'jdbc:oracle:thin:scott/"{S}@x"@//host:1521/svc',
    f"jdbc:oracle:oci8:scott/{S}@db",
    f"jdbc:sqlserver://h;user=me;password={S};encrypt=true",
    f"jdbc:sqlserver://h;user=me;password={{{S};x}};encrypt=true",
    f"jdbc:teradata://h/USER=u,PASSWORD={S}",
    f"jdbc:db2://h:50000/db:user=u;password={S};",
    f"jdbc:mysql://address=(host=h)(user=u)(password={S})/db",
    f"Driver=x;Server=y;UID=u;PWD={S};",
    f"https://h/c?sv=1&sig={S}&se=2",
    f"https://b/k?X-Amz-Credential=AKIA&X-Amz-Signature={S}&X-Amz-Security-Token={S}2",
    f"AccountName=a;AccountKey={S}==;EndpointSuffix=core.windows.net",
    f"-Xmx1g -Djavax.net.ssl.keyStorePassword={S} -Dx.y=z",
    f'-Dhttp.proxyPassword="{S}"',
    f"--password {S} --x",
    f"--password '{S} {S}' --x",
    f"--token={S}",
    f"curl -u elastic:{S} https://h",
    f"spark.es.net.http.auth.pass={S}",
    json.dumps({"conn_type": "x", "password": S}),
    json.dumps(json.dumps({"conn_type": "x", "password": S})),
    json.dumps({"token": 4711, "password": S}),
    f'{{"token": h{S}, "a": 1}}',
    str({"a.token": S, "b": 1}),
    str([("spark.x.password", S), ("a", "b")]),
    f"<password>{S}</password>",
    f"Map(user -> u, password -> {S})",
    f"spark.x.password\t{S}",
    f"(spark.x.password,{S})",
    f"Login failed for user 'u' (password: {S})",
    f"X-Api-Key: {S}",
    f"password: {S}",
    f'a: 1\n  - api_key: "{S}"\n  - token: {S}\nb: 2',
    f"password = {S}",
    f"PASSWORD='{S}'",
    f'token="{S} and the end is cut off',
    f'{{"token": "{S} cut',
    f"Authorization: Basic {BASIC}",
    f'"Authorization": "Bearer {S}"',
    f"spark.es.net.http.header.Authorization=ApiKey {S}",
    f"Bearer {S}",
    f"eyJhbGciOi.eyJzdWIi.SflKx{S}",
    f"ghp_{'a1B2' * 6}{S.replace('-', '')}",
    f'PlainLoginModule required username="u" password="{S}";',
    f"user_pwd={S}",
    f"dbPass={S}",
    f"-----BEGIN RSA PRIVATE KEY-----\nMII{S}\n-----END RSA PRIVATE KEY-----",
]


@pytest.mark.parametrize("text", FORMS)
def test_a_secret_is_taken_out_of_each_form(text: str) -> None:
    shown = without_secrets(text)
    assert S[:10] not in shown
    assert BASIC not in shown
    assert "***" in shown
    assert without_secrets(shown) == shown
    assert text_has_secret(text)


@pytest.mark.parametrize("text", FORMS)
def test_a_secret_found_once_is_known_wherever_it_stands(text: str) -> None:
    known = secret_values({"spark.driver.extraJavaOptions": text})
    assert any(S[:5] in secret for secret in known)


def test_the_password_in_basic_credentials_is_known_as_well() -> None:
    assert S in secrets_in(f"Authorization: Basic {BASIC}")
    assert S not in list(secrets_in(f"token={base64.b64encode(S.encode()).decode()}"))
    assert "p w" in secrets_in("x://u:p%20w@h")


@pytest.mark.parametrize(
    "text",
    [
        "no url at all: password",
        "http://h:8080/a@b and x = y",
        "abfss://container@account.dfs.core.windows.net/x",
        "ssh://git@github.com/x",
        'token_count = F.size(F.split("text"))',
        "    tokens = df.withColumn(F.lit(1))",
        "tag 'provider.option.password' names a secret, and tags are stored in the manifest",
        "name that: provider.connection: my_connection.",
        "columns ['token', 'text'], 'password', 'name'",
        "spark.authenticate.secret.enabled=true",
        "password={{ conn.db.password }}",
        '"password": "{{ conn.db.password }}"',
        "jdbc:postgresql://u:{{ conn.db.password }}@h/db",
        "jdbc:postgresql://u:{{conn.db.password}}@h/db",
        "x://u:${DB_PASSWORD}@h and password=$SECRET and token=%TOKEN% password=<yours>",
        "primary_key=order_id partition_key: day",
        "the token: it is missing",
        "Basic information about authorization: it failed",
        "token >",
        "token\tcount",
        "select(token, spark.x.token, 1)",
        "spark.x.token, 1",
        "<token>",
        "kafka.bootstrap.servers=host1:9092,host2:9092",
        "hdfs://namenode:8020/user/a@b",
        "password=",
        "--password <yours> --token ; x",
        "26/11/24 11:27:36 INFO SparkContext: Running",
    ],
)
def test_what_is_no_secret_is_left_alone(text: str) -> None:
    assert without_secrets(text) == text
    assert spans_of_secrets(text) == []


@pytest.mark.parametrize(
    "key",
    [
        *("spark.es.net.http.auth.pass", "db.pwd", "userPwd", "dbpass", "PGPASS", "sig"),
        *("X-Amz-Signature", "fernet_key", "http.header.Authorization", "SharedAccessKey"),
    ],
)
def test_more_keys_of_secrets(key: str) -> None:
    assert is_secret_key(key)


@pytest.mark.parametrize("key", ["spark.sql.pass.through", "bypass", "compass", "signal", "", "_"])
def test_more_keys_of_what_everybody_may_see(key: str) -> None:
    assert not is_secret_key(key)


def test_the_folder_of_a_shell_is_no_secret() -> None:
    assert secret_values({"PWD": "/work/folder", "OLDPWD": "/work"}) == ()
    assert secret_values({"PWD": "hunter2"}) == ("hunter2",)


def test_documents_are_shown_without_secrets() -> None:
    document = {"a": [f"x://u:{S}@h", 1], "token": S, "password": {"b": 1}, "secret": "", "n": None}
    assert document_without_secrets(document) == {
        "a": ["x://u:***@h", 1],
        "token": "***",
        "password": {"b": 1},
        "secret": "",
        "n": None,
    }


@pytest.mark.parametrize(
    "text",
    [
        *("password=" * 20000, "://" * 30000 + "@", "://a:" * 30000 + "@", ":thin:" * 30000 + "@"),
        *('"token":"' + "\\" * 100000, "token " * 30000, "a.b-" * 50000 + "=", "x" * 200000),
    ],
    ids=lambda text: text[:9],
)
def test_no_text_takes_long(text: str) -> None:
    began = time.process_time()
    without_secrets(text)
    assert time.process_time() - began < 20  # a second or less; by the square of it, minutes
