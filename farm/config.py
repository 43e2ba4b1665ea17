"""The campaign: what a user asks the farm for, as a frozen, validated value.

A campaign is a YAML file; unknown keys, reversed ranges and impossible numbers
are refused before any work starts, with a message that names the field, the
value and the mend. Nothing here has a default that depends on the machine.
"""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from importlib import resources
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationError, field_validator, model_validator

from farm.campaign_file import parse, read_text
from farm.condition_name import ConditionName
from farm.errors import CampaignError
from farm.frozen import Frozen
from farm.ranges import closed_range as _range
from farm.records import BodyModel, Side
from farm.sampling.conditions import CONDITIONS
from farm.scene_config import (
    AidShare,
    AidsVariation,
    CameraVariation,
    LightVariation,
    PeopleVariation,
    PlaceVariation,
    SceneVariation,
)
from farm.view_config import STANDARD_VIEWS as STANDARD_VIEWS
from farm.view_config import View as View

SHIPPED_CAMPAIGNS = ("demo", "healthy", "conditions", "million")
SAMPLE_RATE_HZ = 100.0

Engine = Literal["opensim", "twin"]
"""What integrates a walk: OpenSim, or its compiled twin, which states the same equations and is some hundred times as
fast."""


class Population(Frozen):
    """Whom to draw: sex, age, build. Stature and mass follow sex-specific distributions, cut to these ranges."""

    sex: Literal["both", "female", "male"] = "both"
    age_years: _range(18, 95) = (20.0, 80.0)  # type: ignore[valid-type]
    stature_m: _range(1.40, 2.05) = (1.50, 1.95)  # type: ignore[valid-type]
    body_mass_index: _range(15.0, 45.0) = (18.5, 32.0)  # type: ignore[valid-type]
    proportion_sd: float = Field(0.02, ge=0.0, le=0.08, description="SD of each segment's length proportion")
    strength_sd: float = Field(0.05, ge=0.0, le=0.3, description="log-SD of each muscle group's strength")
    gain_sd: float = Field(0.01, ge=0.0, le=0.2, description="SD of normalised reflex gains about the archive's")
    motor_noise: _range(0.0, 0.3) = (0.0, 0.03)  # type: ignore[valid-type]


class ConditionShare(Frozen):
    """One condition's share of a campaign, with the severities and sides to draw from."""

    condition: ConditionName
    weight: float = Field(1.0, gt=0.0)
    severity: _range(0.0, 1.0) = (0.0, 1.0)  # type: ignore[valid-type]
    side: tuple[Side, ...] = Field((), description="sides to draw from; empty: all that the condition can affect")

    @model_validator(mode="after")
    def _possible_sides(self) -> ConditionShare:
        possible = CONDITIONS[self.condition].sides
        wrong = [side for side in self.side if side not in possible]
        if wrong:
            raise ValueError(f"{self.condition} cannot affect side {wrong[0]!r}; possible: {', '.join(possible)}")
        return self

    @property
    def sides(self) -> tuple[Side, ...]:
        """The sides to draw from, resolved."""
        return self.side or CONDITIONS[self.condition].sides


class Simulation(Frozen):
    """How long to walk, how much wall-clock time a sample may take, and how many of the twin's are checked."""

    duration_s: float = Field(10.0, ge=3.0, le=120.0)
    budget_s: float = Field(
        180.0, gt=0.0, description="wall-clock limit of one sample's integration in OpenSim; the twin needs none"
    )
    recheck_fraction: float = Field(
        0.05, ge=0.0, le=1.0,
        description="share of samples that OpenSim walks again where the engine is the twin; "
        "without effect where it is opensim",
    )  # fmt: skip


SEED_PAPER_VIEWS = ("front", "back", "side")
"""What is filmed where a campaign names no views."""


