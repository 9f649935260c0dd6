"""Files through Hadoop's file systems: what publishing needs, and where an entity lies.

Everything goes through the file system of the path itself, so a warehouse may be a local folder,
HDFS or an object store. Renames refuse an existing destination, which ``FileSystem.rename`` does
not: given an existing directory it moves the source *into* it, and calls that success.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from kindling_airflow.common.path_names import escape_component
from kindling_airflow.data_entities import EntityMetadata
from kindling_airflow.errors import EntityError
from kindling_airflow.runner.java import java_class
from kindling_airflow.tags.names import OPTION_TAGS, PATH_TAG
from kindling_airflow.tags.paths import is_absolute, path_problem
from kindling_airflow.tags.storages import StorageAbilities, abilities_of

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

_CONDITIONAL = "fs.option.create.conditional.overwrite"
_AUTHORITY = re.compile(r"[A-Za-z][A-Za-z0-9+.\-]*:(//[^/]*)?")
_GLOB_CHARACTERS = re.compile(r"([{}\[\]*?\\])")


def location_of(entity: EntityMetadata, warehouse: str) -> str:
    """Return where an entity lies: its ``provider.path``, else its escaped id, in the warehouse.

    Raises:
        EntityError: a relative ``provider.path`` leaves the warehouse, is the warehouse itself, or
            lies where results are staged.
    """
    root = warehouse.rstrip("/")  # of "/" nothing is left, and two slashes would name a host
    path = entity.tags.get(PATH_TAG)
    if path is None:
        return f"{root}/{escape_component(entity.entityid)}"
    text = str(path)
    if is_absolute(text):
        return text
    wrong = path_problem(text)
    if wrong:
        raise EntityError(f"entity {entity.entityid!r}: {wrong}")
    return f"{root}/{'/'.join(part for part in text.split('/') if part not in ('', '.'))}"


def area_of(table: str, kind: str) -> str:
    """Return a hidden folder on the table's own file system, where a rename is a rename."""
    parent, _, name = table.rstrip("/").rpartition("/")
    return f"{parent}/_kindling/{kind}/{name}"


def literal_path(path: str) -> str:
    """Return a path escaped for Spark's readers, which take patterns."""
    return _GLOB_CHARACTERS.sub(r"\\\1", path)


def reader_options(entity: EntityMetadata, defaults: Mapping[str, str]) -> dict[str, str]:
    """Return Spark's options: the defaults, then the ``provider.option.*`` tags."""
    tagged = {
        key.removeprefix(OPTION_TAGS): _option_text(value)
        for key, value in entity.tags.items()
        if key.startswith(OPTION_TAGS)
    }
    return {**defaults, **tagged}


def _option_text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


