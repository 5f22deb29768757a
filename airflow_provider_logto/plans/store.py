"""Where plans and journals lie: a folder on any file system; where it is local, its files are their owner's alone."""

from __future__ import annotations

import io
from contextlib import suppress
from pathlib import Path
from typing import Any

from airflow_provider_logto.exceptions import InvalidInput, storage_error
from airflow_provider_logto.export.folder import Folder
from airflow_provider_logto.export.local_files import replace_file


class Store(Folder):
    """A folder of plans and journals. All methods block; files are small or written in small pieces.

    :param path: the folder, e.g. an ObjectStoragePath.
    """

    @property
    def is_local(self) -> bool:
        """Whether lines can be appended to a file; an object store only takes whole files."""
        return "file" in self._protocols

    def local_path(self, name: str) -> Path:
        """A file of a local folder; its folder is made."""
        path = Path(self._at(name))
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        return path

    def write(self, name: str, content: bytes) -> None:
        """Write a file whole, mode 0600 where local.

        :raises InvalidInput: when the folder cannot be written.
        """
        try:
            if not self.is_local:
                super().write(name, content)
                return
            replace_file(self.local_path(name), io.BytesIO(content), private=True)
        except Exception as error:  # fsspec file systems raise whatever their library raises
            raise storage_error("folder", f"{self.uri(name)} cannot be written", error) from error

    def read(self, name: str) -> bytes | None:
        """A file's content; None when it is not there.

        :raises InvalidInput: when the folder cannot be read.
        """
        try:
            content: bytes = self._fs.cat_file(self._at(name))
        except FileNotFoundError:
            return None
        except Exception as error:
            raise self._unreadable(name, error) from error
        return content

    def first_line(self, name: str) -> bytes:
        """The first line of a file, without reading the rest where the file system can."""
        try:
            with self._fs.open(self._at(name), "rb") as file:
                line: bytes = file.readline()
        except Exception as error:
            raise self._unreadable(name, error) from error
        return line

    def names(self, under: str) -> list[str]:
        """Every file below a folder of it, sorted, as names in this store."""
        root = self._at(under)
        with suppress(AttributeError):
            self._fs.invalidate_cache()
        try:
            found: list[Any] = self._fs.find(root)
        except FileNotFoundError:
            return []
        except Exception as error:
            raise self._unreadable(under, error) from error
        top = self._at("").rstrip("/")
        return sorted(str(path).removeprefix(top).lstrip("/") for path in found)

    def _unreadable(self, name: str, error: Exception) -> InvalidInput:
        return storage_error("folder", f"{self.uri(name)} cannot be read", error)
