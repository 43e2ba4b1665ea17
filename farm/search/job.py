"""A search as its user writes it: YAML, validated before anything walks."""

from __future__ import annotations

import difflib
import math
from collections.abc import Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, TypeAdapter, ValidationError, field_validator, model_validator

from farm.campaign_file import parse, read_text
from farm.config import Population
from farm.errors import CampaignError
from farm.frozen import Frozen
from farm.ranges import closed_range
from farm.records import BodyModel, Side
from farm.sampling.conditions import CONDITIONS
from farm.sampling.person import NUMBERS_OF_A_PERSON, Person

SHIPPED_JOBS = ("first_walker", "severity", "speed", "explore", "spread", "walk_3d")
"""Job files that come with the package, by name."""

JOB_NAME = r"^[a-z0-9][a-z0-9_]{0,63}$"

MAX_CELLS = 1_000_000

Measure = Literal["speed", "step_length", "step_time_asymmetry", "crouch", "effort"]
"""`farm.search.candidates.MEASURES`, as a type."""

Gains = Annotated[dict[str, float], Field(min_length=1)]


class Aims(Frozen):
    """How much each wish weighs in the cost; see docs/search.md for the terms and their sources."""

    duration_s: float = Field(10.0, ge=4.0, le=60.0, description="length of a walk of the search")
    speed_weight: float = Field(30.0, ge=0.0)
    effort_weight: float = Field(30.0, ge=0.0)
    norm_weight: float = Field(0.5, ge=0.0, description="0 for pathological gaits: nothing pulls them to the norm")
    haste_weight: float = Field(3.0, ge=0.0, description="of throwing the legs forward; in three dimensions")
    speed_tolerance_m_s: float = Field(0.15, gt=0.0, description="who misses the speed by more has not walked")


class _Job(Frozen):
    """What all searches have in common: who walks, with what condition, and where gains come from."""

    body_model: BodyModel = "planar"
    condition: str = "healthy"
    severity: float = Field(0.0, ge=0.0, le=1.0)
    side: Side = "none"
    speed_m_s: float = Field(1.2, ge=0.2, le=2.5, description="asked of the generic stature; others by Froude number")
    people: tuple[Person, ...] = Field((Person(),), min_length=1, max_length=16)
    start: str | Gains = Field(description="an archived controller, another search of the file, a JSON file, or gains")
    also: dict[str, float] = Field({}, description="gains that `start` lacks")
    asymmetric: bool = Field(False, description="search each leg's own gains")
    population: int = Field(16, ge=4, le=1000)
    sigma: float = Field(0.08, gt=0.0, le=2.0, description="standard deviation of the first generation's gains")
    seed: int = Field(1, ge=0, lt=2**63)
    aim: Aims = Aims()

    @field_validator("condition")
    @classmethod
    def _known_condition(cls, value: str) -> str:
        if value not in CONDITIONS:
            close = difflib.get_close_matches(value, CONDITIONS, n=1)
            hint = f"did you mean {close[0]!r}? " if close else ""
            raise ValueError(f"there is no such condition; {hint}known: {', '.join(CONDITIONS)}")
        return value

    @model_validator(mode="after")
    def _possible_side(self) -> _Job:
        possible = CONDITIONS[self.condition].sides
        if self.side not in possible:
            raise ValueError(f"{self.condition} cannot affect side {self.side!r}; possible: {', '.join(possible)}")
        if not CONDITIONS[self.condition].shows_in(self.body_model):
            raise ValueError(f"{self.condition} changes nothing in the {self.body_model} body; write `body_model: 3d`")
        if self.side == "left":
            raise ValueError("side 'left' is searched as 'right', of which it is the mirror image; write right")
        if self.side == "none" and self.severity:
            raise ValueError(f"severity is {self.severity:g}, but {self.condition} affects no side")
        return self


class Over(Frozen):
    """What else varies from one drawn person to the next."""

    severity: closed_range(0.0, 1.0) = (0.1, 1.0)  # type: ignore[valid-type]
    speed_m_s: closed_range(0.2, 2.5) = (0.6, 1.5)  # type: ignore[valid-type]


class CmaesJob(_Job):
    """CMA-ES for a first walker of a body."""

    method: Literal["cmaes"]
    generations: int = Field(160, ge=1, le=100_000)

    @model_validator(mode="after")
    def _is_ill(self) -> CmaesJob:
        if self.side != "none" and not self.severity:
            raise ValueError(f"{self.condition} of severity 0 is health; give a severity above 0")
        return self


