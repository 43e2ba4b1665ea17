"""A dataset as a Ray Data source: `ray.data.read_datasource(dataset.ray_datasource(...))`.

One read task for a group of gaits that lie in one shard; each gait is a row. Ray Data
has its own order and its own splitting; for training that must resume exactly use
`GaitDataset.stream` or `to_torch`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from itertools import islice
from typing import Any

import numpy as np
from numpy.typing import NDArray
from ray.data import Datasource, ReadTask
from ray.data.block import Block, BlockAccessor, BlockMetadata

from farm.dataset.gaits import Gait
from farm.dataset.order import Ints, as_ints
from farm.dataset.places import Places
from farm.dataset.stream import GaitStream

GAITS_PER_BLOCK = 16
"""Rows that a task hands over at a time."""


class GaitDatasource(Datasource):
    """Gaits as rows: each array, without padding, under its path, and the columns of the index that were asked for."""

    def __init__(self, stream: GaitStream, columns: tuple[str, ...] = ()) -> None:
        """See `GaitDataset.ray_datasource`."""
        super().__init__()  # type: ignore[no-untyped-call]
        self._stream = stream
        self._columns = columns
        self._sizes = self._stream.sizes()

    def get_name(self) -> str:
        return "Gaits"

    def estimate_inmemory_data_size(self) -> int:
        """Bytes of all rows, by the first shard's."""
        return self._sizes[1] * self._stream.n_gaits

    def get_read_tasks(
        self,
        parallelism: int,
        per_task_row_limit: int | None = None,
        data_context: Any = None,  # noqa: ARG002
    ) -> list[ReadTask]:
        """One task for each shard, or for parts of it where more tasks are asked for than there are shards."""
        places = self._stream.places
        tasks = []
        for part in _parts(places, parallelism):
            n = len(part)
            metadata = BlockMetadata(num_rows=n, size_bytes=n * self._sizes[1], exec_stats=None, input_files=None)
            read = partial(_read, self._stream.of_places(part), self._columns)
            tasks.append(ReadTask(read, metadata, per_task_row_limit=per_task_row_limit))
        return tasks


def _parts(places: Places, parallelism: int) -> list[Places]:
    """The gaits of each shard, cut into about as many pieces together as there are tasks."""
    starts = np.concatenate([[0], np.cumsum(places.counts)])
    filled = [number for number, count in enumerate(places.counts) if count]
    pieces = max(1, -(-parallelism // max(1, len(filled))))
    return [
        _some(places, numbers)
        for number in filled
        for numbers in np.array_split(np.arange(starts[number], starts[number + 1]), pieces)
        if len(numbers)
    ]


def _some(places: Places, numbers: Ints) -> Places:
    """These gaits of one shard alone, so that a task is small to send."""
    shard = places.shards[int(places.shard[numbers[0]])]
    columns = (np.zeros(len(numbers)), places.position[numbers], places.sample_id[numbers])
    return Places((shard,), *map(as_ints, columns))


def _read(stream: GaitStream, columns: Sequence[str]) -> Iterator[Block]:
    """A task's gaits in blocks; runs in a Ray worker."""
    gaits = (item for item in stream if isinstance(item, Gait))
    while rows := list(islice(gaits, GAITS_PER_BLOCK)):
        block = {path: _column([gait[path] for gait in rows]) for path in rows[0].arrays}
        block |= {name: np.array([gait.row.get(name) for gait in rows]) for name in columns}
        yield BlockAccessor.batch_to_block(block)


def _column(values: Sequence[NDArray[Any]]) -> NDArray[Any]:
    """A column of arrays, which may be of different lengths."""
    if len({value.shape for value in values}) == 1:
        return np.stack(values)
    column = np.empty(len(values), dtype=object)
    column[:] = list(values)
    return column
