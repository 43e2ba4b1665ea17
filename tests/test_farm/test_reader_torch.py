"""The PyTorch dataset gives the stream's gaits in the stream's order, with any number of workers and ranks."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.distributed
from torch.utils.data import DataLoader

from farm.dataset.reader import GaitDataset, extra
from farm.errors import MissingDependencyError, UserError
from tests.datasets import make_dataset
from tests.samples import make_campaign

N = 14


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> GaitDataset:
    folder = tmp_path_factory.mktemp("torch") / "dataset"
    make_dataset(str(folder), make_campaign(samples=N, gaits_per_shard=3, depth=True))
    return GaitDataset(str(folder))


def ids(items: Any) -> list[int]:
    return [int(i) for item in items for i in item["sample_id"].reshape(-1)]


def test_items_are_the_streams_as_tensors(dataset: GaitDataset) -> None:
    fields = ("keypoints_2d", "labels", "depth", "event_time")
    gaits = list(dataset.stream(fields, seed=2, frames=("side",)))
    items = list(dataset.to_torch(fields, seed=2, frames=("side",), columns=("gait_speed",)))
    for gait, item in zip(gaits, items, strict=True):
        assert set(item) == set(gait.arrays) | {"gait_speed"}
        assert item["gait_speed"] == np.float32(gait.row["gait_speed"])
        assert item["gait_speed"].dtype == torch.float32
        for path, value in gait.arrays.items():
            if path == "views/side/frames":
                assert item[path].dtype == torch.uint8
                assert item[path].is_contiguous()
                np.testing.assert_array_equal(item[path].permute(0, 2, 3, 1).numpy(), value)
            else:
                np.testing.assert_array_equal(item[path].numpy(), value.astype(item[path].numpy().dtype))
                assert item[path].shape == value.shape
    assert items[0]["views/side/depth"].dtype == torch.int32
    assert items[0]["sample_id"].dtype == torch.int64
    last = next(iter(dataset.to_torch((), frames=("side",), channels_first=False)))
    assert last["views/side/frames"].shape[-1] == 3


@pytest.mark.slow
def test_workers_change_nothing(dataset: GaitDataset) -> None:
    """Two spawned workers, two epochs: the same batches as without workers, and a state to go on from."""
    settings: dict[str, Any] = {"seed": 3, "batch_size": 2, "cut_s": 0.4, "columns": ("gait_speed",)}
    alone = dataset.to_torch(("keypoints_3d",), **settings)
    expected = [*alone, *alone]
    data = dataset.to_torch(("keypoints_3d",), **settings)
    loader = DataLoader(data, batch_size=None, num_workers=2, multiprocessing_context="spawn")
    found = []
    for epoch in range(2):
        data.set_epoch(epoch)
        found += list(loader)
    assert len(found) == len(expected) == 14
    for a, b in zip(expected, found, strict=True):
        assert set(a) == set(b)
        assert all(torch.equal(a[path].nan_to_num(-1), b[path].nan_to_num(-1)) for path in a)
    data.set_epoch(0)
    state = json.loads(json.dumps(data.state_after(3)))
    rest = dataset.to_torch(("keypoints_3d",), **settings)
    rest.load_state_dict(state)
    assert ids(rest) == ids(expected[3:7])
    assert rest.state_dict() == data.state_after(7)


def test_the_loader_may_make_the_batches(dataset: GaitDataset) -> None:
    loader = DataLoader(dataset.to_torch(("keypoints_3d",), cut_s=0.5, views=()), batch_size=4)
    batches = list(loader)
    assert [batch["keypoints_3d"].shape[:2] for batch in batches] == [(4, 15)] * 3 + [(2, 15)]
    assert sorted(ids(batches)) == list(range(N))


RANK = """
import json, sys
import torch.distributed as distributed
from farm.dataset.reader import GaitDataset
uri, store, rank = sys.argv[1], sys.argv[2], int(sys.argv[3])
distributed.init_process_group("gloo", init_method=f"file://{store}", rank=rank, world_size=2)
items = GaitDataset(uri).to_torch((), seed=1, batch_size=2, tail="pad")
print(json.dumps([item["sample_id"].tolist() for item in items]))
distributed.destroy_process_group()
"""


def test_distributed_ranks_share(dataset: GaitDataset, tmp_path: Path) -> None:
    """Two processes of `torch.distributed` are given equally many batches, and all gaits together."""
    command = [sys.executable, "-c", RANK, dataset.storage.uri, str(tmp_path / "rendezvous")]
    ranks = [
        subprocess.Popen([*command, str(rank)], stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[2])
        for rank in range(2)
    ]
    found = [json.loads(rank.communicate(timeout=200)[0]) for rank in ranks]
    assert [rank.returncode for rank in ranks] == [0, 0]
    assert [len(batches) for batches in found] == [4, 4]
    taken = [i for batches in found for batch in batches for i in batch]
    assert set(taken) == set(range(N))
    assert len(taken) == 16


def test_ranks_can_be_given(dataset: GaitDataset) -> None:
    found = [ids(dataset.to_torch((), rank=rank, world=2, tail="drop")) for rank in range(2)]
    assert sorted(found[0] + found[1]) == list(range(N))
    with pytest.raises(UserError, match="tail is not given"):
        dataset.to_torch((), world=2, rank=0)
    with pytest.raises(UserError, match="video files are no tensors"):
        dataset.to_torch(("video",))
    with pytest.raises(UserError, match="no column 'speed'"):
        dataset.to_torch((), columns=("speed",))


def test_a_missing_library_is_named() -> None:
    mend = r"torch is not installed here: pip install 'gaitfarm\[train\]'"
    with pytest.raises(MissingDependencyError, match=mend), extra("torch", name="train"):
        raise ModuleNotFoundError("No module named 'torch'", name="torch")
    with pytest.raises(ModuleNotFoundError), extra("torch", name="train"):
        raise ModuleNotFoundError("No module named 'other'", name="other")
