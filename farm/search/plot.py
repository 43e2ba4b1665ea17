"""Searches drawn: the best cost by generation, how much of each generation walked, and how much was covered."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from farm.search.diary import Diary

PANELS_ACROSS = 3


def plot_searches(diaries: Mapping[str, Diary], path: Path) -> None:
    """One panel a search; nothing is drawn where there is none.

    Args:
        path: A PNG file, replaced.
    """
    if not diaries:
        return
    from matplotlib.figure import Figure
    from matplotlib.ticker import ScalarFormatter

    across = min(PANELS_ACROSS, len(diaries))
    down = -(-len(diaries) // across)
    figure = Figure(figsize=(4.6 * across, 2.9 * down), layout="constrained")
    for place, (name, diary) in enumerate(diaries.items()):
        axes = figure.add_subplot(down, across, place + 1)
        generations = range(1, len(diary.best_cost) + 1)
        axes.plot(generations, diary.best_cost, color="#1f4e79", linewidth=1.2, label="best cost")
        axes.set_yscale("log")
        axes.yaxis.set_major_formatter(ScalarFormatter())
        axes.yaxis.set_minor_formatter(ScalarFormatter())
        axes.set_title(name, fontsize=9)
        axes.set_xlabel("generation", fontsize=8)
        axes.set_ylabel("best cost of a generation", fontsize=8, color="#1f4e79")
        walked = axes.twinx()
        walked.fill_between(generations, diary.walked, color="#e08e36", alpha=0.30, linewidth=0)
        walked.plot(generations, diary.covered, color="#4a8f5a", linewidth=1.0, linestyle="--")
        walked.set_ylim(0.0, 1.02)
        walked.set_ylabel("walked (filled), covered (dashed)", fontsize=7)
        for part in (axes, walked):
            part.tick_params(labelsize=7, which="both")
    part_path = path.with_name(f".{path.name}")
    figure.savefig(part_path, dpi=110, format="png")
    part_path.replace(path)
