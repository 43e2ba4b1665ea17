"""What happened in a run, one JSON object a line, each with the sample or shard that it is about.

The driver writes one such file for the whole run: what was given to whom, what
became of it, which worker was lost over it. Each worker writes one beside its
log, which says what it was at when it died; native code's words stay in the log
itself. A line never holds a credential: what looks like one is masked.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import re
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from farm.errors import UserError
from workers.ledger import Job, MakeSample
from workers.messages import Failure
from workers.staging import Made, Written

MASK = "***"

SECRET_VARIABLES = ("AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_ACCESS_KEY_ID", "RAY_AUTH_TOKEN")
"""Environment variables whose values never stand in a log, should an error's text carry one."""

SECRET_IN_TEXT = re.compile(
    r"(?P<before>://|X-Amz-(?:Signature|Credential|Security-Token)=|\bBearer )(?P<secret>[^\s/@&\"]+(?P<at>@)?)"
)
"""Credentials as they stand in URLs, signed URLs and headers. A host after :// is none: only what ends with @ is."""

_LONGEST_DETAIL = 2000
"""Characters of a message that are kept."""


class EventLog:
    """Appends events to a file.

    A full disk must not end a run: from its file on, a line that cannot be
    written is dropped.

    Args:
        path: The file; None drops everything.
        common: Fields that every line carries, such as worker and host.

    Raises:
        UserError: The file cannot be opened for writing.
    """

    def __init__(self, path: Path | None, **common: str | int) -> None:
        self._common = common
        # Not logging.getLogger: that one would be shared with whoever else asks for its name in this process.
        self._logger = logging.Logger("gaitfarm")
        if path is None:
            self._logger.disabled = True
            return
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            handler = _Patient(path, encoding="utf-8")
        except OSError as error:
            raise UserError(f"the log {str(path)!r} cannot be written: {error.strerror}; give another --log") from None
        handler.setFormatter(JsonLines())
        self._logger.addHandler(handler)

    def note(
        self,
        event: str,
        *,
        job: Job | None = None,
        level: int = logging.INFO,
        worker: int | None = None,
        outcome: str | None = None,
        stage: str | None = None,
        seconds: float | None = None,
        stage_seconds: Mapping[str, float] | None = None,
        reasons: Sequence[str] | Mapping[str, int] | None = None,
        number_of_bytes: int | None = None,
        detail: str | None = None,
        **more: str | int,
    ) -> None:
        """Write one line. What is None is left out.

        Args:
            event: What happened, in a word or two.
            job: What it happened over: gives sample_id, shard_id, attempt and stage.
            worker: Number of the worker within the run.
            seconds: How long it took.
            stage_seconds: How long each stage took.
            reasons: Codes of why a sample was rejected; for a shard, with how many.
            number_of_bytes: Stands in the line as `bytes`.
            detail: A message for people, cut at 2,000 characters.
            more: Plain values, such as `host`.
        """
        fields: dict[str, object] = {**about(job), **self._common}
        fields |= {
            "worker": worker if worker is not None else self._common.get("worker"),
            "outcome": outcome,
            "stage": stage or fields.get("stage"),
            "seconds": None if seconds is None else round(seconds, 3),
            "stage_seconds": stage_seconds and {name: round(s, 4) for name, s in stage_seconds.items()},
            "reasons": reasons or None,
            "bytes": number_of_bytes,
            "detail": detail and detail[:_LONGEST_DETAIL],
            **more,
        }
        self._logger.log(level, event, extra={"fields": {k: v for k, v in fields.items() if v is not None}})

    def close(self) -> None:
        """Close the file; later lines are dropped."""
        self._logger.disabled = True
        for handler in list(self._logger.handlers):
            self._logger.removeHandler(handler)
            with contextlib.suppress(OSError):  # what it still held does not fit on the disk
                handler.close()


class JsonLines(logging.Formatter):
    """A record as one line of JSON: time (UTC), level, event, then the record's `fields`."""

    def __init__(self) -> None:
        super().__init__()
        self._secrets = [value for name in SECRET_VARIABLES if (value := os.environ.get(name, "").strip())]

    def format(self, record: logging.LogRecord) -> str:
        """The line, without its end."""
        second, milli = divmod(int(record.created * 1000), 1000)
        when = f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(second))}.{milli:03d}Z"
        fields = getattr(record, "fields", {})
        line = {"time": when, "level": record.levelname.lower(), "event": record.getMessage(), **fields}
        return json.dumps({key: self._masked(value) for key, value in line.items()}, default=str)

    def _masked(self, value: object) -> object:
        if isinstance(value, Mapping):
            return {str(key): self._masked(item) for key, item in value.items()}
        if isinstance(value, list | tuple):
            return [self._masked(item) for item in value]
        return masked(value, self._secrets) if isinstance(value, str) else value


class _Patient(logging.FileHandler):
    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802  (logging's name)
        """Drop the line."""


def masked(text: str, secrets: Sequence[str] = ()) -> str:
    """The text without these secrets, and without what stands where URLs and headers carry credentials."""
    for secret in secrets:
        text = text.replace(secret, MASK)

    def hide(found: re.Match[str]) -> str:
        before, at = found["before"], found["at"] or ""
        return found[0] if before == "://" and not at else f"{before}{MASK}{at}"

    return SECRET_IN_TEXT.sub(hide, text)


def about(job: Job | None) -> dict[str, object]:
    """Which sample or shard a job is for, and which stage it is."""
    if job is None:
        return {}
    if isinstance(job, MakeSample):
        return {"sample_id": job.sample_id, "shard_id": job.shard_id, "attempt": job.attempt, "stage": "make"}
    return {"shard_id": job.shard_id, "attempt": job.attempt, "stage": "write"}


def note_result(events: EventLog, job: Job, result: Made | Written | Failure, *, worker: int | None = None) -> None:
    """A worker's answer to a job."""
    if isinstance(result, Failure):
        note_failure(events, job, result, worker=worker)
    elif isinstance(result, Made):
        events.note(
            "made",
            job=job,
            worker=worker,
            outcome="accepted" if result.accepted else "rejected",
            seconds=sum(result.seconds.values()),
            stage_seconds=result.seconds,
            reasons=result.reasons,
            number_of_bytes=result.staged_bytes,
        )
    else:
        events.note(
            "committed",
            job=job,
            worker=worker,
            seconds=result.seconds,
            reasons=result.reasons,
            number_of_bytes=result.bytes,
            accepted=result.n_accepted,
            rejected=result.n_rejected,
        )


def note_failure(events: EventLog, job: Job, failure: Failure, *, worker: int | None = None) -> None:
    """An exception that ended an attempt."""
    cause = "storage" if failure.kind == "storage" else "raised"
    events.note("attempt failed", job=job, level=logging.WARNING, worker=worker, cause=cause, detail=failure.message)


def note_end(events: EventLog, quarantined: Mapping[int, str], *, interrupted: bool, seconds: float) -> None:
    """The end of a run, after a line for each sample that was given up; the log is closed."""
    for sample_id, why in quarantined.items():
        events.note("sample given up", level=logging.ERROR, sample_id=sample_id, detail=why)
    events.note("run interrupted" if interrupted else "run ended", seconds=seconds)
    events.close()
