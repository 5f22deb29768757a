"""Files on this machine that nobody else can foresee, replace or read while they are unfinished."""

from __future__ import annotations

import hashlib
import os
import secrets
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

#: Bytes that are copied at once.
_BLOCK = 1 << 20


def spool_file(directory: Path | None = None) -> tuple[IO[bytes], Path]:
    """A temporary file, and the path under which this process can open it again; closing it deletes it.

    On Linux it has no name, so that a killed process leaves nothing behind.
    """
    if Path("/proc/self/fd").is_dir():
        file: Any = tempfile.TemporaryFile(dir=directory)  # noqa: SIM115 - the caller closes it
        return file, Path(f"/proc/self/fd/{file.fileno()}")
    file = tempfile.NamedTemporaryFile(prefix="logto-export-", dir=directory)  # noqa: SIM115
    return file, Path(file.name)


def replace_file(
    target: Path, source: IO[bytes], stopped: Callable[[], bool] = lambda: False, *, private: bool = False
) -> None:
    """Copy into a file that is there whole or not at all; what was there before stays until then.

    :param stopped: asked between blocks; True breaks off.
    :param private: only the owner may read it (mode 0600); otherwise the umask decides.
    :raises InterruptedError: when broken off.
    """
    unfinished = target.with_name(f".{target.name}.{secrets.token_hex(8)}.unfinished")
    handle = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    try:
        with open(handle, "wb") as file:
            while block := source.read(_BLOCK):
                if stopped():
                    raise InterruptedError("the upload was broken off")
                file.write(block)
            file.flush()
            os.fsync(handle)
            if not private:
                os.fchmod(handle, 0o666 & ~_umask())
        unfinished.replace(target)
    except BaseException:
        unfinished.unlink(missing_ok=True)
        raise


def sha256_of(path: Path) -> str:
    """The SHA-256 of a file, in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _umask() -> int:
    # It can only be read by setting it: to something strict, for the files of other threads meanwhile.
    current = os.umask(0o077)
    os.umask(current)
    return current
