"""What a search came to."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

from workers.search.run import SearchRun, Stage


@dataclass(frozen=True)
class SearchResult:
    """One search.

    Attributes:
        stage: Of `workers.search.run.Stage`, in words.
        fault: Why it found nothing or was given up; empty if neither.
        covered: How much of its way, or of its map, it found walkers for.
        walked_last: Share of the last generation that walked on the twin.
        finalists: Put forward to OpenSim.
        walkers: Finalists times people that walked in OpenSim.
        turned_down: Those that did not.
        speed_m_s: Slowest and fastest walker in OpenSim; None without one.
    """

    name: str
    stage: str
    fault: str
    covered: float
    generations: int
    best_cost: float | None
    walked_last: float
    finalists: int
    walkers: int
    turned_down: int
    speed_m_s: tuple[float, float] | None

    @classmethod
    def of(cls, run: SearchRun) -> SearchResult:
        """As it stands."""
        diary = run.diary
        speeds = [walker.speed_m_s for walker in diary.walkers()]
        return cls(
            name=run.name,
            stage=run.stage.value,
            fault=run.fault,
            covered=diary.covered[-1] if diary.covered else 0.0,
            generations=len(diary.best_cost),
            best_cost=min(diary.best_cost) if diary.best_cost else None,
            walked_last=diary.walked[-1] if diary.walked else 0.0,
            finalists=len(diary.finalists),
            walkers=len(speeds),
            turned_down=len(diary.turned_down()),
            speed_m_s=(min(speeds), max(speeds)) if speeds else None,
        )


@dataclass(frozen=True)
class SearchSummary:
    """All searches of a file.

    Attributes:
        trials: On the twin, by this process.
        clean: Every search ended with a walker.
    """

    out: str
    searches: tuple[SearchResult, ...]
    trials: int
    wall_s: float
    interrupted: bool
    clean: bool

    @classmethod
    def of(cls, runs: Sequence[SearchRun], out: Path, *, wall_s: float, interrupted: bool) -> SearchSummary:
        """As they stand."""
        return cls(
            out=str(out),
            searches=tuple(SearchResult.of(run) for run in runs),
            trials=sum(run.trials for run in runs),
            wall_s=round(wall_s, 1),
            interrupted=interrupted,
            clean=all(run.stage is Stage.DONE and not run.fault for run in runs),
        )

    def to_json(self) -> str:
        """For machines."""
        return json.dumps(asdict(self), indent=1)

    def show(self, console: Console) -> None:
        """For people."""
        table = Table(box=None, pad_edge=False, header_style="bold")
        for column in ("search", "stage", "covered", "asked", "best cost", "walkers", "turned down", "m/s"):
            words = column in ("search", "stage")
            table.add_column(column, justify="left" if words else "right", no_wrap=column in ("search", "m/s"))
        for one in self.searches:
            speeds = f"{one.speed_m_s[0]:.2f} to {one.speed_m_s[1]:.2f}" if one.speed_m_s else ""
            cost = f"{one.best_cost:.1f}" if one.best_cost is not None else ""
            table.add_row(
                one.name, one.fault or one.stage, f"{one.covered:.0%}", str(one.generations),
                cost, str(one.walkers), str(one.turned_down), speeds,
            )  # fmt: skip
        console.print(table)
        walkers = sum(one.walkers for one in self.searches)
        console.print(f"{walkers} walkers in {self.out}; {self.trials} trials in {self.wall_s:.0f} s", highlight=False)
        if self.interrupted:
            console.print("interrupted: the same command goes on", style="yellow")
