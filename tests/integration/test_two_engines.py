"""A campaign of the twin, through the command line on Ray's workers: recorded, rechecked in OpenSim, reported."""

from __future__ import annotations

import json
import re

import numpy as np
import pytest

from farm.dataset.reader import GaitDataset
from farm.recheck import RECHECKED_LABELS, VERDICT, difference_column
from tests.integration.test_end_to_end import Farm

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

SAMPLES = 3

CAMPAIGN = f"""
name: two-engines
seed: 20
samples: {SAMPLES}
gaits_per_shard: 2
engine: twin
population: {{stature_m: [1.70, 1.82], proportion_sd: 0.0, strength_sd: 0.0, gain_sd: 0.0, motor_noise: [0, 0]}}
target_speed_m_s: [1.1, 1.4]
simulation: {{duration_s: 6, recheck_fraction: 1.0}}
quality: {{min_duration_s: 5, min_strides: 2}}
pictures: {{views: [side], image_size: [64, 64], rgb: none, mask: false}}
"""
"""As the end-to-end campaign, people who mostly walk; all are rechecked, nobody is drawn."""


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Farm:
    farm = Farm(tmp_path_factory.mktemp("two"))
    (farm.folder / "mine.yaml").write_text(CAMPAIGN, encoding="utf-8")
    farm.run("generate", "mine.yaml", "--out", "dataset")
    return farm


def test_every_sample_was_made_by_the_twin_and_rechecked(made: Farm) -> None:
    dataset = GaitDataset(str(made.dataset))
    rows = dataset.index()
    rejected = [gait for record in dataset.records for gait in record.rejected]
    assert len(rows) + len(rejected) == SAMPLES
    assert len(rows) >= 1, "none of these ordinary people walked"
    assert all(row["engine"] == "twin" and row[VERDICT] for row in rows)
    assert all(gait.engine == "twin" and gait.recheck[VERDICT] for gait in rejected)
    for row in rows:
        assert dict(dataset.shard(row["shard_id"]).attrs)["engine"] == "twin"
    made.run("verify", "dataset")


def test_the_report_gives_the_index_columns_back(made: Farm) -> None:
    rows = GaitDataset(str(made.dataset)).index(f"{VERDICT} = 'accepted'")
    told = made.json("report", "dataset", "--out", "report", "--json")
    rechecks = told["rechecks"]
    assert told["engines"] == {"twin": SAMPLES}
    assert rechecks["n"] == SAMPLES
    assert rechecks["n_agree"] + rechecks["n_only_recorded"] + rechecks["n_only_opensim"] == SAMPLES
    lines = {line["label"]: line for line in rechecks["labels"]}
    assert set(lines) <= set(RECHECKED_LABELS)
    for label, line in lines.items():
        differences = np.array([row[difference_column(label)] for row in rows], dtype=float)
        assert line["n"] == len(rows)
        assert line["mean"] == pytest.approx(differences.mean(), abs=1e-12)
        assert line["largest"] == pytest.approx(np.abs(differences).max(), abs=1e-12)
    for label in ("gait_speed", "step_length", "step_time"):
        assert lines[label]["largest_share"] < 0.02, label
    page = (made.folder / "report" / "report.html").read_text("utf-8")
    words = " ".join(re.sub(r"<[^>]+>", " ", page).split())
    assert f"{SAMPLES} were walked again in OpenSim: {rechecks['n_agree']} of {SAMPLES} verdicts agree" in words


def test_info_and_sample_say_the_engine(made: Farm) -> None:
    assert f"twin {SAMPLES}; {SAMPLES} rechecked in OpenSim" in made.run("info", "dataset")
    row = GaitDataset(str(made.dataset)).index()[0]
    said = made.run("sample", "mine.yaml", str(row["sample_id"]), "--out", "one")
    assert "of computing by the twin" in said
    assert f"walked again in OpenSim: {row[VERDICT]}" in said
    quality = json.loads((made.folder / "one" / "quality.json").read_text("utf-8"))
    assert quality["engine"] == "twin"
    assert quality["recheck"][difference_column("gait_speed")] == row[difference_column("gait_speed")]
    values = json.loads((made.folder / "one" / "labels.json").read_text("utf-8"))["gait_parameters"]
    assert {item["name"]: item["value"] for item in values}["gait_speed"] == row["gait_speed"]


def test_opensim_is_refused_where_the_twin_was(made: Farm) -> None:
    (made.folder / "other.yaml").write_text(CAMPAIGN.replace("engine: twin", "engine: opensim"), encoding="utf-8")
    made.run("generate", "other.yaml", "--out", "dataset", expect=2)