class Pictures(Frozen):
    """What to film. `rgb: none` keeps the exact 2D keypoints and drops the pictures."""

    views: tuple[View, ...] = tuple(STANDARD_VIEWS[name] for name in SEED_PAPER_VIEWS)
    image_size: tuple[Annotated[int, Field(ge=32, le=2048)], Annotated[int, Field(ge=32, le=2048)]] = (256, 256)
    frame_rate_hz: float = Field(30.0, ge=1.0, le=100.0)
    rgb: Literal["video", "lossless", "none"] = "video"
    crf: int = Field(21, ge=0, le=51, description="H.264 constant rate factor: less is truer and larger")
    person_crf_offset: int = Field(
        -9,
        ge=-30,
        le=0,
        description="how much smaller `crf` is inside the person's box; 0: the whole picture alike. A view that draws "
        "a `crf` of its own is alike everywhere",
    )
    bits_per_pixel: float | None = Field(
        0.093,
        ge=0.01,
        le=48.0,
        description="most that a film takes for each pixel of each picture, on average, whatever `crf` asks for; 0.093 "
        "is 250 kB for 10 s of 256x256 at 30 Hz. null: no limit",
    )
    chroma: Literal["half", "full"] = Field(
        "half",
        description="resolution of colour in films; full (4:4:4) is truer, but Firefox, Safari and most GPUs' decoders "
        "do not play it",
    )
    effort: Literal["fine", "quick"] = Field(
        "fine",
        description="of the films' encoder; quick takes half its time, where cores are few beside a graphics card, and "
        "costs half a decibel (one inside the person's box) for the same bytes",
    )
    mask: bool = True
    depth: bool = False
    shadows: bool = True

    @field_validator("views", mode="before")
    @classmethod
    def _named_views(cls, value: Any) -> Any:
        if not isinstance(value, list | tuple):
            return value
        resolved = []
        for item in value:
            named = item if isinstance(item, str) else item.get("like") if isinstance(item, dict) else None
            if named is None:
                resolved.append(item)
            elif named in STANDARD_VIEWS:
                changes = {} if isinstance(item, str) else {key: item[key] for key in item if key != "like"}
                resolved.append(STANDARD_VIEWS[named].model_dump() | changes)
            else:
                raise ValueError(
                    f"there is no view {named!r}; the standard views are {', '.join(STANDARD_VIEWS)}, others are "
                    "written as a mapping with name, kind, azimuth_deg, ... or with what differs (like: side, ...)"
                )
        return resolved

    @model_validator(mode="after")
    def _views_differ(self) -> Pictures:
        names = [view.name for view in self.views]
        twice = {name for name in names if names.count(name) > 1}
        if twice:
            raise ValueError(f"views: {', '.join(sorted(twice))} appears twice; give every view its own name")
        if not names:
            raise ValueError("views is empty; name at least one, for instance [side]")
        for fault in filter(None, (view.lens_fault(self.image_size) for view in self.views)):
            raise ValueError(f"views: {fault}")
        width, height = self.image_size
        if self.rgb == "video" and self.chroma == "half" and (width % 2 or height % 2):
            raise ValueError(f"image_size {width}x{height}: video needs even numbers, or chroma: full")
        return self


class QualityLimits(Frozen):
    """What a gait must reach to be accepted; see farm/gait/quality.py for each rule's source."""

    min_duration_s: float = Field(8.0, gt=0.0)
    min_strides: int = Field(4, ge=1)
    speed_m_s: _range(0.1, 3.0) = (0.25, 2.2)  # type: ignore[valid-type]


MAX_SAMPLES = 100_000_000
"""Samples of the largest campaign; whoever reads a dataset takes it at its word up to here."""


class Campaign(Frozen):
    """The whole order: who, how many, by which engine, how filmed, how judged.

    `seed` and a sample's number determine everything about that sample.
    """

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,63}$")
    description: str = ""
    license: str = "CC-BY-4.0"
    seed: int = Field(1, ge=0, lt=2**63)
    samples: int = Field(ge=1, le=MAX_SAMPLES)
    gaits_per_shard: int = Field(8, ge=1, le=4096)
    body_model: BodyModel = Field("planar", description="sagittal plane, or three dimensions")
    engine: Engine = Field("opensim", description="what integrates the walks; see `simulation.recheck_fraction`")
    population: Population = Population()
    conditions: tuple[ConditionShare, ...] = Field((ConditionShare(condition="healthy"),), min_length=1)
    target_speed_m_s: _range(0.3, 2.2) = (0.8, 1.6)  # type: ignore[valid-type]
    sampling: Literal["independent", "stratified"] = Field(
        "independent",
        description="how people are drawn: each for itself, or evenly over condition, severity, speed, side, sex, "
        "stature, body mass index and age",
    )
    controllers: Literal["nearest", "proposed"] = Field(
        "nearest",
        description="whose reflex gains people walk with: the archive's nearest walkers', or those that the proposal "
        "model thinks they walk with",
    )
    simulation: Simulation = Simulation()
    pictures: Pictures = Pictures()
    scene: SceneVariation = SceneVariation()
    quality: QualityLimits = QualityLimits()

    @property
    def scene_seed(self) -> int:
        """Of all that is drawn for the pictures."""
        return self.seed if self.scene.seed is None else self.scene.seed

    @model_validator(mode="after")
    def _possible(self) -> Campaign:
        if self.quality.min_duration_s > self.simulation.duration_s:
            raise ValueError(
                f"quality.min_duration_s ({self.quality.min_duration_s}) exceeds simulation.duration_s "
                f"({self.simulation.duration_s}): no gait could be accepted; lower the one or raise the other"
            )
        return self


