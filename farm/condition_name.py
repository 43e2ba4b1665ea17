"""The name of a condition in a campaign: one of those there are."""

from __future__ import annotations

import difflib
from typing import Annotated

from pydantic import AfterValidator

from farm.sampling.conditions import CONDITIONS


def _known(value: str) -> str:
    if value not in CONDITIONS:
        close = difflib.get_close_matches(value, CONDITIONS, n=1)
        hint = f"did you mean {close[0]!r}? " if close else ""
        raise ValueError(f"there is no such condition; {hint}known: {', '.join(CONDITIONS)}")
    return value


ConditionName = Annotated[str, AfterValidator(_known)]
