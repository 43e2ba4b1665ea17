"""Closed ranges in a campaign: [from, to], both ends within bounds, the smaller number first."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import AfterValidator, Field


def closed_range(low: float, high: float) -> Any:
    """The type of a [from, to] range whose ends are within [low, high]."""
    bound = Annotated[float, Field(ge=low, le=high)]
    return Annotated[tuple[bound, bound], AfterValidator(_ascending)]


def closed_count(low: int, high: int) -> Any:
    """The type of a [from, to] range of whole numbers within [low, high]."""
    bound = Annotated[int, Field(ge=low, le=high)]
    return Annotated[tuple[bound, bound], AfterValidator(_ascending)]


def _ascending(pair: tuple[float, float]) -> tuple[float, float]:
    low, high = pair
    if low > high:
        raise ValueError(f"the range is reversed: [{low}, {high}]; write the smaller number first, [{high}, {low}]")
    return pair
