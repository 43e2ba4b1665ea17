"""A pull's estimate and progress, for people at a terminal."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.filesize import decimal
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn

from farm.dataset.pull_choice import Wish
from farm.dataset.pull_estimate import Estimate


@contextmanager
def bytes_bar(console: Console, what: str) -> Iterator[Callable[[int, int], None]]:
    """A bar with bytes, rate and time left, for as long as the block runs; it takes the bytes done and in all."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task(what, total=None)
        yield lambda done, total: progress.update(task, completed=done, total=total)


def show_estimate(estimate: Estimate, wish: Wish, console: Console) -> None:
    """What a pull has before it."""
    cost = estimate.cost
    about = "" if cost.exact else "about "
    before = f"; {estimate.n_shards_before} shards are there already" if estimate.n_shards_before else ""
    console.print(
        f"to pull: {estimate.n_gaits} gaits of {estimate.n_shards} shards{before}. Reads {about}"
        f"{decimal(cost.read_bytes)} in {about}{cost.requests} requests, writes {about}{decimal(cost.write_bytes)}.",
        markup=False,
        highlight=False,
        soft_wrap=True,
    )
    fewer = wish.count is not None and not estimate.n_shards_before and estimate.n_gaits < wish.count
    if fewer:
        console.print(f"--count asks for {wish.count} gaits; there are no more than these.", soft_wrap=True)
