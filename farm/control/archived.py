"""One row of the archive: a person, a condition, the gains that let them walk, and how they walked."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import TypeAdapter, ValidationError

from farm.control.reflex import GAIN_NAMES_3D, gain_names
from farm.errors import FormatError
from farm.records import BodyModel, GaitParameters, Side
from farm.sampling.conditions import CONDITIONS
from farm.sampling.impaired import impaired
from farm.sampling.person import Person, own_body

Cell = str | int | float | None

DESCRIPTORS = (
    "gait_speed", "cadence", "step_length", "step_width", "step_length_asymmetry", "step_time_asymmetry",
    "stride_time_cv", "double_support_fraction", "foot_clearance_min", "peak_knee_flexion_r", "peak_knee_flexion_l",
    "hip_range_r", "hip_range_l", "ankle_range_r", "ankle_range_l", "cost_of_transport",
)  # fmt: skip
"""Labels of the OpenSim walk that a row keeps, named as in `farm.gait.columns`; null where there is none."""

_WORDS = ("name", "body_model", "condition", "side", "source", "model_sha256")
_WHOLE = ("seed", "sample_id")
_NUMBERS = ("severity", "leg_length_m", "target_speed_m_s", "duration_s", "cost", "robustness")
_GAINS = tuple(f"{name}_{leg}" for leg in "rl" for name in GAIN_NAMES_3D)

COLUMNS: Mapping[str, str] = MappingProxyType(
    dict.fromkeys(_WORDS, "VARCHAR")
    | dict.fromkeys(_WHOLE, "BIGINT")
    | dict.fromkeys(_NUMBERS, "DOUBLE")
    | {name: "VARCHAR" if name == "sex" else "DOUBLE" for name in Person.model_fields}
    | dict.fromkeys(DESCRIPTORS, "DOUBLE")
    | dict.fromkeys(_GAINS, "DOUBLE")
)
"""Column of the archive's file -> its SQL type."""

_NO_PART_OF_IT = ("name", "source", "model_sha256", "cost", "robustness", "duration_s", "leg_length_m")
"""Columns that say how a walker was found and what came of it, not who walks."""

_SIDE: TypeAdapter[Side] = TypeAdapter(Side)
_BODY_MODEL: TypeAdapter[BodyModel] = TypeAdapter(BodyModel)


@dataclass(frozen=True)
class ArchivedController:
    """Gains that walked.

    Attributes:
        name: Unique in an archive.
        side: Side affected: "none", "right" or "both" (also "left" before an archive takes it in).
        person: Who walked, as they are without the condition.
        seed, sample_id: Of the motor noise that they walked with.
        leg_length_m: Of this person.
        target_speed_m_s: Speed that was asked of them; their walk starts at a speed in proportion.
        gains: `[2, G]` normalised, right and left, for this person's size.
        descriptors: How they walked in OpenSim: those of `DESCRIPTORS` that are defined.
        duration_s: How long they walked in OpenSim.
        cost: What the search had reached.
        robustness: Share of people like this one who walk on the twin with these gains (`workers.search.robustness`).
        source: Which search found them.
        model_sha256: The physics that they walked under (`workers.simulate.identity`).
    """

    name: str
    body_model: BodyModel
    condition: str
    severity: float
    side: Side
    person: Person
    seed: int
    sample_id: int
    leg_length_m: float
    target_speed_m_s: float
    gains: NDArray[np.float64]
    descriptors: Mapping[str, float]
    duration_s: float
    cost: float
    robustness: float
    source: str
    model_sha256: str

    @property
    def speed_m_s(self) -> float:
        """Speed at which they walked."""
        return self.descriptors["gait_speed"]

    @property
    def explored(self) -> bool:
        """Whether a map of walks holds it (`method: explore`), whatever walk that is."""
        return self.source.startswith("explore ")

    def mirrored(self) -> NDArray[np.float64]:
        """Gains with right and left exchanged."""
        return self.gains[::-1].copy()

    def parameters(self) -> GaitParameters:
        """This very walker again."""
        healthy = own_body(self.person, self.body_model, self.sample_id)
        return replace(
            impaired(healthy, self.condition, self.severity, self.side),
            target_speed_m_s=self.target_speed_m_s,
            controller=self.name,
            reflex_gain_names=gain_names(self.body_model),
            reflex_gains=self.gains,
        )

    def digest(self) -> str:
        """What makes this walker another than the next: body, condition, speed asked for, gains, noise."""
        cells = self.cells()
        for name in (*_NO_PART_OF_IT, *DESCRIPTORS):
            del cells[name]
        return hashlib.sha256(json.dumps(cells, sort_keys=True).encode()).hexdigest()

    def cells(self) -> dict[str, Cell]:
        """The row as plain values, one for each of `COLUMNS`."""
        cells: dict[str, Cell] = {name: getattr(self, name) for name in (*_WORDS, *_WHOLE, *_NUMBERS)}
        cells |= self.person.model_dump()
        cells |= {name: self.descriptors.get(name) for name in DESCRIPTORS}
        own = {
            f"{name}_{leg}": float(value)
            for leg, values in zip("rl", self.gains, strict=True)
            for name, value in zip(gain_names(self.body_model), values, strict=True)
        }
        return cells | {name: own.get(name) for name in _GAINS}

    @classmethod
    def from_cells(cls, cells: Mapping[str, Any]) -> ArchivedController:
        """The row that `cells` made.

        Raises:
            FormatError: A value that no row can have, named.
        """
        name = cells["name"]
        try:
            body_model = _BODY_MODEL.validate_python(cells["body_model"])
            side = _SIDE.validate_python(cells["side"])
            person = Person.model_validate({field: cells[field] for field in Person.model_fields})
        except ValidationError as error:
            fault = error.errors()[0]
            where = ".".join(map(str, fault["loc"])) or "a value"
            raise FormatError(f"walker {name!r}: {where}: {fault['msg']} (got {fault['input']!r})") from None
        gains = [[cells[f"{gain}_{leg}"] for gain in gain_names(body_model)] for leg in "rl"]
        empty = [column for column in (*_WORDS, *_WHOLE, *_NUMBERS, "gait_speed") if cells[column] is None]
        if empty or any(value is None for leg in gains for value in leg):
            raise FormatError(f"walker {name!r}: {', '.join(empty) or 'a gain'} is empty; all must be known")
        numbers = [*(value for leg in gains for value in leg), *(cells[column] for column in _NUMBERS)]
        if not (all(map(math.isfinite, numbers)) and 0.0 <= cells["severity"] <= 1.0 >= cells["robustness"] >= 0.0):
            raise FormatError(f"walker {name!r}: a gain or another number is out of range")
        if cells["condition"] not in CONDITIONS:
            raise FormatError(f"walker {name!r}: this gaitfarm knows no condition {cells['condition']!r}")
        return cls(
            body_model=body_model,
            side=side,
            person=person,
            gains=np.array(gains, dtype=float),
            descriptors={key: cells[key] for key in DESCRIPTORS if cells[key] is not None},
            **{
                column: cells[column]
                for column in (*_WORDS, *_WHOLE, *_NUMBERS)
                if column not in ("body_model", "side")
            },
        )
