"""Spatiotemporal gait parameters (being written)."""

from __future__ import annotations

from farm.gait.columns import LABEL_COLUMNS

__all__ = ["LABEL_COLUMNS"]
