"""A dataset from a campaign: probe, plan, resume, start Ray, run, sum up.

Whatever ends a run (a signal, a crash, a lost machine), the dataset is whole as
far as it goes: shards are committed one by one, made samples wait in `staging/`,
and the same command goes on from there. Two drivers on one dataset do not harm
each other: they find each other's gaits and commits, and only one commit of a
shard can stand; where the store cannot keep them apart, the second is refused
(`farm.dataset.claim`).
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from rich.console import Console

from farm.config import Campaign
from farm.control.archive import archive_sha256
from farm.control.proposal import proposal_sha256
from farm.dataset.claim import writing
from farm.dataset.create import must_be_free, open_or_create
from farm.dataset.manifest import committed_shards
from farm.dataset.reader import GaitDataset
from farm.dataset.refilm import check_is_there, origin_of, sources_of
from farm.errors import UserError
from farm.planning import Slice, plan_of, progress
from farm.storage import Storage, open_storage
from workers.actors import Crew
from workers.catalogue_keeper import compact_at_end, kept_catalogue
from workers.eventlog import EventLog, note_end
from workers.ledger import Ledger
from workers.messages import WorkOrder
from workers.outage import Outage
from workers.progress import RunProgress
from workers.ray_session import MEMORY_BYTES, ray_session
from workers.run import Deadlines, Run
from workers.simulate.identity import model_sha256, twin_sha256
from workers.staging import survey, sweep
from workers.stop import stop_requests
from workers.summary import RunSummary

STAGES = "workers.stages:stages"
"""The real stages. Tests pass others, which crash and hang on purpose."""

RSS_LIMIT_BYTES = 2 * MEMORY_BYTES
"""A worker that has grown to twice its share leaks: it is replaced between two samples."""

START_LIMIT_S = 300.0
"""On our own machine a worker that has not started by then never will. A cluster may be adding machines: no limit."""


def generate(
    campaign: Campaign,
    uri: str,
    *,
    endpoint_url: str | None = None,
    address: str | None = None,
    workers: int | None = None,
    console: Console,
    gpus_per_worker: float | None = None,
    labels: Mapping[str, str] | None = None,
    stages: str = STAGES,
    deadlines: Deadlines | None = None,
    part: Slice | None = None,
    log: Path | None = None,
    source: GaitDataset | None = None,
) -> RunSummary:
    """Make what is missing of a campaign's dataset.

    Args:
        campaign: What to make.
        uri: Where the dataset is, or will be.
        endpoint_url: S3-compatible service other than AWS.
        address: Ray cluster, as `ray.init` takes it ("auto", "ray://head:10001"); None starts Ray here.
        workers: How many at once; None takes one for each core of this machine, or of the cluster as it is.
        console: Where progress is shown; stderr where stdout carries JSON.
        gpus_per_worker: Share of a GPU that each worker reserves for rendering; None shares out what this
            machine has, and takes none of a cluster's.
        labels: Ray node labels that workers' machines must have, such as {"role": "sim"}.
        stages: Import path of the factory of the simulation and filming stages.
        deadlines: None computes them from the campaign.
        part: Make this slice of the plan alone, and sum up what is in it; None makes everything.
        log: File to which the run's events are appended, see `workers.eventlog`; None puts them beside the
            workers' logs.
        source: Film this dataset's gaits again, by a campaign of `farm.dataset.refilm.refilm_campaign`; None
            simulates gaits.

    Returns:
        What was done. `interrupted` is set where SIGINT or SIGTERM ended it.

    Raises:
        UserError: What the caller can mend: storage, another campaign in the same place, no worker can start.
    """
    storage = open_storage(uri, endpoint_url=endpoint_url)
    must_be_free(storage)  # before anything is written, the log included, which may lie there too
    if source is not None:
        check_is_there(source, progress(plan_of(campaign), committed_shards(storage), part))
    events = EventLog(log) if log else None

    def say(message: str) -> None:
        console.print(message, style="yellow", markup=False, highlight=False)

    with writing(storage, storage.probe(), say=say) as ours:
        return _generate(
            campaign,
            ours,
            address=address,
            workers=workers,
            console=console,
            gpus_per_worker=gpus_per_worker,
            labels=labels,
            stages=stages,
            deadlines=deadlines,
            part=part,
            events=events,
            source=source,
        )


def _generate(
    campaign: Campaign,
    storage: Storage,
    *,
    address: str | None,
    workers: int | None,
    console: Console,
    gpus_per_worker: float | None,
    labels: Mapping[str, str] | None,
    stages: str,
    deadlines: Deadlines | None,
    part: Slice | None,
    events: EventLog | None,
    source: GaitDataset | None,
) -> RunSummary:
    """`generate`, in a storage that we may write."""
    origin = None if source is None else origin_of(source)
    manifest = open_or_create(storage, campaign, sources=_sources(campaign, source), refilmed_from=origin)
    state = progress(plan_of(campaign), committed_shards(storage), part)
    ledger = Ledger(state.left(), lambda plan: survey(storage, plan))
    show = RunProgress(console, samples=state.samples, done=state.samples_done)
    run = Run(ledger, deadlines or Deadlines.of(campaign), show)
    size, replaced, peak_rss_bytes, wall_s, log_dir = 0, 0, 0, 0.0, None
    if state.shards_left:
        # Signals are counted around Ray and not within it: a second Ctrl-C must not break off its shutdown.
        with stop_requests() as stop, ray_session(address, workers) as cluster, show:
            start_s = time.monotonic()
            events = events or EventLog(Path(cluster.log_dir) / "driver.jsonl")
            events.note("run started", dataset_id=manifest.dataset_id, campaign=campaign.name, left=state.samples_left)
            size = min(cluster.workers, state.samples_left)
            order = WorkOrder(
                campaign, manifest.dataset_id, storage, stages, cluster.log_dir, gpu_required=bool(gpus_per_worker),
                source=source,
            )  # fmt: skip
            crew = Crew(
                order,
                size,
                memory_bytes=cluster.memory_bytes,
                rss_limit_bytes=RSS_LIMIT_BYTES,
                gpus=gpus_per_worker if gpus_per_worker is not None else min(1.0, cluster.gpus / size),
                labels=labels,
                start_limit_s=START_LIMIT_S if cluster.here else None,
                threads_set=cluster.here,
                events=events,
            )
            try:
                with kept_catalogue(storage, lambda: run.shards, say=show.say, interrupted=lambda: run.interrupted):
                    run.go(crew, stop)
            finally:
                crew.close()
                note_end(events, run.quarantined, interrupted=run.interrupted, seconds=time.monotonic() - start_s)
            wall_s, log_dir = time.monotonic() - start_s, cluster.log_dir
            replaced, peak_rss_bytes = crew.replaced, crew.peak_rss_bytes
        if cluster.here and not run.lost_attempts:  # then nobody will want to read them; a cluster's may be collected
            shutil.rmtree(cluster.log_dir, ignore_errors=True)
            log_dir = None
    outage = Outage(limit_s=0.0) if run.interrupted else run.outage
    committed = outage.ride_out(lambda: committed_shards(storage), show.say)
    outage.ride_out(lambda: sweep(storage, committed), show.say)
    if not run.interrupted:  # who wants to stop now is not kept waiting, and the next run compacts
        compact_at_end(storage, outage, say=show.say)
    return RunSummary(
        uri=storage.uri,
        dataset_id=manifest.dataset_id,
        campaign=campaign.name if part is None else f"{campaign.name}, slice {part}",
        samples=state.samples,
        shards=state.shards,
        shards_before=len(state.committed),
        shards_committed=state.count(committed),
        accepted=run.accepted,
        rejected=run.rejected,
        workers=size,
        wall_s=wall_s,
        bytes_written=run.bytes_written,
        reasons=dict(run.reasons),
        quarantined=dict(run.quarantined),
        failed_shards={name: why for name, why in ledger.failed_shards.items() if name not in committed},
        staged_before=ledger.found_staged,
        lost_attempts=dict(run.lost_attempts),
        workers_replaced=replaced,
        peak_rss_bytes=peak_rss_bytes,
        stage_seconds={name: round(s, 3) for name, s in show.stage_seconds.items()},
        interrupted=run.interrupted,
        log_dir=log_dir,
    )


def _sources(campaign: Campaign, source: GaitDataset | None) -> dict[str, str]:
    """SHA-256 of what shapes the gaits beside the campaign."""
    if source is not None:
        return sources_of(source)
    sources = {"archive_sha256": archive_sha256(), "model_sha256": model_sha256()}
    if campaign.controllers == "proposed":
        sources["proposal_sha256"] = proposal_sha256(campaign.body_model)
    if campaign.engine == "twin":
        sources["twin_sha256"] = twin_sha256()
    return sources


def node_labels(options: Sequence[str]) -> dict[str, str]:
    """Ray node labels from `LABEL=VALUE` texts.

    Raises:
        UserError: A text that is not of this form.
    """
    labels: dict[str, str] = {}
    for option in options:
        name, equals, value = option.partition("=")
        if not (name and equals and value):
            raise UserError(f"--on {option!r} is not LABEL=VALUE; write for instance --on role=sim")
        labels[name] = value
    return labels
