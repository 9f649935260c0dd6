"""From an Airflow connection to the settings of Kafka's Java client."""

from __future__ import annotations

from typing import Any

import pytest

from kindling_airflow.data_entities import EntityMetadata
from kindling_airflow.errors import EntityError
from kindling_airflow.protocol.connections import Connection
from kindling_airflow.runner.providers.kafka.client import (
    client_settings,
    without_secrets,
)

PLAIN = "org.apache.kafka.common.security.plain.PlainLoginModule"
SCRAM = "org.apache.kafka.common.security.scram.ScramLoginModule"


def settings(connection: Connection, **tags: Any) -> dict[str, str]:
    named = {key.replace("_", "."): value for key, value in tags.items()}
    return client_settings(EntityMetadata("orders", tags=named), connection)


def test_host_and_port_are_a_broker() -> None:
    assert settings(Connection(host="a", port=9092)) == {"bootstrap.servers": "a:9092"}
    assert settings(Connection(host="a:1,b:2")) == {"bootstrap.servers": "a:1,b:2"}


def test_the_extra_wins_over_the_host_and_the_tag_over_both() -> None:
    connection = Connection(host="a", port=1, extra={"bootstrap.servers": "b:2"})
    assert settings(connection) == {"bootstrap.servers": "b:2"}
    assert settings(connection, provider_servers="c:3") == {"bootstrap.servers": "c:3"}


def test_settings_of_consumers_are_left_out() -> None:
    extra = {"bootstrap.servers": "a:1", "group.id": "x", "auto.offset.reset": "beginning"}
    assert settings(Connection(extra=extra)) == {"bootstrap.servers": "a:1"}


def test_an_account_becomes_a_login() -> None:
    connection = Connection(host="a:1", login='al"ice', password="back\\slash")
    assert settings(connection) == {
        "bootstrap.servers": "a:1",
        "security.protocol": "SASL_SSL",
        "sasl.mechanism": "PLAIN",
        "sasl.jaas.config": f'{PLAIN} required username="al\\"ice" password="back\\\\slash";',
    }


def test_the_words_of_the_other_client_are_understood() -> None:
    extra = {
        "bootstrap.servers": "a:1",
        "security.protocol": "sasl_ssl",
        "sasl.mechanisms": "SCRAM-SHA-512",
        "sasl.username": "alice",
        "sasl.password": "geheim",
        "ssl.ca.location": "/etc/ca.pem",
    }
    assert settings(Connection(extra=extra)) == {
        "bootstrap.servers": "a:1",
        "security.protocol": "SASL_SSL",
        "sasl.mechanism": "SCRAM-SHA-512",
        "sasl.jaas.config": f'{SCRAM} required username="alice" password="geheim";',
        "ssl.truststore.type": "PEM",
        "ssl.truststore.location": "/etc/ca.pem",
    }


def test_a_login_of_ones_own_is_left_alone() -> None:
    extra = {
        "bootstrap.servers": "a:1",
        "sasl.mechanism": "OAUTHBEARER",
        "sasl.jaas.config": "mine;",
    }
    assert settings(Connection(login="alice", extra=extra)) == extra


@pytest.mark.parametrize(
    ("connection", "told"),
    [
        (
            Connection(),
            (
                "its connection has no broker\n  Fix: set host and port of the connection, or "
                "bootstrap.servers in its extra, or the tag provider.servers."
            ),
        ),
        (
            Connection(host="a:1", extra={"ssl.key.location": "/k"}),
            (
                "Kafka's Java client has no setting 'ssl.key.location', which its connection sets\n"
                "  Fix: put key and certificate into one PEM file that drivers and executors have, "
                "and set ssl.keystore.type: PEM and ssl.keystore.location."
            ),
        ),
        (
            Connection(host="a:1", login="alice", extra={"sasl.mechanism": "GSSAPI"}),
            (
                "its connection has an account, and the mechanism is 'GSSAPI', with which it "
                "cannot be used\n"
                "  Fix: write sasl.jaas.config in the extra of the connection, or use one of "
                "PLAIN, SCRAM-SHA-256, SCRAM-SHA-512."
            ),
        ),
    ],
)
def test_what_cannot_be_put_into_words_is_an_error(connection: Connection, told: str) -> None:
    with pytest.raises(EntityError) as raised:
        settings(connection)
    assert str(raised.value) == f"entity 'orders': {told}"


def test_texts_are_shown_without_secrets() -> None:
    known = settings(Connection(host="a:1", login="alice", password="geheim"))
    known["ssl.key.password"] = "tief"
    text = f"cannot use {known['sasl.jaas.config']} at {known['bootstrap.servers']} with tief"
    assert without_secrets(text, known) == "cannot use *** at a:1 with ***"
