"""Real-time factor and error of the integration settings, on a walker of the archive.

    python tools/bench_simulation.py [--walker NAME] [--seconds 1.2] [--json]

The baseline row is the integrator and accuracy of the public OpenSim walking
environment (Runge-Kutta-Merson at 5e-5, Kidzinski et al. 2018); the error is the
largest difference of hip, knee and ankle angles from Runge-Kutta-Merson at 1e-7
over the simulated time, and the chatter is the RMS second difference of the
vertical ground force at 200 Hz, in body weights.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import platform
from dataclasses import dataclass
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from farm.control.archive import archive
from farm.control.reflex import GAIN_NAMES
from farm.records import GaitParameters
from farm.sampling.anatomy import GENERIC_MASS_KG, GENERIC_STATURE_M
from farm.sampling.conditions import impair
from workers.simulate import forward
from workers.simulate.forward import Rollout, Walk
from workers.simulate.opensim_library import osim

JOINTS = [f"{joint}_{side}" for side in "rl" for joint in ("hip_flexion", "knee_angle", "ankle_angle")]


@dataclass(frozen=True)
class Setting:
    """One way to integrate: a fixed step (s), or an error-controlled accuracy."""

    label: str
    method: str
    step_s: float | None = None
    accuracy: float | None = None

    def manager(self, model: osim.Model, state: osim.State) -> osim.Manager:
        manager = osim.Manager(model)
        manager.setIntegratorMethod(getattr(osim.Manager, f"IntegratorMethod_{self.method}"))
        if self.step_s is not None:
            manager.setIntegratorFixedStepSize(self.step_s)
        if self.accuracy is not None:
            manager.setIntegratorAccuracy(self.accuracy)
        manager.setWriteToStorage(False)
        manager.setPerformAnalyses(False)
        manager.setRecordStatesTrajectory(False)
        manager.initialize(state)
        return manager


REFERENCE = Setting("reference", "RungeKuttaMerson", accuracy=1e-7)
SETTINGS = (
    Setting("baseline: public environment", "RungeKuttaMerson", accuracy=5e-5),
    Setting("error-controlled", "SemiExplicitEuler2", accuracy=1e-3),
    Setting("fixed", "SemiExplicitEuler2", step_s=0.005 / 10),
    Setting("farm", "SemiExplicitEuler2", step_s=forward.INTEGRATION_STEP_S),
    Setting("fixed", "SemiExplicitEuler2", step_s=0.005 / 3),
    Setting("fixed", "RungeKutta2", step_s=0.001),
    Setting("fixed", "ExplicitEuler", step_s=0.0005),
)


def walker(name: str | None) -> GaitParameters:
    rows = [row for row in archive() if name is None or row.name == name]
    row = min(rows, key=lambda r: (r.condition != "healthy", abs(r.speed_m_s - 1.25)))
    effect = impair(row.condition, row.severity, row.side)
    return GaitParameters(
        stature_m=GENERIC_STATURE_M, mass_kg=GENERIC_MASS_KG, target_speed_m_s=row.speed_m_s, strength=effect.strength,
        fiber_length=effect.fiber_length, reflex_gain_names=GAIN_NAMES, reflex_gains=row.gains,
    )  # fmt: skip


def run(person: GaitParameters, setting: Setting, seconds: float) -> Rollout:
    walk = Walk(person, seed=0, manager=setting.manager)
    return walk.run(duration_s=seconds, budget_s=3600.0)


def measure(person: GaitParameters, seconds: float) -> list[dict[str, Any]]:
    names = Walk(person, seed=0).description.coordinate_names
    columns = [names.index(joint) for joint in JOINTS]
    truth = run(person, REFERENCE, seconds)
    rows = []
    for setting in (*SETTINGS, REFERENCE):
        rollout = run(dataclasses.replace(person), setting, seconds)
        count = min(len(rollout.times_s), len(truth.times_s))
        error = np.degrees(np.abs(rollout.coordinates[:count, columns] - truth.coordinates[:count, columns]))
        rows.append(
            {
                "setting": setting.label,
                "integrator": setting.method,
                "step_ms": None if setting.step_s is None else round(setting.step_s * 1e3, 3),
                "accuracy": setting.accuracy,
                "end": rollout.end,
                "rtf": float(rollout.times_s[-1] / rollout.wall_s),
                "angle_error_deg": float(error.max()),
                "load_chatter_bw": float(np.sqrt(np.mean(np.diff(rollout.loads, 2, axis=0) ** 2))),
            }
        )
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--walker", help="name in the archive; default: the healthy one nearest 1.25 m/s")
    parser.add_argument("--seconds", type=float, default=1.2)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    rows = measure(walker(arguments.walker), arguments.seconds)
    baseline = rows[0]["rtf"]
    if arguments.json:
        print(json.dumps({"baseline_rtf": baseline, "farm_rtf": rows[3]["rtf"], "rows": rows}))
        return
    table = Table(title=f"Integration settings, {arguments.seconds} s of walking, {platform.machine()}")
    columns = "setting, integrator, step ms, accuracy, end, real time, x baseline, error deg, chatter BW"
    for column in columns.split(", "):
        table.add_column(column, no_wrap=True)
    for row in rows:
        table.add_row(
            row["setting"], row["integrator"], str(row["step_ms"] or ""), str(row["accuracy"] or ""), row["end"],
            f"{row['rtf']:.2f}", f"{row['rtf'] / baseline:.1f}", f"{row['angle_error_deg']:.2f}",
            f"{row['load_chatter_bw']:.3f}",
        )  # fmt: skip
    Console().print(table)


if __name__ == "__main__":
    main()
