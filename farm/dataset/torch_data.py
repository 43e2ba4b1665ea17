"""A stream as a PyTorch `IterableDataset`: for `DataLoader` with any number of workers, and for distributed ranks.

The order is the stream's: with workers, each makes every n-th item of the rank, and
`DataLoader` takes them in turns, so that what comes out is the same for any number of
workers. Use `batch_size=None` in the loader if the stream makes the batches, and
`multiprocessing_context="spawn"` (or "forkserver"): the threads that read do not survive a fork.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import torch
import torch.distributed
from numpy.typing import NDArray
from torch.utils.data import IterableDataset, get_worker_info

from farm.dataset.gaits import FRAMES, Gait, numbers
from farm.dataset.stream import GaitStream, Item
from farm.errors import UserError

TORCH_TYPES: Mapping[str, Any] = {"uint16": np.int32, "uint32": np.int64, "uint64": np.int64}
"""Types that most of PyTorch's operations do not know, and wider ones that hold them; sample ids are below 2^63."""


class GaitTensors(IterableDataset[dict[str, torch.Tensor]]):
    """The items of a stream as dictionaries of tensors, by the arrays' paths; `sample_id` is always among them.

    Iterating gives the rest of the stream's current epoch, and moves on to the next. In workers of a `DataLoader`
    the streams are copies: those of persistent workers move on by themselves, others begin where the one here
    stands, so call `set_epoch` before each epoch, and keep the position by `state_after(items)`.
    """

    def __init__(self, stream: GaitStream, columns: tuple[str, ...] = (), *, channels_first: bool = True) -> None:
        """See `GaitDataset.to_torch`.

        Raises:
            UserError: The arrays asked for cannot be tensors.
        """
        super().__init__()
        if "video" in (stream.settings.fields or ()):
            raise UserError("video files are no tensors; take frames=(...), which decodes them")
        self.stream = stream
        self._columns = columns
        self._channels_first = channels_first

    def __iter__(self) -> Iterator[dict[str, torch.Tensor]]:
        worker = get_worker_info()
        items = iter(self.stream) if worker is None else self.stream.every(worker.id, worker.num_workers)
        for item in items:
            yield self.tensors(item)

    def tensors(self, item: Item) -> dict[str, torch.Tensor]:
        """An item's arrays as tensors, and the columns that were asked for as float32: `[]`, or `[B]` of a batch."""
        found = {path: self._tensor(path, value) for path, value in item.arrays.items()}
        rows = (item.row,) if isinstance(item, Gait) else item.rows
        for name in self._columns:
            values = torch.from_numpy(numbers(rows, name).astype(np.float32))
            found[name] = values[0] if isinstance(item, Gait) else values
        return found

    def _tensor(self, path: str, value: NDArray[Any]) -> torch.Tensor:
        wider = TORCH_TYPES.get(value.dtype.name)
        array = value if wider is None else value.astype(wider)
        if self._channels_first and path.endswith(f"/{FRAMES}"):
            array = np.moveaxis(array, -1, -3)
        return torch.from_numpy(np.ascontiguousarray(array).reshape(array.shape))  # which makes a vector of a number

    def set_epoch(self, epoch: int) -> None:
        """Go to the beginning of an epoch."""
        self.stream.set_epoch(epoch)

    def state_dict(self) -> dict[str, Any]:
        """Where the stream here stands; for a loader with workers see `state_after`."""
        return self.stream.state_dict()

    def state_after(self, items: int) -> dict[str, Any]:
        """Where the stream will stand once this rank was given so many more items; batches are items."""
        return self.stream.state_after(items)

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go where the stream was when the state was saved.

        Raises:
            StateMismatchError: The state is of other data, or of another order.
        """
        self.stream.load_state_dict(state)


def distributed_rank() -> tuple[int, int]:
    """This process's rank and how many there are: as `torch.distributed` has it, or 0 of 1."""
    if torch.distributed.is_available() and torch.distributed.is_initialized():
        return torch.distributed.get_rank(), torch.distributed.get_world_size()
    return 0, 1
