"""Why the farm integrates as it does: integrator, step, control rate and tendon model, each measured on one stride.

    python tools/bench_simulation.py [--body-model planar|3d] [--walker NAME] [--strides 4] [--json]

Three studies, each a table:

- integration: integrator with fixed step or accuracy. A walker of the archive comes to
  a foot strike with the farm's integrator; there the setting takes over, with the same
  state and the same controller, until the same foot strikes again. The error is of hip,
  knee and ankle angles against Runge-Kutta-Merson at a tight accuracy over that stride;
  of the largest errors of some strides the median and the worst, as a stride may or may
  not have an instant at which little decides. A walker that falls before it has made
  a stride (in three dimensions while the archive has none) is compared over a step.
- tendon: the same with explicit elastic tendons instead of rigid ones, against their
  own tight reference.
- control: 100, 200 and 400 Hz. A rate cannot change on the way, so these walk from the
  start, for as long as a stride lasts; the angles are compared with those at 200 Hz, all
  integrated tightly, the times are those of the farm's integrator.

The real-time factor is simulated over wall-clock time, the CPU factor simulated over the
process's CPU time (what the wall clock would show on a core of its own), both of the
stride alone, control included: median and range over the strides, in which the settings
take turns. Chatter is the RMS second difference of the vertical foot forces at 100 Hz, in
body weights. The energy drift is that of the skeleton alone (no muscle, stop, spring,
torque or floor) that sets off from the posture and joint speeds of the foot strike and
tumbles through the air for a second: the largest change of kinetic and potential energy,
over the energy that the fall has turned over ("fall"), and, without gravity, over the
kinetic energy ("weightless"); the worst of the strides. The baseline row has the public
OpenSim walking environment's integrator (Runge-Kutta-Merson at 5e-5, Kidzinski et al. 2018).
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import platform
import statistics
import sys
from collections.abc import Callable, Sequence
from typing import Any, get_args

import numpy as np
from bench_physics import ONE_THREAD, apart
from integration_walks import Body, ElasticWalk, Setting, Tumble, Window
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from timed_walks import Timing, walker

from farm.config import SAMPLE_RATE_HZ
from farm.control.reflex import CONTROL_STEP_S
from farm.records import BodyModel, GaitParameters
from workers.simulate import forward
from workers.simulate.description import ModelDescription
from workers.simulate.forward import Rollout, Walk

JOINTS = ("hip_flexion", "hip_adduction", "knee_angle", "ankle_angle")
"""Whose angles are compared, on both sides, where the body has them."""

STUDIES = ("integration", "tendon", "control")
CONTROL_RATES_HZ = (100, 200, 400)

FARM = Setting("farm", "SemiExplicitEuler2", step_s=forward.INTEGRATION_STEP_S)
SETTINGS = (
    Setting("check of the reference", "RungeKuttaMerson", accuracy=1e-6),
    Setting("baseline: public environment", "RungeKuttaMerson", accuracy=5e-5),
    Setting("error-controlled", "RungeKuttaMerson", accuracy=1e-3),
    Setting("error-controlled", "SemiExplicitEuler2", accuracy=1e-3),
    Setting("fixed", "SemiExplicitEuler2", step_s=CONTROL_STEP_S / 20),
    Setting("fixed", "SemiExplicitEuler2", step_s=CONTROL_STEP_S / 10),
    FARM,
    Setting("fixed", "SemiExplicitEuler2", step_s=CONTROL_STEP_S / 5),
    Setting("fixed", "SemiExplicitEuler2", step_s=CONTROL_STEP_S / 3),
    Setting("fixed", "RungeKutta2", step_s=CONTROL_STEP_S / 10),
    Setting("fixed", "RungeKutta2", step_s=CONTROL_STEP_S / 5),
    Setting("fixed", "RungeKutta3", step_s=CONTROL_STEP_S / 5),
    Setting("fixed", "RungeKuttaMerson", step_s=CONTROL_STEP_S / 4),
    Setting("fixed", "ExplicitEuler", step_s=CONTROL_STEP_S / 10),
)

ELASTIC_SETTINGS = (
    Setting("check of the reference", "RungeKuttaMerson", accuracy=1e-6),
    Setting("error-controlled", "RungeKuttaMerson", accuracy=5e-5),
    Setting("error-controlled", "RungeKuttaMerson", accuracy=1e-3),
    Setting("error-controlled", "SemiExplicitEuler2", accuracy=1e-3),
    Setting("error-controlled", "SemiExplicitEuler2", accuracy=1e-2),
    Setting("fixed", "SemiExplicitEuler2", step_s=CONTROL_STEP_S / 100),
    Setting("fixed", "SemiExplicitEuler2", step_s=CONTROL_STEP_S / 50),
    Setting("fixed", "SemiExplicitEuler2", step_s=CONTROL_STEP_S / 30),
    Setting("fixed", "SemiExplicitEuler2", step_s=CONTROL_STEP_S / 20),
    FARM,
    Setting("fixed", "RungeKuttaMerson", step_s=CONTROL_STEP_S / 50),
    Setting("fixed", "RungeKuttaMerson", step_s=CONTROL_STEP_S / 20),
)
ELASTIC_APPROACH = Setting("approach", "SemiExplicitEuler2", accuracy=1e-3)
"""Carries a body with elastic tendons to the foot strike at which the settings take over: no fixed step of the farm's
size does."""


def reference(accuracy: float) -> Setting:
    """The setting that the others are compared with."""
    return Setting("reference", "RungeKuttaMerson", accuracy=accuracy)


def inside(over: Window) -> slice:
    """The samples of a walk, which ends with the window, from the window's start on."""
    return slice(round(over.start_s * SAMPLE_RATE_HZ), None)


