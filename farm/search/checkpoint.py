"""A search's state as one plain file: an .npz of arrays and one JSON text, replaced whole or not at all."""

from __future__ import annotations

import io
import json
import os
import zipfile
from pathlib import Path
from typing import Any

import numpy as np

from farm.errors import FormatError, StorageError
from farm.search.candidates import State

VERSION = 1
_PLAIN = "plain.json"


def write_whole(path: Path, data: bytes) -> None:
    """Replace a file: after a crash the old or the new one is there, never a part.

    Raises:
        StorageError: It cannot be written.
    """
    beside = path.with_name(f".{path.name}.part")
    try:
        with beside.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
    except OSError as error:
        raise StorageError(f"cannot write {path}: {error.strerror}; free space there, or take another --out") from None


def save(path: Path, state: State) -> None:
    """Write a state; see `write_whole`."""
    text = json.dumps({"version": VERSION, **state.plain}, allow_nan=False).encode()
    out = io.BytesIO()
    np.savez(out, **{_PLAIN: np.frombuffer(text, dtype=np.uint8)}, **state.arrays)  # type: ignore[arg-type]
    write_whole(path, out.getvalue())


def load(path: Path) -> State:
    """Read a state.

    Raises:
        FormatError: Damaged, or written by another version.
    """
    try:
        with np.load(io.BytesIO(path.read_bytes()), allow_pickle=False) as file:
            arrays: dict[str, Any] = {name: file[name] for name in file.files}
        plain = json.loads(arrays.pop(_PLAIN).tobytes())
        version = plain.pop("version")
    except (OSError, KeyError, ValueError, EOFError, zipfile.BadZipFile, AttributeError, TypeError) as error:
        raise FormatError(
            f"{path}: not a search's checkpoint ({type(error).__name__}); remove it to begin anew"
        ) from None
    if version != VERSION:
        raise FormatError(
            f"{path}: a checkpoint of version {version!r}, this gaitfarm reads {VERSION}; remove it to begin anew"
        )
    return State(plain, arrays)
