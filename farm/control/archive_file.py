"""The archive as a file: one Parquet table, a walker a row, every gain a column. Nothing in it can be run."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path

import duckdb

from farm.control.archived import COLUMNS, ArchivedController
from farm.dataset.parquet import connect, text, write_rows
from farm.errors import FormatError, StorageError

MAX_WALKERS = 1_000_000


def read_archive(path: Path) -> tuple[ArchivedController, ...]:
    """The walkers of an archive, in file order.

    Raises:
        FormatError: There is no such file, it is no archive, or a row cannot be.
    """
    if not path.is_file():
        raise FormatError(f"there is no archive {path}; a search leaves one as archive.parquet in its --out")
    wanted = ", ".join(f'"{name}"' for name in COLUMNS)
    query = f"SELECT {wanted} FROM read_parquet({text(str(path))}) LIMIT {MAX_WALKERS}"  # noqa: S608  (our columns)
    try:
        rows = connect(path.parent).execute(query).fetchall()
    except (duckdb.Error, UnicodeDecodeError) as error:
        told = " ".join(str(error).split())[:200]
        raise FormatError(
            f"{path}: not an archive of walkers ({told}); searches and `gaitfarm archive merge` write them"
        ) from None
    try:
        return tuple(ArchivedController.from_cells(dict(zip(COLUMNS, row, strict=True))) for row in rows)
    except FormatError as error:
        raise FormatError(f"{path}: {error}") from None


def write_archive(path: Path, walkers: Sequence[ArchivedController]) -> None:
    """Write an archive, replacing what is there whole or not at all.

    Raises:
        StorageError: It cannot be written.
    """
    try:
        with tempfile.TemporaryDirectory(prefix=".archive-", dir=path.parent) as folder:
            part = Path(folder) / "archive.parquet"
            write_rows((walker.cells() for walker in walkers), part, COLUMNS)
            part.replace(path)
    except OSError as error:
        raise StorageError(f"cannot write {path}: {error.strerror}; free space there, or take another place") from None


def united(archives: Sequence[Sequence[ArchivedController]]) -> list[ArchivedController]:
    """The walkers of several archives, each once, in order of body model, condition, side, severity and name.

    Raises:
        FormatError: Two different walkers have one name.
    """
    kept: dict[str, ArchivedController] = {}
    names: dict[str, str] = {}
    for walker in (walker for walkers in archives for walker in walkers):
        digest = walker.digest()
        if names.setdefault(walker.name, digest) != digest:
            raise FormatError(f"two different walkers are named {walker.name!r}; leave one of the archives out")
        kept.setdefault(digest, walker)
    return sorted(kept.values(), key=lambda w: (w.body_model, w.condition, w.side, w.severity, w.name))
