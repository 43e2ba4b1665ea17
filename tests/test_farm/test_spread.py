"""Spreading over a population, on costs that are known: it learns from who walks, ends, and survives its process."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from farm.control.archive import archive
from farm.control.archive_file import write_archive
from farm.control.reflex import gain_names
from farm.errors import CampaignError
from farm.sampling.person import Person
from farm.search.candidates import At, Candidate, Finalist, Outcome
from farm.search.checkpoint import load, save
from farm.search.job import SpreadJob, job_from_mapping, load_jobs
from farm.search.person import heads, person_at, walker
from farm.search.searchers import begun
from farm.search.spread import Crowd, Spreading, Walkers
from farm.search.trial_log import note_trials, trial_log
from farm.seeds import Stream, generator


def somebody(number: int) -> At:
    """A person is a severity, and nothing else."""
    return {"severity": float(generator(7, Stream.SEARCH, number).uniform(0.0, 2.0)), "sex": "female"}


CROWD = Crowd(
    draw=somebody, place=lambda at: np.array([float(at["severity"]) / 0.25]), targets=30, generations=5, polish=1,
    population=8, sigma=0.1, seed=5,
)  # fmt: skip
KNOWN = Walkers(({"severity": 0.0, "sex": "male"},), np.zeros((1, 3)))


def valley(candidate: Candidate) -> Outcome:
    """Who needs gains of their severity, and walks within 0.2 of them."""
    away = float(np.linalg.norm(candidate.gains - float(candidate.at["severity"])))
    return Outcome(away, away < 0.2)


def nobody(candidate: Candidate) -> Outcome:
    return replace(valley(candidate), walked=False)


def run_to_its_end(search: Spreading, judge: Callable[[Candidate], Outcome]) -> list[Finalist]:
    found: list[Finalist] = []
    while not search.done:
        found += search.tell([judge(candidate) for candidate in search.ask()])
    return found


def test_walkers_are_found_farther_and_farther_from_the_first() -> None:
    search = Spreading(CROWD, KNOWN)
    found = run_to_its_end(search, valley)
    severities = [float(finalist.candidate.at["severity"]) for finalist in found]
    assert len(found) >= 20
    assert search.covered == len(found) / 30
    assert max(severities) > 1.0, "five times as far as the gains of the first carry"
    assert all(valley(finalist.candidate).walked for finalist in found)
    assert [finalist.number for finalist in found] == list(range(len(found)))


def test_the_first_to_be_tried_is_what_the_nearest_walks_with() -> None:
    known = Walkers(({"severity": 0.0}, {"severity": 0.4}, {"severity": 9.0}), np.arange(9.0).reshape(3, 3))
    asked = Spreading(CROWD, known).ask()
    assert len(asked) == CROWD.population
    who = float(asked[0].at["severity"])
    nearest = 0 if abs(who) < abs(who - 0.4) else 1
    np.testing.assert_array_equal(asked[0].gains, known.gains[nearest])
    assert all(candidate.at == asked[0].at for candidate in asked)


def test_where_nobody_walks_each_person_is_given_up_in_the_end() -> None:
    search = Spreading(replace(CROWD, targets=3), KNOWN)
    assert run_to_its_end(search, nobody) == []
    assert (search.covered, search.share) == (0.0, 1.0)


def test_a_search_taken_up_after_every_generation_is_the_same_search(tmp_path: Path) -> None:
    through, broken = Spreading(CROWD, KNOWN), Spreading(CROWD, KNOWN)
    for generation in itertools.count():
        save(tmp_path / "state.npz", broken.state())
        broken = Spreading.from_state(CROWD, load(tmp_path / "state.npz"))
        assert broken.standing == through.standing
        if through.done:
            assert generation > 30
            break
        asked, asked_again = through.ask(), broken.ask()
        np.testing.assert_array_equal([c.gains for c in asked], [c.gains for c in asked_again])
        assert [c.at for c in asked] == [c.at for c in asked_again]
        for search in (through, broken):
            search.tell([valley(candidate) for candidate in asked])
    assert broken.covered == through.covered


def job(**changes: object) -> SpreadJob:
    made = job_from_mapping({"method": "spread", "companions": 2} | changes, source="test")
    assert isinstance(made, SpreadJob)
    return made


def test_companions_are_like_the_person_and_the_same_every_time() -> None:
    weak = job(condition="foot_drop", side="both", over={"severity": [0.3, 0.6]})
    first = begun("weak", weak, Path()).ask()[0]
    people = [person_at(weak, number, first.at) for number in range(heads(weak))]
    assert len(people) == 3
    assert people[0] == Person.model_validate(
        {name: first.at[name] for name in Person.model_fields if name in first.at}
    )
    assert len({person.model_dump_json() for person in people}) == 3
    for other in people[1:]:
        assert other.sex == people[0].sex
        assert other.stature_m == pytest.approx(people[0].stature_m, rel=0.081)
        assert other.strength == pytest.approx(people[0].strength, rel=0.101)
    assert people == [person_at(weak, number, first.at) for number in range(3)]
    someone = walker(weak, 2, first.at, first.gains)
    assert (someone.sample_id, someone.condition, someone.side) == (2, "foot_drop", "both")
    assert 0.3 <= someone.severity <= 0.6


def test_it_learns_from_its_own_condition_and_the_healthy_but_not_from_the_odd(tmp_path: Path) -> None:
    rows = archive("planar")
    taught = begun("weak", job(condition="crouch", side="both"), tmp_path).state()
    wanted = [r for r in rows if r.condition in ("crouch", "healthy") and r.side != "right" and not r.explored]
    symmetric = [r for r in wanted if np.array_equal(*r.gains)]
    assert len(taught.arrays["gains"]) == len(symmetric) > 5
    limping = begun("limp", job(condition="crouch", side="both", asymmetric=True), tmp_path)
    assert limping.ask()[0].gains.shape == (2 * len(gain_names("planar")),)

    write_archive(tmp_path / "one.parquet", [next(row for row in symmetric if row.condition == "healthy")])
    alone = begun("alone", job(start=str(tmp_path / "one.parquet")), tmp_path)
    assert len(alone.state().arrays["gains"]) == 1


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"start": {"c0": 1.0}}, "start: a job that spreads learns from an archive"),
        ({"also": {"c0": 1.0}}, "learns from an archive"),
        ({"people": [{"strength": 0.9}]}, "say from whom under `who`"),
        ({"who": {"statur_m": [1.5, 1.6]}}, "unknown key 'who.statur_m'; did you mean 'stature_m'"),
        ({"over": {"speed_m_s": [1.5, 0.6]}}, "over.speed_m_s: the range is reversed"),
        ({"targets": 0}, "targets: .*greater than or equal to 1"),
    ],
)
def test_a_job_that_cannot_be_is_named(changes: dict[str, object], text: str) -> None:
    with pytest.raises(CampaignError, match=text):
        job(**changes)


def test_a_start_from_which_nobody_can_learn_is_named(tmp_path: Path) -> None:
    with pytest.raises(CampaignError, match=r"alone: there is no archive 'gone.parquet'; write `archive`"):
        begun("alone", job(start="gone.parquet"), tmp_path)
    ill = next(row for row in archive("planar") if row.condition == "crouch")
    write_archive(tmp_path / "ill.parquet", [ill])
    with pytest.raises(CampaignError, match="has nobody in body model 'planar' who walks with healthy on side 'none'"):
        begun("alone", job(start=str(tmp_path / "ill.parquet")), tmp_path)


def test_the_shipped_job_spreads_over_every_condition_that_shows_in_a_plane() -> None:
    from farm.sampling.conditions import CONDITIONS

    jobs = load_jobs("spread")
    wanted = {name for name, condition in CONDITIONS.items() if condition.shows_in("planar")}
    assert {one.condition for one in jobs.values()} == wanted
    for one in jobs.values():
        assert one.asymmetric == (one.side == "right")


def test_trials_are_kept_with_those_that_fell(tmp_path: Path) -> None:
    path = trial_log(tmp_path, "weak")
    candidates = [Candidate(np.array([0.1, 1 / 3]), somebody(number)) for number in range(2)]
    for walked in (True, False):
        note_trials(path, candidates, [Outcome(1.5, walked), Outcome(90.0, False)])
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert [line["walked"] for line in lines] == [True, False, False, False]
    assert lines[1] == {"walked": False, "cost": 90.0, "at": dict(somebody(1)), "gains": [0.1, 0.333333]}
