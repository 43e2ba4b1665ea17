"""A shard holds what was put in, for anybody who has stock zarr."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import zarr
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from farm.config import Campaign
from farm.dataset import video
from farm.dataset.manifest import RejectedGait
from farm.dataset.pack import PackedGait, pack
from farm.dataset.schema import ARRAYS, find, stored_arrays
from farm.dataset.writer import EncodedShard, encode_shard
from farm.errors import FormatError
from farm.gait.columns import LABEL_COLUMNS
from farm.records import GaitSample
from tests.samples import make_campaign, make_sample, make_samples_for

DATASET_ID = "00000000-0000-4000-8000-000000000000"


def _opened(shard: EncodedShard, folder: Path) -> zarr.Group:
    """The shard's objects as files, opened by zarr alone."""
    for key, data in shard.objects.items():
        path = folder / key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return zarr.open_group(str(folder), mode="r")


def _expected(campaign: Campaign, sample: GaitSample, path: str) -> np.ndarray:
    """What stock zarr must give back, taken from the sample by hand, not by the writer's table."""
    labels, frames = sample.labels, sample.frames
    assert labels is not None
    assert frames is not None
    plain = {
        "sample_id": sample.parameters.sample_id,
        "parameters": [value for _, value in sample.parameters.table()],
        "labels": [labels.values[column.name] for column in LABEL_COLUMNS],
        "n_samples": len(sample.trajectory.time),
        "n_events": len(labels.event_time),
        "n_frames": len(labels.frame_time),
        "event_time": labels.event_time,
        "event_type": labels.event_type,
        "keypoints_3d": labels.keypoints_3d,
        "imu_acceleration": labels.imu_acceleration,
        "imu_angular_velocity": labels.imu_angular_velocity,
    }
    if path in plain:
        return np.asarray(plain[path])
    if path.startswith("views/"):
        _, view, field = path.split("/")
        return np.asarray(getattr(frames.view(view), field))
    return np.asarray(getattr(sample.trajectory, path))


LENGTHS = st.lists(st.integers(1, 70), min_size=1, max_size=3)


@settings(max_examples=6, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    lengths=LENGTHS,
    seed=st.integers(0, 2**32),
    rgb=st.sampled_from(["video", "lossless", "none"]),
    mask=st.booleans(),
    depth=st.booleans(),
)
def test_stock_zarr_reads_what_was_written(
    tmp_path_factory: pytest.TempPathFactory, lengths: list[int], seed: int, rgb: str, mask: bool, depth: bool
) -> None:
    campaign = make_campaign(seed=seed, rgb=rgb, mask=mask, depth=depth, image_size=(34, 32))
    ids = [number * 3 + 1 for number in range(len(lengths))]
    samples = make_samples_for(campaign, ids, n_samples=lengths)
    shard = encode_shard(campaign, DATASET_ID, "00000000", samples)
    group = _opened(shard, tmp_path_factory.mktemp("shard"))
    names = {path for path, member in group.members(max_depth=None) if isinstance(member, zarr.Array)}
    assert names == {item.path for item in stored_arrays(campaign.pictures)}
    for path in sorted(names):
        item = find(path)
        assert item is not None
        array = group[path]
        assert array.metadata.dimension_names == item.spec.dims
        assert array.dtype == np.dtype(item.spec.dtype)
        assert {"unit", "axes", "description"} <= set(array.attrs)
        if item.spec.dims[0] != "gait":
            continue
        assert array.chunks == (1, *array.shape[1:])
        for position, sample in enumerate(samples):
            expected = _expected(campaign, sample, path).astype(array.dtype)
            stored = np.asarray(array[position])
            if item.spec.length:
                valid, rest = stored[: len(expected)], stored[len(expected) :]
                assert np.all(np.isnan(rest)) if array.dtype.kind == "f" else not rest.any()
                assert len(stored) == max(1, *(len(_expected(campaign, other, path)) for other in samples))
            else:
                valid = stored
            np.testing.assert_array_equal(valid, expected)
    if rgb == "video":
        for view in ("front", "side"):
            offsets = group[f"views/{view}/video_offsets"][:]
            for position, sample in enumerate(samples):
                data = group[f"views/{view}/video"][offsets[position] : offsets[position + 1]].tobytes()
                pictures = sample.frames.view(view).rgb
                decoded = video.decode(data)
                assert decoded.shape == pictures.shape
                stated = group[f"views/{view}/video"].attrs["psnr_db"][position]
                assert video.psnr_db(pictures, decoded) == pytest.approx(stated, abs=1e-3)


def test_group_says_what_its_axes_are(tmp_path: Path) -> None:
    campaign = make_campaign()
    group = _opened(encode_shard(campaign, DATASET_ID, "00000003", make_samples_for(campaign, [12, 13])), tmp_path)
    attributes = dict(group.attrs)
    assert attributes["format_version"] == 1
    assert attributes["dataset_id"] == DATASET_ID
    assert attributes["shard_id"] == "00000003"
    assert attributes["sample_rate_hz"] == 100
    assert attributes["frame_rate_hz"] == 30
    for name, path, axis in (
        ("views", None, 0), ("keypoints", "keypoints_3d", 2), ("bodies", "body_pose", 2),
        ("coordinates", "coordinates", 2), ("muscles", "muscle_force", 2), ("imus", "imu_acceleration", 2),
    ):  # fmt: skip
        assert path is None or len(attributes[name]) == group[path].shape[axis]
    assert [column["name"] for column in group["labels"].attrs["columns"]] == [c.name for c in LABEL_COLUMNS]
    assert len(group["parameters"].attrs["columns"]) == group["parameters"].shape[1]


