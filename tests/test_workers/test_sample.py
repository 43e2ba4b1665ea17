"""The folder of one gait: whole or absent, readable by people, players, and our own `predict`."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from farm.config import Campaign
from farm.dataset.video import decode, psnr_db
from farm.errors import StorageError
from farm.export.opensim import EVENT_NAMES
from farm.records import GaitSample
from farm.sampling.anatomy import COCO_KEYPOINTS, KEYPOINTS
from tests.samples import make_campaign, make_sample
from workers.sample import write_sample

VIEWS = ("front", "side")
CAMPAIGN: Campaign = make_campaign(views=VIEWS)


@pytest.fixture(scope="module")
def sample() -> GaitSample:
    return make_sample(3, seed=1, n_samples=150, views=VIEWS)


@pytest.fixture(scope="module")
def folder(sample: GaitSample, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("gaits") / "three"
    written = write_sample(CAMPAIGN, sample, out)
    assert sorted(written.values()) == sorted(out.iterdir())
    return out


def read(path: Path) -> Any:
    def refuse(name: str) -> None:
        raise AssertionError(f"{path.name} holds {name}, which is no JSON")

    return json.loads(path.read_text("utf-8"), parse_constant=refuse)


@pytest.mark.parametrize("view", VIEWS)
def test_video_has_every_picture(folder: Path, sample: GaitSample, view: str) -> None:
    assert sample.frames is not None
    filmed = sample.frames.view(view)
    assert filmed.rgb is not None
    back = decode((folder / f"{view}.mp4").read_bytes())
    assert back.shape == filmed.rgb.shape
    assert psnr_db(back, filmed.rgb) > 12.0  # random noise compresses badly; pictures reach 40 dB and more


@pytest.mark.parametrize("view", VIEWS)
def test_keypoints_are_what_predict_reads(folder: Path, sample: GaitSample, view: str) -> None:
    from workers.train.predict import read_keypoints

    assert sample.frames is not None
    filmed = sample.frames.view(view)
    clip = read_keypoints(folder / f"keypoints_{view}.npz")
    coco = [KEYPOINTS.index(name) for name in COCO_KEYPOINTS]
    np.testing.assert_array_equal(clip.points, filmed.keypoints_2d[:, coco])
    np.testing.assert_array_equal(clip.present, filmed.visibility[:, coco] > 0)
    assert clip.rate_hz == sample.frames.frame_rate_hz
    assert tuple(clip.image_size) == filmed.image_size


def test_labels_and_parameters_are_all_there(folder: Path, sample: GaitSample) -> None:
    assert sample.labels is not None
    labels = read(folder / "labels.json")
    assert {row["name"]: row["value"] for row in labels["gait_parameters"]} == dict(sample.labels.values)
    assert all(row["unit"] and row["description"] for row in labels["gait_parameters"])
    assert [event["time_s"] for event in labels["events"]] == sample.labels.event_time.tolist()
    assert {event["event"] for event in labels["events"]} <= set(EVENT_NAMES)
    assert np.shape(labels["keypoints_3d_m"]) == sample.labels.keypoints_3d.shape
    parameters = read(folder / "parameters.json")
    assert {row["name"]: row["value"] for row in parameters["columns"]} == {
        column.name: value for column, value in sample.parameters.table()
    }
    assert parameters["condition"] == sample.parameters.condition


def test_undefined_numbers_become_null(sample: GaitSample, tmp_path: Path) -> None:
    assert sample.labels is not None
    labels = replace(sample.labels, values=dict(sample.labels.values) | {"cadence": float("nan")})
    write_sample(CAMPAIGN, replace(sample, labels=labels), tmp_path / "out")
    rows = {row["name"]: row["value"] for row in read(tmp_path / "out" / "labels.json")["gait_parameters"]}
    assert rows["cadence"] is None
    assert rows["gait_speed"] is not None


def test_gait_that_was_turned_down_is_written_with_its_reasons(tmp_path: Path) -> None:
    fallen = make_sample(4, seed=1, n_samples=80, accepted=False)
    written = write_sample(CAMPAIGN, fallen, tmp_path / "fallen")
    quality = read(tmp_path / "fallen" / "quality.json")
    assert quality["accepted"] is False
    assert quality["reasons"] == ["fell"]
    assert "pelvis below half its height" in quality["details"]["fell"]
    assert (tmp_path / "fallen" / "model.osim").is_file()
    assert not any("video" in what for what in written)


def test_nothing_is_left_when_writing_fails(
    sample: GaitSample, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> bytes:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("workers.sample.encode_view", full)
    with pytest.raises(StorageError, match="No space left on device"):
        write_sample(CAMPAIGN, sample, tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


def test_taken_folder_and_file_are_refused(sample: GaitSample, tmp_path: Path) -> None:
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "mine.txt").touch()
    (tmp_path / "file").touch()
    for name in ("taken", "file"):
        with pytest.raises(StorageError, match="not empty"):
            write_sample(CAMPAIGN, sample, tmp_path / name)
    with pytest.raises(StorageError, match="choose another --out"):
        write_sample(CAMPAIGN, sample, tmp_path / "file" / "below")


def test_empty_folder_is_used(sample: GaitSample, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    write_sample(CAMPAIGN, sample, tmp_path / "empty")
    assert (tmp_path / "empty" / "labels.json").is_file()
    assert [path.name for path in tmp_path.iterdir()] == ["empty"]
