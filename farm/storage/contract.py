"""What every storage promises, and which keys it accepts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol

from farm.errors import StorageError

MAX_KEY_BYTES = 900
"""Below S3's limit of 1024 bytes for a whole key, so that a root's prefix still fits."""

WRITING_PREFIX = ".writing-"
"""Marks files that are not whole yet; no key may have a part that begins so."""


PROBE_PREFIX = ".probe-"
"""Begins the names of objects that a probe writes and removes; one that was killed midway leaves some."""


@dataclass(frozen=True, order=True)
class StoredObject:
    """One object of a listing.

    Attributes:
        key: Relative to the root.
        size: In bytes.
        modified_s: When it was last written, in seconds since 1970 by the store's own clock (`Storage.now_s`).
            Two listings of one object are equal whatever they say here.
    """

    key: str
    size: int
    modified_s: float = field(default=0.0, compare=False)


@dataclass(frozen=True, order=True)
class Unfinished:
    """What an interrupted write left behind: invisible to readers, and paid for until it is discarded.

    Attributes:
        key: The object that was being written on S3; the temporary file in a folder.
        size: Bytes that had arrived.
        modified_s: When the write began (S3) or last moved (folders), by the store's own clock.
        upload_id: The store's name for a multipart upload; empty in folders.
    """

    key: str
    size: int
    modified_s: float = field(default=0.0, compare=False)
    upload_id: str = ""


Truth = Literal["atomic", "racy", "ignored"]


@dataclass(frozen=True)
class Probe:
    """What test writes showed of put-if-absent.

    Attributes:
        truth: "atomic": of racing writers of one key exactly one succeeded, each time. "racy": a key that exists
            is refused, but several racing writers succeeded at once. "ignored": the condition has no effect.
        detail: The same in words, for `gaitfarm doctor`.
    """

    truth: Truth
    detail: str

    @property
    def put_if_absent(self) -> bool:
        """Whether `put_once` keeps its promise here."""
        return self.truth == "atomic"


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

    def now_s(self) -> float:
        """What the store's own clock says, in seconds since 1970; comparable with `StoredObject.modified_s`.

        The clocks of the machines that write and sweep may be wrong, each in its own way; ages are
        told by this one alone. On S3 it has whole seconds.
        """
        ...

    def unfinished(self) -> Sequence[Unfinished]:
        """What interrupted writes left under the root, sorted; writes that are under way are among it."""
        ...

    def discard(self, item: Unfinished) -> None:
        """Remove one of `unfinished`; no error if it has gone. A writer that is still at it fails."""
        ...

    def probe(self) -> Probe:
        """Find out by racing writes whether `put_once` keeps its promise here; leaves nothing behind."""
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
