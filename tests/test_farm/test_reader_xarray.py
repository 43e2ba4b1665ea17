"""Labelled arrays hold the dataset's values under their names, seconds and units; other readers open our shards."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tensorstore
import xarray as xr
import zarr

from farm.dataset.reader import GaitDataset
from farm.errors import UserError
from tests.datasets import make_dataset
from tests.samples import make_campaign


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("labelled") / "dataset"
    make_dataset(str(folder), make_campaign(samples=7, gaits_per_shard=3, depth=True), rejected=(2, 6))
    return folder


@pytest.fixture(scope="module")
def dataset(root: Path) -> GaitDataset:
    return GaitDataset(str(root))


def test_one_gait(dataset: GaitDataset) -> None:
    made = dataset.to_xarray(1, frames=("side",))
    gait = dataset.gait(1)
    assert made.sizes["time"] == gait["n_samples"]
    assert "gait" not in made.dims
    assert made.sample_id == 1
    np.testing.assert_array_equal(made.coordinates, gait["coordinates"])
    np.testing.assert_array_equal(made.side_keypoints_2d, gait["views/side/keypoints_2d"])
    np.testing.assert_array_equal(made.side_frames, dataset.frames(1, "side"))
    knee = list(gait.attributes["coordinates"]).index("knee_angle_r")
    at = made.coordinates.sel(coordinate="knee_angle_r").sel(time=0.25, method="nearest", tolerance=1e-9)
    assert at == gait["coordinates"][25, knee]
    assert made.labels.sel(label="gait_speed") == np.float32(gait.row["gait_speed"])
    assert made.side_keypoints_2d.sel(keypoint="nose", uv="u").dims == ("frame",)
    np.testing.assert_allclose(made.frame_time, np.arange(int(gait["n_frames"])) / 30)
    assert (made.time.attrs["units"], made.keypoints_3d.attrs["units"]) == ("s", "m")
    assert made.side_bbox.attrs["view"] == "side"
    assert made.attrs["dataset_id"] == dataset.manifest.dataset_id


def test_a_shard_is_lazy_and_padded(dataset: GaitDataset) -> None:
    made = dataset.to_xarray(shard="00000000")
    group = dataset.shard("00000000")
    assert made.sample_id.values.tolist() == [0, 1]
    assert not made.coordinates.variable._in_memory
    np.testing.assert_array_equal(made.coordinates.isel(gait=1), group["coordinates"][1])  # type: ignore[index]
    assert not made.coordinates.variable._in_memory  # only the slice was read
    np.testing.assert_array_equal(made.coordinates, group["coordinates"][:])  # type: ignore[index]
    shorter = int(np.argmin(made.n_samples.values))
    assert made.n_samples[shorter] < made.sizes["time"]
    assert np.isnan(made.coordinates[shorter, int(made.n_samples[shorter]) :]).all()
    assert made.side_visibility.dtype == np.uint8
    assert list(made.muscle_force.muscle.values) == list(group.attrs["muscles"])  # type: ignore[arg-type]
    some = dataset.to_xarray(shard="00000000", fields=("mask", "labels"), views=("front",))
    assert set(some.data_vars) == {"labels", "n_samples", "n_frames", "front_mask"}


def test_gaits_of_a_filter(dataset: GaitDataset, tmp_path: Path) -> None:
    made = dataset.to_xarray(where="sample_id != 4", fields=("coordinates", "keypoints_2d", "event_time"))
    assert made.sample_id.values.tolist() == [0, 1, 3, 5]
    for number, sample_id in enumerate([0, 1, 3, 5]):
        gait = dataset.gait(sample_id)
        n = int(gait["n_samples"])
        np.testing.assert_array_equal(made.coordinates[number, :n], gait["coordinates"])
        assert np.isnan(made.coordinates[number, n:]).all()
    plain = made.drop_vars([name for name, values in made.coords.items() if values.dtype.kind == "U"])
    plain.to_zarr(tmp_path / "copy.zarr", consolidated=False)
    xr.testing.assert_identical(xr.open_zarr(tmp_path / "copy.zarr", consolidated=False, chunks=None).load(), plain)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({}, "give exactly one of sample_id=..., shard='...' and where='...'"),
        ({"sample_id": 1, "shard": "00000000"}, "give exactly one of"),
        ({"sample_id": 2}, "has no gait 2: it was rejected"),
        ({"where": "sample_id < 0"}, "where='sample_id < 0' means 0 gaits, 1 to 4096 fit"),
        ({"shard": "00000000", "frames": ("side",)}, "frames cannot be decoded of a whole shard"),
        ({"shard": "00000002"}, "shard 00000002 holds no gait"),
        ({"sample_id": 1, "fields": ("nothing",)}, "there is no field 'nothing'"),
    ],
)
def test_wrong_arguments_are_named(dataset: GaitDataset, arguments: dict[str, object], message: str) -> None:
    with pytest.raises(UserError, match=message):
        dataset.to_xarray(**arguments)  # type: ignore[arg-type]


def shards(root: Path) -> list[Path]:
    return sorted((root / "shards").glob("*/*.zarr"))


def test_tensorstore_reads_every_array(root: Path) -> None:
    """Another implementation of Zarr v3 takes our codecs (transpose, blosc, zstd with checksum, sharding, crc32c)."""
    n_arrays = 0
    for folder in shards(root):
        group = zarr.open_group(str(folder), mode="r")
        for path in dataset_arrays(group):
            spec = {"driver": "zarr3", "kvstore": {"driver": "file", "path": str(folder / path)}}
            opened = tensorstore.open(spec, read=True).result()
            ours = np.asarray(group[path][...])  # type: ignore[index]
            theirs = opened.read().result()
            assert theirs.dtype == ours.dtype
            np.testing.assert_array_equal(theirs, ours, err_msg=path)
            np.testing.assert_array_equal(opened[len(ours) - 1 :].read().result(), ours[-1:], err_msg=path)
            assert list(opened.domain.labels) == list(group[path].metadata.dimension_names)  # type: ignore[union-attr]
            n_arrays += 1
    assert n_arrays > 2 * 30


def test_xarray_opens_a_shard_by_itself(root: Path, dataset: GaitDataset) -> None:
    folder = shards(root)[0]
    for group, name in ((None, "coordinates"), ("views/side", "keypoints_2d")):
        opened = xr.open_zarr(folder, group=group, consolidated=group is None, chunks=None)
        path = name if group is None else f"{group}/{name}"
        np.testing.assert_array_equal(opened[name][0], dataset.shard("00000000")[path][0])  # type: ignore[index]
        assert opened[name].attrs["unit"]


def dataset_arrays(group: zarr.Group) -> list[str]:
    return sorted(path for path, member in group.members(max_depth=None) if isinstance(member, zarr.Array))
