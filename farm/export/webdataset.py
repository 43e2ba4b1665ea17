"""WebDataset: tar files whose members are a gait's index row, its videos and its arrays, for streaming readers.

    gaits-000000.tar
        000000012.json                    index row: parameters and labels
        000000012.coordinates.npy         [T, Q], without padding
        000000012.side.keypoints_2d.npy   [F, K, 2]
        000000012.side.mp4                the stored film, byte by byte
    arrays.json                           unit, axes and names of each member

Everything is plain `.npy` (no pickles) and decodes with `WebDataset(...).decode()`.
Tar headers carry no time, owner or machine: the same gaits give the same bytes.
"""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from farm.dataset.gaits import Gait
from farm.dataset.load import names_of
from farm.dataset.schema import ArrayPath
from farm.export.formats import Format, Object, Task, row_of, stem
from farm.export.plan import FormatName, Piece

MAX_TAR_BYTES = 256 * 10**6
"""Readers stream tars whole; some hundred megabytes keep seeks rare. One tar for each worker is held in memory."""

ARRAYS_KEY = "arrays.json"


@dataclass(frozen=True)
class WebDatasetTars(Format):
    """Tar files.

    Attributes:
        prefix: What their names begin with.
        gaits_per_file: At most so many gaits in one; None leaves it to `max_file_bytes`.
        max_file_bytes: About how large one becomes at most, by the unpacked arrays' size.
    """

    prefix: str = "gaits"
    gaits_per_file: int | None = None
    max_file_bytes: int | None = MAX_TAR_BYTES

    name: ClassVar[FormatName] = "webdataset"

    def options(self) -> dict[str, str | int | float | bool | None]:
        return {"prefix": self.prefix, "gaits_per_file": self.gaits_per_file, "max_file_bytes": self.max_file_bytes}

    def marker(self, piece: Piece) -> str:
        return f"{self.prefix}-{piece.number:06d}.tar"

    def objects(self, task: Task, piece: Piece, gaits: Iterator[Gait]) -> Iterator[Object]:
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode="w", format=tarfile.USTAR_FORMAT) as tar:
            for gait in gaits:
                for name, data in _members(task, gait):
                    info = tarfile.TarInfo(f"{stem(gait.sample_id)}.{name}")
                    info.size = len(data)
                    info.mode = 0o644
                    tar.addfile(info, io.BytesIO(data))
        yield self.marker(piece), buffer.getvalue()

    def closing(self, task: Task) -> Iterator[Object]:
        told = {member_name(item): _told(item, task.attributes) for item in task.items}
        rates = {name: task.attributes[name] for name in ("sample_rate_hz", "frame_rate_hz")}
        yield ARRAYS_KEY, (json.dumps(rates | {"members": told}, indent=1) + "\n").encode()


def member_name(item: ArrayPath) -> str:
    """What an array's member is called behind the sample's number; the last part says how to decode it."""
    dotted = f"{item.view}.{item.spec.field}" if item.view else item.spec.field
    return f"{item.view}.mp4" if item.spec.field == "video" else f"{dotted}.npy"


def _members(task: Task, gait: Gait) -> Iterator[tuple[str, bytes]]:
    yield "json", json.dumps(row_of(gait), allow_nan=False).encode()
    for item in task.items:
        value = gait[item.path]
        yield member_name(item), value.tobytes() if item.spec.field == "video" else npy(value)


def npy(value: NDArray[Any]) -> bytes:
    """An array as a `.npy` file, which holds no pickle."""
    buffer = io.BytesIO()
    np.lib.format.write_array(buffer, np.ascontiguousarray(value), allow_pickle=False)
    return buffer.getvalue()


def _told(item: ArrayPath, attributes: dict[str, Any]) -> dict[str, Any]:
    spec = item.spec
    if spec.field == "video":
        return {"description": "the film of this view, an MP4 file"}
    dims = spec.dims[1:]  # one gait
    names = {dim: list(found) for dim in dims if (found := names_of(attributes, dim)) is not None}
    return {
        "dims": list(dims), "dtype": spec.dtype, "unit": spec.unit, "axes": spec.axes,
        "description": spec.description, "names": names,
    }  # fmt: skip
