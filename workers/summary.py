"""What a run of the farm amounted to: one value, as a table for people and as JSON for machines."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field

from rich.console import Console
from rich.markup import escape
from rich.table import Table

QUARANTINE_CODE = "quarantined"
"""Reason code of samples that were given up; every other code is `farm.gait.quality`'s."""


def reason_code(reason: str) -> str:
    """The code of a reason, without its detail: "quarantined: hung" is counted as "quarantined"."""
    return reason.partition(":")[0].strip()


@dataclass(frozen=True)
class RunSummary:
    """What one `generate` did, and where the dataset stands after it.

    Attributes:
        samples, shards: What the campaign asks for.
        shards_committed: Shards in the dataset now; `shards_before` of them were there at the start.
        accepted, rejected: Samples that this run committed, by outcome.
        reasons: Rejected samples of this run by reason code; one sample may have several reasons.
        quarantined: Sample id -> why it was given up; counted in `rejected` too.
        failed_shards: Shard id -> why it could not be written; the next run tries again.
        staged_before: Samples that an interrupted run had made and that were not made again.
        lost_attempts: Crashes, hangs and exceptions that cost a try, by cause.
        workers_replaced: Workers that were started in another's place.
        stage_seconds: Worker seconds by stage, over all samples of this run.
        wall_s: From the first worker's start to the last commit.
        interrupted: Ended by a signal before the plan's end; run the same command to go on.
        log_dir: Where the driver and the workers have written their logs, each on its own machine; None if nothing
            was lost on a Ray of our own, whose logs are then removed.
    """

    uri: str
    dataset_id: str
    campaign: str
    samples: int
    shards: int
    shards_before: int
    shards_committed: int
    accepted: int
    rejected: int
    workers: int
    wall_s: float
    bytes_written: int = 0
    reasons: Mapping[str, int] = field(default_factory=dict)
    quarantined: Mapping[int, str] = field(default_factory=dict)
    failed_shards: Mapping[str, str] = field(default_factory=dict)
    staged_before: int = 0
    lost_attempts: Mapping[str, int] = field(default_factory=dict)
    workers_replaced: int = 0
    peak_rss_bytes: int = 0
    stage_seconds: Mapping[str, float] = field(default_factory=dict)
    interrupted: bool = False
    log_dir: str | None = None

    @property
    def complete(self) -> bool:
        """Every sample that the campaign asks for is accounted for."""
        return self.shards_committed == self.shards

    @property
    def clean(self) -> bool:
        """Complete, and this run had to give up nothing."""
        return self.complete and not self.quarantined and not self.failed_shards

    @property
    def accepted_per_core_hour(self) -> float:
        """The farm's real speed: accepted gaits for each hour that one worker was held."""
        core_hours = self.workers * self.wall_s / 3600.0
        return self.accepted / core_hours if core_hours else 0.0

    @property
    def busy_fraction(self) -> float:
        """Share of the workers' time that went into stages; the rest is start, waiting and Ray."""
        held_s = self.workers * self.wall_s
        return sum(self.stage_seconds.values()) / held_s if held_s else 0.0

    def to_json(self) -> str:
        values = asdict(self) | {
            "complete": self.complete,
            "accepted_per_core_hour": round(self.accepted_per_core_hour, 3),
            "busy_fraction": round(self.busy_fraction, 4),
        }
        return json.dumps(values, indent=2)

    def show(self, console: Console) -> None:
        """Print the summary's table."""
        table = Table(title=f"{escape(self.campaign)}: {self._standing}", show_header=False, title_justify="left")
        table.add_column(style="bold")
        table.add_column()
        for name, value in self._rows():
            table.add_row(name, escape(value))
        console.print(table)

    @property
    def _standing(self) -> str:
        if self.complete:
            return "complete"
        if self.interrupted:
            return "interrupted; the same command goes on from here"
        return "incomplete; the same command tries again"

    def _rows(self) -> list[tuple[str, str]]:
        made = self.accepted + self.rejected
        rows = [
            ("dataset", self.uri),
            ("shards", f"{self.shards_committed} of {self.shards}" + (
                f", {self.shards_before} of them there before" if self.shards_before else "")),
            ("this run", f"{made} samples in {_duration(self.wall_s)} on {self.workers} workers"),
        ]  # fmt: skip
        if made:
            rows.append(("accepted", f"{self.accepted} ({self.accepted / made:.0%})"))
            rows.append(("rejected", f"{self.rejected}" + _counts(self.reasons)))
        if self.accepted:
            size_mb = self.bytes_written / self.accepted / 1e6
            speed = f"{self.accepted_per_core_hour:.1f} accepted gaits per core-hour"
            rows.append(("yield", f"{speed}, {size_mb:.2f} MB per accepted gait"))
        if self.stage_seconds and made:
            parts = (f"{stage} {seconds / made:.1f} s" for stage, seconds in self.stage_seconds.items())
            rows.append(("per sample", ", ".join(parts)))
        if self.staged_before:
            rows.append(("kept", f"{self.staged_before} samples that an interrupted run had made"))
        if self.lost_attempts:
            rows.append(("lost attempts", _counts(self.lost_attempts).strip(" ()")))
        rows += [(f"quarantined {sample_id}", why) for sample_id, why in self.quarantined.items()]
        rows += [(f"not written {shard_id}", why) for shard_id, why in self.failed_shards.items()]
        if self.log_dir is not None:
            rows.append(("logs", self.log_dir))
        return rows


def _counts(counts: Mapping[str, int]) -> str:
    if not counts:
        return ""
    ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    return f" ({', '.join(f'{name} {count}' for name, count in ordered)})"


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes:02d} min"
    return f"{minutes} min {rest:02d} s" if minutes else f"{seconds:.1f} s"
