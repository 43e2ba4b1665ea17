"""`gaitfarm archive learn`: strangers try the archive's gains on the twin, and a model learns who walks with whose."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from farm.control.archived import ArchivedController
from farm.control.proposal import SHIPPED
from farm.errors import StorageError, UserError
from farm.records import BodyModel
from farm.search.checkpoint import write_whole
from workers.propose.fit import fit, judge
from workers.propose.plot import plot_learning
from workers.propose.tasks import try_all
from workers.propose.trials import HELD_OUT, read_trials
from workers.ray_session import ray_session

TRIALS, ORDER, REPORT, PICTURE = "trials.jsonl", "order.json", "report.json", "learning.png"


def learn(
    rows: Sequence[ArchivedController],
    out: Path,
    *,
    people: int,
    seed: int,
    epochs: int,
    body_model: BodyModel,
    workers: int | None,
    address: str | None,
    shown: Callable[[str, int, int], None],
) -> dict[str, Any]:
    """Let strangers try, fit the model, and write it with its report into `out`.

    Args:
        people: Who try; one of `HELD_OUT` tests the model.
        shown: Called with what is being done, how far it is and of how many.

    Raises:
        UserError: The folder belongs to another order, or nobody of this body model is in the archive.
        StorageError: It cannot be written.
    """
    if not any(row.body_model == body_model for row in rows):
        raise UserError(f"the archive has no walker of body model {body_model!r}; search some first")
    _take(out, {"seed": seed, "body_model": body_model, "walkers": sorted(row.digest() for row in rows)})
    count = 0

    def tried(more: int) -> None:
        nonlocal count
        count += more
        shown("strangers try", min(count, people), people)

    with ray_session(address, workers) as cluster:
        try_all(
            rows, out / TRIALS, people=people, seed=seed, body_model=body_model, threads_set=cluster.here, shown=tried
        )
    trials = read_trials(out / TRIALS, people=people)
    if len(set(trials.walked[trials.held_out])) < 2 or not trials.walked[~trials.held_out].any():
        raise UserError(
            f"of {people} people, of whom every {HELD_OUT}th tests the model, nobody walked or nobody fell; "
            "ask for more --people"
        )
    ensemble, history = fit(
        trials, epochs=epochs, seed=seed, shown=lambda epoch, *_: shown("the model learns", epoch + 1, epochs)
    )
    report = judge(ensemble, trials)
    found = asdict(report) | {"people": people, "seed": seed, "epochs": epochs, "body_model": body_model}
    write_whole(out / SHIPPED.format(body_model), ensemble.to_bytes())
    write_whole(out / PICTURE, plot_learning(history, report))
    write_whole(out / REPORT, json.dumps(found | {"history": asdict(history)}, indent=1).encode())
    return found


def _take(out: Path, order: dict[str, Any]) -> None:
    """Make the folder, or see that it belongs to this order."""
    try:
        out.mkdir(parents=True, exist_ok=True)
        inside = [path.name for path in out.iterdir()]
    except OSError as error:
        raise StorageError(f"cannot write in --out {out}: {error.strerror}; choose another folder") from None
    if ORDER in inside:
        theirs = json.loads((out / ORDER).read_text("utf-8"))
        changed = [name for name in order if theirs.get(name) != order[name]]
        if changed:
            raise UserError(f"{out} was begun with another {', '.join(changed)}; choose another --out, or remove it")
    elif inside:
        raise UserError(f"{out} is not empty ({min(inside)}) and holds no learning; choose another --out")
    else:
        write_whole(out / ORDER, json.dumps(order).encode())
