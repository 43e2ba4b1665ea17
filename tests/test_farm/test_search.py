"""The search by itself, on costs that are known: it finds, it anneals, it ends, and it survives its process."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import get_args

import numpy as np
import pytest

from farm.control.reflex import gain_names
from farm.errors import CampaignError, FormatError
from farm.search.annealing import Annealing, Way
from farm.search.candidates import MEASURES, Array, Candidate, Finalist, Outcome, Searcher, State
from farm.search.checkpoint import load, save
from farm.search.diary import Diary, Verdict, from_state, to_state
from farm.search.evolution import WORST, Evolution
from farm.search.exploration import Chart, Exploration
from farm.search.job import SHIPPED_JOBS, AnnealJob, Measure, SpreadJob, job_from_mapping, load_jobs
from farm.search.person import walker
from farm.search.searchers import begun, searcher, searcher_from_state
from farm.search.start import best_file, best_gains, start_gains, starts_at

WAY = Way(
    along={"severity": (0.0, 1.0)},
    step=0.25,
    least_step=0.05,
    generations=40,
    polish=3,
    population=10,
    sigma=0.1,
    seed=5,
)

Judge = Callable[[Candidate], Outcome]


def valley(candidate: Candidate) -> Outcome:
    """A valley whose floor moves with the severity, and a walk within 0.3 of its floor."""
    away = float(np.linalg.norm(candidate.gains - candidate.at.get("severity", 0.0)))
    return Outcome(away, away < 0.3, {"away": away})


def cliff(candidate: Candidate) -> Outcome:
    """The same, but nobody walks beyond severity 0.6."""
    return replace(valley(candidate), walked=valley(candidate).walked and candidate.at["severity"] <= 0.6)


def run_to_its_end(search: Searcher, judge: Judge, *, most: int = 2000) -> list[Finalist]:
    found: list[Finalist] = []
    for _ in range(most):
        if search.done:
            return found
        found += search.tell([judge(candidate) for candidate in search.ask()])
    raise AssertionError(f"not done after {most} generations: {search.standing}")


def test_evolution_finds_the_valley() -> None:
    search = Evolution(np.full(4, 1.0), 0.3, 12, seed=3, index=0)
    for _ in range(60):
        search.tell([float(np.sum((gains - 0.2) ** 2)) for gains in search.ask()])
    np.testing.assert_allclose(search.mean, 0.2, atol=1e-3)


def test_the_first_candidate_is_the_start_and_costs_may_be_no_numbers() -> None:
    search = Evolution(np.array([0.5, 0.7]), 0.1, 6, seed=1, index=0)
    np.testing.assert_array_equal(search.ask()[0], [0.5, 0.7])
    search.tell([np.nan, np.inf, 1.0, 2.0, 3.0, 4.0])
    assert search.state().arrays["told"].tolist() == [[WORST, WORST, 1.0, 2.0, 3.0, 4.0]]


def test_evolutions_of_one_job_draw_differently() -> None:
    one, other = (Evolution(np.zeros(3), 0.1, 6, seed=1, index=index).ask() for index in (0, 1))
    assert not np.array_equal(one[1:], other[1:])


def test_a_replay_that_goes_astray_goes_on_from_the_mean() -> None:
    search = Evolution(np.zeros(3), 0.1, 6, seed=1, index=0)
    for _ in range(4):
        search.tell([float(np.sum((gains - 1.0) ** 2)) for gains in search.ask()])
    state = search.state()
    astray = State({**state.plain, "asked": "another machine's"}, state.arrays)
    np.testing.assert_allclose(Evolution.from_state(astray).mean, search.mean)


def test_annealing_goes_all_the_way_and_hands_over_a_walker_of_each_step() -> None:
    found = run_to_its_end(Annealing(WAY, np.zeros(3)), valley)
    assert [round(finalist.candidate.at["severity"], 6) for finalist in found] == [0.0, 0.25, 0.5, 0.75, 1.0]
    assert [finalist.number for finalist in found] == [0, 1, 2, 3, 4]
    assert all(valley(finalist.candidate) == finalist.outcome for finalist in found)
    assert all(finalist.outcome.walked for finalist in found)


def test_annealing_halves_its_steps_before_a_cliff_and_ends_there() -> None:
    search = Annealing(WAY, np.zeros(3))
    found = run_to_its_end(search, cliff)
    assert 0.6 - 2 * WAY.least_step <= search.reached <= 0.6
    assert found[-1].candidate.at["severity"] == search.reached
    assert len(found) == len({finalist.candidate.at["severity"] for finalist in found})


def test_a_way_at_whose_beginning_nobody_walks_ends_without_a_walker() -> None:
    search = Annealing(replace(WAY, generations=5), np.full(3, 50.0))
    assert run_to_its_end(search, valley) == []
    assert search.reached == -1.0


@pytest.mark.parametrize("judge", [valley, cliff])
def test_a_search_taken_up_after_every_generation_is_the_same_search(judge: Judge, tmp_path: Path) -> None:
    through = Annealing(WAY, np.zeros(3))
    broken = Annealing(WAY, np.zeros(3))
    for generation in itertools.count():
        save(tmp_path / "state.npz", broken.state())
        broken = Annealing.from_state(WAY, load(tmp_path / "state.npz"))
        assert broken.done == through.done
        if through.done:
            assert generation > 10
            break
        asked, asked_again = through.ask(), broken.ask()
        np.testing.assert_array_equal([c.gains for c in asked], [c.gains for c in asked_again])
        assert [c.at for c in asked] == [c.at for c in asked_again]
        found, found_again = (search.tell([judge(c) for c in asked]) for search in (through, broken))
        assert [f.candidate.at for f in found] == [f.candidate.at for f in found_again]
    assert through.standing == broken.standing


CHART = Chart(
    axes={"speed": ((0.0, 1.0), 8), "crouch": ((0.0, 1.0), 6)}, rounds=4, generations=6, evolutions=2, population=8,
    sigma=0.1, seed=3,
)  # fmt: skip


def plain(candidate: Candidate) -> Outcome:
    """Two gains are what is measured, the third costs; who goes beyond 0.9 falls."""
    speed, crouch, waste = candidate.gains.tolist()
    walked = max(speed, crouch) < 0.9
    return Outcome(1.0 + waste**2, walked, measures={"speed": speed, "crouch": crouch} if walked else {})


def cell_of(finalist: Finalist) -> tuple[int, ...]:
    return tuple(
        int(finalist.outcome.measures[name] / (high - low) * count) for name, ((low, high), count) in CHART.axes.items()
    )


def test_exploration_fills_its_map_with_walkers() -> None:
    search = Exploration(CHART, np.full(3, 0.5))
    covered = [search.covered]
    found: list[Finalist] = []
    while not search.done:
        found += search.tell([plain(candidate) for candidate in search.ask()])
        covered.append(search.covered)
    assert covered[0] == 0.0
    assert covered == sorted(covered), "a cell is never emptied"
    assert covered[-1] > 0.5
    assert search.share == 1.0
    cells = {cell_of(finalist) for finalist in found}
    assert len(cells) == round(covered[-1] * CHART.cells), "each cell's walker was put forward"
    for finalist in found:
        assert finalist.outcome.cost == plain(finalist.candidate).cost
        assert dict(finalist.outcome.measures) == plain(finalist.candidate).measures
    for cell in cells:
        costs = [finalist.outcome.cost for finalist in found if cell_of(finalist) == cell]
        assert all(later < 0.9 * earlier for earlier, later in itertools.pairwise(costs))
    assert [finalist.number for finalist in found] == list(range(len(found)))


def test_an_exploration_taken_up_after_every_generation_is_the_same(tmp_path: Path) -> None:
    through, broken = (Exploration(CHART, np.full(3, 0.5)) for _ in range(2))
    while not through.done:
        save(tmp_path / "state.npz", broken.state())
        broken = Exploration.from_state(CHART, load(tmp_path / "state.npz"))
        assert broken.standing == through.standing
        asked, asked_again = through.ask(), broken.ask()
        np.testing.assert_array_equal([c.gains for c in asked], [c.gains for c in asked_again])
        found, found_again = (search.tell([plain(c) for c in asked]) for search in (through, broken))
        assert [(f.number, f.outcome) for f in found] == [(f.number, f.outcome) for f in found_again]
    save(tmp_path / "state.npz", broken.state())
    ended = Exploration.from_state(CHART, load(tmp_path / "state.npz"))
    assert (ended.done, ended.covered) == (True, through.covered)


def test_an_exploration_that_goes_astray_goes_on_with_its_map() -> None:
    search = Exploration(CHART, np.full(3, 0.5))
    for _ in range(4):
        search.tell([plain(candidate) for candidate in search.ask()])
    state = search.state()
    astray = Exploration.from_state(CHART, State({**state.plain, "asked": "another machine's"}, state.arrays))
    assert astray.covered == search.covered
    run_to_its_end(astray, plain)
    assert astray.covered >= search.covered


def test_an_exploration_whose_start_falls_ends_at_once() -> None:
    search = Exploration(CHART, np.full(3, 5.0))
    assert run_to_its_end(search, plain, most=2) == []
    assert (search.done, search.covered) == (True, 0.0)


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b"not a checkpoint", "not a search's checkpoint"),
        (b"", "not a search's checkpoint"),
    ],
)
def test_a_damaged_checkpoint_is_named(data: bytes, text: str, tmp_path: Path) -> None:
    path = tmp_path / "one.checkpoint.npz"
    path.write_bytes(data)
    with pytest.raises(FormatError, match=text):
        load(path)


def test_a_cut_checkpoint_is_named(tmp_path: Path) -> None:
    path = tmp_path / "one.checkpoint.npz"
    save(path, State({"a": 1}, {"b": np.arange(1000.0)}))
    assert load(path).plain == {"a": 1}
    path.write_bytes(path.read_bytes()[:500])
    with pytest.raises(FormatError, match="remove it to begin anew"):
        load(path)


def test_a_diary_survives_its_checkpoint() -> None:
    diary = Diary()
    outcomes = [Outcome(3.0, True, {"speed": 3.0}), Outcome(5.0, False)]
    diary.note(outcomes, 0.5)
    diary.finalists[0] = Finalist(0, Candidate(np.array([1.0, 2.0]), {"severity": 0.5}), outcomes[0])
    diary.verdicts[0, 1] = Verdict(0, 1, None, "fell: at 3.00 s")
    job, search, again = from_state(to_state({"seed": 1}, State({"x": 1}, {"y": np.ones(2)}), diary))
    assert (job, search.plain, search.arrays["y"].tolist()) == ({"seed": 1}, {"x": 1}, [1.0, 1.0])
    assert (again.best_cost, again.walked, again.covered) == ([3.0], [0.5], [0.5])
    assert again.verdicts == diary.verdicts
    assert again.finalists[0].outcome == outcomes[0]
    assert again.finalists[0].candidate.at == {"severity": 0.5}
    np.testing.assert_array_equal(again.finalists[0].candidate.gains, [1.0, 2.0])
    assert again.pending(2) == [(0, 0)]
    assert again.best() is None


def test_every_shipped_job_can_begin(tmp_path: Path) -> None:
    for file in SHIPPED_JOBS:
        jobs = load_jobs(file)
        for name, job in jobs.items():
            if isinstance(job, SpreadJob):
                assert len(begun(name, job, tmp_path).ask()) == job.population
                continue
            start = starts_at(job, jobs)
            if start is not None:
                assert list(jobs).index(start) < list(jobs).index(name)
                continue
            gains = start_gains(name, job, tmp_path)
            legs = 2 if job.asymmetric else 1
            assert gains.shape == (legs * len(gain_names(job.body_model)),)
            first = searcher(job, gains).ask()[0]
            np.testing.assert_array_equal(first.gains, gains)
            for number in range(len(job.people)):
                someone = walker(job, number, first.at, gains)
                assert someone.sample_id == number
                assert (someone.condition, someone.side) == (job.condition, job.side)
            if "severity" in first.at:
                assert someone.severity == first.at["severity"] > 0.0


def test_severity_weakens_the_affected_leg_alone() -> None:
    job = job_from_mapping(
        {"method": "anneal", "start": "healthy_120", "condition": "foot_drop", "side": "right",
         "along": {"severity": [0.1, 1.0]}, "people": [{"strength": 0.9}]}, source="test",
    )  # fmt: skip
    gains = np.ones(len(gain_names("planar")))
    mild, severe = (walker(job, 0, {"severity": severity}, gains) for severity in (0.1, 1.0))
    right, left = mild.plan.muscles.index("tib_ant_r"), mild.plan.muscles.index("tib_ant_l")
    assert mild.strength[right] == pytest.approx(0.9 * 0.1**0.1)
    assert severe.strength[right] == pytest.approx(0.9 * 0.1)
    assert severe.strength[left] == 0.9


def test_a_search_starts_from_what_another_left(tmp_path: Path) -> None:
    base = {"method": "cmaes", "start": "healthy_120"}
    first = job_from_mapping(base, source="test")
    gains = start_gains("first", first, tmp_path) + 0.125
    best_file(tmp_path, "first").write_bytes(best_gains(first, gains))
    second = job_from_mapping({**base, "start": "first", "asymmetric": True}, source="test")
    np.testing.assert_array_equal(start_gains("second", second, tmp_path), np.concatenate([gains, gains]))


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"start": {"theta_tgt": 1.0}}, "start lacks the gains c0, "),
        ({"start": "foot_drop_right_80"}, "write `asymmetric: true`"),
        ({"also": {"theta_tgtt": 1.0}}, "planar has no gains theta_tgtt"),
    ],
)
def test_a_start_that_does_not_fit_is_named(change: dict[str, object], text: str, tmp_path: Path) -> None:
    job = job_from_mapping({"method": "cmaes", "start": "healthy_120", **change}, source="test")
    with pytest.raises(CampaignError, match=text):
        start_gains("first", job, tmp_path)


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"side": "left"}, "write right"),
        ({"along": {"severity": [0.0, 1.0]}}, "severity 0 is health; begin above it"),
        ({"along": {"severity": [0.1, 1.5]}}, "along.severity: input should be less than or equal to 1"),
        ({"along": {"stature_m": [1.8, 3.0]}}, "along.stature_m: .*2.05"),
        ({"condition": "healthy", "side": "none"}, "side is 'none'"),
        ({"people": []}, "people: .*at least 1 item"),
        ({"population": 3}, "population: .*greater than or equal to 4"),
    ],
)
def test_a_way_that_cannot_be_is_named(change: dict[str, object], text: str) -> None:
    base = {"method": "anneal", "start": "healthy_120", "condition": "foot_drop", "side": "right",
            "along": {"severity": [0.1, 1.0]}}  # fmt: skip
    assert isinstance(job_from_mapping(base, source="test"), AnnealJob)
    with pytest.raises(CampaignError, match=text):
        job_from_mapping(base | change, source="test")


@pytest.mark.parametrize(
    ("axes", "text"),
    [
        ({"sped": {"range": [0, 1], "cells": 3}}, "map.sped.*'speed', 'step_length'"),
        ({"speed": {"range": [1, 0], "cells": 3}}, r"map.speed.range: the range is reversed"),
        ({"speed": {"range": [1, 1], "cells": 3}}, r"both ends are the same"),
        ({"speed": {"range": [0, 1], "cells": 1000}, "crouch": {"range": [0, 1], "cells": 1000},
          "effort": {"range": [0, 1], "cells": 2}}, "2000000 cells are more than 1000000"),
        ({}, "map: .*at least 1"),
    ],
)  # fmt: skip
def test_a_map_that_cannot_be_is_named(axes: dict[str, object], text: str) -> None:
    with pytest.raises(CampaignError, match=text):
        job_from_mapping({"method": "explore", "start": "healthy_120", "map": axes}, source="test")


def test_the_measures_of_jobs_are_those_of_searches() -> None:
    assert get_args(Measure) == MEASURES


def test_a_first_walkers_search_ends_with_its_generations() -> None:
    job = job_from_mapping(
        {"method": "cmaes", "start": "healthy_120", "generations": 7, "population": 8}, source="test"
    )
    start: Array = np.zeros(3)
    search = searcher(job, start)
    asked = 0
    while not search.done:
        search = searcher_from_state(job, search.state())
        asked += 1
        found = search.tell([valley(candidate) for candidate in search.ask()])
    assert asked == 7
    assert len(found) == 1
    assert search.share == 1.0
