"""Contact sheets: who stands in which row, at which moment, and what is said where that is not known."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from farm.cli import app
from farm.dataset.reader import GaitDataset
from farm.errors import UserError
from farm.gallery import groups as groups_module
from farm.gallery.by import By
from farm.gallery.groups import groups
from farm.gallery.sheet import CLOSE_UP, Cell, SheetRow, close_up, contact_sheet, sheet_rows
from farm.gallery.write import write_gallery
from farm.records import FrameSet
from farm.storage import open_storage
from tests.norm_dataset import norm_campaign, norm_sample, write_norm_dataset

CONDITIONS = ("foot_drop", "healthy", "foot_drop", "healthy")
PLACES = ("gym", "street", "street", "street")


@pytest.fixture(scope="module")
def walkers(tmp_path_factory: pytest.TempPathFactory) -> GaitDataset:
    """Four people of two conditions in two places: even numbers are men of BMI 24.6, odd ones women of 22.9."""
    return written(tmp_path_factory.mktemp("walkers"), scenes=True)


def written(root: Path, *, scenes: bool, rgb: str = "video") -> GaitDataset:
    campaign = norm_campaign(samples=4, views=("front", "side"), rgb=rgb)
    samples = []
    for number, condition in enumerate(CONDITIONS):
        sample = norm_sample(campaign, number, speed_m_s=1.1, condition=condition)
        assert sample.frames is not None
        if scenes:
            kind = {"place": {"kind": PLACES[number], "floor": "wood", "wall": "plaster"}}
            frames = FrameSet(sample.frames.frame_rate_hz, sample.frames.parts, sample.frames.views, kind)
            sample = replace(sample, frames=frames)
        samples.append(sample)
    write_norm_dataset(open_storage(str(root)), campaign, samples)
    return GaitDataset(str(root))


@pytest.mark.parametrize(
    ("by", "expected"),
    [
        (By.CONDITION, {"healthy": [1, 3], "foot drop": [0, 2]}),
        (By.BODY, {"men, BMI 18.5 to 25": [0, 2], "women, BMI 18.5 to 25": [1, 3]}),
        (By.ROOM, {"gym": [0], "street": [1, 2, 3]}),
        (By.CAMERA, {"all": [0, 1, 2, 3]}),
    ],
)
def test_everybody_stands_in_their_row(walkers: GaitDataset, by: By, expected: dict[str, list[int]]) -> None:
    found = groups(walkers, by, None, seed=0)
    assert {group.name: [row["sample_id"] for row in group.rows] for group in found} == expected
    assert [group.name for group in found] == list(expected)
    assert [group.count for group in found] == [len(ids) for ids in expected.values()]


def test_few_are_chosen_of_many_by_the_seed(walkers: GaitDataset, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(groups_module, "PER_GROUP", 2)
    chosen = {
        seed: tuple(row["sample_id"] for row in groups(walkers, By.CAMERA, None, seed)[0].rows) for seed in range(8)
    }
    assert all(len(ids) == 2 for ids in chosen.values())
    assert len(set(chosen.values())) > 1
    assert groups(walkers, By.CAMERA, None, 3)[0].count == 4
    (group,) = groups(walkers, By.CONDITION, "condition == 'healthy'", 0)
    assert group.name == "healthy"


def test_all_are_seen_at_the_strike_in_the_middle(walkers: GaitDataset) -> None:
    (row, *_) = sheet_rows(walkers, By.CAMERA, groups(walkers, By.CAMERA, None, 0))
    gait = walkers.gait(0)
    strikes = gait["event_time"][gait["event_type"] == 0] * 30.0
    middle = (len(gait["keypoints_3d"]) - 1) // 2
    number = round(float(strikes[np.argmin(np.abs(strikes - middle))]))
    assert abs(number - middle) < 30
    assert row.name == "front"
    assert np.array_equal(row.cells[0].pictures[0], walkers.frames(0, "front")[number])


def test_rows_are_views_by_camera_and_groups_else(walkers: GaitDataset) -> None:
    by_camera = list(sheet_rows(walkers, By.CAMERA, groups(walkers, By.CAMERA, None, 0)))
    assert [(row.name, len(row.cells)) for row in by_camera] == [("front", 4), ("side", 4)]
    by_room = list(sheet_rows(walkers, By.ROOM, groups(walkers, By.ROOM, None, 0)))
    assert [(row.name, row.note, len(row.cells)) for row in by_room] == [("gym", "1 gait", 1), ("street", "3 gaits", 3)]
    assert all(len(cell.pictures) == 2 for row in by_room for cell in row.cells)
    assert by_room[0].cells[0].words[1] == "wood, plaster"


def test_a_close_up_is_a_square_inside_the_picture_around_the_person() -> None:
    picture = np.arange(60 * 90 * 3, dtype=np.uint8).reshape(60, 90, 3)
    assert CLOSE_UP * 24 == 30
    cut = close_up(picture, np.array([40.0, 18, 50, 42]))
    assert np.array_equal(cut, picture[15:45, 30:60])
    assert close_up(picture, np.array([80.0, 50, 89, 59])).shape == (11, 11, 3)
    assert close_up(picture, np.array([0.0, 0, 89, 59])).shape == (60, 60, 3)
    assert close_up(picture, np.full(4, np.nan)).shape == picture.shape


def test_a_sheet_holds_its_pictures_where_they_belong() -> None:
    red, blue = (np.full((50, 100, 3), colour, np.uint8) for colour in ((200, 0, 0), (0, 0, 200)))
    rows = [
        SheetRow("a" * 60, "2 gaits", [Cell([red], ("w" * 90, "")), Cell([blue], ("", ""))]),
        SheetRow("b", "", [Cell([blue], ("", ""))]),
    ]
    sheet = np.asarray(Image.open(io.BytesIO(contact_sheet(rows))))
    is_red, is_blue = (sheet == (200, 0, 0)).all(axis=-1), (sheet == (0, 0, 200)).all(axis=-1)
    assert is_red.sum() == 200 * 400
    assert is_blue.sum() == 2 * 200 * 400
    assert np.argwhere(is_blue)[:, 0].max() > np.argwhere(is_red)[:, 0].max()
    with pytest.raises(ValueError, match="at least one picture"):
        contact_sheet([])


def test_the_command_draws_the_sheets_that_are_asked_for(walkers: GaitDataset, tmp_path: Path) -> None:
    out = tmp_path / "out"
    arguments = ["gallery", walkers.storage.uri, "--out", str(out), "--count", "1"]
    done = CliRunner().invoke(app, [*arguments, "--by", "condition", "--by", "camera"])
    assert done.exit_code == 0, done.output
    assert sorted(path.name for path in out.glob("sheet_*")) == ["sheet_by_camera.png", "sheet_by_condition.png"]
    front = (out / "index.html").read_text("utf-8")
    assert 'src="sheet_by_camera.png"' in front
    assert "sheet_by_room" not in front
    wrong = CliRunner().invoke(app, [*arguments, "--by", "weather"])
    assert wrong.exit_code == 2
    assert "camera" in wrong.output


def test_without_pictures_or_scenes(tmp_path: Path) -> None:
    dataset = written(tmp_path / "set", scenes=False, rgb="none")
    with pytest.raises(UserError, match="a sheet by room needs scene_place_kind in the index"):
        write_gallery(dataset.storage.uri, tmp_path / "out", by=(By.ROOM,))
    assert not (tmp_path / "out").exists()
    rows = list(sheet_rows(dataset, By.BODY, groups(dataset, By.BODY, None, 0)))
    picture = rows[0].cells[0].pictures[0]
    assert picture.shape[0] == picture.shape[1] < 96
    assert len(np.unique(picture.reshape(-1, 3), axis=0)) > 10
