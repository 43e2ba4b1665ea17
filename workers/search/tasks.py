"""Trials and confirmations as Ray tasks: plain functions of plain values, so that a lost machine costs a repetition.

Tasks and not actors, unlike the farm's samples: a trial cannot hang (the twin's step is fixed) and takes a second, and
an autoscaler sees what waits.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import ray
from ray.exceptions import RayError, RayTaskError

from farm.control.archived import ArchivedController
from farm.errors import GaitfarmError
from farm.search.candidates import Candidate, Finalist
from farm.search.job import Job
from workers.actors import THREADS
from workers.search.confirm import confirm, walks_again
from workers.search.trial import try_on_twin

RETRIES = 5
"""How often a task is tried again whose process or machine died."""

CONFIRMATIONS_A_PROCESS = 20
"""After so many OpenSim walks a process is replaced: OpenSim's own memory grows from walk to walk."""


@dataclass(frozen=True)
class TrialKey:
    """Which candidate of a search's generation."""

    search: str
    number: int


@dataclass(frozen=True)
class ConfirmKey:
    """Which finalist of a search, and which of its people."""

    search: str
    finalist: int
    person: int


@dataclass(frozen=True)
class Answer:
    """What became of one task: its `value`, or the `fault` for which there is none."""

    key: TrialKey | ConfirmKey
    value: Any = None
    fault: str = ""


class Tasks(Protocol):
    """Somebody who tries candidates and confirms finalists."""

    def trial(self, key: TrialKey, job: Job, candidate: Candidate) -> None:
        """Begin a trial; its value is an `Outcome`."""
        ...

    def confirmation(self, key: ConfirmKey, job: Job, finalist: Finalist) -> None:
        """Begin a confirmation; its value is a `Verdict`."""
        ...

    def ready(self, timeout_s: float) -> list[Answer]:
        """The tasks that have ended; waits so long for a first one."""
        ...

    @property
    def waiting(self) -> int:
        """Tasks that have begun and not been answered."""
        ...


class RayTasks:
    """On a Ray that this process is connected to.

    Args:
        threads_set: Ray's processes carry `THREADS` already, as `workers.ray_session` starts them here.
    """

    def __init__(self, *, threads_set: bool) -> None:
        self._trial = ray.remote(try_on_twin).options(**_options(threads_set=threads_set))
        self._confirm = _opensim_task(confirm, threads_set=threads_set)
        self._keys: dict[Any, TrialKey | ConfirmKey] = {}

    @property
    def waiting(self) -> int:
        return len(self._keys)

    def trial(self, key: TrialKey, job: Job, candidate: Candidate) -> None:
        self._keys[self._trial.remote(job, candidate)] = key

    def confirmation(self, key: ConfirmKey, job: Job, finalist: Finalist) -> None:
        self._keys[self._confirm.remote(key.search, job, finalist, key.person)] = key

    def ready(self, timeout_s: float) -> list[Answer]:
        if not self._keys:
            return []
        refs = list(self._keys)
        done, _ = ray.wait(refs, num_returns=1, timeout=timeout_s)
        if done:
            done, _ = ray.wait(refs, num_returns=len(refs), timeout=0)
        return [self._answer(ref, self._keys.pop(ref)) for ref in done]

    def _answer(self, ref: Any, key: TrialKey | ConfirmKey) -> Answer:
        try:
            return Answer(key, ray.get(ref))
        except RayTaskError as error:
            cause = error.cause
            if isinstance(cause, GaitfarmError):
                return Answer(key, fault=str(cause))
            raise
        except RayError as error:
            return Answer(key, fault=_died(error))


def walk_again(walkers: Sequence[ArchivedController], *, threads_set: bool) -> Iterator[tuple[str, str]]:
    """Let walkers of an archive walk in OpenSim now; gives each one's name and why it did not, as they end."""
    task = _opensim_task(walks_again, threads_set=threads_set)
    names = {task.remote(walker): walker.name for walker in walkers}
    while names:
        done, _ = ray.wait(list(names), num_returns=1)
        for ref in done:
            try:
                reason = ray.get(ref)
            except RayTaskError:
                raise
            except RayError as error:
                reason = _died(error)
            yield names.pop(ref), reason


def _options(*, threads_set: bool) -> dict[str, Any]:
    options: dict[str, Any] = {"num_cpus": 1, "max_retries": RETRIES}
    return options if threads_set else options | {"runtime_env": {"env_vars": THREADS}}


def _opensim_task(function: Callable[..., Any], *, threads_set: bool) -> Any:
    return ray.remote(max_calls=CONFIRMATIONS_A_PROCESS)(function).options(**_options(threads_set=threads_set))


def _died(error: RayError) -> str:
    return f"its process died {RETRIES + 1} times: {str(error).splitlines()[0]}"
