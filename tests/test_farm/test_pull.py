"""A pulled part is a valid dataset, holds what was asked for and nothing else, and costs what it must."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from farm.dataset.manifest import committed_shards
from farm.dataset.pull import pull
from farm.dataset.reader import GaitDataset
from farm.dataset.verify import verify
from farm.errors import CampaignError, FormatError, StorageError, UserError
from farm.storage import FileStorage
from tests.datasets import make_dataset
from tests.samples import make_campaign


class _Watched(FileStorage):
    """Remembers what was read, and fails at the first object under a key that is set."""

    def __init__(self, root: Path, fail_at: str | None = None) -> None:
        super().__init__(root)
        self.read: set[str] = set()
        self.fail_at = fail_at

    def get(self, key: str) -> bytes:
        if self.fail_at and key.startswith(self.fail_at):
            raise StorageError(f"cannot read {key}: the network is gone")
        self.read.add(key)
        return super().get(key)

    def get_range(self, key: str, start: int, length: int) -> bytes:
        if self.fail_at and key.startswith(self.fail_at):
            raise StorageError(f"cannot read {key}: the network is gone")
        self.read.add(key)
        return super().get_range(key, start, length)


def _source(folder: Path, rgb: str) -> Path:
    campaign = make_campaign(samples=9, gaits_per_shard=3, rgb=rgb, image_size=(34, 32))
    make_dataset(str(folder), campaign, rejected=[4, 6, 7, 8], n_samples=(60, 90, 75))
    return folder


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return _source(tmp_path_factory.mktemp("source"), "video")


@pytest.fixture(scope="module")
def lossless_source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return _source(tmp_path_factory.mktemp("lossless"), "lossless")


@pytest.fixture(params=["source", "lossless_source"])
def either_source(request: pytest.FixtureRequest) -> Path:
    folder: Path = request.getfixturevalue(request.param)
    return folder


def _same(first: GaitDataset, second: GaitDataset, sample_id: int) -> None:
    ours, theirs = second.gait(sample_id), first.gait(sample_id)
    assert ours.arrays
    for path, array in ours.arrays.items():
        np.testing.assert_array_equal(array, theirs[path])
        assert array.dtype == theirs[path].dtype
    place = ("attempt_id", "position")
    assert {k: v for k, v in ours.row.items() if k not in place} == {
        k: v for k, v in theirs.row.items() if k not in place
    }


def test_everything(either_source: Path, tmp_path: Path) -> None:
    report = pull(str(either_source), str(tmp_path / "part"))
    first, second = GaitDataset(str(either_source)), GaitDataset(str(tmp_path / "part"))
    assert verify(str(tmp_path / "part")).faults == ()
    assert second.manifest.dataset_id == report.dataset_id != first.manifest.dataset_id
    assert second.manifest.arrays == first.manifest.arrays
    assert [record.rejected for record in second.records] == [record.rejected for record in first.records]
    for row in first.index():
        _same(first, second, row["sample_id"])
        for view in ("front", "side"):
            assert (second.frames(row["sample_id"], view) == first.frames(row["sample_id"], view)).all()


def test_some_gaits_and_one_view(either_source: Path, tmp_path: Path) -> None:
    first = GaitDataset(str(either_source))
    speeds = sorted(row["gait_speed"] for row in first.index())
    where = f"gait_speed <= {speeds[2]!r}"
    expected = [row["sample_id"] for row in first.index() if row["gait_speed"] <= speeds[2]]
    pull(first.storage, str(tmp_path / "part"), where=where, views=["side"])
    second = GaitDataset(str(tmp_path / "part"))
    assert verify(str(tmp_path / "part")).faults == ()
    assert [row["sample_id"] for row in second.index()] == expected
    assert second.manifest.views == ("side",)
    assert second.manifest.selection is not None
    assert second.manifest.selection.where == where
    assert not any(path.startswith("views/front") for path in second.manifest.arrays)
    for sample_id in expected:
        _same(first, second, sample_id)
        assert (second.frames(sample_id, "side") == first.frames(sample_id, "side")).all()
    with pytest.raises(UserError, match="no view 'front'; it has side"):
        second.frames(expected[0], "front")


@pytest.mark.parametrize("where", [None, "sample_id = 5"])
def test_only_what_is_needed_is_read(source: Path, tmp_path: Path, where: str | None) -> None:
    storage = _Watched(source)
    pull(storage, str(tmp_path / "part"), where=where, views=["front"], fields=["keypoints_2d", "event_time"])
    assert verify(str(tmp_path / "part")).faults == ()
    read = {key.split(".zarr/")[1].partition("/c/")[0] for key in storage.read if "/c/" in key}
    assert read == {"views/front/keypoints_2d", "event_time", "event_type", "n_events",
                    "sample_id", "n_samples", "n_frames"}  # fmt: skip
    if where is not None:
        assert {key.split("/")[1] for key in storage.read if key.startswith("shards/")} == {"00000001"}
    second = GaitDataset(str(tmp_path / "part"))
    assert {path.rpartition("/")[2] for path in second.manifest.arrays} == {path.rpartition("/")[2] for path in read}


def test_a_part_of_a_part(source: Path, tmp_path: Path) -> None:
    pull(str(source), str(tmp_path / "one"), where="sample_id < 4", views=["side"])
    pull(str(tmp_path / "one"), str(tmp_path / "two"), where="sample_id in (1, 3)", fields=["labels", "keypoints_2d"])
    assert verify(str(tmp_path / "two")).faults == ()
    assert [row["sample_id"] for row in GaitDataset(str(tmp_path / "two")).index()] == [1, 3]


def test_an_interrupted_pull_goes_on(source: Path, tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="the network is gone"):
        pull(_Watched(source, fail_at="shards/00000001/"), str(tmp_path / "part"))
    target = FileStorage(tmp_path / "part")
    assert "00000000" in committed_shards(target)
    assert "00000001" not in committed_shards(target)
    before = {item.key: target.get(item.key) for item in target.list("commits/")}
    report = pull(str(source), target)
    assert (report.n_shards, report.n_shards_before) == (3, len(before))
    assert all(target.get(key) == data for key, data in before.items())
    assert verify(target).faults == ()


def test_pulling_again_takes_what_is_newer(tmp_path: Path) -> None:
    campaign = make_campaign(samples=4, gaits_per_shard=2)
    make_dataset(str(tmp_path / "source"), campaign, shards=[0])
    first = pull(str(tmp_path / "source"), str(tmp_path / "part"), fields=["labels"])
    make_dataset(str(tmp_path / "source"), campaign, shards=[1])
    second = pull(str(tmp_path / "source"), str(tmp_path / "part"), fields=["labels"])
    assert first.dataset_id == second.dataset_id
    assert (first.n_gaits, second.n_gaits) == (2, 4)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"views": ["top"]}, "no view 'top'; it has front, side"),
        ({"fields": ["keypoint_2d"]}, "knows no array 'keypoint_2d'; did you mean 'keypoints_2d'"),
        ({"fields": ["depth"]}, "holds no array 'depth'"),
        ({"fields": "labels"}, "fields is the word 'labels'; give a tuple of names"),
        ({"views": "side"}, "views is the word 'side'; give a tuple of names"),
        ({"where": "gait_speed > 99"}, "no gait fulfils --where 'gait_speed > 99'; nothing was pulled"),
        ({"where": "speed > 99"}, "no column 'speed'"),
        ({"where": "sample_id in (" + "1, " * 2000 + "1)"}, "at most 4096 are allowed"),
        ({"count": 0}, "--count is 0; it must be 1 or more"),
        ({"count": 3, "seed": -1}, "--seed is -1; it must be a whole number from 0"),
        ({"split": "dev"}, "no part 'dev' of a split; choose train, validation, test"),
        ({"split": "test", "split_shares": "0.9/0.2/0.1"}, "three shares"),
        ({"split": "test", "split_seed": 2**63}, "--split-seed is 9223372036854775808"),
        ({"split": "test", "split_shares": "1/0/0"}, "no gait fulfils --split test; nothing was pulled"),
    ],
)
def test_what_cannot_be_pulled(source: Path, tmp_path: Path, options: dict[str, object], message: str) -> None:
    with pytest.raises(UserError, match=message):
        pull(str(source), str(tmp_path / "part"), **options)
    assert not (tmp_path / "part").exists(), "nothing half-written is left"


def test_another_dataset_at_the_destination_is_refused(source: Path, tmp_path: Path) -> None:
    pull(str(source), str(tmp_path / "part"), where="sample_id < 2")
    with pytest.raises(CampaignError, match=r"holds another dataset .*sample_id < 2.*choose another place"):
        pull(str(source), str(tmp_path / "part"), where="sample_id < 3")
    with pytest.raises(CampaignError, match=r"sample_id < 2.*here: where 'sample_id < 2', 1 of them by seed 0"):
        pull(str(source), str(tmp_path / "part"), where="sample_id < 2", count=1)
    with pytest.raises(CampaignError, match=r"here: every gait, test of 0.8/0.1/0.1 by seed 3"):
        pull(str(source), str(tmp_path / "part"), split="test", split_seed=3)
    with pytest.raises(CampaignError, match="generated, not pulled"):
        pull(str(source), str(source))


def test_nothing_is_generated_into_a_pulled_dataset(source: Path, tmp_path: Path) -> None:
    pull(str(source), str(tmp_path / "part"), where="sample_id < 2")
    campaign = json.loads((tmp_path / "part" / "dataset.json").read_text())["campaign"]
    with pytest.raises(FormatError, match="nothing can be generated into it"):
        make_dataset(
            str(tmp_path / "part"), make_campaign(rgb=campaign["pictures"]["rgb"], samples=9, gaits_per_shard=3)
        )


@pytest.mark.parametrize("where", [None, "sample_id = 0"])
def test_damage_is_not_passed_on(source: Path, tmp_path: Path, where: str | None) -> None:
    shutil.copytree(source, tmp_path / "source")
    path = next((tmp_path / "source").glob("shards/00000000/*/labels/c/0/0"))
    data = bytearray(path.read_bytes())
    data[3] ^= 1
    path.write_bytes(data)
    with pytest.raises(FormatError, match="SHA-256"):
        pull(str(tmp_path / "source"), str(tmp_path / "part"), where=where)
    assert "00000000" not in committed_shards(FileStorage(tmp_path / "part"))
