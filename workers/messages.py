"""What driver and workers say to each other: small frozen values, and never an exception."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from farm.config import Campaign
from farm.dataset.reader import GaitDataset
from farm.storage import Storage
from workers.ledger import Job
from workers.staging import Made, Written


@dataclass(frozen=True)
class WorkOrder:
    """What every worker of a run is told.

    Attributes:
        stages: Import path `module:function` of the factory of `farm.pipeline.Stages`.
        log_dir: Folder on the worker's machine for its stdout and stderr.
        gpu_required: A worker that would render on the processor refuses to start.
        source: Dataset whose gaits are filmed again; None where gaits are simulated.
    """

    campaign: Campaign
    dataset_id: str
    storage: Storage
    stages: str
    log_dir: str
    gpu_required: bool = False
    source: GaitDataset | None = None


@dataclass(frozen=True)
class Card:
    """Who a worker is; sent once it can work."""

    pid: int
    host: str
    node_id: str
    log_path: str
    rss_bytes: int
    software: Mapping[str, str]


@dataclass(frozen=True)
class Failure:
    """An exception in a worker, in words: Ray would have to pickle it, which not every exception survives.

    Attributes:
        kind: "user" (the caller can mend it: stop), "storage" (not the sample's fault), "error" (anything else).
        lasting: A storage's failure that waiting does not mend: credentials, a full disk.
    """

    kind: Literal["user", "storage", "error"]
    message: str
    detail: str = ""
    lasting: bool = False


@dataclass(frozen=True)
class Answer:
    """What a worker made of a job, and how large it has grown."""

    result: Made | Written | Failure
    rss_bytes: int


@dataclass(frozen=True)
class Finished:
    """A worker answered: a result, or an exception in words."""

    job: Job
    result: Made | Written | Failure


@dataclass(frozen=True)
class Lost:
    """A worker was lost over a job.

    Attributes:
        cause: "crashed", "hung", "machine lost", or "storage": its deadline passed while it waited for storage.
        detail: What is known of it, in one line.
        log_tail: The last lines that the worker wrote.
    """

    job: Job
    cause: Literal["crashed", "hung", "machine lost", "storage"]
    detail: str
    log_tail: str
