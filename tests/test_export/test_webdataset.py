"""Tars as their users read them: with the `webdataset` package."""

from __future__ import annotations

import gc
import io
import json
import tarfile
from pathlib import Path

import numpy as np
import pytest
import webdataset

from farm.dataset.pull_choice import Wish
from farm.dataset.reader import GaitDataset
from farm.export.run import export
from farm.export.webdataset import WebDatasetTars

pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # it leaves tars open

EVERY_ARRAY = ("coordinates", "labels", "sample_id", "keypoints_2d", "visibility", "mask", "video", "event_time")


def test_webdataset_gives_every_gait_back(dataset: str, tmp_path: Path) -> None:
    export(WebDatasetTars(gaits_per_file=3), dataset, str(tmp_path), Wish(fields=EVERY_ARRAY))
    tars = sorted(str(path) for path in tmp_path.glob("*.tar"))
    assert [Path(tar).name for tar in tars] == ["gaits-000000.tar", "gaits-000001.tar", "gaits-000002.tar"]
    stored = GaitDataset(dataset)
    told = json.loads((tmp_path / "arrays.json").read_bytes())
    seen = []
    for sample in webdataset.WebDataset(tars, shardshuffle=False).decode():
        gait = stored.gait(int(sample["__key__"]), fields=[name for name in EVERY_ARRAY if name != "video"])
        seen.append(gait.sample_id)
        assert sample["json"]["gait_speed"] == gait.row["gait_speed"]
        assert sample["json"].keys() == gait.row.keys() - {"shard_id", "attempt_id", "position"}
        members = {name for name in sample if not name.startswith("__")} - {"json"}
        assert members == set(told["members"])
        for path, value in gait.arrays.items():
            member = f"{path.removeprefix('views/').replace('/', '.')}.npy"
            np.testing.assert_array_equal(sample[member], value)
            assert sample[member].dtype == value.dtype
            assert len(told["members"][member]["dims"]) == value.ndim
        for view in ("front", "side"):
            assert sample[f"{view}.mp4"] == stored.video(gait.sample_id, view)
    assert seen == [0, 1, 2, 3, 4, 6, 7]
    gc.collect()  # the package's open files, while this test's filter holds


def test_pipeline_with_tuples_and_shuffling_works(dataset: str, tmp_path: Path) -> None:
    """The way that training code takes: named members of each sample, shuffled, in batches."""
    export(WebDatasetTars(gaits_per_file=2), dataset, str(tmp_path), Wish(fields=("keypoints_3d",)))
    pipeline = webdataset.DataPipeline(
        webdataset.SimpleShardList(sorted(str(path) for path in tmp_path.glob("*.tar"))),
        webdataset.tarfile_to_samples(),
        webdataset.shuffle(10),
        webdataset.decode(),
        webdataset.to_tuple("__key__", "keypoints_3d.npy", "json"),
    )
    found = {key: points.shape for key, points, row in pipeline if row["sample_id"] == int(key)}
    assert len(found) == 7
    assert all(shape[1:] == (24, 3) for shape in found.values())
    gc.collect()


def test_headers_tell_nothing_of_the_machine_and_no_member_is_a_pickle(dataset: str, tmp_path: Path) -> None:
    export(WebDatasetTars(), dataset, str(tmp_path))
    with tarfile.open(tmp_path / "gaits-000000.tar") as tar:
        for member in tar:
            assert (member.mtime, member.uid, member.gid, member.uname, member.gname, member.mode) == (
                0, 0, 0, "", "", 0o644,
            )  # fmt: skip
            file = tar.extractfile(member)
            assert file is not None
            data = file.read()
            if member.name.endswith(".npy"):
                np.load(io.BytesIO(data), allow_pickle=False)
            else:
                assert member.name.endswith((".json", ".mp4"))


def test_tars_are_no_larger_than_asked(dataset: str, tmp_path: Path) -> None:
    export(WebDatasetTars(), dataset, str(tmp_path / "one"))
    size = (tmp_path / "one" / "gaits-000000.tar").stat().st_size
    export(WebDatasetTars(max_file_bytes=size // 3), dataset, str(tmp_path / "many"))
    sizes = [path.stat().st_size for path in (tmp_path / "many").glob("*.tar")]
    assert len(sizes) >= 3
    assert max(sizes) < 0.5 * size
