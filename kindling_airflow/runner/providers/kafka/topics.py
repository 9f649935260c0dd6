"""Topics as Kafka's admin client sees them: are they there, how far do they go, make one."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from pyspark.sql import SparkSession

from kindling_airflow.errors import EntityError
from kindling_airflow.runner.failures.retryable import java_causes
from kindling_airflow.runner.providers.kafka.client import without_secrets

_SECONDS = 30
_EXISTS = "org.apache.kafka.common.errors.TopicExistsException"
_UNKNOWN = "org.apache.kafka.common.errors.UnknownTopicOrPartitionException"
_TRIES = 100
_PAUSE_SECONDS = 0.1

T = TypeVar("T")


class Topics:
    """The topics of some brokers."""

    def __init__(self, spark: SparkSession, settings: Mapping[str, str], entity_id: str) -> None:
        self._jvm: Any = spark._jvm
        self._settings = settings
        self._entity_id = entity_id

    def exists(self, topic: str) -> bool:
        """Return whether there is a topic.

        Raises:
            EntityError: no broker answers.
        """
        return self._asked(lambda admin: self._partitions(admin, topic) > 0)

    def ends(self, topic: str) -> dict[str, int]:
        """Return by partition the offset that the next record will get.

        Raises:
            EntityError: no broker answers.
        """

        def ask(admin: Any) -> dict[str, int]:
            asked = self._jvm.java.util.HashMap()
            latest = self._jvm.org.apache.kafka.clients.admin.OffsetSpec.latest()
            for n in range(self._partitions(admin, topic)):
                asked.put(self._jvm.org.apache.kafka.common.TopicPartition(topic, n), latest)
            found = self._got(admin.listOffsets(asked).all())
            return {str(key.partition()): int(found[key].offset()) for key in found}

        return self._asked(ask)

    def create(self, topic: str, partitions: int | None) -> None:
        """Create a topic; one that is there, or that others create concurrently, is fine.

        Raises:
            EntityError: the brokers refuse, or none answers.
        """
        if not self._asked(lambda admin: self._create(admin, topic, partitions)):
            raise EntityError(
                f"entity {self._entity_id!r}: topic {topic!r} was created, but is not available "
                "yet\n"
                "  Fix: none needed if it is retried."
            )

    def _create(self, admin: Any, topic: str, partitions: int | None) -> bool:
        if self._partitions(admin, topic):
            return True
        optional = self._jvm.java.util.Optional
        number = optional.empty() if partitions is None else optional.of(partitions)
        wanted = self._jvm.org.apache.kafka.clients.admin.NewTopic(topic, number, optional.empty())
        try:
            self._got(
                admin.createTopics(self._jvm.java.util.Collections.singletonList(wanted)).all()
            )
        except Exception as error:
            if _EXISTS not in _names(error):
                raise
        for _ in range(_TRIES):  # brokers learn of it one after the other
            if self._partitions(admin, topic):
                return True
            time.sleep(_PAUSE_SECONDS)
        return False

    def _partitions(self, admin: Any, topic: str) -> int:
        try:
            found = self._got(
                admin.describeTopics(
                    self._jvm.java.util.Collections.singletonList(topic)
                ).allTopicNames()
            )
        except Exception as error:
            if _UNKNOWN in _names(error):
                return 0
            raise
        return int(found[topic].partitions().size())

    def _got(self, future: Any) -> Any:
        return future.get(_SECONDS, self._jvm.java.util.concurrent.TimeUnit.SECONDS)

    def _asked(self, ask: Callable[[Any], T]) -> T:
        properties = self._jvm.java.util.Properties()
        for name, value in self._settings.items():
            properties.setProperty(name, value)
        admin = None
        try:
            admin = self._jvm.org.apache.kafka.clients.admin.Admin.create(properties)
            return ask(admin)
        except Exception as error:
            causes = java_causes(error)
            text = str(causes[-1].toString()) if causes else str(error)
            reason = without_secrets(text.partition("\n")[0], self._settings)
        finally:
            if admin is not None:
                admin.close(self._jvm.java.time.Duration.ZERO)
        raise EntityError(  # not chained: the cause may hold what must not be seen
            f"entity {self._entity_id!r}: the brokers at {self._settings['bootstrap.servers']} "
            f"cannot be asked: {reason}\n"
            "  Fix: check host, port and account of the connection, and that the driver can reach "
            "the brokers."
        )


def _names(error: Exception) -> list[str]:
    return [str(java.getClass().getName()) for java in java_causes(error)]
