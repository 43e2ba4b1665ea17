"""Views in a campaign: by name, by what differs from a shipped one, and lenses that cannot be."""

from __future__ import annotations

from typing import Any

import pytest

from farm.config import Campaign, campaign_from_mapping
from farm.errors import CampaignError
from farm.view_config import STANDARD_VIEWS, View

WIDE: dict[str, Any] = {"name": "wide", "azimuth_deg": 0, "vertical_fov_deg": [80, 100]}


def order(*views: Any) -> Campaign:
    return campaign_from_mapping({"name": "test", "samples": 1, "pictures": {"views": list(views)}}, source="mine.yaml")


def test_a_view_is_named_or_given_by_what_differs_from_a_shipped_one() -> None:
    phone, low = order("phone", {"like": "phone", "name": "low", "height_m": [0.4, 0.5]}).pictures.views
    assert phone == STANDARD_VIEWS["phone"]
    assert low == STANDARD_VIEWS["phone"].model_copy(update={"name": "low", "height_m": (0.4, 0.5)})
    assert order({"like": "side", "shake": [1, 1]}).pictures.views[0].name == "side"


@pytest.mark.parametrize("view", list(STANDARD_VIEWS))
@pytest.mark.parametrize("size", [(256, 256), (640, 360), (360, 640)])
def test_every_shipped_lens_fills_every_usual_picture(view: str, size: tuple[int, int]) -> None:
    assert STANDARD_VIEWS[view].lens_fault(size) is None


def test_the_default_views_are_pinholes_with_instant_shutters_and_silent_sensors() -> None:
    for name in ("front", "back", "side"):
        view = STANDARD_VIEWS[name]
        assert not any((*view.k1, *view.k2, *view.tangential, *view.exposure_s, *view.readout_s, *view.shot_noise))


@pytest.mark.parametrize(
    ("view", "told"),
    [
        ({"like": "sid"}, "there is no view 'sid'; the standard views are front, back, side"),
        (
            {"like": "side", "exposure": [0, 0.01]},
            "unknown key 'pictures.views.0.exposure'; did you mean 'exposure_s'?",
        ),
        ({"like": "side", "exposure_s": [0.02, 0.01]}, "write the smaller number first, [0.01, 0.02]"),
        ({"like": "side", "exposure_s": [0, 1]}, "pictures.views.0.exposure_s.1: input should be less than or equal"),
        ({"like": "side", "crf": [18, 60]}, "pictures.views.0.crf.1: input should be less than or equal to 51"),
        ({"like": "side", "kind": "drone"}, "pictures.views.0.kind: input should be 'fixed', 'pan' or 'phone'"),
        ({**WIDE, "k1": [-0.3, -0.2]}, "take k1 nearer to 0, more k2, or less vertical_fov_deg"),
        ({"like": "side", "name": "tele", "readout_s": 0.02}, "pictures.views.0.readout_s"),
    ],
)
def test_what_is_wrong_is_told_with_field_value_and_mend(view: dict[str, Any], told: str) -> None:
    with pytest.raises(CampaignError) as error:
        order(view)
    assert told in str(error.value)
    assert str(error.value).startswith("mine.yaml: ")


def test_every_field_is_described() -> None:
    for name, field in View.model_fields.items():
        assert field.description, name
