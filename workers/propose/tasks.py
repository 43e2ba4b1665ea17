"""Strangers' trials as Ray tasks: a few people each, so that a lost machine costs their repetition."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import ray

from farm.control.archived import ArchivedController
from farm.errors import StorageError
from farm.records import BodyModel
from workers.actors import THREADS
from workers.propose.trials import logged, tried_by

PEOPLE_A_TASK = 4


def try_all(
    rows: Sequence[ArchivedController],
    log: Path,
    *,
    people: int,
    seed: int,
    body_model: BodyModel,
    threads_set: bool,
    shown: Callable[[int], None],
) -> None:
    """Let so many people try, as Ray tasks; those who stand in the log have tried already.

    Args:
        shown: Called with the number of people who are done.

    Raises:
        StorageError: The log cannot be written.
        FormatError: It is damaged.
    """
    done = {line["person"] for line in logged(log)}
    left = [number for number in range(people) if number not in done]
    options: dict[str, Any] = {"num_cpus": 1, "max_retries": 5}
    task = ray.remote(tried_by).options(**options if threads_set else options | {"runtime_env": {"env_vars": THREADS}})
    there: Any = ray.put(list(rows))
    waiting = {
        task.remote(there, left[first : first + PEOPLE_A_TASK], seed, body_model)
        for first in range(0, len(left), PEOPLE_A_TASK)
    }
    shown(len(done))
    try:
        with log.open("a", encoding="utf-8") as file:
            while waiting:
                ready, _ = ray.wait(list(waiting), num_returns=1)
                for ref in ready:
                    waiting.discard(ref)
                    lines = ray.get(ref)
                    file.write("".join(f"{json.dumps(line)}\n" for line in lines))
                    file.flush()
                    shown(len(lines))
    except OSError as error:
        raise StorageError(f"cannot write {log}: {error.strerror}; choose another --out") from None