class AnnealJob(_Job):
    """CMA-ES with warm starts along a way: severity, speed, anatomy."""

    method: Literal["anneal"]
    along: dict[str, tuple[float, float]] = Field(
        min_length=1, description="`severity`, `speed_m_s` or a number of a person -> [at the beginning, at the end]"
    )
    step: float = Field(0.1, gt=0.0, le=1.0, description="first step, as a share of the way")
    least_step: float = Field(0.01, gt=0.0, le=1.0, description="a way whose steps must be smaller ends here")
    generations: int = Field(60, ge=1, le=100_000, description="of one step, at most")
    polish: int = Field(10, ge=0, description="generations that improve a step's walker")

    @model_validator(mode="after")
    def _possible_way(self) -> AnnealJob:
        known = ("severity", "speed_m_s", *NUMBERS_OF_A_PERSON)
        for name, ends in self.along.items():
            if name not in known:
                close = difflib.get_close_matches(name, known, n=1)
                hint = f"did you mean {close[0]!r}? " if close else ""
                raise ValueError(f"along: there is no {name!r} to go along; {hint}known: {', '.join(known)}")
            model: type[Frozen] = Person if name in NUMBERS_OF_A_PERSON else _Job
            for value in ends:
                try:
                    TypeAdapter(Annotated[float, model.model_fields[name]]).validate_python(value)
                except ValidationError as error:
                    fault = error.errors()[0]["msg"]
                    raise ValueError(f"along.{name}: {fault[:1].lower()}{fault[1:]} (got {value!r})") from None
        if "severity" in self.along and self.side == "none":
            raise ValueError(f"along.severity: side is 'none', so that {self.condition} affects nothing; name a side")
        if self.side != "none" and not min(self.along.get("severity", (self.severity,))):
            raise ValueError(f"{self.condition} of severity 0 is health; begin above it")
        return self


class Axis(Frozen):
    """One measure of a walk as an axis of the map: its range, and into how many cells it is cut."""

    range: closed_range(-10.0, 10.0)  # type: ignore[valid-type]
    cells: int = Field(ge=1, le=1000)

    @field_validator("range")
    @classmethod
    def _not_empty(cls, value: tuple[float, float]) -> tuple[float, float]:
        if value[0] == value[1]:
            raise ValueError("both ends are the same; a range needs some width")
        return value


class ExploreJob(_Job):
    """Quality diversity: a cheap walker for each cell of a map of measures."""

    method: Literal["explore"]
    map: dict[Measure, Axis] = Field(min_length=1, max_length=4, description="measure -> range and cells")
    rounds: int = Field(20, ge=1, le=100_000, description="how often evolutions set out from walkers of the map")
    generations: int = Field(12, ge=1, le=100_000, description="of a round")
    evolutions: int = Field(4, ge=1, le=1000, description="side by side, each with `population` candidates")

    @model_validator(mode="after")
    def _can_be_explored(self) -> ExploreJob:
        if self.side != "none" and not self.severity:
            raise ValueError(f"{self.condition} of severity 0 is health; give a severity above 0")
        cells = math.prod(axis.cells for axis in self.map.values())
        if cells > MAX_CELLS:
            raise ValueError(f"map: {cells} cells are more than {MAX_CELLS}; cut it into fewer")
        return self


class SpreadJob(_Job):
    """From those who walk to a population like them, a person at a time."""

    method: Literal["spread"]
    start: str | Gains = Field("archive", description="`archive`, the shipped one, or a Parquet file that is one")
    targets: int = Field(100, ge=1, le=1_000_000, description="people who are tried")
    companions: int = Field(1, ge=0, le=15, description="others like each of them who must walk with the same gains")
    who: Population = Population()
    over: Over = Over()
    generations: int = Field(6, ge=1, le=100_000, description="of the search for one of them, at most")
    polish: int = Field(1, ge=0, description="generations that improve somebody who walks")

    @model_validator(mode="after")
    def _can_spread(self) -> SpreadJob:
        if not isinstance(self.start, str) or self.also:
            raise ValueError("start: a job that spreads learns from an archive; write `archive` or a Parquet file")
        if self.people != (Person(),):
            raise ValueError("people: a job that spreads draws them itself; say from whom under `who`")
        return self


Job = CmaesJob | AnnealJob | ExploreJob | SpreadJob
_JOB: TypeAdapter[Job] = TypeAdapter(Annotated[Job, Field(discriminator="method")])
_MODELS: Mapping[str, type[_Job]] = {"cmaes": CmaesJob, "anneal": AnnealJob, "explore": ExploreJob, "spread": SpreadJob}
_NESTED: Mapping[str, type[Frozen]] = {"people": Person, "aim": Aims, "who": Population, "over": Over}


