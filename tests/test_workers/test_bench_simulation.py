"""The study of the integration: what it compares, that its variants are what they say, and its one line."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from farm.records import GaitParameters
from workers.simulate.forward import INTEGRATION_STEP_S, Rollout, Walk
from workers.simulate.musculature import MUSCLE_SPECS

TOOL = Path(__file__).parents[2] / "tools" / "bench_simulation.py"
sys.path.insert(0, str(TOOL.parent))
try:
    from integration_walks import Body, ElasticWalk, Setting, Tumble, Window, windows
    from timed_walks import walker
finally:
    sys.path.remove(str(TOOL.parent))

FARM = Setting("farm", "SemiExplicitEuler2", step_s=INTEGRATION_STEP_S)
TIGHT = Setting("tight", "RungeKuttaMerson", accuracy=1e-7)


@pytest.fixture(scope="module")
def person() -> GaitParameters:
    return walker("planar")


def walked(loads: np.ndarray, end: str = "completed") -> Rollout:
    """A walk of which only the foot forces are known."""
    nothing = np.zeros((len(loads), 0))
    return Rollout(end, "", np.arange(len(loads)) / 100.0, nothing, nothing, nothing, nothing, loads, 1.0)


def steps(seconds: float) -> np.ndarray:
    """The right foot stands in [0, 0.7), [1.2, 1.9) ..., the left one 0.6 s later."""
    times = np.arange(round(seconds * 100)) / 100.0
    return np.stack([(times % 1.2) < 0.7, ((times - 0.6) % 1.2) < 0.7], axis=1).astype(float)


def test_strides_are_of_one_foot_and_after_the_start() -> None:
    found = windows(walked(steps(4.0)), 700.0, 2)
    assert [window.kind for window in found] == ["stride", "stride"]
    assert [(window.start_s, window.end_s) for window in found] == [
        (pytest.approx(0.6, abs=0.011), pytest.approx(1.8, abs=0.011)),
        (pytest.approx(1.2, abs=0.011), pytest.approx(2.4, abs=0.011)),
    ]


def test_who_falls_before_a_stride_is_compared_over_a_step() -> None:
    (found,) = windows(walked(steps(1.5), "fell"), 700.0, 4)
    assert found.kind == "step"
    assert (found.start_s, found.end_s) == (pytest.approx(0.6, abs=0.011), pytest.approx(1.2, abs=0.011))


def test_who_falls_at_once_is_refused() -> None:
    with pytest.raises(ValueError, match=r"no step to compare: the walker fell after 0\.79 s"):
        windows(walked(steps(0.8), "fell"), 700.0, 1)


def test_a_setting_takes_over_where_the_stride_begins(person: GaitParameters) -> None:
    body = Body(person, Walk, FARM)
    rollout, timing = body.run(TIGHT, Window("stride", 0.2, 0.3))
    plain = Walk(person, seed=0).run(duration_s=0.3, budget_s=200.0)
    assert timing.end == "completed"
    assert timing.simulated_s == pytest.approx(0.1)
    assert timing.wall_s > 0.0
    assert timing.cpu_s > 0.0
    np.testing.assert_array_equal(rollout.states[:21], plain.states[:21])
    apart = np.abs(rollout.coordinates[21:] - plain.coordinates[21:]).max()
    assert 0.0 < apart < 0.02


@pytest.mark.parametrize("rate_hz", [100, 400])
def test_another_control_rate_is_sampled_at_the_same_instants(person: GaitParameters, rate_hz: int) -> None:
    usual = Walk(person, seed=0).run(duration_s=0.1, budget_s=200.0)
    other = Walk(person, seed=0, control_step_s=1.0 / rate_hz).run(duration_s=0.1, budget_s=200.0)
    np.testing.assert_allclose(other.times_s, usual.times_s, atol=1e-12)
    np.testing.assert_array_equal(other.states[0], usual.states[0])
    assert 0.0 < np.abs(other.coordinates - usual.coordinates).max() < 0.2


def test_a_control_rate_between_samples_is_refused(person: GaitParameters) -> None:
    with pytest.raises(ValueError, match=r"must divide the 0\.01 s between two samples; the farm's is 0\.005"):
        Walk(person, seed=0, control_step_s=0.004)


def test_elastic_tendons_have_the_tables_slack_length_and_start_in_equilibrium(person: GaitParameters) -> None:
    rigid, elastic = Walk(person, seed=0), ElasticWalk(person, seed=0)
    state = elastic._handles.state
    assert state.getNZ() == 2 * rigid._handles.state.getNZ(), "an activation and a tendon force each"
    elastic.model.realizeDynamics(state)
    for name in person.plan.muscles:
        spec = MUSCLE_SPECS[name[:-2]]
        muscle = elastic.model.getMuscles().get(name)
        assert muscle.get_tendon_slack_length() == pytest.approx(spec.tendon_slack_length_m, rel=1e-9), name
        along = muscle.getActiveFiberForceAlongTendon(state) + muscle.getPassiveFiberForceAlongTendon(state)
        assert muscle.getTendonForce(state) == pytest.approx(along, abs=2e-3 * muscle.get_max_isometric_force()), name


def test_energy_drifts_by_the_half_step_of_a_semi_explicit_fall(person: GaitParameters) -> None:
    """Half a step of free fall, g h / 2 of speed, is missing from the energy: h / (2 t) of the fall after t."""
    walk = Walk(person, seed=0)
    rollout = walk.run(duration_s=0.5, budget_s=200.0)
    tumble = Tumble(walk.description, rollout.coordinates[-1], rollout.speeds[-1])
    assert tumble.drift(FARM)["fall"] == pytest.approx(INTEGRATION_STEP_S / 2, rel=0.05)
    assert max(tumble.drift(TIGHT, seconds=0.3).values()) < 1e-6


@pytest.mark.slow
def test_its_one_line() -> None:
    done = subprocess.run(
        [sys.executable, str(TOOL), "--studies", "control", "--strides", "1", "--reference-accuracy", "1e-3", "--json"],
        capture_output=True, text=True, timeout=200, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    report = json.loads(done.stdout)
    rows = {row["rate_hz"]: row for row in report["control"]["rows"]}
    assert set(rows) == {100, 200, 400}
    assert rows[200]["angle_apart_deg"] == 0.0
    assert rows[100]["angle_apart_deg"] > 0.0
    for row in rows.values():
        assert row["ends"] == ["completed"]
        assert row["rtf"] > 0.0
        assert row["rtf_cpu"] > 0.0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--strides", "0"), "--strides must be 1 or more, got 0"),
        (("--reference-accuracy", "0.1"), "--reference-accuracy must be above 0 and at most 0.001, got 0.1"),
        (("--walker", "nobody"), "--walker: no walker 'nobody' for body 'planar' in the archive"),
    ],
)
def test_bad_arguments_are_named(arguments: tuple[str, ...], message: str) -> None:
    done = subprocess.run(
        [sys.executable, str(TOOL), *arguments], capture_output=True, text=True, timeout=100, check=False
    )
    assert done.returncode == 2
    assert message in " ".join(done.stderr.split())
