"""The dataset: format, writing, reading. Those who read come in by `from farm.dataset import GaitDataset`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from farm.dataset.reader import GaitDataset

__all__ = ["GaitDataset"]


def __getattr__(name: str) -> Any:
    """Import the reader when it is asked for: whoever needs `farm.dataset.schema` alone does not pay for zarr."""
    if name != "GaitDataset":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from farm.dataset.reader import GaitDataset

    return GaitDataset
