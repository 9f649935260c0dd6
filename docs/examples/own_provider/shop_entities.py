"""ORC tables: each publish is a numbered folder, and the highest number is the table."""

import json

from kindling_airflow.errors import EntityError
from kindling_airflow.runner.providers.interface import (
    EntityDescription,
    ProviderContext,
    Staged,
    Write,
)
from kindling_airflow.runner.providers.storage import literal_path


class OrcProvider:
    def __init__(self, context: ProviderContext):
        self.context = context
        self.storage = context.storage

    def describe(self, entity):
        return EntityDescription(self.context.location_of(entity), "orc")

    def exists(self, entity):
        return bool(self._published(entity))

    def read(self, entity):
        published = self._published(entity)
        if not published:
            raise EntityError(f"entity {entity.entityid!r} was never published")
        return self._load(f"{self.context.location_of(entity)}/{published[-1]}")

    def stage(self, entity, frame, write: Write):
        root = self.context.location_of(entity)
        for name in self.storage.names(root):
            if name.startswith(f"staged-{write.instance}-"):
                self.storage.delete(f"{root}/{name}")
        path = f"{root}/staged-{write.instance}-{write.attempt}"
        frame.write.partitionBy(*entity.partition_columns).orc(path)
        self.storage.write_text(f"{path}/_schema.json", frame.schema.json())
        staged = self._load(path)
        return Staged(path, staged.count(), staged)

    def publish(self, entity, staged: Staged, write: Write):
        root, published = self.context.location_of(entity), self._published(entity)
        number = int(published[-1].removeprefix("v")) + 1 if published else 1
        self.storage.move(staged.path, f"{root}/v{number:09}")  # fails if another was faster
        for name in published[:-1]:  # readers may still be in the last one
            self.storage.delete(f"{root}/{name}")

    def _published(self, entity):
        names = self.storage.names(self.context.location_of(entity))
        return [name for name in names if name.startswith("v")]

    def _load(self, path):
        from pyspark.sql.types import StructType

        schema = StructType.fromJson(json.loads(self.storage.read_text(f"{path}/_schema.json")))
        return self.context.spark.read.schema(schema).orc(literal_path(path))
