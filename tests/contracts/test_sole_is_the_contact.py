"""The sole that quality judges by is the one that carries the physics' contact forces."""

import pytest

from farm.gait.feet import SOLE_PADS
from farm.records import GaitParameters
from workers.simulate.description import describe


@pytest.mark.parametrize("stature_m", [1.55, 1.80])
def test_pads_are_the_contact_spheres(stature_m: float) -> None:
    description = describe(GaitParameters(stature_m=stature_m))
    scale = description.anatomy.scale("calcn_r")
    spheres = {
        (round(sphere.center[0] / scale, 6), round(sphere.center[1] / scale, 6), round(sphere.radius_m / scale, 6))
        for sphere in description.spheres
    }
    assert spheres == {(pad.center[0], pad.center[1], pad.radius_m) for pad in SOLE_PADS}
