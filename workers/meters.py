"""What a run counts, for Prometheus: Ray's exporter on each machine serves it with `ray_` before every name.

The dashboard `deploy/grafana/gaitfarm.json` draws these metrics and no others; a
test holds the two together. Everything is tagged with the campaign, since more
than one may run on a cluster.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from ray.util.metrics import Counter, Gauge

from workers.staging import Made, Written

CAMPAIGN = "campaign"
"""The tag that every metric carries."""


@dataclass(frozen=True)
class Metric:
    """What is measured.

    Attributes:
        tags: Beside the campaign; each combination of values is a series of its own, so only what has few values.
    """

    kind: Literal["counter", "gauge"]
    description: str
    tags: tuple[str, ...] = ()


METRICS: Mapping[str, Metric] = {
    "gaitfarm_samples": Metric("counter", "Samples made, by outcome: accepted or rejected.", ("outcome",)),
    "gaitfarm_rejections": Metric(
        "counter", "Reasons of rejected samples; a sample may have more than one.", ("reason",)
    ),
    "gaitfarm_stage_seconds": Metric("counter", "Worker seconds spent in each stage.", ("stage",)),
    "gaitfarm_bytes": Metric("counter", "Bytes that committed shards added to the dataset."),
    "gaitfarm_shards": Metric("counter", "Shards committed."),
    "gaitfarm_lost_attempts": Metric(
        "counter",
        "Attempts that ended without a result: crashed, hung, machine lost, raised, or storage.",
        ("cause",),
    ),
    "gaitfarm_storage_retries": Metric("counter", "Requests to storage that had to be repeated."),
    "gaitfarm_workers_replaced": Metric("counter", "Workers that were lost, or grew too large, and were replaced."),
    "gaitfarm_workers": Metric("gauge", "Workers by state: wanted, ready, busy.", ("state",)),
    "gaitfarm_samples_left": Metric("gauge", "Samples of the campaign that are not done yet."),
}
"""Name, as it is without Ray's `ray_`, -> what it is. Ray also appends `_total` to a counter's name."""


class Meters:
    """The metrics of one process of a run, worker or driver.

    Args:
        campaign: Value of the tag that tells campaigns apart.
    """

    def __init__(self, campaign: str) -> None:
        self._metrics: dict[str, Any] = {}
        for name, metric in METRICS.items():
            kind = Counter if metric.kind == "counter" else Gauge
            made = kind(name, metric.description, tag_keys=(CAMPAIGN, *metric.tags))
            made.set_default_tags({CAMPAIGN: campaign})
            self._metrics[name] = made

    def made(self, made: Made) -> None:
        """A sample was made and staged."""
        self._count("gaitfarm_samples", outcome="accepted" if made.accepted else "rejected")
        for reason in made.reasons:
            self._count("gaitfarm_rejections", reason=reason)
        for stage, seconds in made.seconds.items():
            self._count("gaitfarm_stage_seconds", seconds, stage=stage)

    def written(self, written: Written) -> None:
        """A shard was committed, by us or by a driver who was faster."""
        if written.ours:
            self._count("gaitfarm_bytes", written.bytes)
            self._count("gaitfarm_shards")
        self._count("gaitfarm_stage_seconds", written.seconds, stage="write")

    def lost(self, cause: str) -> None:
        """An attempt ended without a result."""
        self._count("gaitfarm_lost_attempts", cause=cause)

    def retried(self, requests: int) -> None:
        """Storage made us repeat so many requests."""
        self._count("gaitfarm_storage_retries", requests)

    def replaced(self) -> None:
        """A worker was replaced."""
        self._count("gaitfarm_workers_replaced")

    def crew(self, *, wanted: int, ready: int, busy: int) -> None:
        """How the crew stands now."""
        for state, number in (("wanted", wanted), ("ready", ready), ("busy", busy)):
            self._metrics["gaitfarm_workers"].set(number, tags={"state": state})

    def left(self, samples: int) -> None:
        """How many samples are still to be made."""
        self._metrics["gaitfarm_samples_left"].set(samples)

    def _count(self, name: str, value: float = 1, **tags: str) -> None:
        if value > 0:  # Ray refuses to add nothing
            self._metrics[name].inc(value, tags=tags)
