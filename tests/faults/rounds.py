"""One round: a campaign is made while everything fails, brought to its end, and looked at by two checkers.

Real are the driver and its process, Ray, the workers, storage, and every byte;
only simulation and filming are replaced, because a thousand faults are to strike
within half an hour.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import numpy as np

from tests.faults import processes
from tests.faults.checker import Findings, check, commits
from tests.faults.orders import ORDER_VARIABLE, Order
from tests.faults.places import BucketPlace, FolderPlace, Place
from tests.faults.schedule import Blow, Leg, Round, always_crashing
from tests.faults.stages import attempts
from tests.faults.strikes import STRIKES_VARIABLE, note, tally
from tests.integration.ceph import CephServer

LEG_TIMEOUT_S = 420.0
"""A driver that has not come to an end by then never will; generous, because the machine may be busy."""

SETTLING_RUNS = 4
"""Undisturbed starts within which a campaign must be complete; the first should do."""

TRIES_UNTIL_GIVEN_UP = 3
NAMED_ENDS = (0, 1, 2, 130, -signal.SIGKILL, -signal.SIGTERM)
"""How a driver may end: done, incomplete, an error that names its cause, interrupted, killed."""

DEADLINE_S, CALM_DEADLINE_S = 15.0, 150.0
"""Of a sample, which takes a third of a second on a quiet core: short where hangs are waited for, and beyond any busy
machine's delays where nothing must be taken to hang."""

FULL_RATE = 0.05
"""Share of calls that find the disk full where no really full one can be had."""

LEAVING_S = 60.0
"""Within which nothing may be left of a driver that ended by itself and whose Ray nobody had killed: two agents of Ray
outlive a killed raylet or control store by some minutes."""

HOUR_OFF = "clock: an hour off"

OUTAGE_S = 8.0
TICK_S = 0.05


@dataclass
class Outcome:
    """What came of one round. Empty lists are what must be.

    Attributes:
        by_kind: Faults that struck.
        lost, doubled: Sample ids.
        bad_checksums: Objects.
        wrong: Everything else that is not as it should be, in words.
        starts: How often a driver was started.
        orphans, unfinished: Objects that no commit names; writes that never ended. Garbage, and allowed.
    """

    number: int
    store: str
    special: str
    by_kind: dict[str, int] = field(default_factory=dict)
    lost: list[int] = field(default_factory=list)
    doubled: list[int] = field(default_factory=list)
    bad_checksums: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    starts: int = 0
    orphans: int = 0
    unfinished: int = 0
    seconds: float = 0.0

    @property
    def faults(self) -> int:
        return sum(self.by_kind.values())

    @property
    def sound(self) -> bool:
        return not (self.lost or self.doubled or self.bad_checksums or self.wrong)

    def to_dict(self) -> dict[str, object]:
        return asdict(self)


def reference_of(plan: Round) -> Findings:
    """What an undisturbed run of the same campaign makes."""
    calm = replace(plan, legs=(), special="", sample_faults=always_crashing(), syscall_rates={}, store="file")
    with tempfile.TemporaryDirectory(prefix="gff-", dir=_short_folder()) as folder:
        place: Place = FolderPlace(Path(folder), small=False)
        game = _Game(calm, Path(folder), place)
        game.settle()
        found = check(place.objects)
    if not found.sound or game.outcome.wrong or len(game.exits) != 1:
        raise RuntimeError(f"an undisturbed run is not sound: {found.faults[:3]} {game.outcome.wrong} {game.exits}")
    return found


