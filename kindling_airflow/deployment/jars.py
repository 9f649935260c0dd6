"""The jars of the open table formats and of Kafka, by Maven coordinates: the one place for them.

Each list is complete, so nothing has to be resolved: it was run as it is. A jar belongs to one
minor release of Spark.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import PurePath

__all__ = ["FORMATS", "Jar", "packages_setting", "spark_jars_setting"]


@dataclass(frozen=True, slots=True)
class Jar:
    """One jar.

    Attributes:
        group, artifact, version: its coordinates.
        sha256: of its content.
    """

    group: str
    artifact: str
    version: str
    sha256: str

    @property
    def coordinates(self) -> str:
        """The coordinates as Maven and spark-submit write them.

        >>> Jar("org.example", "shop", "1.0", "").coordinates
        'org.example:shop:1.0'
        """
        return f"{self.group}:{self.artifact}:{self.version}"

    @property
    def file_name(self) -> str:
        """The name of its file.

        >>> Jar("org.example", "shop", "1.0", "").file_name
        'shop-1.0.jar'
        """
        return f"{self.artifact}-{self.version}.jar"


def _jars(*listed: str) -> tuple[Jar, ...]:
    """Return jars that are listed by coordinates and checksums, by turns."""
    jars = []
    for coordinates, sha256 in zip(listed[::2], listed[1::2], strict=True):
        group, artifact, version = coordinates.split()
        jars.append(Jar(group, artifact, version, sha256))
    return tuple(jars)


FORMATS: Mapping[str, Mapping[str, tuple[Jar, ...]]] = {
    "delta": {
        "4.1": _jars(
            "io.delta delta-spark_4.1_2.13 4.4.0",
            "75a9400986853c061f5109f012547de2545a5759e5e752e5ef633dabe16a4f10",
            "io.delta delta-storage 4.4.0",
            "c46735481fa8e326b0957be02b4420cbcab4b325bb08009b7f2045a95133f1cc",
            "io.delta delta-kernel-api 4.4.0",
            "ee9b5a14ac3b7efdff4d61a58478fe8eb0e5a3fbca43889dca7290795fe79a11",
            "io.delta delta-kernel-defaults 4.4.0",
            "225c975199e4718b38ee5b7e6da7f19e9585024262b2cec2656b32151a856b0b",
            "io.delta delta-kernel-unitycatalog 4.4.0",
            "cea22dfb4ac562b3cd27bf652697750e8336009d73fb06631363aaaad5345ffa",
            "io.unitycatalog unitycatalog-client 0.6.0",
            "48257499a86b801a3e2372cec55ac226ca1c1c7eabe5c118e7302f29a1fdbc19",
            "io.unitycatalog unitycatalog-hadoop 0.6.0",
            "c47b63c961c87102b9e1d63809a0915ba4c86b7652f57c8d39ca3a05b441a150",
            "org.roaringbitmap RoaringBitmap 0.9.25",
            "73f8e24f636a1ba6509decacbb5605c833eb5ead6db3971722ffcc2543b3e393",
            "org.roaringbitmap shims 0.9.25",
            "0b82ed6cb1caf0706304b42358d568eb6faf190eadea7f2b2d365cb63156b40d",
        )
    },
    "iceberg": {
        "4.1": _jars(
            "org.apache.iceberg iceberg-spark-runtime-4.1_2.13 1.12.0",
            "3123c3798af642dd537230923548e013ef41cc28b6626e5225808cf5670a0f82",
        )
    },
    "postgresql": {
        "4.1": _jars(
            "org.postgresql postgresql 42.7.4",
            "188976721ead8e8627eb6d8389d500dccc0c9bebd885268a3047180274a6031e",
        )
    },
    "kafka": {
        "4.1": _jars(
            "org.apache.spark spark-sql-kafka-0-10_2.13 4.1.1",
            "9c1ce986f548e6b1dcb0e2dfe2f253a0bc58f2232a32a0c9c6c674dd25a8570c",
            "org.apache.spark spark-token-provider-kafka-0-10_2.13 4.1.1",
            "e510adc37b03d01d0a190d0dab472b5538e05eaa77454f7e9477156d7a6820ae",
            "org.apache.kafka kafka-clients 3.9.1",
            "7568b998572d256f0b7bc0afdc1b7a2588b8b08415c62ce314c864a6851ae9d9",
            "org.apache.commons commons-pool2 2.12.1",
            "5273c8bc8c0dca2211175c0d27efbd7228efae99689aac001a8e1ef8e872e9ef",
        )
    },
}
"""By provider type, then by the minor release of Spark that they were run on."""


def spark_jars_setting(folder: str | PurePath, jars: Iterable[Jar]) -> str:
    """Return the value of ``spark.jars`` for jars in a folder.

    >>> spark_jars_setting("/opt/jars", [Jar("a", "b", "1", ""), Jar("a", "c", "2", "")])
    '/opt/jars/b-1.jar,/opt/jars/c-2.jar'
    """
    root = str(folder).rstrip("/")
    return ",".join(f"{root}/{jar.file_name}" for jar in jars)


def packages_setting(jars: Iterable[Jar]) -> str:
    """Return the value of ``spark.jars.packages``, with which spark-submit fetches jars itself.

    >>> packages_setting([Jar("a", "b", "1", ""), Jar("a", "c", "2", "")])
    'a:b:1,a:c:2'
    """
    return ",".join(jar.coordinates for jar in jars)
