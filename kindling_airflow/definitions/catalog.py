"""The key ``catalog``: where a definition's Iceberg tables live that name no place themselves."""

from __future__ import annotations

from collections.abc import Mapping

from kindling_airflow.data_entities import EntityMetadata
from kindling_airflow.manifest import Manifest
from kindling_airflow.manifest.project_settings import SettingsLayer
from kindling_airflow.tags.names import CATALOG_TAG, CONNECTION_TAG, PATH_TAG
from kindling_airflow.tags.paths import is_named
from kindling_airflow.tags.storage_types import provider_type_of

__all__ = ["catalog_tags", "in_catalog"]


def catalog_tags(catalog: str | Mapping[str, str]) -> dict[str, str]:
    """Return the tags that a definition's catalog stands for.

    >>> catalog_tags({"name": "lake", "connection": "lake_db"})
    {'provider.catalog': 'lake', 'provider.connection': 'lake_db'}
    """
    keys = {"name": catalog} if isinstance(catalog, str) else catalog
    names = {"name": CATALOG_TAG, "connection": CONNECTION_TAG}
    return {names[key]: keys[key] for key in names if key in keys}


def in_catalog(manifest: Manifest, catalog: str | Mapping[str, str] | None) -> Manifest:
    """Return a manifest whose Iceberg entities without path or table are in a catalog.

    Tags that an entity has already, from its declaration or from settings, stay as they are.
    """
    if catalog is None:
        return manifest
    tags = catalog_tags(catalog)
    changed = {
        entity.entityid: {"tags": {key: tags[key] for key in tags if key not in entity.tags}}
        for entity in manifest.entities
        if _has_no_place(entity, tags[CATALOG_TAG])
    }
    return manifest.with_settings([SettingsLayer("catalog", entities=changed)])


def _has_no_place(entity: EntityMetadata, catalog: str) -> bool:
    if provider_type_of(entity) != "iceberg" or PATH_TAG in entity.tags:
        return False
    return not is_named(entity) or entity.tags.get(CATALOG_TAG) == catalog