def play(plan: Round, reference: Findings, ceph: CephServer | None, *, keep: bool = False) -> Outcome:
    """Play one round.

    Args:
        reference: Of the same campaign.
        ceph: A running server, for a round in a bucket.
        keep: Leave the folder of a round that went wrong, for looking at.
    """
    start_s = time.monotonic()
    folder = Path(tempfile.mkdtemp(prefix="gff-", dir=_short_folder()))
    place: Place
    if plan.store == "s3":
        if ceph is None:
            raise ValueError("a round in a bucket needs a server")
        name = f"faults-{plan.seed}-{plan.number}-{folder.stat().st_ino}"
        place = BucketPlace(ceph, name, folder / "strikes")
    else:
        (folder / "disk").mkdir()
        disk = FolderPlace(folder / "disk", small=plan.special == "full disk")
        if (
            plan.special == "full disk" and not disk.full
        ):  # no disk may be mounted here: let calls fail as on a full one
            plan = replace(plan, syscall_rates={**plan.syscall_rates, "ENOSPC": FULL_RATE})
        place = disk
    game = _Game(plan, folder, place)
    try:
        for number, leg in enumerate(plan.legs):
            place.disturb(plan, number)
            game.play(leg)
        place.calm()
        game.settle()
        game.look(reference)
        if not game.outcome.sound and keep:
            game.outcome.wrong.append(f"kept in {folder}")
    finally:
        place.remove()
        if game.outcome.sound or not keep:
            shutil.rmtree(folder, ignore_errors=True)
    game.outcome.seconds = round(time.monotonic() - start_s, 1)
    return game.outcome


class _Driver:
    """One process of `tests.faults.drive` in a session of its own, as a terminal would start it."""

    def __init__(self, order: Order, folder: Path, number: int, environment: Mapping[str, str]) -> None:
        self.log = folder / f"driver-{number}.log"
        order_path = folder / f"order-{number}.json"
        order.write(order_path)
        clean = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
        ours = {
            ORDER_VARIABLE: str(order_path),
            STRIKES_VARIABLE: str(folder / "strikes"),
            "TMPDIR": str(folder),
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_CONFIG_FILE": str(folder / "no-config"),
            "AWS_SHARED_CREDENTIALS_FILE": str(folder / "no-credentials"),
        }
        with self.log.open("wb") as log, (folder / f"driver-{number}.out").open("wb") as out:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "tests.faults.drive"],
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=log,
                env={**clean, **ours, **environment},
                start_new_session=True,
            )

    @property
    def alive(self) -> bool:
        return self.process.poll() is None

    def words(self) -> str:
        return self.log.read_text("utf-8", "replace")


