"""`gaitfarm predict` on strangers' files: every good one is answered, every bad one is named."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from farm.cli import app
from farm.errors import FormatError
from tests.test_workers.test_train_keypoints import walker
from workers.train.estimator import CHECKPOINT_NAME, GaitEstimator, save
from workers.train.fit import TrainSettings, fresh_model
from workers.train.predict import KeypointClip, believed, estimate, read_keypoints
from workers.train.variation import LABELS


@pytest.fixture
def model() -> GaitEstimator:
    return fresh_model(TrainSettings(seed=1, width=8)).eval()


@pytest.fixture
def checkpoint(tmp_path: Path, model: GaitEstimator) -> Path:
    out = tmp_path / "out"
    out.mkdir()
    (out / CHECKPOINT_NAME).write_bytes(save(model, provenance={}))
    return out


def good(**changes: Any) -> dict[str, Any]:
    arrays = {"keypoints_2d": walker(), "fps": 30.0, "image_size": np.array([1280, 720])} | changes
    return {name: value for name, value in arrays.items() if value is not None}


def write(path: Path, **arrays: Any) -> Path:
    np.savez(path, **arrays)
    return path


def run(*arguments: object) -> Any:
    return CliRunner().invoke(app, ["predict", *map(str, arguments)])


def test_one_json_line_for_each_file(tmp_path: Path, checkpoint: Path) -> None:
    files = [
        write(tmp_path / "plain.npz", **good()),
        write(tmp_path / "confident.npz", **good(confidence=np.full((121, 17), 0.9))),
        write(tmp_path / "seen.npz", **good(visibility=np.full((121, 17), 2, dtype=np.uint8))),
        write(tmp_path / "fast.npz", **good(keypoints_2d=walker(120.0), fps=np.array([120.0]))),
        write(tmp_path / "short.npz", **good(keypoints_2d=walker(duration_s=2.0))),
        write(tmp_path / "long.npz", **good(keypoints_2d=walker(duration_s=25.0).astype(np.float32))),
    ]
    gaps = walker()
    gaps[40:60, 9:11] = np.nan
    gaps[100:] = np.nan
    files.append(write(tmp_path / "gaps.npz", **good(keypoints_2d=gaps)))
    result = run(checkpoint, *files)
    assert result.exit_code == 0, result.output
    lines = result.stdout.splitlines()
    assert len(lines) == len(files)
    for line, path in zip(lines, files, strict=True):
        answer = json.loads(line)
        assert list(answer) == ["file", *LABELS]
        assert answer["file"] == str(path)
        assert all(np.isfinite(answer[name]) for name in LABELS)
        assert answer["gait_speed"] == pytest.approx(answer["step_length"] / answer["step_time"], rel=1e-2)
        assert answer["cadence"] == pytest.approx(60 / answer["step_time"], rel=1e-2)


BAD: dict[str, tuple[dict[str, Any], str]] = {
    "no_points": (good(keypoints_2d=None), r"keypoints_2d missing \(it holds fps, image_size\)"),
    "no_fps": (good(fps=None), "fps missing"),
    "no_size": (good(image_size=None), "image_size missing"),
    "flat": (good(keypoints_2d=walker().reshape(121, 34)), r"keypoints_2d has shape \[121, 34\]; wanted: .*\[F,17,2\]"),
    "openpose": (good(keypoints_2d=np.zeros((60, 25, 2))), r"shape \[60, 25, 2\]"),
    "with_score": (good(keypoints_2d=np.zeros((60, 17, 3))), r"shape \[60, 17, 3\]"),
    "short": (good(keypoints_2d=walker()[:30]), "30 pictures at 30 per second are 1.00 s, too short"),
    "single": (good(keypoints_2d=walker()[:1]), "too short"),
    "none": (good(keypoints_2d=np.zeros((0, 17, 2))), "too short"),
    "unseen": (good(keypoints_2d=np.full((121, 17, 2), np.nan)), "is seen for only 0.00 s"),
    "doubtful": (good(confidence=np.full((121, 17), 0.05)), "is seen for only 0.00 s"),
    "confidence": (good(confidence=np.ones((121, 18))), r"confidence has shape \[121, 18\]; wanted: \[121, 17\]"),
    "fps_zero": (good(fps=0.0), "fps is 0; wanted"),
    "fps_nan": (good(fps=np.nan), "fps is nan; wanted"),
    "fps_many": (good(fps=np.ones(121)), r"fps has shape \[121\], not one number"),
    "size_three": (good(image_size=np.array([720, 1280, 3])), "image_size is .*two positive numbers"),
    "size_zero": (good(image_size=np.array([0, 1280])), "image_size is .*two positive numbers"),
    "words": (good(keypoints_2d=np.full((60, 17, 2), "left")), "keypoints_2d has dtype <U4, not numbers"),
    "objects": (good(keypoints_2d=np.array([{"a": 1}], dtype=object)), "pickled objects, which may run code"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_file_is_one_line_that_names_it(name: str, tmp_path: Path, model: GaitEstimator) -> None:
    arrays, message = BAD[name]
    path = write(tmp_path / f"{name}.npz", **arrays)
    from workers.train.predict import predict_file

    with pytest.raises(FormatError, match=message) as caught:
        predict_file(model, path)
    assert str(caught.value).startswith(str(path))
    assert "\n" not in str(caught.value)
    assert "wanted" in str(caught.value)


def test_files_that_are_no_archive_are_named(tmp_path: Path) -> None:
    (tmp_path / "text.npz").write_text("hello")
    (tmp_path / "empty.npz").write_bytes(b"")
    np.save(tmp_path / "array.npy", walker())
    cut = write(tmp_path / "cut.npz", **good())
    cut.write_bytes(cut.read_bytes()[:500])
    for name, message in (
        ("text.npz", "not a plain .npz file"),
        ("empty.npz", "not a plain .npz file"),
        ("array.npy", "a single array"),
        ("cut.npz", "not a plain .npz file"),
        ("missing.npz", "there is no such file"),
    ):
        with pytest.raises(FormatError, match=message) as caught:
            read_keypoints(tmp_path / name)
        assert "\n" not in str(caught.value)


def test_the_command_answers_the_good_names_the_bad_and_ends_with_2(tmp_path: Path, checkpoint: Path) -> None:
    fine = write(tmp_path / "fine.npz", **good())
    flat = write(tmp_path / "flat.npz", **BAD["flat"][0])
    result = run(checkpoint, flat, fine)
    assert result.exit_code == 2
    assert [json.loads(line)["file"] for line in result.stdout.splitlines()] == [str(fine)]
    assert "keypoints_2d has shape [121, 34]" in result.stderr.replace("\n", " ")
    foreign = tmp_path / "foreign.pt"
    foreign.write_bytes(b"PK\x03\x04 torch")
    result = run(foreign, fine)
    assert result.exit_code == 2
    assert not result.stdout
    assert "not a gaitfarm checkpoint" in result.stderr.replace("\n", " ")


def test_visibility_codes_and_confidences_are_told_apart() -> None:
    points = np.ones((1, 17, 2))
    coded = np.zeros((1, 17), dtype=np.uint8)
    coded[0, :2] = 1, 2
    np.testing.assert_array_equal(np.flatnonzero(believed(points, coded)), [0, 1])
    confidence = np.zeros((1, 17))
    confidence[0, :3] = 0.1, 0.5, 1.0
    np.testing.assert_array_equal(np.flatnonzero(believed(points, confidence)), [1, 2])
    points[0, 5] = 0.0  # how many estimators write "not found"
    assert not believed(points, None)[0, 5]
    assert believed(points, None).sum() == 16


def test_the_answer_does_not_depend_on_picture_size_company_or_who_is_left(model: GaitEstimator) -> None:
    points = walker()
    present = np.ones((121, 17), dtype=bool)
    alone = estimate(model, [KeypointClip(points, present, 30.0, (1280.0, 720.0))])
    company = estimate(
        model,
        [
            KeypointClip(points * 2, present, 30.0, (2560.0, 1440.0)),
            KeypointClip(walker(duration_s=9.0), np.ones((271, 17), dtype=bool), 30.0, (1280.0, 720.0)),
        ],
    )
    np.testing.assert_allclose(company[0], alone[0], rtol=1e-3)
    flipped = np.array(points)
    flipped[..., 0] = 1279.0 - flipped[..., 0]
    from workers.train.keypoints import MIRROR

    mirror = estimate(model, [KeypointClip(flipped[:, MIRROR], present, 30.0, (1280.0, 720.0))])
    np.testing.assert_allclose(mirror[0], alone[0], rtol=1e-4)
