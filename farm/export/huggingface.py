"""Hugging Face: folders of films, each with a `metadata.parquet` that has a row for each gait, and a dataset card.

    README.md                           the card
    croissant.json                      the same for machines
    train/00000/metadata.parquet        index row, arrays as nested lists, names of the films
    train/00000/000000012.side.mp4

`load_dataset(folder)` reads it as a VideoFolder, with a column of videos for each view;
without films it is plain Parquet. Folders hold a few thousand files at most, as
the Hub asks.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from farm.dataset.gaits import Gait
from farm.dataset.places import Places
from farm.dataset.schema import ArrayPath
from farm.dataset.split import PARTS, Split
from farm.export.card import dataset_card
from farm.export.croissant import describe_huggingface
from farm.export.formats import Format, Object, Task, row_of, stem
from farm.export.plan import FormatName, Piece, pieces_of

if TYPE_CHECKING:
    import pyarrow as pa

MAX_FOLDER_GAITS = 1000
"""Gaits of one folder at most: with a film for each of a few views well below the Hub's 10,000 files a folder."""

MAX_FOLDER_BYTES = 256 * 10**6
"""About how much one folder holds; a worker has its table in memory."""

ROW_GROUP_BYTES = 64 * 10**6
"""The Hub's viewer reads one row group at a time."""

STANDARD_SPLIT = Split()

TYPES = {"VARCHAR": "string", "BIGINT": "int64", "DOUBLE": "float64", "BOOLEAN": "bool"}
"""SQL type of an index column -> the type that both Arrow and `datasets` call so."""


@dataclass(frozen=True)
class HuggingFaceFolder(Format):
    """Films and Parquet files by part of a split.

    Attributes:
        split: Which gaits are for training, validation, test; the same as everywhere in gaitfarm.
    """

    split: Split = STANDARD_SPLIT
    gaits_per_file: int | None = MAX_FOLDER_GAITS
    max_file_bytes: int | None = MAX_FOLDER_BYTES

    name: ClassVar[FormatName] = "huggingface"

    def options(self) -> dict[str, str | int | float | bool | None]:
        return {
            "split": f"{self.split.train:g}/{self.split.validation:g}/{self.split.test:g}",
            "split_seed": self.split.seed,
            "gaits_per_file": self.gaits_per_file,
        }

    def pieces(self, places: Places, gaits_per_file: int) -> list[Piece]:
        parts = np.array([PARTS.index(self.split.part_of(int(i))) for i in places.sample_id])
        return [
            piece
            for number, part in enumerate(PARTS)
            for piece in pieces_of(places.chosen(parts == number), gaits_per_file, part)
        ]

    def marker(self, piece: Piece) -> str:
        return f"{_folder(piece)}/metadata.parquet"

    def objects(self, task: Task, piece: Piece, gaits: Iterator[Gait]) -> Iterator[Object]:
        rows: list[dict[str, Any]] = []
        arrays: dict[str, list[NDArray[Any]]] = {column_of(item): [] for item in task.items}
        for gait in gaits:
            row = row_of(gait)
            for item in task.items:
                if item.spec.field == "video":
                    name = f"{stem(gait.sample_id)}.{item.view}.mp4"
                    yield f"{_folder(piece)}/{name}", gait[item.path].tobytes()
                    row[column_of(item)] = name
                else:
                    arrays[column_of(item)].append(gait[item.path])
            rows.append(row)
        yield self.marker(piece), _parquet(task, rows, arrays)

    def closing(self, task: Task) -> Iterator[Object]:
        yield "croissant.json", describe_huggingface(task)
        yield "README.md", dataset_card(task, features(task), self.split)


def column_of(item: ArrayPath) -> str:
    """The column of an array, or of a film's name: VideoFolder makes `video_side` of `video_side_file_name`."""
    if item.spec.field == "video":
        return f"video_{item.view}_file_name"
    return f"{item.view}_{item.spec.field}" if item.view else item.spec.field


def features(task: Task) -> list[dict[str, Any]]:
    """The columns as `datasets` tells them in a card's `dataset_info`."""
    told: list[dict[str, Any]] = [{"name": column.name, "dtype": TYPES[column.sql_type]} for column in task.columns]
    for item in task.items:
        if item.spec.field == "video":
            told.append({"name": f"video_{item.view}", "dtype": "video"})
            continue
        dtype: Any = item.spec.dtype
        for _ in item.spec.dims[2:]:
            dtype = {"list": dtype}
        told.append({"name": column_of(item), **({"list": dtype} if len(item.spec.dims) > 1 else {"dtype": dtype})})
    return told


def _folder(piece: Piece) -> str:
    return f"{piece.part}/{piece.number:05d}"


def _parquet(task: Task, rows: Sequence[dict[str, Any]], arrays: dict[str, list[NDArray[Any]]]) -> bytes:
    import pyarrow as pa
    from pyarrow import parquet

    columns: dict[str, pa.Array] = {}
    for item in task.items:
        if item.spec.field == "video":  # first: the Hub's viewer shows columns in their order
            columns[column_of(item)] = pa.array([row[column_of(item)] for row in rows], pa.string())
    for column in task.columns:
        kind = pa.type_for_alias(TYPES[column.sql_type])
        columns[column.name] = pa.array([row.get(column.name) for row in rows], kind)
    for name, values in arrays.items():
        if name not in columns:
            columns[name] = nested(values)
    table = pa.table(columns)
    out = io.BytesIO()
    a_row = max(1, table.nbytes // max(1, len(rows)))
    parquet.write_table(table, out, compression="zstd", row_group_size=max(1, ROW_GROUP_BYTES // a_row))
    return out.getvalue()


def nested(values: Sequence[NDArray[Any]]) -> pa.Array:
    """Arrays `[n_i, a, b, ...]` as rows of lists of lists, without a Python object for each number."""
    import pyarrow as pa

    if values[0].ndim == 0:
        return pa.array(np.array(values))
    found = pa.array(np.concatenate([value.reshape(-1) for value in values]))
    inner = values[0].shape[1:]
    n = sum(len(value) for value in values)
    for at in range(len(inner) - 1, -1, -1):
        lists = n * int(np.prod(inner[:at]))
        found = pa.ListArray.from_arrays(pa.array(np.arange(lists + 1, dtype=np.int32) * inner[at], pa.int32()), found)
    ends = np.cumsum([0, *(len(value) for value in values)])
    return pa.ListArray.from_arrays(pa.array(ends, pa.int32()), found)
