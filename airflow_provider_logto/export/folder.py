"""The destination: a folder on any file system that fsspec knows, seen through a path object handed down."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from airflow_provider_logto.exceptions import InvalidInput

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
        :raises InvalidInput: when the destination cannot be written.
        """
        probe = f".{name}.write-test"
        try:
            self._make_parent(probe)
            self._fs.pipe_file(self._at(probe), b"")
        except Exception as error:  # fsspec file systems raise whatever their library raises
            reason = f"{type(error).__name__}: {error}"
            raise InvalidInput(
                "destination", f"{self._path} cannot be written ({reason}); name a writable folder"
            ) from (error)
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
        if "file" not in self._protocols:
            try:
                self._fs.put_file(str(local), self._at(name), callback=Watch())
            except InterruptedError:
                # Some file systems publish what they have when they are left by an error.
                self.remove(name)
                raise
            return
        unfinished = f"{self._at(name)}.unfinished"
        try:
            self._fs.put_file(str(local), unfinished, callback=Watch())
            Path(unfinished).replace(self._at(name))
        except BaseException:
            Path(unfinished).unlink(missing_ok=True)
            raise

    def size(self, name: str) -> int | None:
        """Bytes of a file; None when it is not there."""
        try:
            self._fs.invalidate_cache()
            return int(self._fs.info(self._at(name))["size"])
        except FileNotFoundError:
            return None

    def read_json(self, name: str) -> Any:
        """A JSON file's content; None when it is not there or no JSON."""
        try:
            return json.loads(self._fs.cat_file(self._at(name)))
        except (FileNotFoundError, ValueError):
            return None

    def write(self, name: str, content: bytes) -> None:
        """Write a small file whole."""
        self._make_parent(name)
        if "file" not in self._protocols:
            self._fs.pipe_file(self._at(name), content)
            return
        unfinished = Path(f"{self._at(name)}.unfinished")
        unfinished.write_bytes(content)
        unfinished.replace(self._at(name))

    def remove(self, name: str) -> None:
        """Delete a file; one that is not there is no error."""
        with suppress(FileNotFoundError):
            self._fs.rm_file(self._at(name))

    def _at(self, name: str) -> str:
        return str((self._path / name).path)

    def _make_parent(self, name: str) -> None:
        if not self._protocols & _OBJECT_STORES:
            self._fs.makedirs(self._at(name).rpartition("/")[0], exist_ok=True)
