"""Colours, and how they are drawn."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

Rgb = tuple[float, float, float]
"""sRGB, 0 to 1."""


def rgb(code: str) -> Rgb:
    """sRGB from six hexadecimal digits."""
    return (int(code[0:2], 16) / 255, int(code[2:4], 16) / 255, int(code[4:6], 16) / 255)


def pick(rng: np.random.Generator, codes: Sequence[str], spread: float = 0.02) -> Rgb:
    """One of some colours (hexadecimal digits), slightly varied."""
    base = np.array(rgb(codes[int(rng.integers(len(codes)))]))
    lighter = rng.normal(0.0, 1.5 * spread)  # brightness varies more than hue
    varied = np.clip(base + lighter + rng.normal(0.0, 0.4 * spread, 3), 0.02, 0.98)
    return (float(varied[0]), float(varied[1]), float(varied[2]))


def choose(rng: np.random.Generator, shares: Mapping[Any, float]) -> Any:
    """One of the keys, with a chance in proportion to its value."""
    names = list(shares)
    weight = np.array([shares[name] for name in names])
    return names[int(rng.choice(len(names), p=weight / weight.sum()))]