class _Game:
    """The state of a round that is being played."""

    def __init__(self, plan: Round, folder: Path, place: Place) -> None:
        self.plan = plan
        self.place = place
        self.outcome = Outcome(plan.number, plan.store, plan.special)
        self.exits: list[int] = []
        self._folder = folder
        self._counts = folder / "counts"
        self._counts.mkdir()
        self._book = folder / "strikes"
        self._rng = np.random.default_rng([plan.seed, plan.number, 1])
        self._put_once: dict[str, str] = {}
        self._daemon_killed = False

    def play(self, leg: Leg) -> None:
        """One leg: start, strike, wait for the end."""
        if any(blow.target == "credentials" for blow in leg.blows) and isinstance(self.place, BucketPlace):
            self.place.passing_key()
        begun_before = self._begun()
        self._daemon_killed = False
        drivers = [self._start(disturbed=True, skew_s=leg.skew_s) for _ in range(leg.drivers)]
        blows = list(leg.blows)
        deadline = time.monotonic() + LEG_TIMEOUT_S
        while any(driver.alive for driver in drivers):
            if blows and self._begun() - begun_before >= blows[0].after:
                blow = blows.pop(0)
                time.sleep(blow.pause_s)
                self._strike(blow, drivers)
            if time.monotonic() > deadline:
                self.outcome.wrong.append(f"a driver came to no end; {self._ray(drivers[0])}")
                break
            time.sleep(TICK_S)
        self._finish(drivers)
        self._expect_end(leg, drivers, begun_before)

    def settle(self) -> None:
        """Start the driver in peace, as a user would who comes back, until the campaign is complete."""
        self._daemon_killed = False
        for _ in range(SETTLING_RUNS):
            driver = self._start(disturbed=False)
            try:
                driver.process.wait(LEG_TIMEOUT_S)
            except subprocess.TimeoutExpired:
                self.outcome.wrong.append("an undisturbed driver came to no end")
            self._finish([driver])
            if self.exits[-1] == 0:
                return
        self.outcome.wrong.append(f"not complete after {SETTLING_RUNS} undisturbed runs: {driver.words()[-500:]}")

    def look(self, reference: Findings) -> None:
        """Hold the dataset against the format, against `gaitfarm verify`, and against an undisturbed run."""
        found = check(self.place.objects)
        outcome = self.outcome
        outcome.by_kind = dict(sorted(tally(self._book).items()))
        outcome.lost, outcome.doubled, outcome.bad_checksums = found.lost, found.doubled, found.bad_checksums
        outcome.wrong += found.faults
        outcome.orphans, outcome.unfinished = found.orphans, self.place.unfinished()
        if found.staged:
            outcome.wrong.append(f"{found.staged} objects are staged for shards that are committed")
        outcome.wrong += self._verify_faults(found)
        tried = attempts(self._counts)
        for sample_id, reasons in sorted(found.rejected.items()):
            given_up = reasons[0].startswith("quarantined") and tried.get(sample_id, 0) >= TRIES_UNTIL_GIVEN_UP
            if not given_up and reasons != reference.rejected.get(sample_id):
                times = tried.get(sample_id, 0)
                outcome.wrong.append(f"sample {sample_id} was rejected: {reasons}, tried {times} times")
        for sample_id, digest in sorted(found.contents.items()):
            if digest != reference.contents.get(sample_id):
                outcome.wrong.append(f"sample {sample_id} differs from an undisturbed run's")

    def _start(self, *, disturbed: bool, skew_s: float = 0.0) -> _Driver:
        plan = self.plan
        order = Order(
            uri=self.place.uri,
            endpoint_url=self.place.endpoint_url,
            variant=plan.variant,
            samples=plan.samples,
            gaits_per_shard=plan.gaits_per_shard,
            folder=str(self._counts),
            seed=plan.seed + plan.number,
            sample_faults=plan.sample_faults if disturbed else always_crashing(),
            syscall_rates=plan.syscall_rates if disturbed else {},
            skew_s=skew_s,
            deadline_s=DEADLINE_S if disturbed else CALM_DEADLINE_S,
        )
        self.outcome.starts += 1
        return _Driver(order, self._folder, self.outcome.starts, self.place.environment())

    def _begun(self) -> int:
        return sum(attempts(self._counts).values())

    def _finish(self, drivers: list[_Driver]) -> None:
        """Clear away what a leg left, and see that it ended with words and changed nothing that is put once."""
        for driver in drivers:
            ended_itself = not driver.alive and driver.process.returncode >= 0 and not self._daemon_killed
            left = processes.end_session(driver.process.pid, patience_s=LEAVING_S if ended_itself else 0.0)
            if left and ended_itself:
                self.outcome.wrong.append(f"a driver left {len(left)} processes behind: {left[:3]}")
            driver.process.kill()
            code = driver.process.wait()
            self.exits.append(code)
            words = driver.words()
            if code not in NAMED_ENDS or "Traceback (most recent call last)" in words:
                self.outcome.wrong.append(f"a driver ended with {code} and said: ...{words[-700:]}")
            if code == 2 and "error: " not in words:
                self.outcome.wrong.append(f"a driver ended with 2 and named no error: {words[-300:]}")
        now = commits(self.place.objects)
        for key, digest in self._put_once.items():
            if now.get(key) != digest:
                self.outcome.wrong.append(f"{key} was put once and has {'changed' if key in now else 'vanished'}")
        self._put_once = now

    def _strike(self, blow: Blow, drivers: list[_Driver]) -> None:
        alive = [driver for driver in drivers if driver.alive]
        if not alive:
            return
        victim = alive[int(self._rng.integers(len(alive)))]
        session = victim.process.pid
        match blow.target:
            case "worker" | "raylet" | "gcs":
                pids = processes.of_session(session, blow.target)
                chosen = [pids[int(self._rng.integers(len(pids)))]] if pids else []
                self._daemon_killed |= blow.target != "worker"
                self._note(f"SIGKILL: {blow.target}", processes.kill(chosen))
            case "all workers":
                self._note("SIGKILL: worker", processes.kill(processes.of_session(session, "worker")))
            case "driver":
                self._note("SIGKILL: driver", processes.kill([session]))
            case "all at once":
                hit = processes.kill(processes.of_session(session))
                self._note("SIGKILL: all at once", min(1, hit))
            case "sigterm":
                self._note("SIGTERM: driver", processes.kill([session], signal.SIGTERM))
            case "sigint twice":
                self._note("SIGINT: driver", processes.kill([session], signal.SIGINT))
                time.sleep(1.0)
                self._note("SIGINT: driver", processes.kill([session], signal.SIGINT))
            case _:
                self._strike_store(blow.target)

    def _strike_store(self, target: str) -> None:
        place = self.place
        if not isinstance(place, BucketPlace):
            raise ValueError(f"there is no blow {target!r}")
        match target:
            case "outage":
                place.proxy.down = True
                time.sleep(OUTAGE_S)
                place.proxy.down = False
                self._note("store: down for a while", 1)
            case "credentials":
                place.expire()
            case "quota":
                place.fill_up()
            case _:
                raise ValueError(f"there is no blow {target!r}")

    def _expect_end(self, leg: Leg, drivers: list[_Driver], begun_before: int) -> None:
        """A store that fails for good ends the run with the error that names it, and only that counts as a strike."""
        kind, words = self._store_fault(leg, begun_before)
        if not kind:
            return
        ended, said = self.exits[-1], drivers[-1].words()
        if ended == 2 and words in said:
            self._note(kind, 1)
        elif ended == 2 or kind == HOUR_OFF:  # else it was done before it could be struck, or something else killed it
            self.outcome.wrong.append(f"{kind}: the driver ended with {ended} and said: {said[-400:]}")

    def _store_fault(self, leg: Leg, begun_before: int) -> tuple[str, str]:
        """What must have ended this leg, and how its error names it; empty if nothing of the kind."""
        if leg.skew_s > 900:
            return HOUR_OFF, "clock is wrong"
        if leg.skew_s and self._begun() > begun_before:
            self._note("clock: 14 minutes off", 1)
        if isinstance(self.place, FolderPlace) and self.place.full:
            self.place.calm()
            return "disk: really full", "disk is full"
        return {
            "credentials": ("credentials expired", "the access key is not known there"),
            "quota": ("store: quota used up", "quota"),
        }.get(leg.blows[0].target if leg.blows else "", ("", ""))

    def _note(self, kind: str, times: int) -> None:
        for _ in range(times):
            note(kind, book=self._book)

    def _verify_faults(self, found: Findings) -> list[str]:
        """What `gaitfarm verify` says, in a process of its own; it must say what the checker says."""
        command = [*GAITFARM, "verify", "--deep", self.place.uri, "--json", "--workers=1"]
        command.append(f"--state={self._folder / 'verified'}")
        if self.place.direct_endpoint_url:
            command += ["--endpoint-url", self.place.direct_endpoint_url]
        done = subprocess.run(
            command, capture_output=True, text=True, check=False, env=os.environ | dict(self.place.environment())
        )
        try:
            report = json.loads(done.stdout)
        except json.JSONDecodeError:
            return [f"gaitfarm verify ended with {done.returncode}: {done.stderr[-300:]}"]
        faults = [f"gaitfarm verify: {fault['where']} {fault['what']}" for fault in report["faults"]]
        counts = (report["n_gaits"], report["n_rejected"])
        if counts != (len(found.contents), len(found.rejected)):
            faults.append(f"gaitfarm verify counts {counts}, the checker {len(found.contents), len(found.rejected)}")
        if done.returncode != (1 if report["faults"] else 0):
            faults.append(f"gaitfarm verify ended with {done.returncode}")
        return faults

    def _ray(self, driver: _Driver) -> str:
        alive = {role: len(processes.of_session(driver.process.pid, role)) for role in processes.ROLES}
        return f"alive: {alive}; it said: {driver.words()[-500:]}"


GAITFARM = (sys.executable, "-c", "import sys; from farm.cli import main; sys.exit(main())")
"""The command line, from this tree."""


def _short_folder() -> str:
    """Ray's sockets lie far below its temporary folder, and a socket's path may have 107 bytes."""
    return tempfile.gettempdir() if len(tempfile.gettempdir()) <= 10 else "/tmp"
