"""A destination as a DAG names it -> the folder or file on any storage that Airflow knows.

Resolves the storage's Connection, which must not happen inside an event loop: call these before it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_provider_logto.exceptions import InvalidInput, storage_error

if TYPE_CHECKING:
    from airflow_provider_logto.export.folder import Folder

#: Scheme -> what brings its file system into Airflow.
_PACKAGES = {
    **dict.fromkeys(("s3", "s3a"), "apache-airflow-providers-amazon[s3fs]"),
    **dict.fromkeys(("gs", "gcs"), "apache-airflow-providers-google"),
    **dict.fromkeys(("abfs", "abfss", "adl"), "apache-airflow-providers-microsoft-azure"),
}


def folder_at(destination: Any, field: str = "destination") -> Folder:
    """A folder, e.g. ``s3://aws_default@bucket/logto``.

    :raises InvalidInput: where it names none, or its storage cannot be opened.
    """
    from airflow_provider_logto.export.folder import Folder

    path = path_at(destination, field)
    try:
        return Folder(path)
    except Exception as error:  # file systems raise whatever their library raises
        raise _not_opened(destination, field, error) from error


def file_at(destination: Any, field: str = "destination") -> tuple[Folder, str]:
    """A file, e.g. ``s3://aws_default@bucket/logto/users.jsonl``, as its folder and its name in it.

    :raises InvalidInput: where it names no file, or its storage cannot be opened.
    """
    place, _, name = str(destination or "").strip().rpartition("/")
    if not name or not place or place.endswith((":", ":/")):
        raise InvalidInput(field, f"{destination!r} is not a file; name one, e.g. s3://bucket/logto/users.jsonl")
    return folder_at(place, field), name


def path_at(destination: Any, field: str = "destination") -> Any:
    """A file or folder as a path object.

    :raises InvalidInput: where the text is no address.
    """
    from airflow_provider_logto.compat import ObjectStoragePath

    if not isinstance(destination, str) or not destination.strip():
        raise InvalidInput(field, f"{destination!r} is no address; write one, e.g. s3://bucket/logs")
    address = destination.strip()
    if address[0] in "[({" or "\n" in address:
        # Without its words: they may be people's, or secrets.
        raise InvalidInput(
            field,
            "is a list or an object as text, not an address; a template gives text, unless the DAG has "
            "render_template_as_native_obj=True",
        )
    scheme, _, place = address.rpartition("://")
    if scheme in ("", "file") and not place.startswith("/"):
        # A relative path means another folder on each worker, and ~ is not expanded.
        raise InvalidInput(field, f"{destination!r} is not absolute; write it from the root, e.g. file:///data/logs")
    try:
        path = ObjectStoragePath(address)
        _ = path.fs  # on 2.11 an unknown scheme shows here only
        return path
    except Exception as error:  # the path library raises whatever it likes for an address it does not know
        raise _not_opened(destination, field, error) from error


def _not_opened(destination: Any, field: str, error: Exception) -> InvalidInput:
    scheme = str(destination).strip().partition("://")[0]
    package = _PACKAGES.get(scheme)
    hint = f"; {scheme} needs the package {package} on this worker" if package else ""
    return storage_error(field, f"{destination!r} cannot be opened", error, hint)
