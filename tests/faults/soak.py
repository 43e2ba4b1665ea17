"""The long fault suite: `python -m tests.faults.soak --faults 1000 --seed 1`.

Plays round after round until so many faults have struck, each round a dataset of
its own, every other one on a real Ceph gateway. Progress is kept in a JSON file: the same
command goes on where it was stopped. The last line printed is JSON. Exit code 1 if
anything was lost, doubled or wrong.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import shutil
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.faults.checker import Findings
from tests.faults.orders import VARIANTS
from tests.faults.rounds import Outcome, play, reference_of
from tests.faults.schedule import round_of
from tests.integration.ceph import ACCESS_KEY, INSTALL, SECRET_KEY, CephError, CephServer

CEPH_STARTS = 3


@dataclass
class Soak:
    """Everything played so far.

    Attributes:
        outcomes: By number of the round.
        spent_s: Wall-clock time, over all sittings.
    """

    seed: int
    outcomes: dict[int, Outcome] = field(default_factory=dict)
    spent_s: float = 0.0

    @property
    def faults(self) -> int:
        return sum(outcome.faults for outcome in self.outcomes.values())

    @property
    def sound(self) -> bool:
        return all(outcome.sound for outcome in self.outcomes.values())

    def last_line(self) -> dict[str, Any]:
        """What is printed at the end."""
        return summary(list(self.outcomes.values()), self.spent_s) | {"seed": self.seed}

    def save(self, path: Path) -> None:
        values = {
            "seed": self.seed,
            "spent_s": round(self.spent_s, 1),
            "outcomes": [self.outcomes[number].to_dict() for number in sorted(self.outcomes)],
        }
        new = path.with_suffix(".new")
        new.write_text(json.dumps(values, indent=1), "utf-8")
        new.replace(path)

    @classmethod
    def load(cls, path: Path, seed: int) -> Soak:
        """What an earlier sitting left, or nothing.

        Raises:
            SystemExit: It was played with another seed.
        """
        if not path.exists():
            return cls(seed)
        values = json.loads(path.read_text("utf-8"))
        if values["seed"] != seed:
            raise SystemExit(f"{path} is of seed {values['seed']}, not {seed}; remove it, or choose another --progress")
        outcomes = [Outcome(**outcome) for outcome in values["outcomes"]]
        return cls(seed, {outcome.number: outcome for outcome in outcomes}, values["spent_s"])


def summary(outcomes: Sequence[Outcome], seconds: float) -> dict[str, Any]:
    """The counts over rounds, as the last line prints them."""
    by_kind: Counter[str] = Counter()
    for outcome in outcomes:
        by_kind.update(outcome.by_kind)
    return {
        "faults": sum(by_kind.values()),
        "lost": sum(len(outcome.lost) for outcome in outcomes),
        "doubled": sum(len(outcome.doubled) for outcome in outcomes),
        "bad_checksums": sum(len(outcome.bad_checksums) for outcome in outcomes),
        "wrong": sum(len(outcome.wrong) for outcome in outcomes),
        "seconds": round(seconds, 1),
        "runs": sum(outcome.starts for outcome in outcomes),
        "rounds": len(outcomes),
        "stores": dict(sorted(Counter(outcome.store for outcome in outcomes).items())),
        "by_kind": dict(sorted(by_kind.items())),
    }


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.faults.soak", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--faults", type=int, default=1000, help="stop once so many have struck (1000)")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--at-once", type=int, default=2, help="rounds side by side (2)")
    parser.add_argument("--progress", type=Path, default=Path("soak.json"), help="where to keep it (soak.json)")
    parser.add_argument("--only", type=int, help="play this one round, and keep its folder if it goes wrong")
    options = parser.parse_args(arguments)
    missing = CephServer.missing_programs()
    if missing:
        print(f"error: Ceph is not installed ({', '.join(missing)}): {INSTALL}", file=sys.stderr)  # noqa: T201
        return 2
    soak = Soak(options.seed) if options.only is not None else Soak.load(options.progress, options.seed)
    os.environ |= {"AWS_ACCESS_KEY_ID": ACCESS_KEY, "AWS_SECRET_ACCESS_KEY": SECRET_KEY}
    with _running_ceph() as ceph:
        _sit(soak, ceph, options)
    for outcome in soak.outcomes.values():
        for what in (*outcome.lost, *outcome.doubled, *outcome.bad_checksums, *outcome.wrong):
            _say(f"WRONG in round {outcome.number} ({outcome.store} {outcome.special}): {what}")
    print(json.dumps(soak.last_line()), flush=True)  # noqa: T201
    return 0 if soak.sound else 1


@contextlib.contextmanager
def _running_ceph() -> Iterator[CephServer]:
    """A server of our own. Its ports are free when they are chosen, and may not be when it starts: then others are."""
    for attempt in range(1, CEPH_STARTS + 1):
        folder = Path(tempfile.mkdtemp(prefix="gff-ceph-", dir="/tmp"))
        ceph = CephServer(folder)
        _say("starting Ceph ...")
        try:
            ceph.start()
        except CephError as error:
            shutil.rmtree(folder, ignore_errors=True)
            if attempt == CEPH_STARTS:
                raise
            _say(f"Ceph did not start, it is tried again: {error}")
            continue
        try:
            yield ceph
        finally:
            ceph.stop()
            shutil.rmtree(folder, ignore_errors=True)
        return


def _sit(soak: Soak, ceph: CephServer, options: argparse.Namespace) -> None:
    """Play until enough has struck."""
    start_s, spent_before_s = time.monotonic(), soak.spent_s
    references = [_reference(variant, options.seed) for variant in range(VARIANTS)]

    def one(number: int) -> Outcome:
        plan = round_of(options.seed, number)
        return play(plan, references[plan.variant], ceph, keep=True)

    numbers = iter([options.only] if options.only is not None else (n for n in range(10**6) if n not in soak.outcomes))
    with ThreadPoolExecutor(options.at_once) as pool:
        playing: dict[Future[Outcome], int] = {}
        while True:
            while len(playing) < options.at_once and (soak.faults < options.faults):
                number = next(numbers, None)
                if number is None:
                    break
                playing[pool.submit(one, number)] = number
            if not playing:
                return
            done, _ = wait(playing, return_when=FIRST_COMPLETED)
            for future in done:
                number = playing.pop(future)
                outcome = soak.outcomes[number] = future.result()
                soak.spent_s = spent_before_s + time.monotonic() - start_s
                if options.only is None:
                    soak.save(options.progress)
                _say(
                    f"round {number:3d} {outcome.store:4s} {outcome.special:12s} {outcome.faults:3d} faults, "
                    f"{outcome.starts} runs, {outcome.seconds:5.1f} s: {'sound' if outcome.sound else 'WRONG'}; "
                    f"{soak.faults} of {options.faults} in {soak.spent_s:.0f} s"
                )


def _reference(variant: int, seed: int) -> Findings:
    _say(f"an undisturbed run of campaign {variant} ...")
    return reference_of(next(plan for n in range(VARIANTS) if (plan := round_of(seed, n)).variant == variant))


_speech = threading.Lock()


def _say(line: str) -> None:
    with _speech:
        print(line, file=sys.stderr, flush=True)  # noqa: T201


if __name__ == "__main__":
    sys.exit(main())
