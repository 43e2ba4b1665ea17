"""Parquet files and tables of rows that a test makes up; the farm's own come from commits and the catalogue."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from farm.dataset.parquet import write_rows
from farm.dataset.table import IndexTable, TableFiles

Rows = Sequence[Mapping[str, Any]]


def to_parquet(rows: Rows) -> bytes:
    """One Parquet file (zstd) of these rows, by sample id."""
    with tempfile.TemporaryDirectory(prefix="gaitfarm-") as folder:
        path = Path(folder, "index.parquet")
        write_rows(sorted(rows, key=lambda row: row["sample_id"]), path)
        return path.read_bytes()


def table_of(*parts: Rows | bytes) -> IndexTable:
    """A table of gaits: each part is rows, or a Parquet file of such rows."""
    folder = Path(tempfile.mkdtemp(prefix="gaitfarm-"))
    paths = tuple(folder / f"{number}.parquet" for number in range(len(parts)))
    for path, part in zip(paths, parts, strict=True):
        path.write_bytes(part if isinstance(part, bytes) else to_parquet(part))
    return IndexTable(TableFiles(folder, paths))