def test_one_object_for_an_array_and_one_read_opens_the_group() -> None:
    campaign = make_campaign(depth=True)
    shard = encode_shard(campaign, DATASET_ID, "00000000", make_samples_for(campaign, range(4)))
    arrays = [item.path for item in stored_arrays(campaign.pictures)]
    for path in arrays:
        assert len([key for key in shard.objects if key.startswith(f"{path}/c/")]) == 1
    assert b'"consolidated_metadata"' in shard.objects["zarr.json"]


def test_black_pictures_are_stored_all_the_same() -> None:
    """A chunk of nothing but fill values must not be left out: what is missing is always damage."""
    campaign = make_campaign(rgb="lossless")
    sample = make_sample(0, 1, 50, image_size=campaign.pictures.image_size)
    views = tuple(
        dataclasses.replace(view, rgb=np.zeros_like(view.rgb), mask=np.zeros_like(view.mask))
        for view in sample.frames.views
    )
    black = dataclasses.replace(sample, frames=dataclasses.replace(sample.frames, views=views))
    shard = encode_shard(campaign, DATASET_ID, "00000000", [black])
    index = np.frombuffer(shard.objects["views/front/rgb/c/0/0/0/0/0"][-20:-4], dtype="<u8")
    assert index[0] != 2**64 - 1, "the sharding codec's mark for a chunk that is not there"
    assert index[1] > 0


def test_the_same_samples_give_the_same_bytes() -> None:
    campaign = make_campaign()
    first, second = (
        encode_shard(campaign, DATASET_ID, "00000000", make_samples_for(campaign, range(3), n_samples=(40, 60)))
        for _ in range(2)
    )
    assert first == second


def test_packed_one_by_one_gives_the_same_bytes_in_any_order() -> None:
    campaign = make_campaign()
    samples = make_samples_for(campaign, range(3), n_samples=(40, 60), rejected=[1])
    packed = [pack(campaign, sample) for sample in reversed(samples)]
    assert [type(item) for item in packed] == [PackedGait, RejectedGait, PackedGait]
    assert encode_shard(campaign, DATASET_ID, "00000000", packed) == encode_shard(
        campaign, DATASET_ID, "00000000", samples
    )


def test_rejected_samples_keep_reasons_and_parameters() -> None:
    campaign = make_campaign()
    samples = make_samples_for(campaign, range(3), rejected=[0, 1, 2])
    shard = encode_shard(campaign, DATASET_ID, "00000000", samples)
    assert shard.objects == {}
    assert shard.sample_ids == (0, 1, 2)
    assert [gait.reasons for gait in shard.rejected] == [("fell",)] * 3
    assert "pelvis below half its height" in shard.rejected[0].details["fell"]
    assert shard.rejected[1].parameters["stature_m"] == samples[1].parameters.stature_m
    assert shard.rejected[1].parameters["condition"] == samples[1].parameters.condition


def _broken(sample: GaitSample, **changes: object) -> GaitSample:
    return dataclasses.replace(sample, trajectory=dataclasses.replace(sample.trajectory, **changes))


@pytest.mark.parametrize(
    ("field", "change", "message"),
    [
        ("coordinates", lambda a: np.where(np.arange(len(a))[:, None] == 3, np.nan, a), "not finite"),
        ("body_pose", lambda a: a * 1.01, "not of unit length"),
        ("muscle_activation", lambda a: a + 0.5, "outside 0 to 1"),
        ("muscle_force", lambda a: a[:-1], "must have the shape"),
        ("joint_moment", lambda a: a[:, :-1], "must have the shape"),
    ],
)
def test_a_gait_that_breaks_a_law_is_not_written(field: str, change: object, message: str) -> None:
    campaign = make_campaign()
    sample = make_sample(7, 1, 50)
    broken = _broken(sample, **{field: change(getattr(sample.trajectory, field))})
    with pytest.raises(FormatError, match=f"sample 7 cannot be stored: {field} .*{message}"):
        pack(campaign, broken)


def test_a_view_that_was_not_filmed_is_named() -> None:
    campaign = make_campaign(views=("front", "back", "side"))
    with pytest.raises(FormatError, match="sample 7 was not filmed from view 'back'"):
        pack(campaign, make_sample(7, 1, 50, ("front", "side")))


def test_samples_that_cannot_share_a_shard() -> None:
    campaign = make_campaign()
    first, second = make_samples_for(campaign, [0, 1])
    other = dataclasses.replace(
        second, parameters=dataclasses.replace(second.parameters, reflex_gain_names=("other", "names"))
    )
    with pytest.raises(FormatError, match="samples 0 and 1 differ in columns 'parameters'"):
        encode_shard(campaign, DATASET_ID, "00000000", [first, other])
    with pytest.raises(FormatError, match="each once"):
        encode_shard(campaign, DATASET_ID, "00000000", [first, first])


def test_field_names_are_unique_and_lengths_exist() -> None:
    names = [spec.name for spec in ARRAYS]
    fields = [spec.field for spec in ARRAYS]
    assert len(set(names)) == len(names)
    assert len(set(fields)) == len(fields)
    assert {spec.length for spec in ARRAYS if spec.length} <= set(names)
