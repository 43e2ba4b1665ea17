"""How well the farm uses its workers: overhead, speed-up from one worker to two, gaits per core-hour, commits a second.

`python -m tools.bench_farm [CAMPAIGN] [--samples 72] [--workers 1 2] [--repeat 1] [--json]`
makes the same samples of a real campaign with each number of workers, each time
into a fresh folder; with the demo campaign's 72 some twenty-two minutes on two quiet cores.
With fewer the end, at which workers wait for the last sample, weighs more.

Overhead is the share of the workers' time that went into none of simulating
(OpenSim's rechecks included), rendering and encoding. Its clock runs from the first
worker's start to the last commit, and what it consists of is told apart:

  start     until each worker is ready: a process, its imports, OpenSim's libraries
  tail      from each worker's last answer to the last commit: one waits while another makes the last sample
  labels    drawing the sample, labels and quality
  staging   made samples into storage
  writing   gathering a shard, writing and committing it
  between   everything else: from an answer to the next job

Start and tail are paid once for a run, whatever its length, so `steady_fraction` is
the overhead without them. `command_fraction` is the overhead of the whole command:
Ray's own start and the last compaction too. Speed-up only means something on a
quiet machine with a free core for each worker; the load at the start is printed.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import tempfile
import time
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from farm.config import load_campaign
from tools.bench_dispatch import run as dispatch
from workers.generate import generate
from workers.summary import RunSummary

USEFUL = ("simulate", "recheck", "film", "pack")
"""Stages that make a gait. `pack` encodes its pictures."""

LABELS = ("sample", "label")
COLUMNS = ("workers", "wall_s", "samples", "accepted", "speed_up", "overhead", "accepted_per_core_hour", "peak_rss_mb")
PARTS = ("start", "tail", "labels", "staging", "writing", "between")
CLOCK_DIFFERENCE_S = 1.0
"""By so much the log's clock and the monotonic one may differ over a run."""

DISPATCHED = 200
"""Samples that are turned down at once, for the rate of commits: one shard for every four of them."""


def measure(campaign_name: str, samples: int | None, workers: int, seed: int | None) -> dict[str, Any]:
    """One run into a fresh folder, which is removed."""
    campaign = load_campaign(campaign_name, samples=samples, seed=seed)
    with tempfile.TemporaryDirectory(prefix="bench-farm-") as folder:
        log = Path(folder, "run.jsonl")
        start_s = time.monotonic()
        summary = generate(
            campaign, str(Path(folder, "dataset")), workers=workers, console=Console(stderr=True), log=log
        )
        command_s = time.monotonic() - start_s
        events = [json.loads(line) for line in log.read_text("utf-8").splitlines()]
    return row(summary, command_s, events)


