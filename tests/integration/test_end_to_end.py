"""The whole farm once, small, through its command line and on real components: OpenSim, EGL, Ray, torch.

Each test is one step of what a user does, on what the step before it left behind.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from farm.config import load_campaign
from farm.dataset.reader import GaitDataset
from farm.dataset.scene_cells import scene_cells
from farm.records import QualityReport
from farm.sampling.draw import gait_parameters_rand
from scenes.parameters import scene_generator, scene_parameters_rand

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

SAMPLES = 6
VIEWS = ("front", "side")

CAMPAIGN = f"""
name: end-to-end
seed: 20
samples: {SAMPLES}
gaits_per_shard: 2
population: {{stature_m: [1.70, 1.82], proportion_sd: 0.0, strength_sd: 0.0, gain_sd: 0.0, motor_noise: [0, 0]}}
target_speed_m_s: [1.1, 1.4]
simulation: {{duration_s: 6}}
quality: {{min_duration_s: 5, min_strides: 2}}
pictures: {{views: [{", ".join(VIEWS)}], image_size: [96, 96], frame_rate_hz: 25}}
"""
"""People near the archive's own, so that most of them walk; short walks and small pictures, so that it is quick."""


class Farm:
    """A folder with a campaign, and `gaitfarm` run in it as a user's shell runs it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.dataset = folder / "dataset"
        (folder / "mine.yaml").write_text(CAMPAIGN, encoding="utf-8")

    def run(self, *arguments: str, expect: int = 0) -> str:
        """stdout of one command; its exit code must be as expected."""
        environment = os.environ | {"COLUMNS": "160", "NO_COLOR": "1", "OMP_NUM_THREADS": "1"}
        done = subprocess.run(
            [sys.executable, "-m", "farm.cli", *arguments],
            cwd=self.folder, env=environment, capture_output=True, text=True, timeout=800, check=False,
        )  # fmt: skip
        assert done.returncode == expect, f"gaitfarm {' '.join(arguments)}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    def json(self, *arguments: str, expect: int = 0) -> Any:
        return json.loads(self.run(*arguments, expect=expect))


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Farm:
    farm = Farm(tmp_path_factory.mktemp("farm"))
    farm.run("generate", "mine.yaml", "--out", "dataset")
    return farm


def test_every_sample_is_accounted_for(made: Farm) -> None:
    dataset = GaitDataset(str(made.dataset))
    asked = [sample_id for record in dataset.records for sample_id in record.sample_ids]
    assert sorted(asked) == list(range(SAMPLES))
    accepted = {row["sample_id"] for row in dataset.index()}
    rejected = {gait.sample_id for record in dataset.records for gait in record.rejected}
    assert accepted | rejected == set(range(SAMPLES))
    assert accepted & rejected == set()
    assert len(accepted) >= 3, "fewer than half of these ordinary people walked"


def test_generating_again_changes_nothing(made: Farm) -> None:
    before = {path: path.stat().st_mtime_ns for path in sorted(made.dataset.rglob("*")) if path.is_file()}
    made.run("generate", "mine.yaml", "--out", "dataset")
    after = {path: path.stat().st_mtime_ns for path in sorted(made.dataset.rglob("*")) if path.is_file()}
    kept = {path for path in before if "catalogue" not in path.parts}
    assert {path: after.get(path) for path in kept} == {path: before[path] for path in kept}


def test_another_campaign_is_refused(made: Farm) -> None:
    (made.folder / "other.yaml").write_text(CAMPAIGN.replace("seed: 20", "seed: 21"), encoding="utf-8")
    made.run("generate", "other.yaml", "--out", "dataset", expect=2)


def test_stored_people_are_those_that_the_campaign_draws(made: Farm) -> None:
    dataset = GaitDataset(str(made.dataset))
    campaign = load_campaign(str(made.folder / "mine.yaml"))
    for row in dataset.index():
        drawn = gait_parameters_rand(campaign, row["sample_id"])
        assert row["stature_m"] == pytest.approx(drawn.stature_m, rel=1e-6)
        assert row["mass_kg"] == pytest.approx(drawn.mass_kg, rel=1e-6)


def test_the_index_tells_every_choice_of_the_pictures(made: Farm) -> None:
    dataset = GaitDataset(str(made.dataset))
    campaign = load_campaign(str(made.folder / "mine.yaml"))
    for row in dataset.index():
        drawn = scene_parameters_rand(
            partial(scene_generator, campaign, row["sample_id"]),
            variation=campaign.scene,
            views=campaign.pictures.views,
            sex=row["sex"],
            age_years=row["age_years"],
            condition=row["condition"],
            side=row["side"],
        )
        told = {name: value for name, value in row.items() if name.startswith("scene_")}
        assert told == pytest.approx(scene_cells(drawn.record()))
    kind = dataset.index()[0]["scene_place_kind"]
    here = dataset.index(where=f"scene_place_kind = '{kind}'")
    assert [row["sample_id"] for row in here] == [
        row["sample_id"] for row in dataset.index() if row["scene_place_kind"] == kind
    ]


def test_they_walk_and_the_pictures_show_it(made: Farm) -> None:
    """Labels, motion and pictures of each gait tell the same story."""
    dataset = GaitDataset(str(made.dataset))
    for row in dataset.index():
        gait = dataset.gait(row["sample_id"])
        rate_hz = dataset.shard(row["shard_id"]).attrs["sample_rate_hz"]
        way_m = np.ptp(gait["coordinates"][:, list(gait.attributes["coordinates"]).index("pelvis_tx")])
        duration_s = (len(gait["coordinates"]) - 1) / rate_hz
        assert way_m / duration_s == pytest.approx(row["gait_speed"], rel=0.2)
        assert row["gait_speed"] == pytest.approx(row["step_length"] * row["cadence"] / 60, rel=0.1)
        for view in VIEWS:
            pictures = dataset.frames(row["sample_id"], view)
            points = gait[f"views/{view}/keypoints_2d"]
            seen = gait[f"views/{view}/visibility"] > 0
            assert pictures.shape == (len(points), 96, 96, 3)
            assert pictures.std(axis=(0, 3)).max() > 10.0  # something moves in them
            assert seen.mean() > 0.5
            inside = (points >= -0.5).all(axis=-1) & (points <= 95.5).all(axis=-1)
            np.testing.assert_array_equal(seen, inside)


def test_verify_finds_it_sound_and_then_finds_one_flipped_bit(made: Farm) -> None:
    assert made.json("verify", "dataset", "--json")["sound"] is True
    victim = max((made.dataset / "shards").rglob("c/*"), key=lambda path: path.stat().st_size if path.is_file() else 0)
    whole = victim.read_bytes()
    victim.write_bytes(whole[:100] + bytes([whole[100] ^ 1]) + whole[101:])
    try:
        assert made.json("verify", "dataset", "--json", expect=1)["sound"] is False
    finally:
        victim.write_bytes(whole)
    made.run("verify", "dataset")


def test_info_counts(made: Farm) -> None:
    told = json.dumps(made.json("info", "dataset", "--json"))
    assert "end-to-end" in told


def test_pull_takes_a_slice_that_is_a_dataset(made: Farm) -> None:
    made.run("pull", "dataset", "slice", "--views", "side", "--fields", "keypoints_2d,labels",
             "--where", "gait_speed > 0.2")  # fmt: skip
    made.run("verify", "slice")
    whole, slice_ = GaitDataset(str(made.dataset)), GaitDataset(str(made.folder / "slice"))
    assert [row["sample_id"] for row in slice_.index()] == [row["sample_id"] for row in whole.index()]
    one = slice_.index()[0]["sample_id"]
    np.testing.assert_array_equal(
        slice_.gait(one)["views/side/keypoints_2d"], whole.gait(one)["views/side/keypoints_2d"]
    )
    assert not any(path.startswith("views/front") or path == "coordinates" for path in slice_.gait(one).arrays)


def test_report_draws(made: Farm) -> None:
    made.run("report", "dataset", "--out", "report")
    from PIL import Image

    with Image.open(made.folder / "report" / "contact_sheet.png") as sheet:
        assert np.asarray(sheet.convert("L")).std() > 10.0
    assert len(list((made.folder / "report").glob("*.mp4"))) == len(VIEWS)
    assert (made.folder / "report" / "report.html").stat().st_size > 10_000


def test_sample_is_the_stored_gait(made: Farm) -> None:
    """In process and on Ray's workers, to disk as files and as Zarr: the same gait."""
    dataset = GaitDataset(str(made.dataset))
    row = dataset.index()[0]
    made.run("sample", "mine.yaml", str(row["sample_id"]), "--out", "one")
    folder = made.folder / "one"
    values = {r["name"]: r["value"] for r in json.loads((folder / "labels.json").read_text("utf-8"))["gait_parameters"]}
    assert values["gait_speed"] == pytest.approx(row["gait_speed"], rel=1e-5)
    assert values["step_length"] == pytest.approx(row["step_length"], rel=1e-5)
    with np.load(folder / "keypoints_side.npz") as file:
        stored = dataset.gait(row["sample_id"])["views/side/keypoints_2d"][:, :17]
        np.testing.assert_allclose(file["keypoints_2d"], stored, atol=1e-3)
    assert {path.name for path in folder.glob("*.mp4")} == {f"{view}.mp4" for view in VIEWS}
    assert json.loads((folder / "quality.json").read_text("utf-8"))["accepted"] is QualityReport().accepted