def angle_errors(rollout: Rollout, truth: Rollout, over: Window, description: ModelDescription) -> tuple[float, float]:
    """Largest and RMS difference of the joint angles (deg) over the window, to whose end both have walked."""
    names = description.coordinate_names
    columns = [names.index(f"{joint}_{side}") for side in "rl" for joint in JOINTS if f"{joint}_{side}" in names]
    within = inside(over)
    difference = np.degrees(rollout.coordinates[within][:, columns] - truth.coordinates[within][:, columns])
    return float(np.abs(difference).max()), float(np.sqrt(np.mean(difference**2)))


def chatter(rollout: Rollout, over: Window) -> float:
    """RMS second difference of the vertical foot forces over the window, in body weights."""
    loads = rollout.loads[inside(over)]
    return float(np.sqrt(np.mean(np.diff(loads, 2, axis=0) ** 2)))


def _figures(setting: Setting, timings: Sequence[Timing]) -> dict[str, Any]:
    """What every row of every study has. A walk that ended early has no factor: it did not do the work."""
    done = [timing for timing in timings if timing.end == "completed"]
    wall = [timing.real_time_factor for timing in done]
    cpu = [timing.cpu_real_time_factor for timing in done]
    return {
        "setting": setting.label,
        "integrator": setting.method,
        "step_ms": None if setting.step_s is None else round(setting.step_s * 1e3, 3),
        "accuracy": setting.accuracy,
        "ends": [timing.end for timing in timings],
        "rtf": statistics.median(wall) if done else None,
        "rtf_range": [min(wall), max(wall)] if done else None,
        "rtf_cpu": statistics.median(cpu) if done else None,
        "rtf_cpu_range": [min(cpu), max(cpu)] if done else None,
    }


Tell = Callable[[str], None]


class Row:
    """One setting of a study: a timing, errors and drifts for each stride."""

    def __init__(self, setting: Setting) -> None:
        self.setting = setting
        self.timings: list[Timing] = []
        self.largest: list[float] = []
        self.rms: list[float] = []
        self.chatter: list[float] = []
        self.drifts: list[dict[str, float]] = []

    def add(self, timing: Timing, rollout: Rollout, true: Rollout, over: Window, description: ModelDescription) -> None:
        """A stride."""
        self.timings.append(timing)
        if rollout.end != "completed":
            return
        largest, rms = angle_errors(rollout, true, over, description)
        self.largest.append(largest)
        self.rms.append(rms)
        self.chatter.append(chatter(rollout, over))

    def figures(self) -> dict[str, Any]:
        """The row as it is printed; None where no stride was completed."""
        return _figures(self.setting, self.timings) | {
            "angle_error_deg": statistics.median(self.largest) if self.largest else None,
            "angle_error_deg_worst": max(self.largest, default=None),
            "angle_rms_deg": statistics.median(self.rms) if self.rms else None,
            "load_chatter_bw": statistics.median(self.chatter) if self.chatter else None,
            "energy_drift_fall": max(drift["fall"] for drift in self.drifts),
            "energy_drift_weightless": max(drift["weightless"] for drift in self.drifts),
        }


