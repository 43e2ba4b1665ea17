"""Gather the search's best gains into the controller archive, each confirmed by a walk in OpenSim.

    python tools/build_archive.py searches/ --out farm/control/archive.csv

A controller enters only if it walks for 10 s in OpenSim, at the farm's own
settings, and passes the farm's own quality rules; what does not is named.
"""

from __future__ import annotations

import argparse
import csv
import json
import multiprocessing
import sys
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parent))
from search_controllers import person, with_gains

from farm.config import QualityLimits
from farm.control.reflex import gain_names
from farm.gait.labels import gait_labels
from farm.gait.quality import judge
from farm.sampling.anatomy import anatomy
from workers.simulate.engines import simulate

HEADER = (
    "# Reflex gains that walk in OpenSim, one controller a row; found by tools/search_controllers.py, "
    "gathered by tools/build_archive.py. Gains are normalised (farm/control/reflex.py)."
)


def confirm(path: Path) -> tuple[dict[str, Any] | None, str]:
    """The archive row of one search result, or why it stays out."""
    found = json.loads(path.read_text())
    job = found["job"]
    parameters = with_gains(person(job), np.array(found["gains"]))
    walk = simulate(parameters, engine="opensim", seed=0, duration_s=10.0, budget_s=120.0)
    dimensions = anatomy(parameters)
    labels = gait_labels(walk, dimensions, frame_rate_hz=30.0)
    quality = judge(walk, labels, dimensions, QualityLimits())
    speed = labels.values["gait_speed"]
    if not quality.accepted:
        return None, f"{path.stem}: " + "; ".join(f"{r}: {quality.details.get(r, '')}" for r in quality.reasons)
    names, legs = gain_names(parameters.body_model), parameters.reflex_gains
    row = {
        "name": path.stem,
        "condition": job.get("condition", "healthy"),
        "severity": job.get("severity", 0.0),
        "side": job.get("side", "none"),
        "leg_length_m": round(dimensions.leg_length_m, 4),
        "speed_m_s": round(speed, 3),
        "target_speed_m_s": job["speed_m_s"],
        "cost": round(found["cost"], 3),
    }
    for side, gains in zip("rl", legs, strict=True):
        row |= {f"{name}_{side}": repr(round(float(value), 6)) for name, value in zip(names, gains, strict=True)}
    step, price = labels.values["step_length"], labels.values["cost_of_transport"]
    return row, f"{path.stem}: {speed:.2f} m/s, step {step:.2f} m, cost of transport {price:.1f} J/kg/m"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("searches", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--only", default="", help="comma-separated names; all if empty")
    arguments = parser.parse_args()
    only = {name for name in arguments.only.split(",") if name}
    paths = [path for path in sorted(arguments.searches.glob("*.json")) if not only or path.stem in only]
    rows = []
    with multiprocessing.get_context("spawn").Pool(arguments.workers) as pool:
        for row, message in pool.imap(confirm, paths):
            print(("kept   " if row else "turned down ") + message, flush=True)
            if row:
                rows.append(row)
    if not rows:
        raise SystemExit("no controller passed; the archive is left as it was")
    with arguments.out.open("w", newline="") as file:
        file.write(HEADER + "\n")
        writer = csv.DictWriter(file, fieldnames=list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


if __name__ == "__main__":
    main()
