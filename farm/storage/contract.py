"""What every storage promises, and which keys it accepts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from farm.errors import AlreadyExistsError, StorageError

MAX_KEY_BYTES = 900
"""Below S3's limit of 1024 bytes for a whole key, so that a root's prefix still fits."""

WRITING_PREFIX = ".writing-"
"""Marks files that are not whole yet; no key may have a part that begins so."""


@dataclass(frozen=True, order=True)
class StoredObject:
    """One object of a listing: key relative to the root, size in bytes."""

    key: str
    size: int


@dataclass(frozen=True)
class Probe:
    """What a test write showed.

    Attributes:
        put_if_absent: True if a second `put_once` on the same key was refused and changed nothing.
        detail: The same in words, for `gaitfarm doctor`.
    """

    put_if_absent: bool
    detail: str


class Storage(Protocol):
    """Immutable objects by key, under one root.

    A key is relative, with '/' between its parts. An object becomes visible whole
    or not at all. Methods may be called from many threads; a storage can be
    pickled and sent to another process. Every failure is a `StorageError` whose
    one line names the URI, the cause and the mend, and never a credential.
    """

    @property
    def uri(self) -> str:
        """The root, as a user would write it."""
        ...

    def get(self, key: str) -> bytes:
        """The whole object. Raises ObjectNotFoundError if there is none."""
        ...

    def get_range(self, key: str, start: int, length: int) -> bytes:
        """`length` bytes from `start` on, fewer if the object ends before. Raises ObjectNotFoundError."""
        ...

    def put(self, key: str, data: bytes) -> None:
        """Write an object, replacing what was there."""
        ...

    def put_once(self, key: str, data: bytes) -> None:
        """Create an object that must not exist yet; of racing writers exactly one succeeds.

        Succeeds also where the object exists with the same bytes: a retry after a
        lost answer meets its own success.

        Raises:
            AlreadyExistsError: The key holds other bytes; they were not touched.
        """
        ...

    def list(self, prefix: str = "") -> Sequence[StoredObject]:
        """Every object whose key begins with `prefix`, sorted by key.

        `prefix` is empty or names a folder, ending with '/'.
        """
        ...

    def size(self, key: str) -> int:
        """Bytes of an object. Raises ObjectNotFoundError if there is none."""
        ...

    def delete(self, key: str) -> None:
        """Remove an object; no error if there is none."""
        ...

    def probe(self) -> Probe:
        """Write one key twice by `put_once` and say whether the store honours conditions; leaves nothing behind."""
        ...


def validate_key(key: str) -> str:
    """Give back a key that stays under its root.

    Raises:
        StorageError: The key is empty, absolute, too long, or has a part that is empty, '.', '..',
            or holds a backslash or a control character.
    """
    fault = _fault(key)
    if fault:
        raise StorageError(
            f"object key {key[:200]!r} {fault}; keys are relative paths such as 'commits/000001.json' "
            "(a damaged or hostile manifest? run gaitfarm verify)"
        )
    return key


def validate_prefix(prefix: str) -> str:
    """Give back a listing prefix: empty, or a folder's key with a closing '/'."""
    if prefix:
        if not prefix.endswith("/"):
            raise StorageError(f"listing prefix {prefix!r} must end with '/'")
        validate_key(prefix[:-1])
    return prefix


def _fault(key: str) -> str:
    if not key:
        return "is empty"
    if key.startswith("/"):
        return "is absolute"
    if len(key.encode("utf-8", "surrogatepass")) > MAX_KEY_BYTES:
        return f"is longer than {MAX_KEY_BYTES} bytes"
    if "\\" in key or any(ord(letter) < 32 or ord(letter) == 127 or 0xD800 <= ord(letter) < 0xE000 for letter in key):
        return "holds a backslash or a control character"
    for part in key.split("/"):
        if part in ("", ".", ".."):
            return f"has the part {part!r}"
        if part.startswith(WRITING_PREFIX):
            return f"has a part that begins with {WRITING_PREFIX!r}"
    return ""


def probe_by_writing(storage: Storage, key: str) -> Probe:
    """The probe that every storage uses: two `put_once` with different bytes on a key of its own."""
    first, second = b"gaitfarm probe 1", b"gaitfarm probe 2"
    try:
        storage.put_once(key, first)
        try:
            storage.put_once(key, second)
        except AlreadyExistsError:
            if storage.get(key) == first:
                return Probe(True, f"{storage.uri} honours put-if-absent")
        return Probe(
            False,
            f"{storage.uri} does not honour put-if-absent (If-None-Match: *): a second write of one key was accepted; "
            "let only one run write at a time, or use a store that does (AWS S3, Ceph, MinIO, R2, a local disk)",
        )
    finally:
        storage.delete(key)
