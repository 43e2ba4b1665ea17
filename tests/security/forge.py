"""A forger: changes a shard's metadata or bytes and mends the record, so that every checksum is right again."""

from __future__ import annotations

import hashlib
import json
import struct
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import google_crc32c


class Forger:
    """One shard of a dataset in a folder."""

    def __init__(self, root: Path, shard: str = "00000000") -> None:
        self.root = root
        self.commit = root / "commits" / f"{shard}.json"
        self.group = root / json.loads(self.commit.read_text())["group"]

    def edit_record(self, edit: Callable[[dict[str, Any]], Any]) -> None:
        record = json.loads(self.commit.read_text())
        edit(record)
        self.commit.write_text(json.dumps(record))

    def edit_manifest(self, edit: Callable[[dict[str, Any]], Any]) -> None:
        path = self.root / "dataset.json"
        data = json.loads(path.read_text())
        edit(data)
        path.write_text(json.dumps(data))

    def edit_root(self, edit: Callable[[dict[str, Any]], Any]) -> None:
        """Change the group's own metadata."""
        metadata = json.loads((self.group / "zarr.json").read_text())
        edit(metadata)
        self.write("zarr.json", json.dumps(metadata).encode())

    def edit_array(self, array: str, edit: Callable[[dict[str, Any]], Any]) -> None:
        """Change an array's metadata, and its consolidated copy alike."""
        metadata = json.loads((self.group / array / "zarr.json").read_text())
        edit(metadata)
        self.write(f"{array}/zarr.json", json.dumps(metadata).encode())
        self.edit_root(lambda root: root["consolidated_metadata"]["metadata"].update({array: metadata}))

    def object_of(self, array: str) -> Path:
        return next(
            path for path in sorted((self.group / array).rglob("*")) if path.is_file() and "c" in path.parts[-4:]
        )

    def write(self, name: str, data: bytes) -> None:
        """Replace an object, and say so in the record."""
        (self.group / name).write_bytes(data)
        key = f"{self.group.relative_to(self.root).as_posix()}/{name}"

        def mend(record: dict[str, Any]) -> None:
            item = next(item for item in record["objects"] if item["path"] == key)
            item["bytes"], item["sha256"] = len(data), hashlib.sha256(data).hexdigest()

        self.edit_record(mend)

    def chunks(self, array: str) -> list[bytes]:
        """An array's chunks, as they are stored (each ends with its crc32c)."""
        data = self.data_path(array).read_bytes()
        count = self._count(array)
        table = struct.unpack(f"<{2 * count}Q", data[-4 - 16 * count : -4])
        return [data[table[i] : table[i] + table[i + 1]] for i in range(0, 2 * count, 2)]

    def data_path(self, array: str) -> Path:
        shape = json.loads((self.group / array / "zarr.json").read_text())["shape"]
        return self.group / array / "/".join(["c", *("0" for _ in shape)])

    def write_chunks(self, array: str, chunks: Sequence[bytes], index: Sequence[int] | None = None) -> None:
        """Replace an array's chunks; each gets a right crc32c. `index`: offsets and lengths, if not the true ones."""
        sealed = [chunk + _crc(chunk) for chunk in chunks]
        table: list[int] = []
        at = 0
        for chunk in sealed:
            table += [at, len(chunk)]
            at += len(chunk)
        packed = struct.pack(f"<{len(table)}Q", *(index or table))
        name = self.data_path(array).relative_to(self.group).as_posix()
        self.write(name, b"".join(sealed) + packed + _crc(packed))

    def bare_chunks(self, array: str) -> list[bytes]:
        """The chunks without their crc32c."""
        return [chunk[:-4] for chunk in self.chunks(array)]

    def _count(self, array: str) -> int:
        metadata = json.loads((self.group / array / "zarr.json").read_text())
        outer = metadata["chunk_grid"]["configuration"]["chunk_shape"]
        inner = metadata["codecs"][0]["configuration"]["chunk_shape"]
        count = 1
        for whole, part in zip(outer, inner, strict=True):
            count *= whole // part
        return count


def _crc(data: bytes) -> bytes:
    return struct.pack("<I", google_crc32c.value(data))
