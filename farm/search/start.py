"""Where a search begins: gains by name, of a file, of another search, or of the archive."""

from __future__ import annotations

import difflib
import json
from collections.abc import Container, Mapping
from pathlib import Path

import numpy as np

from farm.control.archive import archive
from farm.control.reflex import gain_names
from farm.control.similarity import rescale_gains
from farm.errors import CampaignError
from farm.sampling.anatomy import GENERIC_HIP_HEIGHT_M
from farm.search.candidates import Array
from farm.search.job import Job


def best_file(folder: Path, name: str) -> Path:
    """Where a search leaves its best gains."""
    return folder / f"{name}.best.json"


def best_gains(job: Job, gains: Array) -> bytes:
    """What that file holds: gains by name, normalised, for the generic leg's length."""
    return json.dumps({"gain_names": gain_names(job.body_model), "gains": gains.tolist()}, indent=1).encode()


def starts_at(job: Job, names: Container[str]) -> str | None:
    """The search of the same file whose best gains this one begins with, if it does."""
    return job.start if isinstance(job.start, str) and job.start in names else None


def start_gains(name: str, job: Job, folder: Path) -> Array:
    """The gains `[D]` that a search starts from: `[G]`, or `[2 G]` where each leg has its own.

    `start` is looked up as another search's best in `folder`, then as a file (with `gain_names` and `gains`, as a
    search leaves it), then as a controller of the archive.

    Args:
        name: Of the search, for messages.

    Raises:
        CampaignError: There is no such start, or it lacks a gain.
    """
    legs = [job.start] if isinstance(job.start, dict) else _looked_up(name, job, job.start, folder)
    wanted = gain_names(job.body_model)
    legs = [dict(job.also) | dict(leg) for leg in legs]
    for leg in legs:
        lacking = [gain for gain in wanted if gain not in leg]
        if lacking:
            raise CampaignError(f"{name}: start lacks the gains {', '.join(lacking)}; give them under `also`")
        odd = [gain for gain in leg if gain not in wanted]
        if odd:
            raise CampaignError(f"{name}: {job.body_model} has no gains {', '.join(odd)}; it has {', '.join(wanted)}")
    table = np.array([[float(leg[gain]) for gain in wanted] for leg in legs])
    if not np.all(np.isfinite(table)):
        raise CampaignError(f"{name}: a gain of the start is not a finite number")
    if job.asymmetric:
        return np.asarray(table if len(table) == 2 else np.repeat(table, 2, axis=0)).ravel()
    if len(table) == 2 and not np.array_equal(table[0], table[1]):
        raise CampaignError(f"{name}: the legs of its start differ; write `asymmetric: true`")
    return np.asarray(table[0])


def _looked_up(name: str, job: Job, start: str, folder: Path) -> list[Mapping[str, float]]:
    for path in (best_file(folder, start), Path(start)):
        if path.is_file():
            return _of_file(path)
    rows = {row.name: row for row in archive(job.body_model)}
    if start in rows:
        row = rows[start]
        generic = rescale_gains(row.gains, leg_length_ratio=GENERIC_HIP_HEIGHT_M / row.leg_length_m)
        return [dict(zip(gain_names(job.body_model), leg, strict=True)) for leg in generic.tolist()]
    close = difflib.get_close_matches(start, rows, n=1)
    hint = f"did you mean {close[0]!r}? " if close else ""
    raise CampaignError(
        f"{name}: there is no start {start!r}; {hint}name a search that has run in {folder}, a JSON file with "
        f"gain_names and gains, or a controller of the archive ({body_archive(job)})"
    )


def body_archive(job: Job) -> str:
    """A few of the archive's names for this body."""
    names = [row.name for row in archive(job.body_model)]
    return ", ".join(names[:6]) + (", ..." if len(names) > 6 else "")


def _of_file(path: Path) -> list[Mapping[str, float]]:
    try:
        found = json.loads(path.read_text("utf-8"))
        names = found["gain_names"]
        legs = np.array(found["gains"], dtype=float).reshape(-1, len(names))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise CampaignError(
            f"{path}: cannot start a search ({type(error).__name__}: {str(error)[:100]}); it must hold gain_names and "
            "gains (one number for each name, or twice as many: right leg, left leg)"
        ) from None
    return [dict(zip(names, leg, strict=True)) for leg in legs.tolist()]