def row(summary: RunSummary, command_s: float, events: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The figures of one run."""
    made = summary.accepted + summary.rejected
    held_s = summary.workers * summary.wall_s
    stages = dict(summary.stage_seconds)
    useful_s = sum(stages.get(name, 0.0) for name in USEFUL)
    start_s, tail_s = start_and_tail(events, summary.wall_s)
    parts_s = {
        "start": start_s,
        "tail": tail_s,
        "labels": sum(stages.get(name, 0.0) for name in LABELS),
        "staging": stages.get("stage", 0.0),
        "writing": stages.get("write", 0.0),
    }
    parts_s["between"] = held_s - useful_s - sum(parts_s.values())
    return {
        "workers": summary.workers,
        "wall_s": round(summary.wall_s, 1),
        "samples": made,
        "accepted": summary.accepted,
        "samples_per_s": made / summary.wall_s,
        "overhead": round(1.0 - useful_s / held_s, 4),
        "steady_fraction": round(1.0 - useful_s / (held_s - start_s - tail_s), 4),
        "command_fraction": round(1.0 - useful_s / (summary.workers * command_s), 4),
        "overhead_parts": {name: round(parts_s[name] / held_s, 4) for name in PARTS},
        "accepted_per_core_hour": round(summary.accepted_per_core_hour, 2),
        "peak_rss_mb": round(summary.peak_rss_bytes / 1e6),
        "stage_seconds_per_sample": {name: round(s / made, 3) for name, s in stages.items()},
        "bytes_per_accepted": round(summary.bytes_written / summary.accepted) if summary.accepted else None,
    }


def start_and_tail(events: Sequence[Mapping[str, Any]], wall_s: float) -> tuple[float, float]:
    """Worker seconds until workers were ready, and after each worker's last answer, from the driver's log.

    The tail takes the log's times, which a clock that is set in between makes
    worthless: then it is 0 here, and part of `between`.
    """
    start_s = sum(event["seconds"] for event in events if event["event"] == "worker ready")
    ended = events[-1]
    begin_s = _seconds(next(event for event in events if event["event"] == "run started"))
    if abs(_seconds(ended) - begin_s - ended["seconds"]) > CLOCK_DIFFERENCE_S:
        return start_s, 0.0
    last: dict[int, float] = {}
    for event in events:
        if event["event"] in ("made", "committed"):
            last[event["worker"]] = _seconds(event) - begin_s
    return start_s, sum(max(0.0, wall_s - at_s) for at_s in last.values())


def _seconds(event: Mapping[str, Any]) -> float:
    return datetime.fromisoformat(event["time"]).timestamp()


def median_run(runs: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Of several runs the one of median duration, which keeps its figures of one piece."""
    return sorted(runs, key=lambda item: item["wall_s"])[(len(runs) - 1) // 2]


def report(options: argparse.Namespace) -> dict[str, Any]:
    load = os.getloadavg()[0]
    counts = sorted(options.workers)
    # In turn, so that a machine that grows slower or faster does so for all numbers of workers.
    rounds = [
        [measure(options.campaign, options.samples, count, options.seed) for count in counts]
        for _ in range(options.repeat)
    ]
    rows = [median_run([runs[number] for runs in rounds]) for number in range(len(counts))]
    for item in rows:
        item["speed_up"] = round(item["samples_per_s"] / rows[0]["samples_per_s"], 3)
    two = next((item for item in rows if item["workers"] == 2), None)
    commits = dispatch(counts[-1], 0.0, DISPATCHED, gaits_per_shard=4)
    return {
        "overhead_fraction": rows[-1]["overhead"],
        "speedup_2_workers": two["speed_up"] if two and counts[0] == 1 else None,
        "gaits_per_core_hour": rows[-1]["accepted_per_core_hour"],
        "commits_per_second": round(commits["commits_per_s"], 2),
        "campaign": options.campaign,
        "cores": os.cpu_count(),
        "load": load,
        "repeat": options.repeat,
        "overheads": [[runs[number]["overhead"] for runs in rounds] for number in range(len(counts))],
        "spread_of_wall_s": [
            round(statistics.pstdev([runs[number]["wall_s"] for runs in rounds]), 2) for number in range(len(counts))
        ],
        "runs": rows,
        "dispatch": commits,
    }


def show(found: Mapping[str, Any], console: Console) -> None:
    title = f"{found['campaign']} on {found['cores']} cores, load {found['load']:.1f} at the start"
    table = Table(*COLUMNS, title=title, title_justify="left")
    parts = Table("workers", "overhead", *PARTS, "steady", "command", title="overhead, % of the workers' time",
                  title_justify="left")  # fmt: skip
    for item in found["runs"]:
        table.add_row(*(str(item[name]) for name in COLUMNS))
        shares = [item["overhead"], *(item["overhead_parts"][name] for name in PARTS), item["steady_fraction"],
                  item["command_fraction"]]  # fmt: skip
        parts.add_row(str(item["workers"]), *(f"{100 * share:.2f}" for share in shares))
    console.print(table)
    console.print(parts)
    console.print(
        f"overhead {found['overhead_fraction']:.2%}, speed-up of two workers {found['speedup_2_workers']}, "
        f"{found['gaits_per_core_hour']} gaits per core-hour, {found['commits_per_second']} commits a second"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("campaign", nargs="?", default="demo")
    parser.add_argument("--samples", type=int, default=72)
    parser.add_argument("--seed", type=int)
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--repeat", type=int, default=1, help="Times that all of it is made; the median run is told.")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    found = report(options)
    if options.json:
        print(json.dumps(found, indent=2))
    else:
        show(found, Console())


if __name__ == "__main__":
    main()
