"""What a format is to `farm.export.run`: which arrays by default, how gaits become objects, what comes last."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from farm.dataset.gaits import Gait
from farm.dataset.manifest import DatasetManifest
from farm.dataset.places import Places
from farm.dataset.schema import ArrayPath
from farm.export.plan import FormatName, Note, Piece, pieces_of
from farm.storage import Storage

Object = tuple[str, bytes]
"""Key under the destination, and content."""

UNNAMED = ("rgb", "mask", "depth", "sample_id", "parameters", "labels", "n_samples", "n_frames", "n_events")
"""Fields that are exported only if they are named: raw pictures are large, the others stand in the index row or are the
lengths of arrays, which are exported without padding."""

PLACE_COLUMNS = ("shard_id", "attempt_id", "position")
"""Of an index row: where the gait lies in the dataset. Left out of what is exported."""


@dataclass(frozen=True)
class IndexColumn:
    """One column of the index: unit and meaning are empty where nobody says them."""

    name: str
    sql_type: str
    unit: str
    description: str


@dataclass(frozen=True)
class Task:
    """One export, as its format sees it.

    Attributes:
        source: The dataset.
        target: The destination.
        items: Arrays that are exported.
        attributes: Of the dataset's first shard: names along the arrays' axes, rates.
        columns: Of the index, without those that say where a gait lies.
    """

    source: Storage
    target: Storage
    manifest: DatasetManifest
    note: Note
    items: tuple[ArrayPath, ...]
    attributes: dict[str, Any]
    columns: tuple[IndexColumn, ...]


class Format(ABC):
    """A form of export. Options are fields of the implementation's dataclass."""

    name: ClassVar[FormatName]
    max_file_bytes: int | None = None
    """About how large a file may become; None where a gait has files of its own."""
    gaits_per_file: int | None = None
    """At most so many gaits in a file; None leaves it to the size."""

    growth: ClassVar[float] = 1.0
    """Bytes written for each byte of arrays: numbers as text take more."""

    @abstractmethod
    def options(self) -> dict[str, str | int | float | bool | None]:
        """What beside the choice of gaits and arrays decides about the files."""

    def fields(self, present: Sequence[str]) -> tuple[str, ...]:
        """The fields to export where none are named: of those that the dataset has, all but `UNNAMED`."""
        return tuple(name for name in present if name not in UNNAMED)

    def pieces(self, places: Places, gaits_per_file: int) -> list[Piece]:
        """The gaits, cut into what is written at once."""
        return pieces_of(places, gaits_per_file)

    @abstractmethod
    def marker(self, piece: Piece) -> str:
        """Key of the piece's last object: where it exists, the piece is whole."""

    @abstractmethod
    def objects(self, task: Task, piece: Piece, gaits: Iterator[Gait]) -> Iterator[Object]:
        """The piece's objects, the marker last. A pure function of its arguments."""

    def closing(self, task: Task) -> Iterator[Object]:  # noqa: ARG002  (for those who write something)
        """What is written when every piece is there."""
        return iter(())


def row_of(gait: Gait) -> dict[str, Any]:
    """The gait's parameters and labels, without where it lies in the dataset."""
    return {name: value for name, value in gait.row.items() if name not in PLACE_COLUMNS}


def stem(sample_id: int) -> str:
    """A sample's number as it stands in names of files: sorted by name they are sorted by number."""
    return f"{sample_id:09d}"
