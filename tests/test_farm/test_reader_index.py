"""The reader asks the index from many threads, looks again when told to, and believes commits rather than it."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from farm.dataset.reader import GaitDataset
from farm.errors import FormatError
from tests.datasets import make_dataset, swap_first_and_last
from tests.samples import make_campaign


def test_many_threads_read_one_dataset(tmp_path: Path) -> None:
    """Each question to the index has a cursor of its own, also the one for the names of its columns."""
    make_dataset(str(tmp_path), make_campaign(samples=4, gaits_per_shard=2))
    dataset = GaitDataset(str(tmp_path))

    def ask(_: int) -> list[int]:
        assert len(dataset.places("sample_id >= 0")) == 4
        return [row["sample_id"] for row in dataset.index("sample_id >= 2", columns=("sample_id",))]

    with ThreadPoolExecutor(6) as pool:
        assert list(pool.map(ask, range(120))) == [[2, 3]] * 120


def test_refresh_sees_a_shard_that_was_made_anew(tmp_path: Path) -> None:
    campaign = make_campaign(samples=2, gaits_per_shard=2)
    make_dataset(str(tmp_path), campaign)
    dataset = GaitDataset(str(tmp_path))
    first = dataset.gait(1, ("coordinates",)).row["attempt_id"]
    (tmp_path / "commits" / "00000000.json").unlink()
    make_dataset(str(tmp_path), campaign)
    dataset.refresh()
    assert dataset.gait(1, ("coordinates",)).row["attempt_id"] == dataset.record("00000000").attempt_id != first


def test_a_catalogue_that_swaps_two_gaits_is_not_believed(tmp_path: Path) -> None:
    """Its order of a shard's gaits decides whose arrays are read: the commit must say the same."""
    make_dataset(str(tmp_path), make_campaign(samples=4, gaits_per_shard=4))
    swap_first_and_last(tmp_path)
    dataset = GaitDataset(str(tmp_path))
    assert dataset.gait(1, ("sample_id",))["sample_id"] == 1
    for read in (dataset.gait, lambda i: dataset.video(i, "side"), lambda i: dataset.frames(i, "side")):
        with pytest.raises(FormatError, match="gait 3 of shard 00000000 is sample 0 by the catalogue and 3 by its"):
            read(0)
