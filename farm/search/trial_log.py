"""Every trial of a search, a line each: who tried which gains, and whether they walked.

The log only grows. A generation that was on its way when the process died is tried again and stands there twice, with
the same outcome.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from farm.errors import StorageError
from farm.search.candidates import Candidate, Outcome

DIGITS = 6
"""Of a gain; a walk does not hang on more."""


def trial_log(folder: Path, name: str) -> Path:
    """Where a search's trials are."""
    return folder / f"{name}.trials.jsonl"


def note_trials(path: Path, candidates: Sequence[Candidate], outcomes: Sequence[Outcome]) -> None:
    """Add a generation's trials.

    Raises:
        StorageError: The file cannot be written.
    """
    lines = [
        json.dumps({
            "walked": outcome.walked,
            "cost": round(outcome.cost, DIGITS),
            "at": dict(candidate.at),
            "gains": [round(gain, DIGITS) for gain in candidate.gains.tolist()],
        })
        for candidate, outcome in zip(candidates, outcomes, strict=True)
    ]  # fmt: skip
    try:
        with path.open("a", encoding="utf-8") as file:
            file.write("".join(f"{line}\n" for line in lines))
    except OSError as error:
        raise StorageError(f"cannot write {path}: {error.strerror}; free space there, or take another --out") from None
