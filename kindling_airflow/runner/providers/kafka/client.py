"""The settings of a Kafka client: from an Airflow connection to those of the Java client.

Airflow's own connections of the kind ``kafka`` hold settings of another client, librdkafka, in
their extra. Those that say where and how are taken over here; settings of consumers, such as
``group.id``, are not: Spark keeps by itself how far it is.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kindling_airflow.data_entities import EntityMetadata
from kindling_airflow.errors import EntityError
from kindling_airflow.protocol.connections import Connection
from kindling_airflow.tags.names import SERVERS_TAG

_SERVERS = "bootstrap.servers"
_MECHANISM = "sasl.mechanism"
_LOGIN = "sasl.jaas.config"
_PROTOCOL = "security.protocol"
_PREFIXES = ("sasl.", "security.", "ssl.")
_ALSO = (_SERVERS, "client.dns.lookup")
_MODULES = {
    "PLAIN": "org.apache.kafka.common.security.plain.PlainLoginModule",
    "SCRAM-SHA-256": "org.apache.kafka.common.security.scram.ScramLoginModule",
    "SCRAM-SHA-512": "org.apache.kafka.common.security.scram.ScramLoginModule",
}
_NOT_JAVA = ("ssl.certificate.location", "ssl.certificate.pem", "ssl.key.location", "ssl.key.pem")


def client_settings(entity: EntityMetadata, connection: Connection) -> dict[str, str]:
    """Return the settings of a client that gets to an entity's brokers.

    Raises:
        EntityError: no broker is named, or the account cannot be put into words. The message
            never holds a secret.
    """
    extra = {str(name): str(value) for name, value in connection.extra.items()}
    known = {k: v for k, v in extra.items() if k.startswith(_PREFIXES) or k in _ALSO}
    servers = entity.tags.get(SERVERS_TAG) or known.get(_SERVERS) or _place(connection)
    if not servers:
        raise EntityError(
            f"entity {entity.entityid!r}: its connection has no broker\n"
            f"  Fix: set host and port of the connection, or {_SERVERS} in its extra, or the tag "
            f"{SERVERS_TAG}."
        )
    settings = {**known, _SERVERS: str(servers)}
    strange = [name for name in _NOT_JAVA if name in settings]
    if strange:
        raise EntityError(
            f"entity {entity.entityid!r}: Kafka's Java client has no setting {strange[0]!r}, which "
            "its connection sets\n"
            "  Fix: put key and certificate into one PEM file that drivers and executors have, and "
            "set ssl.keystore.type: PEM and ssl.keystore.location."
        )
    if _PROTOCOL in settings:
        settings[_PROTOCOL] = settings[_PROTOCOL].upper()
    authority = settings.pop("ssl.ca.location", None)
    if authority is not None:
        settings = {
            "ssl.truststore.type": "PEM",
            "ssl.truststore.location": authority,
            **settings,
        }
    return _with_login(entity, connection, settings)


def without_secrets(text: str, settings: Mapping[str, str]) -> str:
    """Return a text in which no value of a setting stands that may hold a secret."""
    for name, value in settings.items():
        if name == _LOGIN or name.endswith(("password", ".key")):
            text = text.replace(value, "***")
    return text


def _place(connection: Connection) -> str:
    host, port = connection.host, connection.port
    return host if port is None or not host else f"{host}:{port}"


def _with_login(
    entity: EntityMetadata, connection: Connection, settings: dict[str, str]
) -> dict[str, str]:
    rdkafkas = {name: settings.pop(name, "") for name in ("sasl.mechanisms", "sasl.username")}
    password = settings.pop("sasl.password", "") or connection.password
    user = rdkafkas["sasl.username"] or connection.login
    if rdkafkas["sasl.mechanisms"]:
        settings.setdefault(_MECHANISM, rdkafkas["sasl.mechanisms"])
    if not user or _LOGIN in settings:
        return settings
    mechanism = settings.get(_MECHANISM, "PLAIN")
    module = _MODULES.get(mechanism)
    if module is None:
        raise EntityError(
            f"entity {entity.entityid!r}: its connection has an account, and the mechanism is "
            f"{mechanism!r}, with which it cannot be used\n"
            f"  Fix: write {_LOGIN} in the extra of the connection, or use one of "
            f"{', '.join(_MODULES)}."
        )
    login = f'{module} required username="{_escaped(user)}" password="{_escaped(password)}";'
    return {_PROTOCOL: "SASL_SSL", **settings, _MECHANISM: mechanism, _LOGIN: login}


def _escaped(text: Any) -> str:
    return str(text).replace("\\", "\\\\").replace('"', '\\"')
