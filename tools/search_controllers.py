"""Search reflex gains that walk, by CMA-ES over OpenSim rollouts.

    python tools/search_controllers.py JOB.yaml --out searches/ [--workers 2]

A job names a body, a target speed and where to start from; every generation is
checkpointed, so that an interrupted search goes on where it was. The best gains
of finished jobs are gathered into the archive by `tools/build_archive.py`.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import multiprocessing
import sys
from pathlib import Path
from typing import Any

import cma
import numpy as np
import yaml

from farm.control.reflex import GAIN_NAMES
from farm.records import MUSCLE_GROUPS, MUSCLES, GaitParameters
from workers.simulate.forward import Walk
from workers.simulate.score import Aim, cost


def body(job: dict[str, Any], gains: np.ndarray, sample_id: int = 0) -> GaitParameters:
    """The job's person with candidate gains (`[37]` for both legs, or `[74]` right then left)."""
    legs = gains.reshape(-1, len(GAIN_NAMES))
    legs = legs if len(legs) == 2 else np.repeat(legs, 2, axis=0)
    fields = dict(job.get("body", {}))
    for key in ("strength", "fiber_length"):
        values = np.ones(len(MUSCLES))
        for name, value in fields.pop(key, {}).items():
            if name in MUSCLE_GROUPS:
                name = (f"{name}_r", f"{name}_l")
            for muscle in [name] if isinstance(name, str) else name:
                values[MUSCLES.index(muscle)] = value
        fields[key] = values
    return GaitParameters(
        sample_id=sample_id, target_speed_m_s=job["speed_m_s"], reflex_gain_names=GAIN_NAMES, reflex_gains=legs, **fields
    )


def evaluate(task: tuple[dict[str, Any], np.ndarray]) -> tuple[float, dict[str, float]]:
    job, gains = task
    aim = Aim(speed_m_s=job["speed_m_s"], **job.get("aim", {}))
    total: dict[str, float] = {}
    sizes = job.get("bodies", [{}])
    for index, change in enumerate(sizes):
        person = dataclasses.replace(body(job, gains, sample_id=index), **change)
        walk = Walk(person, seed=0)
        rollout = walk.run(duration_s=aim.duration_s, budget_s=60.0)
        value, terms = cost(rollout, walk.description.coordinate_names, aim)
        for name, part in terms.items():
            total[name] = total.get(name, 0.0) + part / len(sizes)
        if rollout.end != "completed" and index + 1 < len(sizes):
            total["fall"] = total.get("fall", 0.0) + 100.0 * (len(sizes) - 1 - index) / len(sizes)
            break
    return sum(total.values()), total


def start_gains(job: dict[str, Any], out: Path) -> np.ndarray:
    source = job["start"]
    if isinstance(source, str):
        found = json.loads((out / f"{source}.json").read_text())
        gains = np.array(found["gains"])
    else:
        gains = np.array([source[name] for name in GAIN_NAMES])
    if job.get("asymmetric") and len(gains) == len(GAIN_NAMES):
        gains = np.concatenate([gains, gains])
    return gains


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("jobs", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--only", default="")
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    jobs = yaml.safe_load(arguments.jobs.read_text())
    with multiprocessing.get_context("spawn").Pool(arguments.workers, maxtasksperchild=400) as pool:
        for name, job in jobs.items():
            if arguments.only and name not in arguments.only.split(","):
                continue
            search(name, job, arguments.out, pool)


def search(name: str, job: dict[str, Any], out: Path, pool: Any) -> None:
    result = out / f"{name}.json"
    best: dict[str, Any] = {"cost": float("inf"), "generation": 0, "done": False}
    if result.exists():
        best = json.loads(result.read_text())
        if best["done"]:
            return
        start = np.array(best["gains"])
    else:
        start = start_gains(job, out)
    options = {
        "popsize": job.get("population", 14), "seed": job.get("seed", 1) + best["generation"], "verbose": -9,
        "maxiter": job.get("generations", 40) - best["generation"],
    }  # fmt: skip
    strategy = cma.CMAEvolutionStrategy(start, job.get("sigma", 0.1), options)
    generation = best["generation"]
    while not strategy.stop():
        candidates = strategy.ask()
        if generation == 0:
            candidates[0] = start
        scored = pool.map(evaluate, [(job, np.asarray(c)) for c in candidates], chunksize=1)
        strategy.tell(candidates, [value for value, _ in scored])
        generation += 1
        i = int(np.argmin([value for value, _ in scored]))
        if scored[i][0] < best["cost"]:
            best = {
                "name": name, "cost": scored[i][0], "terms": scored[i][1], "gains": list(map(float, candidates[i])),
                "job": job, "gain_names": GAIN_NAMES,
            }  # fmt: skip
        best |= {"generation": generation, "done": False}
        result.write_text(json.dumps(best, indent=1))
        terms = " ".join(f"{key} {value:.2f}" for key, value in best["terms"].items())
        sys.stdout.write(f"{name} {generation:3d} best {best['cost']:.2f} gen {scored[i][0]:.2f} | {terms}\n")
        sys.stdout.flush()
        if best["cost"] < job.get("good_enough", -1.0):
            break
    best["done"] = True
    result.write_text(json.dumps(best, indent=1))


if __name__ == "__main__":
    main()
