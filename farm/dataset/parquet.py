"""Parquet files of rows, written and merged by DuckDB: no more is in memory than one row group and a sort's share."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import duckdb

from farm.errors import FormatError, StorageError

MEMORY_LIMIT = "1GB"
"""What a question may hold in memory; beyond that DuckDB puts sorts aside in the table's own folder."""

ROW_GROUP_ROWS = 8192
"""A few megabytes for 250 columns: what one thread holds while writing, and the least that a reader of one row fetches.
DuckDB's own 122,880 rows would be 250 MB."""

MAX_ROW_BYTES = 16 << 20
"""DuckDB's bound on one JSON line; a row takes a few kilobytes."""

_CANNOT_WRITE = re.compile(r"(?i)could not write|cannot open file|no space left|disk quota")
"""What DuckDB says of files that it makes; the files that it reads are there, so that these it can open."""

_RANK = {"": 0, "BOOLEAN": 1, "BIGINT": 2, "DOUBLE": 3, "VARCHAR": 4, "VARCHAR[]": 5}
_KINDS = {bool: "BOOLEAN", int: "BIGINT", float: "DOUBLE", str: "VARCHAR", list: "VARCHAR[]", tuple: "VARCHAR[]"}


def connect(folder: Path) -> duckdb.DuckDBPyConnection:
    """A database in memory that puts aside what is too large for it under `folder`."""
    database = duckdb.connect(
        ":memory:",
        config={
            "threads": "2",
            "memory_limit": MEMORY_LIMIT,
            "temp_directory": str(folder / "aside"),
            "python_enable_replacements": "false",
        },
    )
    database.execute("SET parquet_metadata_cache = true")  # our files do not change; one row is looked up often
    return database


def write_rows(rows: Iterable[Mapping[str, Any]], path: Path, types: Mapping[str, str] | None = None) -> None:
    """One Parquet file (zstd) of rows, in their order; a cell that a row lacks is null.

    Args:
        rows: Cells are None, truth values, numbers, words, or lists of words.
        types: SQL types of columns that are there even if no row has them; `sample_id` always is.

    Raises:
        FormatError: A number is too large for a column of numbers.
        StorageError: There is no room for the file.
    """
    lines = path.with_suffix(".ndjson")
    kinds = dict(types or {"sample_id": "BIGINT"})
    try:
        with lines.open("w", encoding="utf-8") as file:
            for row in rows:
                _widen(kinds, row)
                file.write(json.dumps(dict(row), allow_nan=False) + "\n")
        columns = ", ".join(f"{text(name)}: {text(kind or 'DOUBLE')}" for name, kind in kinds.items())
        source = (
            f"read_json({text(str(lines))}, format = 'newline_delimited', columns = {{{columns}}}, "
            f"maximum_object_size = {MAX_ROW_BYTES})"
        )
        _copy(f"SELECT * FROM {source}", path)  # noqa: S608  (our own file)
    except OSError as error:
        raise _unwritten(path.parent, error) from None
    finally:
        lines.unlink(missing_ok=True)


def merge(paths: Sequence[Path], path: Path, *, order_by: str) -> None:
    """One Parquet file of the rows of several; a column that some of them lack is null there.

    Raises:
        FormatError: A file is damaged.
        StorageError: There is no room for the file.
    """
    listed = ", ".join(text(str(item)) for item in paths)
    _copy(f"SELECT * FROM read_parquet([{listed}], union_by_name = true) ORDER BY {order_by}", path)  # noqa: S608


def read(path: Path, columns: str, *, limit: int) -> list[tuple[Any, ...]]:
    """Some columns of one file, and of at most so many rows.

    Raises:
        FormatError: It is damaged, or has no such columns.
    """
    query = f"SELECT {columns} FROM read_parquet({text(str(path))}) LIMIT {limit}"  # noqa: S608  (our own file)
    try:
        return connect(path.parent).execute(query).fetchall()
    except (duckdb.Error, UnicodeDecodeError) as error:  # the latter where an error's text quotes the file's bytes
        raise damaged(error) from None


def damaged(error: Exception) -> FormatError:
    """What to tell of files that DuckDB cannot read."""
    return FormatError(
        f"the catalogue cannot be read ({first_line(error)}); it is derived: "
        "delete the objects under catalogue/ and run `gaitfarm compact`"
    )


def first_line(error: Exception) -> str:
    """An error in one line, without the name of our temporary files."""
    line = str(error).splitlines()[0] if str(error) else type(error).__name__
    return re.sub(r"""['"][^'"]*gaitfarm-[^'"]*['"]""", "the file", line)[:200]


def text(value: str) -> str:
    """A literal of SQL."""
    return "'" + value.replace("'", "''") + "'"


def _copy(query: str, path: Path) -> None:
    options = f"FORMAT parquet, COMPRESSION zstd, ROW_GROUP_SIZE {ROW_GROUP_ROWS}"
    try:
        connect(path.parent).execute(f"COPY ({query}) TO {text(str(path))} ({options})")
    except (duckdb.Error, UnicodeDecodeError) as error:
        if isinstance(error, duckdb.OutOfMemoryException) or _CANNOT_WRITE.search(str(error)):
            raise _unwritten(path.parent, error) from None
        raise damaged(error) from None


def _unwritten(folder: Path, error: Exception) -> StorageError:
    return StorageError(f"cannot write below {folder} ({first_line(error)}): free space there, or set TMPDIR")


def _widen(kinds: dict[str, str], row: Mapping[str, Any]) -> None:
    """SQL type of each column: the widest of what its cells are; of nothing but nulls none is known yet."""
    for name, value in row.items():
        kind = _KINDS.get(type(value), "")
        known = kinds.get(name)
        if known is None or (kind != known and _RANK[kind] > _RANK[known]):
            kinds[name] = kind