class Storage:
    """The file operations of one Spark session."""

    def __init__(self, spark: SparkSession) -> None:
        self._spark = spark
        self._gateway: Any = spark.sparkContext._gateway
        self._conf: Any = spark._jsc.hadoopConfiguration()
        self._new_path = java_class(spark, "org.apache.hadoop.fs.Path")
        self._systems: dict[str, Any] = {}  # by scheme and authority, as the next ones
        self._schemes: dict[str, str] = {}
        self._abilities: dict[str, StorageAbilities] = {}

    def exists(self, path: str) -> bool:
        """Return whether there is a file or folder."""
        return bool(self._system(path).exists(self._path(path)))

    def is_file(self, path: str) -> bool:
        """Return whether there is a file."""
        system = self._system(path)
        found = self._path(path)
        return bool(system.exists(found) and not system.getFileStatus(found).isDirectory())

    def any_match(self, pattern: str) -> bool:
        """Return whether a path, possibly with Hadoop's glob characters, matches anything."""
        found = self._system(pattern).globStatus(self._path(pattern))
        return bool(found)

    def any_data(self, pattern: str) -> bool:
        """Return whether a path, possibly a pattern, matches a file that Spark would read.

        To Spark, what begins with ``_`` or ``.`` is hidden.
        """
        system = self._system(pattern)
        pending = list(system.globStatus(self._path(pattern)) or ())
        while pending:
            status = pending.pop()
            if not status.isDirectory():
                return True
            for child in system.listStatus(status.getPath()):
                name = str(child.getPath().getName())
                if not name.startswith(".") and (not name.startswith("_") or "=" in name):
                    pending.append(child)
        return False

    def names(self, folder: str) -> list[str]:
        """Return the names in a folder, sorted; none where there is no folder."""
        if not self.exists(folder):
            return []
        found = self._system(folder).listStatus(self._path(folder))
        return sorted(status.getPath().getName() for status in found)

    def files(self, folder: str) -> list[str]:
        """Return the relative paths of the files in a folder and the folders in it, sorted."""
        if not self.exists(folder):
            return []
        system = self._system(folder)
        root = system.makeQualified(self._path(folder)).toUri().getPath().rstrip("/")
        found, listed = [], system.listFiles(self._path(folder), True)
        while listed.hasNext():
            found.append(str(listed.next().getPath().toUri().getPath())[len(root) + 1 :])
        return sorted(found)

    def times(self, folder: str) -> dict[str, int]:
        """Return the relative paths of the files in a folder and the folders in it.

        Each with the time of its last change in milliseconds, by the clock of the storage.
        """
        if not self.exists(folder):
            return {}
        system = self._system(folder)
        root = system.makeQualified(self._path(folder)).toUri().getPath().rstrip("/")
        found: dict[str, int] = {}
        listed = system.listFiles(self._path(folder), True)
        while listed.hasNext():
            status = listed.next()
            name = str(status.getPath().toUri().getPath())[len(root) + 1 :]
            found[name] = int(status.getModificationTime())
        return found

    def has_file(self, folder: str, passed_over: Callable[[str], bool]) -> bool:
        """Return whether there is a file that is not empty in a folder or the folders in it."""
        system, pending = self._system(folder), [self._path(folder)]
        if not self.exists(folder):
            return False
        while pending:
            for status in system.listStatus(pending.pop()):
                if passed_over(status.getPath().getName()):
                    continue
                if status.isDirectory():
                    pending.append(status.getPath())
                elif status.getLen() > 0:
                    return True
        return False

    def relative_to(self, folder: str, uris: Iterable[str]) -> list[str]:
        """Return the paths of files, named by URIs as Spark does, in a folder; sorted."""
        root = self._system(folder).makeQualified(self._path(folder)).toUri().getPath().rstrip("/")
        new_uri = java_class(self._spark, "java.net.URI")
        paths = (str(new_uri(uri).getPath()) for uri in uris)
        return sorted(path[len(root) + 1 :] for path in paths)

    def make_folder(self, path: str) -> None:
        """Create a folder, and those above it; one that exists is fine."""
        self._system(path).mkdirs(self._path(path))

    def modified(self, path: str) -> int:
        """Return when a file or folder was changed last, in milliseconds since 1970."""
        return int(self._system(path).getFileStatus(self._path(path)).getModificationTime())

    def delete(self, path: str) -> None:
        """Delete a file, or a folder with all that is in it; what is not there is fine."""
        self._system(path).delete(self._path(path), True)

    def delete_attempts(self, area: str, instance: str, kept: Collection[str] = ()) -> None:
        """Delete what a task instance has staged in an area, but for these names."""
        for name in self.names(area):
            if name.startswith(f"{instance}-") and name not in kept:
                self.delete(f"{area}/{name}")

    def move(self, source: str, target: str) -> None:
        """Rename a file or folder; creates the folders above ``target``.

        Raises:
            EntityError: ``target`` exists (another driver was faster), or the rename failed.
        """
        self._system(target).mkdirs(self._path(target).getParent())
        context = java_class(self._spark, "org.apache.hadoop.fs.FileContext").getFileContext(
            self._path(target).toUri(), self._conf
        )
        option = java_class(self._spark, "org.apache.hadoop.fs.Options$Rename")
        none = self._gateway.new_array(option, 0)
        try:
            context.rename(self._path(source), self._path(target), none)
        except Exception as error:  # py4j wraps whatever the file system throws
            reason = getattr(error, "java_exception", error)
            raise EntityError(f"cannot move {source!r} to {target!r}: {reason}") from error

    def has_long_names(self, path: str) -> bool:
        """Return whether names of folders may be longer than 255 bytes, as on object stores."""
        return self.scheme(path) not in ("file", "hdfs", "viewfs")

    def unwritable(self, path: str) -> str:
        """Return a pattern of the characters that names of files cannot have; "" if all can.

        Java writes a question mark for each one that the encoding of its process lacks: two
        names become one. That encoding comes from the locale (``LANG=C`` knows no umlauts).
        """
        jvm: Any = self._spark._jvm
        encoding = str(jvm.java.lang.System.getProperty("sun.jnu.encoding")).upper()
        if self.scheme(path) != "file" or encoding in ("UTF-8", "UTF8"):
            return ""
        return r"[^\x00-\xff]" if encoding == "ISO-8859-1" else r"[^\x00-\x7f]"

    def abilities(self, path: str) -> StorageAbilities:
        """Return what the file system behind a path can do, as it is configured here.

        A view of several file systems can do what all of them can. Of a store behind S3A this is
        what its client claims; whether the store keeps it is for :meth:`probe` to find out.
        """
        known = self._abilities.get(_place(path))
        if known is not None:
            return known
        system = self._system(path)
        below = system.getChildFileSystems() or () if self.scheme(path) == "viewfs" else ()
        found = [abilities_of(str(child.getUri())) for child in below]
        if not found:
            found = [abilities_of(f"{self.scheme(path)}:/")]
        can = min(found, key=lambda each: (each.consistent_listing, each.atomic_rename))
        if can.create_if_absent == "conditional":
            claims = system.hasPathCapability(self._path(path), _CONDITIONAL)
            return can if claims else replace(can, create_if_absent="")  # of this path alone
        self._abilities[_place(path)] = can
        return can

    def scheme(self, path: str) -> str:
        """Return the scheme of a path's file system, also where the path names none."""
        place = _place(path)
        if place not in self._schemes:
            self._schemes[place] = str(self._system(path).getUri().getScheme()).lower()
        return self._schemes[place]

    def create_if_absent(self, path: str, text: str) -> bool:
        """Create a small file unless there is one, and return whether this call has.

        Of several drivers that create one file at once, one has created it, in full. The text has
        to be one that only this driver writes: where an answer was lost on its way, the file shows
        whose it is.

        Raises:
            EntityError: the file system cannot do it, or whether it has cannot be found out.
        """
        how = self.abilities(path).create_if_absent
        if not how:
            raise EntityError(
                f"cannot create {path!r}: of two drivers that create a file there at once, both "
                "may believe that they did\n  Fix: use other storage."
            )
        try:
            if how == "rename":
                return self._create_by_rename(path, text)
            return self._create_at_once(path, text, is_conditional=how == "conditional")
        except Exception as error:  # py4j wraps whatever the file system throws
            try:
                return self.read_text(path) == text  # whose it is, if it is there
            except Exception:
                reason = getattr(error, "java_exception", error)
                raise EntityError(f"cannot create {path!r}: {reason}") from error

    def probe(self, folder: str, name: str) -> str:
        """Return what is wrong with how a store creates files if absent; "" if nothing is.

        Args:
            folder: where a file is created, and deleted again.
            name: of that file; no other driver's.
        """
        path = f"{folder}/{name}"
        try:
            first = self.create_if_absent(path, f"{name} 1")
            second = self.create_if_absent(path, f"{name} 2")
        except EntityError as error:
            return str(error).partition("\n")[0]
        finally:
            self.delete(path)
        if not first or second:
            return "the store ignores the condition of a conditional put (If-None-Match: *)"
        return ""

    def _create_by_rename(self, path: str, text: str) -> bool:
        prepared = f"{path}.{uuid.uuid4().hex}.part"
        self.write_text(prepared, text)
        try:
            self.move(prepared, path)
        except EntityError:
            self.delete(prepared)
            if self.exists(path):
                return False
            raise
        return True

    def _create_at_once(self, path: str, text: str, *, is_conditional: bool) -> bool:
        if is_conditional:
            builder = self._system(path).createFile(self._path(path)).recursive()
            stream = builder.overwrite(True).must(_CONDITIONAL, True).build()
        else:
            stream = self._system(path).create(self._path(path), False)
        try:
            stream.write(bytearray(text.encode()))
        finally:
            stream.close()
        return True

    def local_path(self, path: str) -> str | None:
        """Return a path as this machine's system takes it; None if it lies elsewhere."""
        if self.scheme(path) != "file":
            return None
        return str(self._path(path).toUri().getPath())

    def read_text(self, path: str) -> str:
        """Return a small file's text (UTF-8)."""
        stream = self._system(path).open(self._path(path))
        try:
            reader = java_class(self._spark, "org.apache.commons.io.IOUtils")
            return str(reader.toString(stream, "UTF-8"))
        finally:
            stream.close()

    def write_text(self, path: str, text: str) -> None:
        """Write a small file (UTF-8)."""
        stream = self._system(path).create(self._path(path), True)
        try:
            stream.write(bytearray(text.encode()))
        finally:
            stream.close()

    def _path(self, path: str) -> Any:
        return self._new_path(path)

    def _system(self, path: str) -> Any:
        """Return the file system of a path; Hadoop, too, keeps one for each scheme and host."""
        place = _place(path)
        system = self._systems.get(place)
        if system is None:
            system = self._systems[place] = self._path(path).getFileSystem(self._conf)
        return system


def _place(path: str) -> str:
    """Return the scheme and authority of a path; "" where it names none."""
    found = _AUTHORITY.match(path)
    return found[0] if found else ""