def measure_settings(
    body: Body, settings: Sequence[Setting], truth: Setting, strides: int, tell: Tell
) -> dict[str, Any]:
    """Each setting on each of the body's first strides. The settings take turns within a stride.

    Raises:
        RuntimeError: The reference itself ends early in every stride.
    """
    tell("looking for strides")
    description = Walk(body.person, seed=0).description
    rows = [Row(setting) for setting in (*settings, truth)]
    walked: list[Window] = []
    found = body.strides(strides)
    for number, over in enumerate(found):
        at = f"{over.kind} {number + 1} of {len(found)}"
        tell(f"{at}: reference")
        true, timing = body.run(truth, over)
        if true.end != "completed":  # found by another integrator: this walker falls before
            continue
        walked.append(over)
        rows[-1].add(timing, true, true, over, description)
        start = inside(over).start
        tumble = Tumble(description, true.coordinates[start], true.speeds[start])
        for row in rows[:-1]:
            tell(f"{at}: {row.setting.method} {row.setting.step_s or row.setting.accuracy:g}")
            rollout, timing = body.run(row.setting, over)
            row.add(timing, rollout, true, over, description)
        for row in rows:
            tell(f"{at}: energy with {row.setting.method} {row.setting.step_s or row.setting.accuracy:g}")
            row.drifts.append(tumble.drift(row.setting))
    if not walked:
        raise RuntimeError(f"the reference ended early in each of {len(found)} strides: nothing to compare with")
    return {"windows": [dataclasses.asdict(over) for over in walked], "rows": [row.figures() for row in rows]}


def measure_control(body: Body, truth: Setting, repeats: int, tell: Tell) -> dict[str, Any]:
    """As long as the first stride lasts, from the start, at each control rate; timed `repeats` times."""
    stride = body.strides(1)[0]
    over = Window(stride.kind, 0.0, round(stride.end_s - stride.start_s, 6))
    description = Walk(body.person, seed=0).description
    timings: dict[int, list[Timing]] = {rate: [] for rate in CONTROL_RATES_HZ}
    tight: dict[int, Rollout] = {}
    for rate in CONTROL_RATES_HZ:
        tell(f"reference at {rate} Hz")
        tight[rate] = body.run(truth, over, control_step_s=1.0 / rate)[0]
    for repeat in range(repeats):
        for rate, times in timings.items():
            tell(f"repeat {repeat + 1} of {repeats}: {rate} Hz")
            times.append(body.run(FARM, over, control_step_s=1.0 / rate)[1])
    farm_hz = round(1.0 / CONTROL_STEP_S)
    rows = []
    for rate, times in timings.items():
        whole = tight[rate].end == tight[farm_hz].end == "completed"
        largest, rms = angle_errors(tight[rate], tight[farm_hz], over, description) if whole else (None, None)
        rows.append(_figures(FARM, times) | {"rate_hz": rate, "angle_apart_deg": largest, "angle_apart_rms_deg": rms})
    return {"windows": [dataclasses.asdict(over)], "rows": rows}


def measure_aloud(person: GaitParameters, studies: Sequence[str], accuracy: float, strides: int) -> dict[str, Any]:
    """`measure`, telling on standard error how far it is."""
    with Console(stderr=True).status("starting") as line:
        return measure(person, studies, accuracy=accuracy, strides=strides, tell=line.update)


def measure(
    person: GaitParameters, studies: Sequence[str], *, accuracy: float, strides: int, tell: Tell
) -> dict[str, Any]:
    """Everything, as `--json` prints it."""
    truth = reference(accuracy)
    rigid = Body(person, Walk, FARM)
    report: dict[str, Any] = {
        "body_model": person.body_model,
        "speed_m_s": person.target_speed_m_s,
        "reference_accuracy": accuracy,
        "machine": {"architecture": platform.machine(), "cores": os.cpu_count(), "load_at_start": os.getloadavg()[0]},
    }
    if "integration" in studies:
        report["integration"] = measure_settings(rigid, SETTINGS, truth, strides, tell)
        rows = {row["setting"]: row for row in report["integration"]["rows"]}
        report |= {"baseline_rtf": rows["baseline: public environment"]["rtf"], "farm_rtf": rows["farm"]["rtf"]}
    if "tendon" in studies:
        elastic = Body(person, ElasticWalk, ELASTIC_APPROACH)
        try:
            report["tendon"] = measure_settings(elastic, ELASTIC_SETTINGS, truth, strides, tell)
        except (RuntimeError, ValueError) as error:  # gains that were found with rigid tendons may not carry it a step
            report["skipped"] = {"tendon": str(error)}
    if "control" in studies:
        report["control"] = measure_control(rigid, truth, strides, tell)
    return report