def test_train_then_predict_on_somebody(made: Farm) -> None:
    made.run("train", "dataset", "--out", "estimator", "--epochs", "1", "--steps", "3", "--batch-size", "4",
             "--width", "16", "--cpu")  # fmt: skip
    scores = json.loads((made.folder / "estimator" / "test.json").read_text("utf-8"))["scores"]
    assert {score["parameter"] for score in scores} >= {"gait_speed", "step_length", "cadence"}
    row = GaitDataset(str(made.dataset)).index()[0]
    if not (made.folder / "one").exists():
        made.run("sample", "mine.yaml", str(row["sample_id"]), "--out", "one")
    told = made.run("predict", "estimator", "one/keypoints_side.npz", "one/keypoints_front.npz").splitlines()
    assert len(told) == 2
    for line in told:
        guess = json.loads(line)
        assert set(guess) == {"file", "gait_speed", "step_length", "step_time", "cadence", "step_width"}
        assert all(np.isfinite(value) and value > 0 for name, value in guess.items() if name != "file")


def test_readme_python_runs_on_it(made: Farm) -> None:
    """The README's examples, word for word but for the path."""
    readme = (Path(__file__).parents[2] / "README.md").read_text("utf-8")
    examples = re.findall(r"^```python\n(.*?)^```$", readme, flags=re.MULTILINE | re.DOTALL)
    assert examples
    for text in examples:
        assert "demo/dataset" in text
        code = text.replace("demo/dataset", str(made.dataset))
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=False)
        assert done.returncode == 0, done.stderr
        assert done.stdout.strip()
