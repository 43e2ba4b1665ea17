"""docs/format.md says what the code does: its tables are current, its promises are in the schema, its examples run."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from farm.dataset.schema import ARRAYS, FORMAT_VERSION, expand, find
from farm.gait.columns import LABEL_COLUMNS
from tests.datasets import make_dataset
from tests.samples import make_campaign
from tools.doc_tables import DOCS, with_tables

DOCUMENT = DOCS / "format.md"

VERSION_1 = {
    "sample_id": ("uint64", "gait"),
    "parameters": ("float32", "gait parameter"),
    "labels": ("float32", "gait label"),
    "n_samples": ("int32", "gait"),
    "coordinates": ("float32", "gait sample coordinate"),
    "coordinate_speeds": ("float32", "gait sample coordinate"),
    "body_pose": ("float32", "gait sample body pose"),
    "muscle_activation": ("float32", "gait sample muscle"),
    "muscle_excitation": ("float32", "gait sample muscle"),
    "muscle_fiber_length": ("float32", "gait sample muscle"),
    "muscle_force": ("float32", "gait sample muscle"),
    "ground_reaction": ("float32", "gait sample foot wrench"),
    "joint_moment": ("float32", "gait sample coordinate"),
    "imu_acceleration": ("float32", "gait sample imu xyz"),
    "imu_angular_velocity": ("float32", "gait sample imu xyz"),
    "event_time": ("float32", "gait event"),
    "event_type": ("uint8", "gait event"),
    "n_events": ("int32", "gait"),
    "n_frames": ("int32", "gait"),
    "keypoints_3d": ("float32", "gait frame keypoint xyz"),
    "views/{view}/keypoints_2d": ("float32", "gait frame keypoint uv"),
    "views/{view}/visibility": ("uint8", "gait frame keypoint"),
    "views/{view}/world_from_camera": ("float32", "gait frame matrix_row matrix_column"),
    "views/{view}/intrinsics": ("float32", "gait ray_row ray_column"),
    "views/{view}/distortion": ("float32", "gait lens"),
    "views/{view}/shutter": ("float32", "gait shutter"),
    "views/{view}/bbox": ("float32", "gait frame corner"),
    "views/{view}/video": ("uint8", "byte"),
    "views/{view}/video_offsets": ("int64", "offset"),
    "views/{view}/rgb": ("uint8", "gait frame row column channel"),
    "views/{view}/mask": ("uint8", "gait frame row column"),
    "views/{view}/depth": ("uint16", "gait frame row column"),
}
"""Published with version 1: an array may be added to this list, and none may ever change or go."""

PROMISED_LABELS = (
    "gait_speed", "cadence", "step_length", "step_length_r", "step_length_l", "step_time", "step_time_r",
    "step_time_l", "stride_time", "stride_length", "step_width", "stance_fraction_r", "stance_fraction_l",
    "double_support_fraction", "swing_time_r", "swing_time_l", "step_length_asymmetry", "step_time_asymmetry",
    "stride_time_cv", "margin_of_stability_ml", "foot_clearance_min", "walk_ratio", "peak_knee_flexion_r",
    "peak_knee_flexion_l", "hip_range_r", "hip_range_l", "ankle_range_r", "ankle_range_l", "cost_of_transport",
    "n_strides",
)  # fmt: skip


def test_the_tables_are_current() -> None:
    text = DOCUMENT.read_text("utf-8")
    assert text == with_tables("format.md", text), "run python tools/doc_tables.py"
    assert with_tables("format.md", text.replace("uint64", "int64")) == text, "a wrong table must not pass"


def test_version_1_is_what_was_published() -> None:
    assert FORMAT_VERSION == 1
    schema = {spec.name: (spec.dtype, " ".join(spec.dims)) for spec in ARRAYS}
    assert {name: schema.get(name) for name in VERSION_1} == VERSION_1


def test_promised_labels_are_there() -> None:
    assert [name for name in PROMISED_LABELS if name not in {column.name for column in LABEL_COLUMNS}] == []


def test_every_array_is_found_by_its_path() -> None:
    for item in expand(ARRAYS, ["front", "a_view_of_mine"]):
        assert find(item.path) == item
    for path in ("views/{view}/mask", "views//mask", "views/front", "mask", "views/front/labels", "views/a/b/mask", ""):
        assert find(path) is None


@pytest.mark.parametrize("number", [0, 1])
def test_the_examples_run(number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    code = re.findall(r"```python\n(.*?)```", DOCUMENT.read_text("utf-8"), flags=re.DOTALL)[number]
    make_dataset(str(tmp_path / "walks"), make_campaign(samples=4, gaits_per_shard=4))
    code = code.replace('"s3://bucket/walks", endpoint_url="https://s3.example.org"', '"walks"')
    code = code.replace("gait_speed < 0.8 and condition == 'foot_drop'", "gait_speed < 99")
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {}
    exec(compile(code, "docs/format.md", "exec"), names)
    if number == 0:
        assert np.asarray(names["rgb"]).ndim == 4
    else:
        assert np.asarray(names["forces"]).shape == (60, 2, 9)
        assert (tmp_path / "gait0.mp4").read_bytes()[4:8] == b"ftyp"
