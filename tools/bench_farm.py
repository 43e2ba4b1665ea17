"""How well the farm uses its workers: overhead, speed-up from one worker to more, gaits per core-hour.

`python tools/bench_farm.py demo --samples 8 --workers 1 2 [--json]` makes the same
samples of a real campaign with each number of workers, each time into a fresh
folder. Overhead is the share of the workers' time that went into no stage: start,
waiting for the last gait, Ray. Speed-up only means something on a quiet machine
with a free core for each worker; the load at the start is printed with it.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
from typing import Any

from rich.console import Console
from rich.table import Table

from farm.config import load_campaign
from workers.generate import generate
from workers.summary import RunSummary

COLUMNS = ("workers", "wall_s", "samples", "accepted", "speed_up", "overhead", "accepted_per_core_hour", "peak_rss_mb")


def measure(campaign_name: str, samples: int | None, workers: int, seed: int | None) -> RunSummary:
    """One run into a fresh folder, which is removed."""
    campaign = load_campaign(campaign_name, samples=samples, seed=seed)
    with tempfile.TemporaryDirectory(prefix="bench-farm-") as folder:
        return generate(campaign, folder, workers=workers, console=Console(stderr=True))


def row(summary: RunSummary, first: RunSummary) -> dict[str, Any]:
    """The figures of one run, compared with the run of the fewest workers."""
    made = summary.accepted + summary.rejected
    rate, first_rate = made / summary.wall_s, (first.accepted + first.rejected) / first.wall_s
    return {
        "workers": summary.workers,
        "wall_s": round(summary.wall_s, 1),
        "samples": made,
        "accepted": summary.accepted,
        "speed_up": round(rate / first_rate, 3),
        "overhead": round(1.0 - summary.busy_fraction, 4),
        "accepted_per_core_hour": round(summary.accepted_per_core_hour, 2),
        "peak_rss_mb": round(summary.peak_rss_bytes / 1e6),
        "stage_seconds_per_sample": {name: round(s / made, 3) for name, s in summary.stage_seconds.items()},
        "bytes_per_accepted": round(summary.bytes_written / summary.accepted) if summary.accepted else None,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("campaign", nargs="?", default="demo")
    parser.add_argument("--samples", type=int)
    parser.add_argument("--seed", type=int)
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    load = os.getloadavg()[0]
    runs = [measure(options.campaign, options.samples, count, options.seed) for count in sorted(options.workers)]
    rows = [row(run, runs[0]) for run in runs]
    if options.json:
        print(json.dumps({"campaign": options.campaign, "cores": os.cpu_count(), "load": load, "runs": rows}, indent=2))
        return
    table = Table(*COLUMNS, title=f"{options.campaign} on {os.cpu_count()} cores, load {load:.1f} at the start")
    for values in rows:
        table.add_row(*(str(values[name]) for name in COLUMNS))
    Console().print(table)


if __name__ == "__main__":
    main()