TITLES = {
    "integration": "Integration, rigid tendons",
    "tendon": "Integration, explicit elastic tendons",
    "control": "Control rate; differences from 200 Hz",
}


def print_report(report: dict[str, Any], console: Console) -> None:
    """A table for each study."""
    for study in STUDIES:
        if study not in report:
            continue
        over, rows = report[study]["windows"], report[study]["rows"]
        table = Table(
            title=f"{TITLES[study]}: {len(over)} {over[0]['kind']}(s), {over[0]['start_s']:.2f}-"
            f"{over[-1]['end_s']:.2f} s, {report['body_model']}, {report['speed_m_s']:.2f} m/s",
            box=SIMPLE_HEAD,
            pad_edge=False,
        )
        control = study == "control"
        apart = ("apart, deg", "RMS") if control else ("error, deg", "worst", "RMS", "chatter", "fall", "weightless")
        for column in ("Hz" if control else "setting", "integrator", "ms", "accuracy", "done", "real time", "by CPU"):
            table.add_column(column, no_wrap=True)
        for column in apart:
            table.add_column(column, no_wrap=True, justify="right")
        for row in rows:
            done = f"{row['ends'].count('completed')}/{len(row['ends'])}"
            cells = [str(row["rate_hz"] if control else row["setting"].partition(":")[0]), row["integrator"]]
            cells += [_cell(row["step_ms"]), _cell(row["accuracy"], "g"), done, _spread(row, "rtf")]
            cells += [_spread(row, "rtf_cpu")]
            if control:
                cells += [_cell(row["angle_apart_deg"]), _cell(row["angle_apart_rms_deg"])]
            else:
                cells += [_cell(row["angle_error_deg"]), _cell(row["angle_error_deg_worst"])]
                cells += [_cell(row["angle_rms_deg"], ".3f"), _cell(row["load_chatter_bw"], ".3f")]
                cells += [_cell(row[f"energy_drift_{name}"], ".0e") for name in ("fall", "weightless")]
            table.add_row(*cells)
        console.print(table)
    for study, reason in report.get("skipped", {}).items():
        console.print(f"skipped {study}: {reason}", highlight=False)
    machine = report["machine"]
    console.print(
        f"{machine['architecture']}, {machine['cores']} cores, load {machine['load_at_start']:.1f} before",
        highlight=False,
    )


def _cell(value: float | None, form: str = ".2f") -> str:
    return "" if value is None else format(value, form)


def _spread(row: dict[str, Any], key: str) -> str:
    if row[key] is None:
        return ""
    low, high = row[f"{key}_range"]
    return f"{row[key]:.2f} ({low:.2f}-{high:.2f})"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--body-model", choices=get_args(BodyModel), default="planar")
    parser.add_argument("--walker", help="name in the archive; default: the healthy one nearest 1.25 m/s")
    parser.add_argument("--studies", nargs="+", choices=STUDIES, default=list(STUDIES))
    parser.add_argument("--strides", type=int, default=4, help="that are compared; each is timed once in each setting")
    parser.add_argument("--reference-accuracy", type=float, default=1e-7, help="of Runge-Kutta-Merson")
    parser.add_argument("--json", action="store_true", help="one line of figures instead of tables")
    arguments = parser.parse_args()
    if arguments.strides < 1:
        parser.error(f"--strides must be 1 or more, got {arguments.strides}")
    if not 0.0 < arguments.reference_accuracy <= 1e-3:
        parser.error(f"--reference-accuracy must be above 0 and at most 0.001, got {arguments.reference_accuracy:g}")
    try:
        person = walker(arguments.body_model, arguments.walker)
    except ValueError as error:
        parser.error(f"--walker: {error}")
    os.environ.update(dict.fromkeys(ONE_THREAD, "1"))  # BLAS would wait for work in loops, on CPU time
    report = apart(measure_aloud, person, arguments.studies, arguments.reference_accuracy, arguments.strides)
    if arguments.json:
        sys.stdout.write(json.dumps(report) + "\n")
    else:
        print_report(report, Console())


if __name__ == "__main__":
    main()
