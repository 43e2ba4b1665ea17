"""The run on the terminal: a bar that moves where there is a terminal, a line now and then where there is none."""

from __future__ import annotations

import time
from collections import Counter
from types import TracebackType

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from workers.staging import Made
from workers.summary import reason_code

LINE_INTERVAL_S = 30.0
"""How often a log file (no terminal) gets a line."""


class RunProgress:
    """Counts what happens and shows it. A context manager; prints nothing once closed."""

    def __init__(self, console: Console, *, samples: int, done: int) -> None:
        self._console = console
        self._samples = samples
        self._done = done
        self._found = 0
        self._made = 0
        self._last_line_s = 0.0
        self._started_s = time.monotonic()
        self.accepted = 0
        self.rejected = 0
        self.reasons: Counter[str] = Counter()
        self.stage_seconds: dict[str, float] = {}
        # Ray's and rich's rerouting of stdout would meet in one stream: `generate` owns it, not the bar.
        self._progress = Progress(
            SpinnerColumn(),
            TextColumn("[bold]gaits"),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("{task.fields[detail]}"),
            console=console,
            transient=True,
            redirect_stdout=False,
            redirect_stderr=False,
            disable=not console.is_terminal,
        )
        self._task = self._progress.add_task("gaits", total=samples, completed=done, detail="")

    def __enter__(self) -> RunProgress:
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()

    def say(self, message: str, *, style: str = "") -> None:
        """A line that stays, above the bar."""
        self._progress.console.print(escape(message), style=style or None, highlight=False, soft_wrap=True)

    @property
    def left(self) -> int:
        """Samples that are not done yet, by us or by anybody as far as we know."""
        return self._samples - self._done - self._found

    def found_before(self, samples: int) -> None:
        """How many samples have turned out, so far, to have been done by an earlier run or another driver."""
        self._found = samples

    def made(self, made: Made) -> None:
        """A worker made a sample."""
        self._done += 1
        self._made += 1
        if made.accepted:
            self.accepted += 1
        else:
            self.rejected += 1
            self.reasons.update(reason_code(reason) for reason in made.reasons)
        for stage, seconds in made.seconds.items():
            self.spent(stage, seconds)

    def spent(self, stage: str, seconds: float) -> None:
        """Worker time that went into a stage."""
        self.stage_seconds[stage] = self.stage_seconds.get(stage, 0.0) + seconds

    def given_up(self) -> None:
        """A sample was quarantined."""
        self._done += 1
        self._made += 1
        self.rejected += 1

    def show(self, *, ready: int, workers: int) -> None:
        """Bring the bar up to date; without a terminal, print a line if one is due."""
        detail = self._detail(ready, workers)
        self._progress.update(self._task, completed=self._done + self._found, detail=escape(detail))
        now = time.monotonic()
        if not self._console.is_terminal and now - self._last_line_s >= LINE_INTERVAL_S:
            self._last_line_s = now
            self.say(f"{self._done + self._found} of {self._samples} gaits: {detail}")

    def _detail(self, ready: int, workers: int) -> str:
        if ready < workers and not self._made:
            return f"starting workers, {ready} of {workers} ready"
        parts = [f"{self.accepted} accepted, {self.rejected} rejected"]
        if self.reasons:
            parts[0] += f" ({', '.join(f'{code} {n}' for code, n in self.reasons.most_common(3))})"
        if self._made:
            rate_per_s = self._made / (time.monotonic() - self._started_s)
            left_s = (self._samples - self._done - self._found) / rate_per_s
            parts.append(f"{60 * rate_per_s:.1f}/min, {_rough(left_s)} left")
            dearest = sorted(self.stage_seconds.items(), key=lambda item: -item[1])[:3]
            stages = ", ".join(f"{stage} {seconds / self._made:.1f} s" for stage, seconds in dearest)
            parts.append(stages)
        return "; ".join(part for part in parts if part)


def _rough(seconds: float) -> str:
    """A remaining time, no finer than it is known."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 5400:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h" if seconds < 172800 else f"{seconds / 86400:.1f} days"
