"""Objects under a root: a folder (`file:///...`, a plain path) or a bucket's prefix (`s3://bucket/prefix`).

`open_storage` gives a `Storage`; its one promise that the dataset rests on is
`put_once`: of any number of writers of one key exactly one succeeds, and what is
visible under a key is always whole.
"""

from __future__ import annotations

from urllib.parse import unquote, urlsplit

from farm.errors import StorageError
from farm.storage.contract import PROBE_PREFIX, Probe, Storage, StoredObject, Unfinished, validate_key
from farm.storage.file import FileStorage

__all__ = [
    "PROBE_PREFIX",
    "FileStorage",
    "Probe",
    "Storage",
    "StoredObject",
    "Unfinished",
    "open_storage",
    "validate_key",
]

_ALLOWED = "give a path, file:///path or s3://bucket/prefix"


def open_storage(uri: str, *, endpoint_url: str | None = None) -> Storage:
    """The storage behind `uri`. Nothing is contacted, read or created yet.

    Args:
        uri: A plain path, `file:///path` or `s3://bucket/prefix`.
        endpoint_url: S3-compatible service other than AWS; None takes AWS_ENDPOINT_URL, else AWS. Folders
            have none and ignore it: it may come from the environment.

    Raises:
        StorageError: The URI or the endpoint is not one that we understand.
    """
    if not uri.strip() or "\0" in uri:
        raise StorageError(f"the storage URI is empty or unprintable; {_ALLOWED}")
    if "://" not in uri:
        return FileStorage(uri)
    parts = urlsplit(uri)
    if "@" in parts.netloc:
        raise StorageError(
            f"{parts.scheme}://...@...: a storage URI holds no credentials; "
            "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY or a profile instead"
        )
    if parts.scheme == "s3":
        from farm.storage.s3 import S3Storage  # here, because boto3 takes half a second to import

        return S3Storage(parts.netloc, _prefix(uri, parts.netloc), endpoint_url=endpoint_url)
    if parts.scheme == "file":
        if parts.netloc not in ("", "localhost"):
            raise StorageError(f"{uri}: file URIs have three slashes, file:///path; got the host {parts.netloc!r}")
        return FileStorage(unquote(parts.path))
    raise StorageError(f"{uri}: there is no storage for {parts.scheme}://; {_ALLOWED}")


def _prefix(uri: str, bucket: str) -> str:
    """What follows the bucket, unparsed: '?' and '#' are letters of a key like any other."""
    return uri.removeprefix("s3://").removeprefix(bucket).strip("/")