def load_jobs(name_or_path: str) -> dict[str, Job]:
    """The searches of a file, in its order: `searches:` by name, each laid over what `defaults:` says.

    Args:
        name_or_path: A YAML file, or the name of a shipped one.

    Raises:
        CampaignError: No such file, not YAML, or a search that is not valid: every fault, a line each.
    """
    text, source = _read(name_or_path)
    data = parse(text, source=source)
    shape = f"{source}: a job file is a YAML mapping with `searches:` (name -> search) and, if wanted, `defaults:`"
    if not isinstance(data, dict) or not isinstance(data.get("searches"), dict) or not data["searches"]:
        raise CampaignError(f"{shape}; `searches` is missing or empty")
    odd = [str(key) for key in data if key not in ("searches", "defaults")]
    if odd or not isinstance(data.get("defaults", {}), dict):
        raise CampaignError(f"{shape}; got {', '.join(odd) or 'defaults that are no mapping'}")
    jobs: dict[str, Job] = {}
    faults: list[str] = []
    for name, own in data["searches"].items():
        try:
            jobs[_checked_name(name)] = job_from_mapping(
                data.get("defaults", {}) | own if isinstance(own, dict) else own, source=f"{source}: {name}"
            )
        except CampaignError as error:
            faults.append(str(error))
    if faults:
        raise CampaignError("\n".join(faults))
    return jobs


def chosen_jobs(name_or_path: str, only: Sequence[str] | None) -> dict[str, Job]:
    """Some of a file's searches; all if `only` is None. One whose start is left out must find it from an earlier run.

    Raises:
        CampaignError: See `load_jobs`; or the file has no search of that name.
    """
    jobs = load_jobs(name_or_path)
    odd = [name for name in only or () if name not in jobs]
    if odd:
        raise CampaignError(f"{name_or_path} has no search {', '.join(odd)}; it has {', '.join(jobs)}")
    return {name: job for name, job in jobs.items() if only is None or name in only}


def job_from_mapping(data: object, *, source: str) -> Job:
    """One search from plain values.

    Raises:
        CampaignError: Every fault, a line each.
    """
    if not isinstance(data, dict):
        raise CampaignError(f"{source}: a search is a mapping (method: ..., start: ...), got {type(data).__name__}")
    if data.get("method") not in _MODELS:
        raise CampaignError(f"{source}: method must be one of {', '.join(_MODELS)}; got {data.get('method')!r}")
    try:
        return _JOB.validate_python(data)
    except ValidationError as error:
        raise CampaignError("\n".join(f"{source}: {_explain(fault)}" for fault in error.errors())) from None


def job_from_json(text: str) -> Job:
    """The job that `model_dump_json` wrote."""
    return _JOB.validate_json(text)


def _explain(fault: Any) -> str:
    """One pydantic fault as a line that a stranger can act on."""
    method, *loc = fault["loc"]
    where = ".".join(str(part) for part in loc) or "the search"
    if fault["type"] == "extra_forbidden":
        model: type[Frozen] = _MODELS[str(method)]
        for part in loc[:-1]:
            model = _NESTED.get(str(part), model)
        close = difflib.get_close_matches(str(loc[-1]), model.model_fields, n=1)
        hint = f"did you mean {close[0]!r}?" if close else f"known keys: {', '.join(model.model_fields)}"
        return f"unknown key {where!r}; {hint}"
    if fault["type"] == "missing":
        return f"{where} is missing; add it to the file"
    message = fault["msg"].removeprefix("Value error, ")
    value = fault.get("input")
    shown = "" if isinstance(value, dict) else f" (got {value!r})"
    return f"{where}: {message[:1].lower()}{message[1:]}{shown}"


def _checked_name(name: object) -> str:
    try:
        return TypeAdapter(Annotated[str, Field(pattern=JOB_NAME)]).validate_python(name)
    except ValidationError:
        raise CampaignError(
            f"a search's name is made of a-z, 0-9 and _ (it becomes file names), got {name!r}"
        ) from None


def _read(name_or_path: str) -> tuple[str, str]:
    if name_or_path in SHIPPED_JOBS:
        return (resources.files("farm.search") / "jobs" / f"{name_or_path}.yaml").read_text("utf-8"), name_or_path
    path = Path(name_or_path)
    if not path.is_file():
        guess = difflib.get_close_matches(name_or_path, SHIPPED_JOBS, n=1)
        hint = f"did you mean {guess[0]!r}? " if guess else ""
        raise CampaignError(
            f"there is no job file {name_or_path!r}: {hint}give a YAML file or one of {', '.join(SHIPPED_JOBS)}"
        )
    return read_text(path), str(path)
