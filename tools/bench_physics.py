"""How fast the two engines are beside the public environment, how well they agree, and where the time goes.

    python tools/bench_physics.py [--peer-model gait14dof22musc_planar_20170320.osim] [--json]

A row is an engine, a body and a number of processes that walk at the same time.
Its real-time factor (simulated over wall-clock time, one process) is given as the
median and the range of the repeats; the CPU factor (simulated over the process's
own CPU time) beside it is what the wall clock would show on cores that nobody else
uses. The rows take turns, each measurement in a process of its own, so that a busy
minute of the machine disturbs all of them alike. The row "peer" is the public planar
model in the public environment's settings (`peer_walk.py`); without its file the row is
skipped. Agreement is measured in the same run: accelerations of twin and OpenSim at
random states, joint angles over a second of walking from one state.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import platform
import statistics
import sys
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from timed_walks import Timing, guarded, peer_evaluation_us, time_opensim, time_peer, time_twin, wait_at, walker

from farm.records import BodyModel

if TYPE_CHECKING:
    from engine_profile import Profile

    from workers.simulate.agreement import WalkAgreement

PEER = "peer"
NO_PEER = "no --peer-model given: the public model's file is not part of this project"
ONE_THREAD = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")


@dataclass(frozen=True)
class Settings:
    """What is measured, and for how long (seconds are simulated ones)."""

    peer_model: Path | None
    bodies: tuple[BodyModel, ...]
    walker: str | None
    processes: tuple[int, ...]
    repeats: int
    seconds: float
    peer_seconds: float
    twin_seconds: float
    states: int
    turns: int


@dataclass
class Row:
    """One engine on one body in so many processes at a time; a list of timings for each repeat."""

    engine: str
    body: str
    processes: int
    repeats: list[list[Timing]] = field(default_factory=list)

    @property
    def factors(self) -> list[float]:
        """Real-time factor of each process of each repeat."""
        return [timing.real_time_factor for timings in self.repeats for timing in timings]

    @property
    def cpu_factors(self) -> list[float]:
        """The same by CPU time."""
        return [timing.cpu_real_time_factor for timings in self.repeats for timing in timings]

    def figures(self) -> dict[str, Any]:
        """The row as it is printed."""
        timings = [timing for repeat in self.repeats for timing in repeat]
        rates = [t.evaluations / t.wall_s for t in timings if t.evaluations is not None]
        return {
            "engine": self.engine,
            "body": self.body,
            "processes": self.processes,
            "rtf": statistics.median(self.factors),
            "rtf_range": [min(self.factors), max(self.factors)],
            "rtf_all_processes": statistics.median(sum(t.real_time_factor for t in repeat) for repeat in self.repeats),
            "rtf_cpu": statistics.median(self.cpu_factors),
            "rtf_cpu_range": [min(self.cpu_factors), max(self.cpu_factors)],
            "evaluations_per_s": statistics.median(rates) if rates else None,
            "evaluations_per_simulated_s": (
                statistics.median(t.evaluations / t.simulated_s for t in timings if t.evaluations is not None)
                if rates
                else None
            ),
            "simulated_s": sum(t.simulated_s for t in timings),
            "starts": sum(t.starts for t in timings),
            "ends": sorted({t.end for t in timings}),
        }


def in_processes(count: int, task: Callable[..., Any], *arguments: Any) -> list[Any]:
    """Run a task in `count` fresh processes, timed at the same moment; what each returned."""
    context = multiprocessing.get_context("spawn")
    barrier = context.Barrier(count)
    with ProcessPoolExecutor(count, mp_context=context, initializer=wait_at, initargs=(barrier,)) as pool:
        futures = [pool.submit(guarded, task, *arguments) for _ in range(count)]
        return [future.result() for future in futures]


def apart(task: Callable[..., Any], *arguments: Any) -> Any:
    """Run a task in a fresh process."""
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        return pool.submit(task, *arguments).result()


def time_rows(settings: Settings, tell: Callable[[str], None]) -> list[Row]:
    """Every row, in turns."""
    rows: list[tuple[Row, Callable[..., Timing], tuple[Any, ...]]] = []
    for processes in settings.processes:
        if settings.peer_model is not None:
            rows.append((Row(PEER, "planar", processes), time_peer, (settings.peer_model, settings.peer_seconds)))
        for body in settings.bodies:
            person = walker(body, settings.walker)
            rows.append((Row("opensim", body, processes), time_opensim, (person, settings.seconds)))
            rows.append((Row("twin", body, processes), time_twin, (person, settings.twin_seconds)))
    for repeat in range(settings.repeats):
        for row, task, arguments in rows:
            tell(f"repeat {repeat + 1} of {settings.repeats}: {row.engine}, {row.body}, {row.processes} process(es)")
            row.repeats.append(in_processes(row.processes, task, *arguments))
    return [row for row, _, _ in rows]


# What follows runs in processes of its own; the engines are imported there, not here, so that the peer's process finds
# OpenSim as any user of it does.


def measure_profile(body: BodyModel, name: str | None, turns: int, seconds: float) -> Profile:
    """Where OpenSim's time goes on one body."""
    from engine_profile import profile

    return profile(walker(body, name), turns=turns, seconds=seconds)


