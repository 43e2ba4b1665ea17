"""Whose gains carry strangers: the proposal model beside the nearest walker, and a walker by chance, in OpenSim.

    python -m tools.bench_proposal [--people 60] [--json]

Strangers are drawn as campaigns draw adults, half of them healthy, the others with a condition of the archive, on a
side, at any severity; no search and no trial of the model's has seen them (another seed). Each walks for 10 s in
OpenSim three times: with the first gains that the model proposes, with those of the walker that is nearest by the
archive's own measure, and with those of any walker of the same condition and side. A walk counts where nobody fell;
beside it stands how many of the walks a campaign would accept. Counts have 95 % intervals (Wilson 1927).
"""

from __future__ import annotations

import argparse
import json
import math
import multiprocessing
import os
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
from rich.console import Console
from rich.progress import track
from rich.table import Table

from farm.config import QualityLimits
from farm.control.archive import archive, nearest
from farm.control.proposal import proposals, shipped_ensemble
from farm.gait.labels import gait_labels
from farm.gait.quality import judge
from farm.records import BodyModel
from farm.sampling.anatomy import anatomy
from farm.sampling.taught import walking_as
from farm.seeds import Stream, generator, name_key

SEED = 20261127
"""Another than any that a model is learned with."""

WALK_S, BUDGET_S = 10.0, 300.0
METHODS = ("proposed", "nearest", "random")


@dataclass(frozen=True)
class Walked:
    """What became of one stranger with one method's gains."""

    number: int
    condition: str
    method: str
    walked: bool
    accepted: bool
    reason: str


def walk(number: int, *, healthy: bool, body_model: BodyModel) -> list[Walked]:
    """One stranger, by each method."""
    from workers.propose.trials import stranger_rand
    from workers.simulate.engines import simulate

    rows = archive(body_model)
    someone = stranger_rand(rows, number, SEED, body_model, healthy=healthy)
    asked = (someone.condition, someone.severity, someone.side, someone.speed_m_s, someone.leg_length_m)
    kind = [row for row in rows if (row.condition, row.side) == (someone.condition, someone.side) and not row.explored]
    by_chance = generator(SEED, Stream.SEARCH, number, name_key("by chance"))
    teachers = {
        "proposed": proposals(
            shipped_ensemble(body_model), someone.who, someone.condition, someone.side, someone.speed_m_s,
            someone.leg_length_m, count=1, body_model=body_model,
        )[0],
        "nearest": nearest(*asked, body_model=body_model)[0],
        "random": kind[int(by_chance.integers(len(kind)))],
    }  # fmt: skip
    results: dict[str, Walked] = {}
    for method, teacher in teachers.items():
        same = next((results[other] for other in results if teachers[other] is teacher), None)
        if same is not None:
            results[method] = Walked(number, someone.condition, method, same.walked, same.accepted, same.reason)
            continue
        parameters = walking_as(
            someone.healthy, someone.condition, someone.severity, someone.side, teacher, someone.leg_length_m
        )
        found = simulate(parameters, engine="opensim", seed=SEED, duration_s=WALK_S, budget_s=BUDGET_S)
        body = anatomy(parameters)
        quality = judge(found, gait_labels(found, body, frame_rate_hz=30.0), body, QualityLimits())
        lasted = found.end == "completed"
        results[method] = Walked(
            number, someone.condition, method, lasted and "fell" not in quality.reasons, quality.accepted,
            next(iter(quality.reasons), ""),
        )  # fmt: skip
    return list(results.values())


def wilson(hits: int, n: int) -> tuple[float, float]:
    """95 % interval of a share."""
    if not n:
        return float("nan"), float("nan")
    z, p = 1.96, hits / n
    centre = (p + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    return centre - half, centre + half


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--people", type=int, default=60, help="strangers, half of them healthy")
    parser.add_argument("--body-model", choices=("planar", "3d"), default="planar")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    with ProcessPoolExecutor(arguments.workers, mp_context=multiprocessing.get_context("spawn")) as pool:
        asked = [
            pool.submit(walk, number, healthy=number % 2 == 0, body_model=arguments.body_model)
            for number in range(arguments.people)
        ]
        everybody = [
            one
            for future in track(asked, "strangers walk", console=Console(stderr=True), transient=True)
            for one in future.result()
        ]
    summary = summarise(everybody)
    if arguments.json:
        print(json.dumps(summary, indent=1))
    else:
        show(everybody, summary)


def summarise(everybody: list[Walked]) -> dict[str, Any]:
    """Shares of walkers, by method; of the healthy and the ill by the model."""

    def share(method: str, *, healthy: bool | None = None) -> float:
        chosen = [
            one.walked
            for one in everybody
            if one.method == method and (healthy is None or (one.condition == "healthy") == healthy)
        ]
        return float(np.mean(chosen)) if chosen else float("nan")

    rates: dict[str, Any] = {
        "first_proposal_rate": share("proposed"), "healthy_rate": share("proposed", healthy=True),
        "ill_rate": share("proposed", healthy=False),
    }  # fmt: skip
    for method in ("nearest", "random"):
        rates[f"{method}_rate"] = share(method)
        rates[f"{method}_healthy_rate"] = share(method, healthy=True)
        rates[f"{method}_ill_rate"] = share(method, healthy=False)
    accepted = {
        f"{method}_accepted_rate": float(np.mean([one.accepted for one in everybody if one.method == method]))
        for method in METHODS
    }
    return rates | accepted | {"n": len(everybody) // len(METHODS), "seed": SEED}


def show(everybody: list[Walked], summary: dict[str, Any]) -> None:
    """The table for people."""
    table = Table(title=f"{summary['n']} strangers, 10 s in OpenSim", box=None, header_style="bold")
    for column in ("gains of", "all walk", "95 %", "healthy", "ill", "accepted"):
        table.add_column(column, justify="left" if column == "gains of" else "right")
    for method in METHODS:
        own = [one for one in everybody if one.method == method]
        low, high = wilson(sum(one.walked for one in own), len(own))
        rates = [
            np.mean([one.walked for one in own if (one.condition == "healthy") == healthy]) if own else np.nan
            for healthy in (True, False)
        ]
        accepted = np.mean([one.accepted for one in own])
        table.add_row(
            method, f"{np.mean([one.walked for one in own]):.0%}", f"{low:.0%} to {high:.0%}",
            *(f"{rate:.0%}" for rate in rates), f"{accepted:.0%}",
        )  # fmt: skip
    Console().print(table)


if __name__ == "__main__":
    main()
