"""A folder of small files about people: where it is local, they are their owner's alone."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from airflow_provider_logto.exceptions import InvalidInput
from airflow_provider_logto.export.folder import Folder


class PrivateFolder(Folder):
    """Reads, lists and writes small files. All methods block: call them in a thread."""

    def write(self, name: str, content: bytes) -> None:
        """Write a file whole; where it is local, with mode 0600.

        :raises InvalidInput: when the folder cannot be written.
        """
        try:
            if "file" not in self._protocols:
                super().write(name, content)
                return
            path = Path(self._at(name))
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            unfinished = path.with_name(f"{path.name}.{os.getpid()}.unfinished")
            handle = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
            with os.fdopen(handle, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            unfinished.replace(path)
        except Exception as error:  # file systems raise whatever their library raises
            reason = f"{type(error).__name__}: {error}"
            raise InvalidInput("folder", f"{self.uri(name)} cannot be written ({reason})") from error

    def read(self, name: str) -> bytes | None:
        """A file's content; None when it is not there."""
        try:
            content: bytes = self._fs.cat_file(self._at(name))
        except FileNotFoundError:
            return None
        return content

    def names(self, under: str) -> list[str]:
        """Every finished file below a folder of it, sorted."""
        with suppress(AttributeError):
            self._fs.invalidate_cache()
        try:
            found = self._fs.find(self._at(under))
        except FileNotFoundError:
            return []
        names = (str(path).rpartition("/")[2] for path in found)
        return sorted(f"{under}/{name}" for name in names if not name.endswith(".unfinished"))
