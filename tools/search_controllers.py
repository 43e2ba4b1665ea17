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
import math
import multiprocessing
import sys
from pathlib import Path
from typing import Any

import cma
import numpy as np
import yaml

from farm.control.reflex import gain_names
from farm.control.similarity import rescale_gains
from farm.records import BODY_PLANS, BodyModel, GaitParameters
from farm.sampling.anatomy import GENERIC_MASS_KG, GENERIC_STATURE_M, anatomy
from farm.sampling.conditions import impair
from workers.simulate.forward import Rollout, Walk
from workers.simulate.score import Aim, cost
from workers.simulate.twin.engine import TwinWalk

GENERIC = GaitParameters(stature_m=GENERIC_STATURE_M, mass_kg=GENERIC_MASS_KG)
_GENERIC_LEG_M = anatomy(GENERIC).leg_length_m


def person(job: dict[str, Any], variant: dict[str, Any] | None = None, *, number: int = 0) -> GaitParameters:
    """One of the job's people, with the condition's effect on the muscles and without gains.

    Args:
        variant: Fields of GaitParameters that differ from the generic man; `strength` is one factor for all muscles.
    """
    fields = dict(variant or {})
    general_strength = fields.pop("strength", 1.0)
    body_model: BodyModel = job.get("body_model", "planar")
    effect = impair(
        job.get("condition", "healthy"), job.get("severity", 0.0), job.get("side", "none"), plan=BODY_PLANS[body_model]
    )
    base = dataclasses.replace(
        GENERIC,
        body_model=body_model,
        tendon_length=np.zeros(0),
        sample_id=number,
        condition=job.get("condition", "healthy"),
        severity=job.get("severity", 0.0),
        side=job.get("side", "none"),
        strength=general_strength * effect.strength,
        fiber_length=effect.fiber_length,
        deactivation_time_s=GENERIC.deactivation_time_s * effect.deactivation,
        neural_delay_scale=effect.delay,
        **fields,
    )
    ratio = anatomy(base).leg_length_m / _GENERIC_LEG_M
    return dataclasses.replace(base, target_speed_m_s=job["speed_m_s"] * math.sqrt(ratio))


def with_gains(someone: GaitParameters, gains: np.ndarray) -> GaitParameters:
    """The same person with candidate gains (`[G]` for both legs, or `[2 G]` right then left), scaled to their size."""
    names = gain_names(someone.body_model)
    legs = gains.reshape(-1, len(names))
    legs = legs if len(legs) == 2 else np.repeat(legs, 2, axis=0)
    legs = rescale_gains(legs, leg_length_ratio=anatomy(someone).leg_length_m / _GENERIC_LEG_M)
    return dataclasses.replace(someone, reflex_gain_names=names, reflex_gains=legs)


_twins: dict[str, list[TwinWalk]] = {}
"""Compiled people of the job at hand: only gains change between candidates."""


def rollout(job: dict[str, Any], gains: np.ndarray, number: int, duration_s: float) -> tuple[Rollout, float]:
    """The walk of one of the job's people, and the speed that was asked of them."""
    people = job.get("people", [{}])
    if job.get("engine", "opensim") == "opensim":
        someone = with_gains(person(job, people[number], number=number), gains)
        return Walk(someone, seed=0).run(duration_s=duration_s, budget_s=120.0), someone.target_speed_m_s
    key = json.dumps(job, sort_keys=True)
    if key not in _twins:
        _twins.clear()
        _twins[key] = [
            TwinWalk(with_gains(person(job, variant, number=i), gains), seed=0) for i, variant in enumerate(people)
        ]
    twin = _twins[key][number]
    scaled = with_gains(twin.parameters, gains)
    return twin.run(duration_s=duration_s, gains=scaled.reflex_gains), scaled.target_speed_m_s


def evaluate(task: tuple[dict[str, Any], np.ndarray]) -> tuple[float, dict[str, float]]:
    """Cost of one candidate: the mean over the job's people; nobody may fall."""
    job, gains = task
    count = len(job.get("people", [{}]))
    total: dict[str, float] = {}
    for number in range(count):
        duration_s = job.get("aim", {}).get("duration_s", Aim.duration_s)
        walked, speed = rollout(job, gains, number, duration_s)
        _, terms = cost(walked, BODY_PLANS[job.get("body_model", "planar")], Aim(speed_m_s=speed, **job.get("aim", {})))
        for name, part in terms.items():
            total[name] = total.get(name, 0.0) + part / count
        if walked.end != "completed":
            # Who falls first ends the trial: those after count as fallen at once, which is cheap to know.
            total["fall"] += 140.0 * (count - 1 - number) / count
            break
    return sum(total.values()), total


def start_gains(job: dict[str, Any], out: Path) -> np.ndarray:
    """Gains to start from: a mapping by name, or an earlier job's best, whose missing gains `also` gives."""
    names = gain_names(job.get("body_model", "planar"))
    source = job["start"]
    if isinstance(source, str):
        found = json.loads((out / f"{source}.json").read_text())
        given, legs = tuple(found["gain_names"]), np.array(found["gains"]).reshape(-1, len(found["gain_names"]))
    else:
        given, legs = tuple(source), np.array([list(source.values())])
    table = [dict(zip(given, leg.tolist(), strict=True)) | job.get("also", {}) for leg in legs]
    table = [table[0], table[-1]] if job.get("asymmetric") else table[:1]
    return np.array([[leg[name] for name in names] for leg in table]).ravel()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("jobs", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--only", default="")
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    jobs = yaml.safe_load(arguments.jobs.read_text())
    with multiprocessing.get_context("spawn").Pool(arguments.workers, maxtasksperchild=4000) as pool:
        for name, job in jobs.items():
            if name.startswith("."):
                continue
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
                "job": job, "gain_names": gain_names(job.get("body_model", "planar")),
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
