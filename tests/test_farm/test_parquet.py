"""Parquet files: what cannot be written is told apart from what cannot be read."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from farm.dataset.parquet import merge, write_rows
from farm.errors import FormatError, StorageError

ROWS = ({"sample_id": 7, "condition": "healthy"}, {"sample_id": 2, "condition": "foot_drop"})


def test_no_room_is_told_as_such_and_not_as_a_damaged_catalogue(tmp_path: Path) -> None:
    path = tmp_path / "index.parquet"
    (tmp_path / "index.ndjson").symlink_to("/dev/full")
    with pytest.raises(StorageError, match=r"cannot write below .*No space left.*free space there, or set TMPDIR"):
        write_rows(ROWS, path)
    write_rows(ROWS, path)
    (tmp_path / "merged.parquet").mkdir()
    with pytest.raises(StorageError, match=r"cannot write below .*free space there, or set TMPDIR"):
        merge([path], tmp_path / "merged.parquet", order_by="sample_id")
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(FormatError, match="run `gaitfarm compact`"):
        merge([path], tmp_path / "other.parquet", order_by="sample_id")


def test_a_file_size_limit_is_no_damaged_catalogue(tmp_path: Path) -> None:
    """DuckDB's own write fails, as on a full disk; a process of its own, for limits stay."""
    program = f"""
import pathlib, resource, signal
from farm.dataset.parquet import merge, write_rows
folder = pathlib.Path({str(tmp_path)!r})
write_rows(({{"sample_id": i, "text": str(i * 7919 % 65537)}} for i in range(20_000)), folder / "a.parquet")
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
merge([folder / "a.parquet"], folder / "b.parquet", order_by="sample_id")
"""
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert "StorageError: cannot write below" in ended.stderr
