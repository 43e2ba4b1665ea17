"""`gaitfarm generate --dry-run`: what a run would do and take. Storage is read, nothing is written or started."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace

from rich.console import Console
from rich.filesize import decimal
from rich.table import Table
from rich.text import Text

from farm.config import Campaign
from farm.costs import Estimate, Figures, Prices, assumed_figures, estimate, recorded_figures, with_sample_s
from farm.dataset.catalogue import read_records
from farm.dataset.create import find_same
from farm.dataset.manifest import committed_shards, record_to_json
from farm.planning import Slice, plan_of, progress
from farm.sampling.expected import Expected, expected_walkers, walking_share
from farm.storage import Storage, open_storage

MAX_RECORDS = 16
"""Commits that are read for what a sample has taken so far; of more, evenly spread ones."""


def dry_run(
    campaign: Campaign,
    uri: str,
    *,
    endpoint_url: str | None = None,
    cores: int | None = None,
    part: Slice | None = None,
    sample_s: float | None = None,
    prices: Prices | None = None,
) -> Estimate:
    """What is left of a campaign at `uri`, and what it would take.

    Args:
        cores: Samples made at once; None takes this machine's.
        part: A slice of the plan; None is all of it.
        sample_s: Core seconds of a sample; None takes the dataset's own, or the demo campaign's.

    Raises:
        CampaignError: Another campaign's dataset is there.
        FormatError: What is there cannot be read.
        StorageError: The storage cannot be read.
    """
    storage = open_storage(uri, endpoint_url=endpoint_url)
    there = find_same(storage, campaign) is not None
    committed = committed_shards(storage) if there else ()
    expected = expected_walkers(campaign)
    figures = _recorded(storage, committed) or assumed_figures(campaign, walking=walking_share(expected))
    found = estimate(
        campaign,
        progress(plan_of(campaign), committed, part),
        with_sample_s(figures, sample_s),
        cores=cores or os.cpu_count() or 1,
        prices=prices or Prices(),
    )
    return replace(found, expected=expected)


def show_estimate(found: Estimate, console: Console) -> None:
    """The estimate as a table."""
    table = Table(show_header=False, box=None, padding=(0, 2, 0, 0))
    for name, value in _rows(found):
        table.add_row(Text(name, style="bold"), Text(value))
    console.print(table)
    if found.expected:
        console.print(_by_condition(found.expected))
    console.print("nothing was written or started", style="dim", highlight=False)


def _recorded(storage: Storage, committed: tuple[str, ...]) -> Figures | None:
    step = -(-len(committed) // MAX_RECORDS) or 1
    records = read_records(storage, committed[::step])
    return recorded_figures(records, [len(record_to_json(record)) for record in records])


def _rows(found: Estimate) -> list[tuple[str, str]]:
    figures, prices = found.figures, found.prices
    left, shards_left = found.samples - found.samples_done, found.shards - found.shards_done
    return [
        ("plan", f"{found.samples:,} samples in {found.shards:,} shards"),
        ("done", f"{found.samples_done:,} samples in {found.shards_done:,} shards"),
        ("left", f"{left:,} samples in {shards_left:,} shards"),
        ("a sample", f"{figures.sample_s:.1f} core seconds, {figures.accepted:.0%} accepted ({figures.source})"),
        ("time", f"{found.core_hours:,.1f} core hours; {_hours(found.wall_hours)} on {found.cores:,} cores"),
        ("driver", f"{found.jobs_per_s:.2f} jobs a second"),
        ("adds", f"{decimal(round(found.bytes_left))} in {found.objects_left:,} objects"),
        ("in staging", f"at most about {decimal(round(found.staged_bytes))}"),
        ("store", f"{found.writes:,} writes and lists ({found.writes_per_s:.1f}/s), {found.reads:,} reads"),
        ("compute", f"${found.usd_compute:,.2f} at ${prices.core_hour:g} a core hour"),
        (
            "requests",
            f"${found.usd_requests:,.2f} at ${prices.thousand_writes:g}/${prices.thousand_reads:g} a thousand",
        ),
        ("storage", f"${found.usd_storage_month:,.2f} a month at ${prices.gb_month:g} a GB"),
    ]


def _by_condition(expected: Sequence[Expected]) -> Table:
    """What the proposal model expects of people who were drawn."""
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
    for name, justify in (
        ("condition", "left"),
        ("side", "left"),
        ("of samples", "right"),
        ("expected to walk", "right"),
    ):
        table.add_column(name, justify=justify)  # type: ignore[arg-type]
    for one in expected:
        table.add_row(one.condition, one.side, f"{one.share:.1%}", f"{one.walk:.0%}")
    return table


def _hours(hours: float) -> str:
    if hours < 1:
        return f"{60 * hours:.0f} minutes"
    return f"{hours:.1f} hours" if hours < 72 else f"{hours / 24:.1f} days"