def campaign_from_mapping(data: object, *, source: str) -> Campaign:
    """Validate a campaign that was read from `source` (a file name, for the messages).

    Raises:
        CampaignError: With one line for each fault: field, value, what is allowed.
    """
    if not isinstance(data, dict):
        raise CampaignError(
            f"{source}: a campaign is a YAML mapping (name: ..., samples: ...), got {type(data).__name__}"
        )
    try:
        return Campaign.model_validate(data)
    except ValidationError as error:
        told = [fault for fault in error.errors() if not _follows(fault, error.errors())]
        raise CampaignError("\n".join(f"{source}: {_explain(fault)}" for fault in told)) from None


def load_campaign(name_or_path: str, *, samples: int | None = None, seed: int | None = None) -> Campaign:
    """A shipped campaign by name, or one from a YAML file; `samples` and `seed` override.

    Raises:
        CampaignError: No such campaign or file, not YAML, or not valid.
    """
    data, source = read_campaign(name_or_path)
    data |= {key: value for key, value in (("samples", samples), ("seed", seed)) if value is not None}
    return campaign_from_mapping(data, source=source)


def read_campaign(name_or_path: str) -> tuple[dict[str, Any], str]:
    """The mapping of a shipped campaign or of a YAML file, not validated yet, and what messages call its source.

    Raises:
        CampaignError: No such campaign or file, not YAML, or no mapping.
    """
    text, source = _read(name_or_path)
    data = parse(text, source=source)
    if not isinstance(data, dict):
        raise CampaignError(
            f"{source}: a campaign is a YAML mapping (name: ..., samples: ...), got {type(data).__name__}"
        )
    return data, source


def _read(name_or_path: str) -> tuple[str, str]:
    if name_or_path in SHIPPED_CAMPAIGNS:
        return (resources.files("farm") / "campaigns" / f"{name_or_path}.yaml").read_text("utf-8"), name_or_path
    path = Path(name_or_path)
    if not path.is_file():
        guess = difflib.get_close_matches(name_or_path, SHIPPED_CAMPAIGNS, n=1)
        hint = f"did you mean {guess[0]!r}? " if guess else ""
        raise CampaignError(
            f"there is no campaign {name_or_path!r}: {hint}give a YAML file or one of {', '.join(SHIPPED_CAMPAIGNS)}"
        )
    return read_text(path), str(path)


_MENDS = {
    "too_short": "at least 1 item is wanted",
    "tuple_type": "a list is wanted, such as [from, to] for a range or [side] for views",
    "model_type": "a mapping is wanted (key: value, a line each)",
    "model_attributes_type": "a mapping is wanted (key: value, a line each)",
}
"""Pydantic's kinds of fault whose own words speak of Python -> what to write."""


def _explain(fault: Any) -> str:
    """One pydantic fault as a line that a stranger can act on."""
    where = ".".join(str(part) for part in fault["loc"]) or "campaign"
    if fault["type"] == "extra_forbidden":
        known = _fields_at(fault["loc"][:-1])
        close = difflib.get_close_matches(str(fault["loc"][-1]), known, n=1)
        hint = f"did you mean {close[0]!r}?" if close else f"known keys: {', '.join(known)}"
        return f"unknown key {where!r}; {hint}"
    if fault["type"] == "invalid_key":
        return f"unknown key {where!r}; known keys: {', '.join(_fields_at(fault['loc'][:-1]))}"
    if fault["type"] in ("missing", "too_long") and _is_range(fault["loc"]):
        inner = ".".join(str(part) for part in fault["loc"][:-1]) if fault["type"] == "missing" else where
        return f"{inner}: two numbers are wanted, [from, to]"
    if fault["type"] == "missing":
        return f"{where} is missing; add it to the file"
    message = _MENDS.get(fault["type"]) or fault["msg"].removeprefix("Value error, ")
    value = fault.get("input")
    shown = "" if isinstance(value, dict) else f" (got {value!r})"
    return f"{where}: {message[:1].lower()}{message[1:]}{shown}"


def _follows(fault: Any, faults: Sequence[Any]) -> bool:
    """Whether a list counts as too short only because its items are faulty, of which other lines tell."""
    loc = fault["loc"]
    inside = (other["loc"] for other in faults if len(other["loc"]) > len(loc))
    return fault["type"] == "too_short" and any(other[: len(loc)] == loc for other in inside)


def _is_range(loc: tuple[int | str, ...]) -> bool:
    return isinstance(loc[-1], int) or str(loc[-1]).endswith(("_m", "_s", "_years", "_index", "_noise", "severity"))


def _fields_at(loc: tuple[int | str, ...]) -> list[str]:
    """Field names of the model that a pydantic location points into."""
    model: Any = Campaign
    nested = {
        "population": Population, "conditions": ConditionShare, "simulation": Simulation,
        "pictures": Pictures, "views": View, "quality": QualityLimits,
        "scene": SceneVariation, "people": PeopleVariation, "aids": AidsVariation,
        "ankle_orthosis": AidShare, "place": PlaceVariation,
        "light": LightVariation, "cameras": CameraVariation,
    }  # fmt: skip
    for part in loc:
        model = nested.get(str(part), model)
    return list(model.model_fields)
