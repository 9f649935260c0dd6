"""Connections in the environment: names that do not collide, values in Airflow's two forms."""

from __future__ import annotations

import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kindling_airflow.errors import EntityError
from kindling_airflow.protocol.connections import Connection, read_connection, variable_name


@given(st.text(), st.text())
def test_different_ids_have_different_variables(one: str, other: str) -> None:
    assert (variable_name(one) == variable_name(other)) == (one == other)


@given(st.lists(st.sampled_from(["_", "__", "5F", "__5F", "a", "-", "é"])).map("".join))
def test_a_variable_tells_its_connection(conn_id: str) -> None:
    name = variable_name(conn_id)
    assert re.fullmatch("KINDLING_CONN_[A-Za-z0-9_]*", name)
    escaped = name.removeprefix("KINDLING_CONN_")
    decoded, at = bytearray(), 0
    while at < len(escaped):
        found = re.compile("__([0-9A-F]{2})").match(escaped, at)
        decoded.append(int(found[1], 16) if found else ord(escaped[at]))
        at = found.end() if found else at + 1
    assert decoded.decode() == conn_id


CONNECTION = Connection(
    "postgres", "db.example", 5432, "shop", "me", "p@ss/w:rd?", {"jdbc_options": {"a": "b"}}
)


URI = (
    "postgresql://me:p%40ss%2Fw%3Ard%3F@db.example:5432/shop"
    "?__extra__=%7B%22jdbc_options%22%3A+%7B%22a%22%3A+%22b%22%7D%7D"
)


@pytest.mark.parametrize(
    "text",
    [
        CONNECTION.dumps(),
        json.dumps({**json.loads(CONNECTION.dumps()), "extra": '{"jdbc_options": {"a": "b"}}'}),
        URI,
    ],
    ids=["its own", "extra as text", "URI"],
)
def test_a_connection_is_read_in_either_form(text: str) -> None:
    assert read_connection("shop", {"KINDLING_CONN_shop": text}) == CONNECTION


def test_what_is_not_said_is_empty() -> None:
    environment = {"KINDLING_CONN_shop": "sqlite:///data/shop.db?mode=ro"}
    assert read_connection("shop", environment) == Connection(
        "sqlite", schema="data/shop.db", extra={"mode": "ro"}
    )
    assert read_connection("shop", {"KINDLING_CONN_shop": "{}"}) == Connection()


def test_airflows_own_variable_will_do_and_the_other_one_wins() -> None:
    environment = {"AIRFLOW_CONN_SHOP_DB": "mysql://a"}
    assert read_connection("shop_db", environment).host == "a"
    environment["KINDLING_CONN_shop_db"] = "mysql://b"
    assert read_connection("shop_db", environment).host == "b"


def test_a_missing_connection_says_which_variables_would_bring_it() -> None:
    with pytest.raises(EntityError) as raised:
        read_connection("shop-db", {})
    assert str(raised.value) == (
        "the driver has no connection 'shop-db': its environment holds neither "
        "KINDLING_CONN_shop__2Ddb nor AIRFLOW_CONN_SHOP-DB\n"
        "  Fix: in Airflow, add the connection (in client and local deploy mode the task passes "
        "it on); elsewhere set one of these variables for the driver, to a URI or JSON."
    )


@pytest.mark.parametrize(
    "text", ["s3cret", "{s3cret", '{"port": "s3cret"}', '{"extra": ["s3cret"]}', "x://h:s3cret"]
)
def test_a_value_that_is_no_connection_is_not_shown(text: str) -> None:
    with pytest.raises(EntityError) as raised:
        read_connection("shop", {"KINDLING_CONN_shop": text})
    assert str(raised.value) == (
        "the value of KINDLING_CONN_shop is not a connection\n  Fix: write it as a URI "
        "(postgres://user:password@host:5432/shop) or as a JSON object "
        "with conn_type, host, port, schema, login, password, extra."
    )
    assert raised.value.__cause__ is None
    assert raised.value.__context__ is None


def test_a_connection_does_not_show_its_secrets() -> None:
    assert repr(CONNECTION) == (
        "Connection(conn_type='postgres', host='db.example', port=5432, schema='shop')"
    )
