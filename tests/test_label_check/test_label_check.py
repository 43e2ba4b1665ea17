"""The check of labels finds true labels true, and names each kind of lie: check, view, picture, joint."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from farm.cli import app
from farm.dataset.reader import GaitDataset
from farm.gait.keypoints import own_parts
from farm.label_check.depth import check_depth, check_views
from farm.label_check.findings import LAWS, Tally
from farm.label_check.run import check_labels
from farm.label_check.view import VISIBLE, ViewLabels, check_view, mask_boxes, own_ids
from farm.label_check.walk import check_walk
from farm.projection import project
from farm.records import GaitSample, ViewFrames
from farm.sampling.anatomy import GENERIC_STATURE_M, KEYPOINTS
from tests.filmed_dataset import filmed_sample, write_filmed
from tools import check_labels as tool


@cache
def view(name: str) -> ViewLabels:
    sample = filmed_sample()
    assert sample.labels is not None
    assert sample.frames is not None
    frames: ViewFrames = sample.frames.view(name)
    assert frames.depth is not None
    return ViewLabels(
        sample_id=0, view=name, keypoints=KEYPOINTS, points=sample.labels.keypoints_3d,
        pixels=frames.keypoints_2d.astype(float), visibility=frames.visibility,
        world_from_camera=frames.world_from_camera, intrinsics=frames.intrinsics, distortion=frames.distortion,
        shutter=frames.shutter, box=frames.bbox.astype(float), image_size=frames.image_size, frame_s=1 / 6.0,
        size=sample.parameters.stature_m / GENERIC_STATURE_M, parts=sample.frames.parts, mask=frames.mask,
        depth_m=np.where(frames.depth > 0, frames.depth / np.float32(1000), np.float32(np.nan)),
    )  # fmt: skip


def told(labels: ViewLabels) -> Tally:
    tally = check_view(labels)
    check_depth(labels, tally)
    return tally


def broken(tally: Tally) -> set[str]:
    return {check for check, law in LAWS.items() if (share := tally.share(check)) is not None and share < law.limit}


@pytest.mark.parametrize("name", ["front", "side", "oblique"])
def test_what_was_filmed_is_true(name: str) -> None:
    tally = told(view(name))
    assert tally.wrong == []
    assert broken(tally) == set()
    assert (tally.share("beside_own_part") or 0.0) > 0.98


def swapped() -> list[int]:
    other = {"left": "right", "right": "left"}
    return [KEYPOINTS.index("_".join(other.get(word, word) for word in name.split("_"))) for name in KEYPOINTS]


def permuted(labels: ViewLabels) -> np.ndarray:
    ids = np.arange(256, dtype=np.uint8)
    ids[1 : len(labels.parts)] = np.roll(ids[1 : len(labels.parts)], 2)
    return np.asarray(ids[labels.mask])


def moved(array: np.ndarray, index: Any, by: Any) -> np.ndarray:
    result = array.copy()
    result[index] += by
    return result


KNEE = KEYPOINTS.index("right_knee")
LIES: dict[str, tuple[str, Callable[[ViewLabels], dict[str, Any]], str]] = {
    "a keypoint is shifted": (
        "reprojection", lambda labels: {"pixels": moved(labels.pixels, (3, KNEE), [2.0, 0.0])},
        "view side, picture 3, right_knee: lies 2.0 px from where keypoints_3d projects to",
    ),
    "left and right are swapped in the picture": (
        "reprojection", lambda labels: {"pixels": labels.pixels[:, swapped()]}, "right_knee: lies",
    ),
    "left and right are swapped everywhere": (
        "own_part", lambda labels: {name: getattr(labels, name)[:, swapped()]
                                    for name in ("pixels", "points", "visibility")},
        "is called visible, and misses its part",
    ),
    "intrinsics are scaled": (
        "reprojection", lambda labels: {"intrinsics": labels.intrinsics * [[1.02], [1.02], [1.0]]}, "right_knee: lies",
    ),
    "intrinsics are scaled, and the keypoints with them": (
        "own_part", lambda labels: {
            "intrinsics": (lens := labels.intrinsics * [[1.25], [1.25], [1.0]]),
            "pixels": project(labels.points, labels.world_from_camera, lens, labels.distortion)[0],
        }, "misses its part",
    ),
    "the lens is said to be straight": (
        "reprojection", lambda labels: {"distortion": labels.distortion + np.array([0.05, 0, 0, 0, 0])}, "lies",
    ),
    "the depth is 6 cm too far": (
        "floor", lambda labels: {"depth_m": labels.depth_m + np.float32(0.06)}, "puts the floor at -0.0",
    ),
    "the depth is 20 cm too near": (
        "visible_is_in_front", lambda labels: {"depth_m": labels.depth_m - np.float32(0.2)},
        "right_knee: is called visible, and the depth picture has no surface of its flesh",
    ),
    "mask ids are permuted": (
        "own_part", lambda labels: {"mask": permuted(labels)}, "right_knee: is called visible, and misses its part",
    ),
    "the mask is a picture late": (
        "box_holds_mask", lambda labels: {"mask": np.roll(labels.mask, 4, axis=2)}, "the mask reaches out of the box",
    ),
    "the box is too large": (
        "box_is_tight", lambda labels: {"box": labels.box + np.array([-6.0, 0.0, 6.0, 0.0])}, "",
    ),
    "everything is called visible": (
        "visible_is_in_front", lambda labels: {"visibility": np.full_like(labels.visibility, VISIBLE)},
        "left_elbow: is called visible",
    ),
    "everything is called occluded": (
        "occluded_is_behind", lambda labels: {"visibility": np.ones_like(labels.visibility),
                                              "depth_m": labels.depth_m + np.float32(0.3)},
        "is called occluded, and the depth picture has nothing before it",
    ),
}  # fmt: skip


@pytest.mark.parametrize("lie", LIES)
def test_a_lie_is_found_and_named(lie: str) -> None:
    check, change, words = LIES[lie]
    honest = view("side")
    tally = told(dataclasses.replace(honest, **change(honest)))
    assert check in broken(tally) | {item.check for item in tally.wrong}
    assert any(words in str(item) for item in tally.wrong) or not words, [str(item) for item in tally.wrong]


def test_views_agree_and_one_that_is_moved_is_named() -> None:
    honest = [view(name) for name in ("front", "side", "oblique")]
    tally = Tally()
    check_views(honest, tally)
    assert tally.wrong == []
    assert broken(tally) == set()
    pose = moved(honest[0].world_from_camera, (slice(None), slice(None, 3), 3), [0.0, 0.0, 0.15])
    lying = Tally()
    check_views([dataclasses.replace(honest[0], world_from_camera=pose), *honest[1:]], lying)
    assert broken(lying) == {"two_views"}
    assert any(item.view == "front" for item in lying.wrong)


def test_events_and_weight() -> None:
    sample = filmed_sample()
    assert sample.labels is not None
    walk = {
        "ground_reaction": sample.trajectory.ground_reaction,
        "event_time": sample.labels.event_time,
        "event_type": sample.labels.event_type,
    }
    tally = Tally()
    check_walk(walk, 0, sample.parameters.mass_kg, 100.0, tally)
    assert tally.wrong == []
    assert tally.of["events"] == len(sample.labels.event_time) > 8
    late = Tally()
    check_walk(walk | {"event_time": walk["event_time"] + 0.1}, 7, 1.2 * sample.parameters.mass_kg, 100.0, late)
    assert late.share("events") == 0
    assert late.share("weight") == 0
    assert str(late.wrong[0]).startswith("sample 7: right foot strike at ")
    assert "of the weight" in str(late.wrong[-1])


def test_own_ids_and_boxes() -> None:
    parts = ("background", "tibia_r", "femur_r", "tibia_l")
    assert own_ids(("right_knee", "unheard_of"), parts).nonzero()[1].tolist() == [1, 2]
    assert own_parts("left_big_toe") == ("calcn_l",)
    mask = np.zeros((2, 5, 6), np.uint8)
    mask[1, 1:4, 2] = 3
    assert np.array_equal(mask_boxes(mask), [[np.nan] * 4, [2, 1, 2, 3]], equal_nan=True)


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> str:
    return write_filmed(tmp_path_factory.mktemp("filmed"), filmed_sample())


def test_a_stored_dataset_is_measured(dataset: str) -> None:
    report = check_labels(GaitDataset(dataset))
    assert report.n_gaits == 1
    assert set(report.shares) == set(LAWS)
    assert report.wrong == ()
    assert report.figures["reprojection_px"]["max"] < 0.01
    assert report.figures["floor_height_m"]["p99"] < 0.002


def test_the_tool_and_verify_say_the_same(dataset: str, capsys: pytest.CaptureFixture[str],
                                          monkeypatch: pytest.MonkeyPatch) -> None:  # fmt: skip
    monkeypatch.setattr("sys.argv", ["check_labels", dataset, "--json"])
    code = tool.main()
    told_by_tool = json.loads(capsys.readouterr().out)
    result = CliRunner().invoke(app, ["verify", dataset, "--labels", "--json"])
    told_by_verify = json.loads(result.stdout)["labels"]
    assert told_by_tool == told_by_verify
    assert code == (0 if told_by_tool["true"] else 1)
    assert told_by_tool["checks"]["reprojection"] | {"cases": 0} == {
        "share": 1.0, "limit": 1.0, "cases": 0, "what": LAWS["reprojection"].what
    }  # fmt: skip


def test_the_tool_needs_a_dataset(tmp_path: Path, capsys: pytest.CaptureFixture[str],
                                  monkeypatch: pytest.MonkeyPatch) -> None:  # fmt: skip
    monkeypatch.setattr("sys.argv", ["check_labels", str(tmp_path)])
    assert tool.main() == 2
    assert "Traceback" not in capsys.readouterr().err


def test_a_stored_lie_is_named(tmp_path: Path) -> None:
    sample: GaitSample = filmed_sample()
    assert sample.frames is not None
    lying = tuple(
        dataclasses.replace(frames, keypoints_2d=moved(frames.keypoints_2d, (2, KNEE), 3.0))
        if frames.view == "front" else frames
        for frames in sample.frames.views
    )  # fmt: skip
    uri = write_filmed(
        tmp_path / "lying", dataclasses.replace(sample, frames=dataclasses.replace(sample.frames, views=lying))
    )
    report = check_labels(GaitDataset(uri))
    assert [(item.view, item.frames, item.joint) for item in report.wrong] == [("front", (2,), "right_knee")]
    assert not report.true