def measure_accelerations(body: BodyModel, states: int) -> float:
    """Largest relative difference of the engines' accelerations at random states."""
    import numpy as np

    from workers.simulate.agreement import acceleration_error, body_states_rand
    from workers.simulate.description import describe

    description = describe(walker(body))
    return acceleration_error(description, body_states_rand(description, np.random.default_rng(1), states))


def measure_walk(body: BodyModel, name: str | None) -> WalkAgreement:
    """How far the engines' joint angles come apart in a second."""
    from workers.simulate.agreement import walk_agreement

    return walk_agreement(walker(body, name), seed=0, duration_s=1.0)


def measure(settings: Settings, tell: Callable[[str], None]) -> dict[str, Any]:
    """Everything, as `--json` prints it. What could not be measured is None, and `skipped` says why."""
    load = os.getloadavg()[0]
    figures = {(row.engine, row.body, row.processes): row.figures() for row in time_rows(settings, tell)}
    skipped: dict[str, str] = {} if settings.peer_model else {"peer_rtf": NO_PEER}
    report: dict[str, Any] = {}
    fewest = min(settings.processes)
    for key, engine, body in (
        ("peer", PEER, "planar"), ("opensim_planar", "opensim", "planar"), ("opensim_3d", "opensim", "3d"),
        ("twin_planar", "twin", "planar"), ("twin_3d", "twin", "3d"),
    ):  # fmt: skip
        row = figures.get((engine, body, fewest))
        report[f"{key}_rtf"] = row and row["rtf"]
        report[f"{key}_rtf_cpu"] = row and row["rtf_cpu"]
        if row is None:
            skipped.setdefault(f"{key}_rtf", f"body {body!r} was not asked for")
    tell("agreement of the engines")
    accelerations = {body: apart(measure_accelerations, body, settings.states) for body in settings.bodies}
    walks = {body: apart(measure_walk, body, settings.walker) for body in settings.bodies}
    whole = [walk.angle_deg for walk in walks.values() if walk.compared_s > 0.99]
    if not whole:
        skipped["angle_err_deg_1s"] = "no walker stayed up for a second"
    report |= {
        "accel_rel_err_max": max(accelerations.values()),
        "angle_err_deg_1s": max(whole, default=None),
        "agreement": {
            body: {"accel_rel_err_max": accelerations[body], "states": settings.states, **asdict(walks[body])}
            for body in settings.bodies
        },
        "rows": list(figures.values()),
    }
    tell("where OpenSim's time goes")
    profiles = {
        body: asdict(apart(measure_profile, body, settings.walker, settings.turns, settings.seconds))
        for body in settings.bodies
    }
    peer_us = apart(peer_evaluation_us, settings.peer_model, settings.turns) if settings.peer_model else None
    return report | {
        "profile": profiles,
        "peer_evaluation_us": peer_us,
        "repeats": settings.repeats,
        "skipped": skipped,
        "machine": {"architecture": platform.machine(), "cores": os.cpu_count(), "load_at_start": load},
    }


