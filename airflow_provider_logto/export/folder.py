"""The destination: a folder on any file system that fsspec knows, seen through a path object handed down."""

from __future__ import annotations

import io
import json
import logging
import secrets
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from airflow_provider_logto.exceptions import storage_error
from airflow_provider_logto.export.local_files import replace_file, sha256_of

log = logging.getLogger(__name__)

#: Stores without directories: making one there could make a bucket.
_OBJECT_STORES = frozenset({"s3", "s3a", "s3n", "gs", "gcs", "abfs", "abfss", "az", "adl", "oci"})


class Folder:
    """Reads, checks and fills the destination. All methods block: call them in a thread.

    :param path: the folder, e.g. an ObjectStoragePath: ``/``, ``fs`` (an fsspec file system), ``path`` and ``str()``.
    """

    def __init__(self, path: Any) -> None:
        self._path = path
        self._fs = path.fs
        protocol = self._fs.protocol
        self._protocols = {protocol} if isinstance(protocol, str) else set(protocol)
        self._is_local = "file" in self._protocols

    @property
    def path(self) -> Any:
        """The path object that was handed down."""
        return self._path

    def uri(self, name: str) -> str:
        """The full address of a file in the folder."""
        return str(self._path / name)

    def check(self, name: str) -> None:
        """Write a small file and delete it.

        :param name: a name that only this export uses.
        :raises InvalidInput: when the destination cannot be written; see :func:`storage_error`.
        """
        # Where others could put a link in its place, nobody can foresee its name.
        probe = f".{name}.{secrets.token_hex(8)}.write-test" if self._is_local else f".{name}.write-test"
        try:
            self._make_parent(probe)
            self._fs.pipe_file(self._at(probe), b"")
        except Exception as error:  # fsspec file systems raise whatever their library raises
            raise storage_error(
                "destination", f"{self._path} cannot be written", error, "; name a writable folder"
            ) from error
        try:
            self._fs.rm_file(self._at(probe))
        except Exception as error:  # an archive may allow writing and forbid deleting
            log.info("%s stays behind: %s", self.uri(probe), error)

    def upload(self, local: Path, name: str, stopped: Callable[[], bool]) -> None:
        """Copy a finished local file into the folder: there it is whole or not at all.

        :param stopped: asked between blocks; True breaks off.
        :raises InterruptedError: when broken off.
        """
        from fsspec.callbacks import Callback

        class Watch(Callback):  # type: ignore[misc]
            def relative_update(self, inc: int = 1) -> None:
                if stopped():
                    raise InterruptedError("the upload was broken off")

        self._make_parent(name)
        if self._is_local:
            with local.open("rb") as source:
                replace_file(Path(self._at(name)), source, stopped)
            return
        try:
            self._fs.put_file(str(local), self._at(name), callback=Watch())
        except InterruptedError:
            # Some file systems publish what they have when they are left by an error.
            self.remove(name)
            raise

    def holds(self, name: str, size: int, sha256: str, etag: str | None = None) -> bool:
        """Whether a file is there as it was uploaded: by its SHA-256 on this machine, else by its size and ETag.

        :param size: bytes.
        :param etag: what :meth:`etag` said after the upload; None where it said nothing.
        """
        if self._is_local:
            local = Path(self._at(name))
            return local.is_file() and local.stat().st_size == size and sha256_of(local) == sha256
        found = self._info(name)
        return found is not None and int(found["size"]) == size and (etag is None or etag == _etag(found))

    def etag(self, name: str) -> str | None:
        """The ETag that an object store gave a file; None where it gives none."""
        return None if self._is_local else _etag(self._info(name) or {})

    def read_json(self, name: str) -> Any:
        """A JSON file's content; None when it is not there or no JSON."""
        try:
            return json.loads(self._fs.cat_file(self._at(name)))
        except (FileNotFoundError, ValueError):
            return None

    def write(self, name: str, content: bytes) -> None:
        """Write a small file whole."""
        self._make_parent(name)
        if self._is_local:
            replace_file(Path(self._at(name)), io.BytesIO(content))
        else:
            self._fs.pipe_file(self._at(name), content)

    def remove(self, name: str) -> None:
        """Delete a file; one that is not there is no error."""
        with suppress(FileNotFoundError):
            self._fs.rm_file(self._at(name))

    def _info(self, name: str) -> dict[str, Any] | None:
        try:
            self._fs.invalidate_cache()
            found: dict[str, Any] = self._fs.info(self._at(name))
        except FileNotFoundError:
            return None
        return found

    def _at(self, name: str) -> str:
        return str((self._path / name).path)

    def _make_parent(self, name: str) -> None:
        if not self._protocols & _OBJECT_STORES:
            self._fs.makedirs(self._at(name).rpartition("/")[0], exist_ok=True)


def _etag(info: dict[str, Any]) -> str | None:
    found = info.get("ETag") or info.get("etag")
    return str(found) if found else None
