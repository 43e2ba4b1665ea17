import numpy as np
import pytest

from farm.gait.joint_angles import cycles, joint_angles
from farm.gait.norms import CYCLE_PERCENT, NORM_CURVES, compare, norm_band
from tests.norm_walk import norm_walk, norm_walk_truth


def test_curves_have_the_published_landmarks() -> None:
    """Peaks of Fukuchi et al. 2018, both sets: the table was not garbled on its way."""
    knee = norm_band("knee_flexion").mean
    assert knee.max() == pytest.approx(62.3, abs=1.0)
    assert CYCLE_PERCENT[knee.argmax()] == pytest.approx(73, abs=2)
    hip = norm_band("hip_flexion").mean
    assert hip.max() == pytest.approx(32, abs=1.0)
    assert hip.min() == pytest.approx(-7.2, abs=1.0)
    ankle = norm_band("ankle_dorsiflexion").mean
    assert ankle.max() == pytest.approx(13, abs=1.2)
    assert CYCLE_PERCENT[ankle.argmin()] == pytest.approx(65, abs=2)


@pytest.mark.parametrize("name", [*NORM_CURVES, "vertical_force"])
def test_bands_are_periodic_and_have_width(name: str) -> None:
    band = norm_band(name)
    assert band.mean.shape == band.total_sd.shape == CYCLE_PERCENT.shape
    assert abs(band.mean[0] - band.mean[-1]) < 1.0
    assert np.all(band.total_sd >= 0)
    assert band.total_sd.max() > 0


def test_forces_carry_the_weight_and_do_not_push_forward() -> None:
    vertical, forward = norm_band("vertical_force").mean, norm_band("ap_force").mean
    assert np.trapezoid(vertical, CYCLE_PERCENT / 100) == pytest.approx(0.5, abs=0.03)
    assert np.trapezoid(forward, CYCLE_PERCENT / 100) == pytest.approx(0.0, abs=0.005)


def test_unknown_curve_is_named() -> None:
    with pytest.raises(KeyError, match=r"no norm curve 'elbow'.*hip_flexion"):
        norm_band("elbow")


def test_the_mean_itself_lies_in_its_band() -> None:
    band = norm_band("knee_flexion")
    result = compare(band.mean, band)
    assert (result.fraction_within, result.rms) == (1.0, 0.0)
    assert result.r == pytest.approx(1.0)


def test_offset_shape_and_flatness_are_told_apart() -> None:
    band = norm_band("knee_flexion")
    offset = compare(band.mean + 5.0, band)
    assert offset.r == pytest.approx(1.0)
    assert offset.rms == pytest.approx(5.0)
    stiff = compare(0.3 * band.mean, band)
    assert stiff.fraction_within < 0.8
    assert np.isnan(compare(np.zeros(101), band).r)
    with pytest.raises(ValueError, match="101 points"):
        compare(band.mean[:50], band)


def test_cycles_cut_from_strike_to_strike() -> None:
    time = np.arange(0, 4, 0.01)
    sawtooth = (time - 0.5) % 1.25
    curves = cycles(time, sawtooth, np.array([0.5, 1.75, 3.0]))
    assert curves.shape == (2, 101)
    assert curves[:, 50] == pytest.approx([0.625, 0.625])
    assert cycles(time, sawtooth, np.array([0.5])).shape == (0, 101)


def test_norm_walk_lies_in_the_norm() -> None:
    """A walker made from the curves is judged normal, and one with a stiff knee is not."""
    walk, truth = norm_walk(), norm_walk_truth()
    for name in ("hip_flexion", "knee_flexion", "ankle_dorsiflexion"):
        band = norm_band(name)
        curve = np.rad2deg(cycles(walk.time, joint_angles(walk)[f"{name}_r"], truth.strike_r)).mean(axis=0)
        result = compare(curve, band)
        assert result.fraction_within > 0.75, name
        assert result.r > 0.9, name
    knee = np.rad2deg(cycles(walk.time, joint_angles(walk)["knee_flexion_r"], truth.strike_r)).mean(axis=0)
    assert compare(0.4 * knee, norm_band("knee_flexion")).fraction_within < 0.75