def print_report(report: dict[str, Any], console: Console) -> None:
    """Three tables."""
    machine = report["machine"]
    table = Table(
        title=f"Real-time factor of each of n processes, median (range); {machine['cores']} cores, load "
        f"{machine['load_at_start']:.1f} before. x peer: by CPU time",
        box=SIMPLE_HEAD,
        pad_edge=False,
    )
    for column in ("engine", "body", "n", "wall clock", "CPU time", "x peer", "eval./s"):
        table.add_column(column, no_wrap=True, justify="left" if column in ("engine", "body") else "right")
    for row in report["rows"]:
        table.add_row(
            row["engine"], row["body"], str(row["processes"]), _spread(row["rtf"], row["rtf_range"]),
            _spread(row["rtf_cpu"], row["rtf_cpu_range"]), _times(row["rtf_cpu"], report["peer_rtf_cpu"]),
            "" if row["evaluations_per_s"] is None else f"{row['evaluations_per_s']:,.0f}",
        )  # fmt: skip
    console.print(table)
    for row in report["rows"]:
        if row["starts"] > row["processes"] * report["repeats"] or row["ends"] != ["completed"]:
            console.print(
                f"{row['engine']}, {row['body']}: {row['starts']} starts for {row['simulated_s']:.0f} s of walking, "
                f"the last ended as {', '.join(row['ends'])}",
                highlight=False,
            )
    table = Table(title="Twin beside OpenSim", box=SIMPLE_HEAD)
    for column in ("body", "accelerations, relative", "states", "joint angles, deg", "compared, s"):
        table.add_column(column)
    for body, agreement in report["agreement"].items():
        table.add_row(
            body, f"{agreement['accel_rel_err_max']:.1e}", str(agreement["states"]), f"{agreement['angle_deg']:.1e}",
            f"{agreement['compared_s']:.2f}",
        )  # fmt: skip
    console.print(table)
    table = Table(title="Where OpenSim's time goes, microseconds of CPU time (fastest turns)", box=SIMPLE_HEAD)
    for column in ("body", "of", "part", "us", "share"):
        table.add_column(column)
    for body, profile in report["profile"].items():
        for of, costs in profile.items():
            total = sum(cost["us"] for cost in costs)
            for cost in costs:
                table.add_row(
                    body, of.replace("_", " "), cost["part"], f"{cost['us']:.1f}", f"{cost['us'] / total:.0%}"
                )
            table.add_row(body, of.replace("_", " "), "whole", f"{total:.1f}", "", end_section=True)
    if report["peer_evaluation_us"] is not None:
        table.add_row(PEER, "evaluation", "whole", f"{report['peer_evaluation_us']:.1f}", "")
    console.print(table)
    for key, reason in report["skipped"].items():
        console.print(f"skipped {key}: {reason}", highlight=False)


def _spread(median: float, around: list[float]) -> str:
    return f"{_short(median)} ({_short(around[0])}-{_short(around[1])})"


def _short(value: float) -> str:
    return f"{value:.2f}" if value < 10.0 else f"{value:.0f}"


def _times(value: float, peer: float | None) -> str:
    return "" if peer is None else f"{value / peer:.1f}" if value < 10.0 * peer else f"{value / peer:.0f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peer-model", type=Path, help="the public gait14dof22musc_planar_20170320.osim")
    parser.add_argument("--bodies", nargs="+", choices=get_args(BodyModel), default=list(get_args(BodyModel)))
    parser.add_argument("--walker", help="name in the archive; default: the healthy one nearest 1.25 m/s")
    parser.add_argument("--processes", nargs="+", type=int, default=[1, 2], help="that walk at the same time")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=4.0, help="of walking in OpenSim, each repeat")
    parser.add_argument("--peer-seconds", type=float, default=2.0)
    parser.add_argument("--twin-seconds", type=float, default=60.0)
    parser.add_argument("--states", type=int, default=200, help="random states at which accelerations are compared")
    parser.add_argument("--turns", type=int, default=150, help="of each variant of the model in the profile")
    parser.add_argument("--json", action="store_true", help="one line of figures instead of tables")
    arguments = parser.parse_args()
    if arguments.peer_model is not None and not arguments.peer_model.is_file():
        parser.error(f"--peer-model {str(arguments.peer_model)!r}: no such file; leave it out to skip the peer")
    for name in ("repeats", "seconds", "peer_seconds", "twin_seconds", "states", "turns"):
        if getattr(arguments, name) <= 0:
            parser.error(f"--{name.replace('_', '-')} must be above 0, got {getattr(arguments, name)!r}")
    if min(arguments.processes) < 1:
        parser.error(f"--processes must be 1 or more, got {min(arguments.processes)}")
    os.environ.update(dict.fromkeys(ONE_THREAD, "1"))  # a process is one core, as in the farm
    settings = Settings(
        peer_model=arguments.peer_model, bodies=tuple(arguments.bodies), walker=arguments.walker,
        processes=tuple(arguments.processes), repeats=arguments.repeats, seconds=arguments.seconds,
        peer_seconds=arguments.peer_seconds, twin_seconds=arguments.twin_seconds, states=arguments.states,
        turns=arguments.turns,
    )  # fmt: skip
    status = Console(stderr=True)
    with status.status("starting") as line:
        report = measure(settings, line.update)
    if arguments.json:
        sys.stdout.write(json.dumps(report) + "\n")
    else:
        print_report(report, Console())


if __name__ == "__main__":
    main()
