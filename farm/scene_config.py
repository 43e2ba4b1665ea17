"""The campaign's `scene` section: what of the pictures may vary, and how much.

Every field narrows what is drawn for a sample; what was drawn is stored with it.
"""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class _Section(BaseModel):
    """Frozen, and strict about keys that it does not know."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class PeopleVariation(_Section):
    """Looks of the walkers."""


class PlaceVariation(_Section):
    """Where they walk."""


class LightVariation(_Section):
    """How it is lit and exposed."""


class SceneVariation(_Section):
    """The `scene` section."""

    people: PeopleVariation = PeopleVariation()
    place: PlaceVariation = PlaceVariation()
    light: LightVariation = LightVariation()
