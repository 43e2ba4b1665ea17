"""A search on the terminal: a bar that moves where there is a terminal, a line now and then where there is none."""

from __future__ import annotations

import time
from collections.abc import Sequence
from types import TracebackType

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskProgressColumn, TextColumn, TimeElapsedColumn

from farm.search.diary import Verdict
from farm.search.job import SpreadJob
from workers.search.run import SearchRun, Stage

LINE_INTERVAL_S = 30.0
"""How often a log file (no terminal) gets a line."""

TOLD_OF_DRAWN = ("severity", "speed_m_s", "stature_m", "mass_kg")
"""Of a drawn person, of whom there is more to say than a line holds."""


class SearchProgress:
    """Shows how far the searches are. A context manager."""

    def __init__(self, console: Console, runs: Sequence[SearchRun]) -> None:
        self._console = console
        self._runs = runs
        self._began_s = time.monotonic()
        self._last_line_s = 0.0
        # Ray's and rich's rerouting of stdout would meet in one stream: the driver owns it, not the bar.
        self._progress = Progress(
            SpinnerColumn(), TextColumn("[bold]searches"), BarColumn(bar_width=24), TaskProgressColumn(),
            TimeElapsedColumn(), TextColumn("{task.fields[detail]}"),
            console=console, transient=True, redirect_stdout=False, redirect_stderr=False,
            disable=not console.is_terminal,
        )  # fmt: skip
        self._task = self._progress.add_task("searches", total=float(len(runs)), detail="starting")

    def __enter__(self) -> SearchProgress:
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()

    def judged(self, run: SearchRun, verdict: Verdict) -> None:
        """OpenSim judged a finalist."""
        at = run.diary.finalists[verdict.finalist].candidate.at
        told = [key for key in at if not isinstance(run.job, SpreadJob) or key in TOLD_OF_DRAWN]
        where = ", ".join(f"{key} {float(at[key]):.3g}" for key in told)
        who = f"{run.name}{', ' + where if where else ''}, person {verdict.person + 1}"
        if verdict.walker is None:
            self._say(f"{who}: turned down by OpenSim: {verdict.reason}", style="yellow")
        else:
            self._say(f"{who}: walks in OpenSim at {verdict.walker.speed_m_s:.2f} m/s")

    def ended(self, run: SearchRun) -> None:
        """A search ended."""
        found = f"{len(run.diary.walkers())} walkers after {len(run.diary.best_cost)} generations"
        bad = run.stage is Stage.FAILED or not run.diary.walkers()
        self._say(f"{run.name}: {run.stage.value}, {run.fault or found}", style="yellow" if bad else "")

    def update(self, *, waiting: int) -> None:
        """Bring the bar up to date; without a terminal, print a line if one is due."""
        done = sum(run.ended for run in self._runs)
        trials = sum(run.trials for run in self._runs)
        walkers = sum(len(run.diary.walkers()) for run in self._runs)
        rate = trials / max(time.monotonic() - self._began_s, 1e-9)
        detail = f"{done} of {len(self._runs)} done, {walkers} walkers, {trials} trials ({rate:.1f}/s)"
        active = next((run for run in self._runs if run.stage is Stage.SEARCHING), None)
        detail += f"; {active.name}: {active.standing}" if active else f"; {waiting} walks left in OpenSim"
        self._progress.update(self._task, completed=sum(run.share for run in self._runs), detail=escape(detail))
        now = time.monotonic()
        if not self._console.is_terminal and now - self._last_line_s >= LINE_INTERVAL_S:
            self._last_line_s = now
            self._say(detail)

    def _say(self, message: str, *, style: str = "") -> None:
        self._progress.console.print(escape(message), style=style or None, highlight=False, soft_wrap=True)
