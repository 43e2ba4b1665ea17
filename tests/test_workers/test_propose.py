"""Learning who walks with whose gains: on trials whose truth is known, and from an archive by the command."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from farm.cli import app
from farm.control.archive import archive
from farm.control.archive_file import write_archive
from farm.control.likeness import FEATURES
from farm.control.proposal import Ensemble
from farm.errors import FormatError
from workers.propose.fit import fit, judge
from workers.propose.plot import plot_learning
from workers.propose.trials import Trials, read_trials, stranger_rand, tried_by

DISTANCE, ROBUSTNESS = FEATURES.index("distance"), FEATURES.index("teacher_robustness")


def truth(people: int) -> Trials:
    """Who is near walks with the robust's gains: a logistic law of two of the features, the others being noise."""
    rng = np.random.default_rng(2)
    told = rng.normal(size=(people * 4, len(FEATURES)))
    logit = 2.0 * told[:, ROBUSTNESS] - 1.5 * told[:, DISTANCE]
    return Trials(np.repeat(np.arange(people), 4), told, rng.random(people * 4) < 1 / (1 + np.exp(-logit)))


def test_a_known_law_is_learned_and_its_chances_are_true() -> None:
    trials = truth(1200)
    epochs: list[int] = []
    model, history = fit(trials, epochs=12, seed=1, shown=lambda epoch, *_: epochs.append(epoch))
    report = judge(model, trials)
    assert epochs == list(range(12)) == list(range(len(history.watched)))
    assert report.auc > 0.80, "the law itself reaches 0.88"
    assert report.brier < 0.8 * report.brier_of_base
    told = np.zeros((2, len(FEATURES)))
    told[:, ROBUSTNESS], told[:, DISTANCE] = (1.5, -1.5), (-1.5, 1.5)
    good, bad = model.opinion(told).chance
    assert good > 0.8 > 0.2 > bad, "the law says 0.99 and 0.01"
    assert plot_learning(history, report).startswith(b"\x89PNG")


def test_the_same_trials_give_the_same_model() -> None:
    trials = truth(60)
    one, other = (fit(trials, epochs=2, seed=3, shown=lambda *_: None)[0] for _ in range(2))
    assert one.to_bytes() == other.to_bytes()


def test_strangers_are_the_same_every_time_and_of_the_archives_kinds() -> None:
    rows = archive()
    people = [stranger_rand(rows, number, 5, "planar") for number in range(40)]
    kinds = {(row.condition, row.side) for row in rows}
    assert all((someone.condition, someone.side) in kinds for someone in people)
    assert len({someone.condition for someone in people}) > 8
    again = stranger_rand(rows, 7, 5, "planar")
    assert (again.who, again.condition, again.speed_m_s) == (people[7].who, people[7].condition, people[7].speed_m_s)
    assert stranger_rand(rows, 7, 5, "planar", healthy=True).condition == "healthy"


def test_a_walker_of_the_archive_is_among_those_who_walk(tmp_path: Path) -> None:
    rows = [row for row in archive() if row.condition == "healthy" and not row.explored][:3]
    lines = tried_by(rows, [0, 1, 2], 1, "planar")
    assert any(any(line["walked"]) for line in lines)
    log = tmp_path / "trials.jsonl"
    log.write_text("".join(json.dumps(line) + "\n" for line in reversed(lines)) + '{"person": 3, "wal')
    trials = read_trials(log, people=3)
    assert trials.people.tolist() == sorted(trials.people.tolist())
    assert len(trials.walked) == sum(len(line["walked"]) for line in lines)
    assert read_trials(log, people=1).people.max() == 0
    log.write_text("nonsense\n" + json.dumps(lines[0]))
    with pytest.raises(FormatError, match="line 1 is no trial"):
        read_trials(log, people=3)


@pytest.mark.slow
def test_from_an_archive_to_a_model_by_the_command(tmp_path: Path) -> None:
    rows = [row for row in archive() if row.condition == "healthy" and not row.explored]
    write_archive(tmp_path / "few.parquet", rows[:6])
    out = tmp_path / "out"
    command = ["archive", "learn", str(tmp_path / "few.parquet"), "--out", str(out), "--people", "30", "--epochs", "3"]
    first = CliRunner().invoke(app, [*command, "--json"])
    assert first.exit_code == 0, first.output
    report = json.loads((out / "report.json").read_text())
    assert report["people"] == 30
    assert 0 < report["tested"] < report["trials"]
    assert 0.0 < report["walked_share"] < 1.0
    model = (out / "proposal_planar.npz").read_bytes()
    Ensemble.from_bytes(model)
    trials = (out / "trials.jsonl").read_text()
    assert (out / "learning.png").is_file()

    again = CliRunner().invoke(app, command)
    assert again.exit_code == 0, again.output
    assert "trials of 30 people" in again.output
    assert (out / "trials.jsonl").read_text() == trials, "nobody tries twice"
    assert (out / "proposal_planar.npz").read_bytes() == model

    other = CliRunner().invoke(app, [*command, "--seed", "2"])
    assert other.exit_code == 2
    assert "was begun with another seed" in other.output
