"""How an export speaks at a terminal."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.filesize import decimal
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.text import Text

from farm.export.run import Estimate, ExportReport


class ExportBar:
    """Says how much there is to do, and then how fast it goes and how long it will take."""

    def __init__(self, console: Console, progress: Progress) -> None:
        self._console = console
        self._progress = progress
        self._task = progress.add_task("exporting gaits", total=None, rate="")
        self._written = 0

    def planned(self, estimate: Estimate) -> None:
        """Before anything is written."""
        before = f"; {estimate.n_pieces_before} files are there already" if estimate.n_pieces_before else ""
        size = f", about {decimal(estimate.n_bytes)}" if estimate.n_bytes else ""  # of the index alone nobody knows
        self._console.print(
            f"{estimate.n_gaits} gaits to export{size}{before}",
            highlight=False, soft_wrap=True,
        )  # fmt: skip
        self._progress.update(self._task, total=estimate.n_gaits)

    def made(self, n_gaits: int, n_bytes: int) -> None:
        """A piece has just been written."""
        self._written += n_bytes
        self._progress.update(self._task, advance=n_gaits)
        elapsed = self._progress.tasks[0].elapsed
        if elapsed:
            self._progress.update(self._task, rate=f"{decimal(int(self._written / elapsed))}/s")


@contextmanager
def export_bar(console: Console) -> Iterator[ExportBar]:
    """A bar for as long as the block runs."""
    columns = (
        TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[rate]}"),
        TimeElapsedColumn(), TimeRemainingColumn(),
    )  # fmt: skip
    with Progress(*columns, console=console, transient=True) as progress:
        yield ExportBar(console, progress)


def show_export(report: ExportReport, console: Console) -> None:
    """What lies at the destination now."""
    before = (
        f" ({report.n_pieces_before} of {report.n_pieces} parts were there before)" if report.n_pieces_before else ""
    )
    size = f"{report.n_objects} files, {decimal(report.n_bytes)}"
    text = f"{report.n_gaits} gaits{before}, {size}, to {report.uri}"
    console.print(Text.assemble(("exported ", "bold green"), text), soft_wrap=True)
