import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from farm.gait.events import CONTACT_FORCE_N, contacts, event_disagreement_s, force_events, kinematic_events
from farm.gait.observation import observe
from farm.records import GaitParameters
from farm.sampling.anatomy import anatomy
from tests.norm_walk import norm_walk, norm_walk_truth


def box(*intervals: tuple[float, float], end_s: float = 3.0) -> tuple[np.ndarray, np.ndarray]:
    """500 N during the intervals, sampled at 1 kHz."""
    time = np.arange(round(end_s * 1000)) / 1000
    force = np.zeros_like(time)
    for start, stop in intervals:
        force[(time >= start) & (time < stop)] = 500.0
    return time, force


def test_contact_times_are_those_of_the_force() -> None:
    (first, second) = contacts(*box((0.5, 1.1), (1.6, 2.2)))
    assert first == pytest.approx((0.5, 1.1), abs=0.0011)
    assert second == pytest.approx((1.6, 2.2), abs=0.0011)


def test_crossing_is_interpolated_between_samples() -> None:
    time = np.array([0.0, 0.1, 0.2, 0.3, 0.4])
    force = np.array([0.0, 4 * CONTACT_FORCE_N, 400.0, 400.0, 0.0])
    [(start, end)] = contacts(time, force)
    assert start == pytest.approx(0.025)  # a quarter of the way from 0 to 4 thresholds
    assert end == pytest.approx(0.3 + 0.1 * (400.0 - CONTACT_FORCE_N) / 400.0)


@pytest.mark.parametrize(("gap_s", "n"), [(0.010, 1), (0.028, 1), (0.035, 2), (0.2, 2)])
def test_gaps_up_to_30_ms_are_bridged(gap_s: float, n: int) -> None:
    assert len(contacts(*box((0.5, 1.0), (1.0 + gap_s, 1.5)))) == n


@pytest.mark.parametrize(("length_s", "n"), [(0.02, 0), (0.095, 0), (0.105, 1)])
def test_contacts_below_100_ms_are_dropped(length_s: float, n: int) -> None:
    assert len(contacts(*box((0.5, 0.5 + length_s)))) == n


def test_pieces_of_one_contact_count_together() -> None:
    """Three pieces of 60 ms with gaps of 20 ms are one contact of 220 ms, not three that are too short."""
    [(start, end)] = contacts(*box((0.5, 0.56), (0.58, 0.64), (0.66, 0.72)))
    assert end - start == pytest.approx(0.22, abs=0.002)


def test_contact_cut_by_the_record_gives_no_event_there() -> None:
    time, force = box((0.0, 0.5), (2.5, 3.1))
    events = force_events(time, np.stack([force, force], axis=1))
    assert events.strike_r == pytest.approx([2.5], abs=0.002)
    assert events.off_l == pytest.approx([0.5], abs=0.002)


def test_no_contact_no_events() -> None:
    time = np.arange(100) / 100
    times, codes = force_events(time, np.zeros((100, 2))).flat()
    assert times.shape == codes.shape == (0,)
    assert codes.dtype == np.uint8


@given(st.lists(st.floats(0.0, 2000.0), min_size=10, max_size=200))
def test_any_force_gives_ordered_disjoint_contacts(force: list[float]) -> None:
    time = np.arange(len(force)) / 100
    edges = [edge for pair in contacts(time, np.array(force)) for edge in pair]
    assert edges == sorted(edges)
    assert all(end - start >= 0.1 for start, end in zip(edges[::2], edges[1::2], strict=True))


@pytest.mark.parametrize("speed", [0.6, 1.25, 1.8])
def test_norm_walk_events_are_found_to_a_sample(speed: float) -> None:
    truth = norm_walk_truth(speed_m_s=speed)
    walk = norm_walk(speed_m_s=speed)
    events = force_events(walk.time, walk.ground_reaction[:, :, 1])
    for name in ("strike_r", "off_r", "strike_l", "off_l"):
        # the norm force needs a few ms to pass 20 N
        assert getattr(events, name) == pytest.approx(getattr(truth, name), abs=0.011), name
    times, codes = events.flat()
    assert np.all(np.diff(times) > 0)
    assert set(codes.tolist()) == {0, 1, 2, 3}


@pytest.mark.parametrize("speed", [0.8, 1.25, 1.8])
def test_kinematics_agree_with_force(speed: float) -> None:
    """Zeni et al. found 94 % of events within 2 samples at 60 Hz (33 ms); the walker's heel lands before it stops."""
    walk = norm_walk(speed_m_s=speed)
    seen = observe(walk, anatomy(GaitParameters()))
    by_force = force_events(walk.time, walk.ground_reaction[:, :, 1])
    by_motion = kinematic_events(walk.time, seen.heels, seen.toes, seen.hips)
    assert event_disagreement_s(by_force, by_motion) < 0.033
    assert abs(len(by_force.strike_r) - len(by_motion.strike_r)) <= 1
    assert abs(len(by_force.off_l) - len(by_motion.off_l)) <= 1
