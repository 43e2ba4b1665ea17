"""Tables and progress bars about datasets, for people at a terminal."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.filesize import decimal
from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, Task, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from farm.dataset.pull import PullReport
from farm.dataset.verify import VerifyReport

MAX_OPEN = 8
"""Shards that are named where they are only mentioned."""

MAX_FAULTS = 50
"""Faults shown one by one; `--json` has them all."""


class _Bytes(ProgressColumn):
    """Bytes so far, and in a second."""

    def render(self, task: Task) -> Text:
        size = int(task.fields.get("n_bytes", 0))
        rate = f", {decimal(int(size / task.elapsed))}/s" if task.elapsed and size else ""
        return Text(f"{decimal(size)}{rate}" if size else "")


@contextmanager
def verify_bar(console: Console, what: str) -> Iterator[Callable[[int, int, int], None]]:
    """A bar that also takes the bytes of what is done, and shows their rate."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), _Bytes(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task(what, total=None)
        yield lambda done, total, n_bytes: progress.update(task, completed=done, total=total, n_bytes=n_bytes)


def show_info(summary: dict[str, Any], console: Console) -> None:
    """A dataset's identity, progress and content."""
    table = Table(show_header=False, box=None, padding=(0, 2, 0, 0))
    planned = f" of {summary['n_shards_planned']}" if "n_shards_planned" in summary else ""
    made = summary["n_gaits"] + summary["n_rejected"]
    asked = f", {made} of {summary['n_samples_asked']} samples made" if "n_samples_asked" in summary else ""
    rows = [
        ("dataset", f"{summary['name']}  {summary['dataset_id']}"),
        ("where", summary["uri"]),
        ("format", f"version {summary['format_version']}, created {summary['created']}, seed {summary['seed']}"),
        ("license", summary["license"]),
        ("gaits", f"{summary['n_gaits']} ({summary['duration_s']:.0f} s of walking), {summary['n_rejected']} rejected"),
        ("shards", f"{summary['n_shards']}{planned}{asked}"),
        ("size", decimal(summary["n_bytes"])),
        ("views", ", ".join(summary["views"]) or "none"),
        ("engine", _engines(summary)),
        *(
            ("drawn by", f"{name} ({n})" if len(summary["renderers"]) > 1 else name)
            for name, n in summary["renderers"].items()
        ),
        ("conditions", _counts(summary["conditions"])),
        ("rejections", _counts(summary["rejections"])),
        ("software", ", ".join(f"{name} {version}" for name, version in _versions(summary["software"]))),
    ]
    if summary["refilmed_from"]:
        origin = summary["refilmed_from"]
        rows.insert(1, ("gaits of", f"{origin['name']}  {origin['dataset_id']}, filmed again"))
    if summary["selection"]:
        rows.insert(1, ("part of", _part(summary["selection"])))
    for name, value in rows:
        table.add_row(Text(name, style="bold"), Text(str(value)))
    console.print(table)
    if summary["ranges"]:
        ranges = Table("column", "min", "median", "max", box=None, padding=(0, 2, 0, 0))
        for name, span in summary["ranges"].items():
            ranges.add_row(name, *(f"{span[key]:.3g}" for key in ("min", "median", "max")))
        console.print(ranges)


def show_verification(report: VerifyReport, console: Console) -> None:
    """Every fault (up to a page), and the verdict."""
    for fault in report.faults[:MAX_FAULTS]:
        console.print(Text.assemble(("fault ", "bold red"), (f"{fault.where}: ", "bold"), fault.what), soft_wrap=True)
    if len(report.faults) > MAX_FAULTS:
        console.print(f"... and {len(report.faults) - MAX_FAULTS} more; --json lists them all")
    looked = "every byte" if report.thorough else "sizes and commits"
    verdict = ("sound", "bold green") if report.sound else (f"{len(report.faults)} faults", "bold red")
    size = f"{report.n_objects} objects, {decimal(report.n_bytes)}"
    counts = f"{report.n_gaits} gaits in {report.n_shards} shards, {size}"
    resumed = f" ({report.n_resumed} shards before the interruption)" if report.n_resumed else ""
    console.print(Text.assemble(verdict, f": {counts}; {looked} checked{resumed}"), soft_wrap=True)
    if report.n_open:
        first = ", ".join(report.open_shards[:MAX_OPEN]) + (", ..." if report.n_open > MAX_OPEN else "")
        console.print(f"{report.n_open} shards are not made yet: {first}", soft_wrap=True)
    if report.n_garbage:
        console.print(
            f"{report.n_garbage} objects ({decimal(report.garbage_bytes)}) belong to no commit: "
            "left by interrupted attempts, harmless; `gaitfarm gc` removes them",
            soft_wrap=True,
        )
    if report.damaged_shards:
        console.print(
            f"`gaitfarm repair` has the {len(report.damaged_shards)} damaged shards made again", soft_wrap=True
        )


def show_pull(report: PullReport, console: Console) -> None:
    """What lies at the destination now."""
    before = f" ({report.n_shards_before} were there before)" if report.n_shards_before else ""
    counts = f"{report.n_gaits} gaits in {report.n_shards} shards{before}, {decimal(report.n_bytes)}"
    console.print(Text.assemble(("pulled ", "bold green"), f"{counts}, to {report.uri}"), soft_wrap=True)


def _part(selection: Mapping[str, Any]) -> str:
    """Which gaits of which dataset were pulled."""
    words = [str(selection["dataset_id"])]
    words += [f"where {selection['where']!r}"] if selection["where"] is not None else []
    if selection.get("split") is not None:
        shares = "/".join(f"{share:g}" for share in selection["split_shares"])
        words.append(f"{selection['split']} of {shares} by seed {selection['split_seed']}")
    words += [f"{selection['count']} by seed {selection['seed']}"] if selection.get("count") is not None else []
    return ", ".join(words) if len(words) > 1 else f"{words[0]}, every gait"


def _counts(counts: dict[str, int]) -> str:
    return ", ".join(f"{name} {count}" for name, count in counts.items()) or "none"


def _engines(summary: dict[str, Any]) -> str:
    """Samples by engine; of a twin's, how many OpenSim has walked again."""
    rechecks = summary["rechecks"]
    again = f"; {rechecks['n']} rechecked in OpenSim, {rechecks['n_agree']} verdicts agree" if rechecks else ""
    return _counts(summary["engines"]) + again


def _versions(software: dict[str, str]) -> list[tuple[str, str]]:
    """Versions in full, hashes by their first digits."""
    return [(name, value[:12] if name.endswith("sha256") else value) for name, value in software.items()]
