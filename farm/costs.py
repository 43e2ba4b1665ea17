"""What a campaign will take: core hours, wall time, bytes, requests and dollars, before anything is started.

Every figure is a parameter. Where a dataset has commits already, its own records
say how long a sample takes and how large a gait is; else the figures measured on
the demo campaign are scaled to this one's length and pictures. Prices are the
user's to set; the defaults say whose they are and of when.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

from farm.config import Campaign
from farm.dataset.manifest import ShardRecord
from farm.planning import Progress

if TYPE_CHECKING:
    from farm.sampling.expected import Expected

LISTED_KEYS = 1000
"""Keys that one list request answers with, in S3 and its like."""

SIMULATE_S = {"opensim": 0.26, "twin": 0.004}
"""Core seconds for one second of walking by engine, the planar body; measured on a two-core virtual machine, as all
figures here (November 2026). In three dimensions take a campaign's own first shards instead."""

FILM_S = 0.014
"""Core seconds for one picture of 256x256 with shadows, rasterised on the processor."""

ENCODE_S = 0.003
"""Core seconds for encoding one such picture and its mask."""

ACCEPTED = 0.7
"""Share of samples that are accepted, in the demo campaign. A rejected one is not filmed."""

PICTURE_BYTES = 1050.0
"""One such picture as video, with its mask and two-dimensional labels: 1.54 MB a gait of 900 pictures."""

GAIT_BYTES = 590_000.0
"""What a gait of ten seconds stores beside pictures: trajectories, forces, labels."""

WRITE_GAIT_S = 0.1
"""Worker seconds for gathering one gait into its shard and committing it."""

OBJECTS = (42, 17)
"""Objects of a shard: of the gaits, and of each view."""

LISTS_OF_SHARD, LOOKS_OF_SHARD = 2, 1
"""Beside its objects: what is staged for it is listed before and after, and whether it is committed looked at once."""


@dataclass(frozen=True)
class Prices:
    """US dollars. The defaults are examples, not offers: look yours up.

    Attributes:
        core_hour: One vCPU of a spot machine. Default: of c5.2xlarge in us-east-1 in AWS's own example
            (docs.aws.amazon.com, EC2 Auto Scaling, "Spot price per unit hour example": 0.18 for 8 vCPUs).
        gb_month: Storing 10^9 bytes for a month. Default, as for requests: S3 Standard in us-east-1, first 50 TB,
            as commonly quoted in 2025.
        thousand_writes: PUT and LIST requests. Deleting costs nothing.
        thousand_reads: GET and HEAD requests.
    """

    core_hour: float = 0.0225
    gb_month: float = 0.023
    thousand_writes: float = 0.005
    thousand_reads: float = 0.0004


@dataclass(frozen=True)
class Figures:
    """What one sample takes.

    Attributes:
        sample_s: Core seconds of a sample, all stages, on average over accepted and rejected ones.
        accepted: Share of samples that are accepted.
        gait_bytes: What an accepted gait adds to the dataset, its share of the commit included.
        objects: Objects of a shard's group.
        source: Where the figures are from, in words.
    """

    sample_s: float
    accepted: float
    gait_bytes: float
    objects: float
    source: str


@dataclass(frozen=True)
class Estimate:
    """What is left of a campaign, and what it will take.

    Attributes:
        expected: How many are expected to walk, by condition; empty where no model knows.
    """

    samples: int
    samples_done: int
    shards: int
    shards_done: int
    cores: int
    figures: Figures
    prices: Prices
    core_hours: float
    wall_hours: float
    jobs_per_s: float
    bytes_left: float
    staged_bytes: float
    objects_left: int
    writes: int
    reads: int
    writes_per_s: float
    usd_compute: float
    usd_requests: float
    usd_storage_month: float
    expected: tuple[Expected, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


def assumed_figures(campaign: Campaign, *, walking: float | None = None) -> Figures:
    """The demo campaign's figures, scaled to this campaign's length, pictures and engine.

    Args:
        walking: Share of this campaign's people who are expected to walk; None takes the demo's share of accepted ones.
    """
    accepted = ACCEPTED if walking is None else walking
    pictures = campaign.pictures
    duration_s = campaign.simulation.duration_s
    filmed = pictures.rgb != "none"
    size = pictures.image_size[0] * pictures.image_size[1] / 256**2
    n_pictures = duration_s * pictures.frame_rate_hz * len(pictures.views) * size
    simulate_s = duration_s * SIMULATE_S[campaign.engine]
    if campaign.engine == "twin":
        simulate_s += campaign.simulation.recheck_fraction * duration_s * SIMULATE_S["opensim"]
    film_s = n_pictures * (FILM_S + ENCODE_S)  # without pictures too: keypoints' visibility is what is left of it
    return Figures(
        sample_s=simulate_s + accepted * (film_s + WRITE_GAIT_S),
        accepted=accepted,
        gait_bytes=GAIT_BYTES * duration_s / 10.0 + (n_pictures * PICTURE_BYTES if filmed else 0.0),
        objects=OBJECTS[0] + OBJECTS[1] * len(pictures.views),
        source="measured on the demo campaign and scaled to this one's duration and pictures"
        + ("" if walking is None else "; accepted as the proposal model expects people to walk"),
    )


def recorded_figures(records: Sequence[ShardRecord], sizes: Sequence[int]) -> Figures | None:
    """The figures that a dataset's own commits give; None if they hold no accepted gait.

    Args:
        records: Some of its commits; `sizes` of the commits themselves, in bytes.
    """
    samples = sum(len(record.sample_ids) for record in records)
    accepted = sum(record.n_accepted for record in records)
    seconds = sum(record.wall_s for record in records)
    if not accepted or not seconds:
        return None
    stored = sum(record.bytes for record in records) + sum(sizes)
    return Figures(
        sample_s=seconds / samples,
        accepted=accepted / samples,
        gait_bytes=stored / accepted,
        objects=sum(len(record.objects) for record in records) / len(records),
        source=f"recorded by {len(records)} of the dataset's own shards",
    )


def estimate(campaign: Campaign, state: Progress, figures: Figures, *, cores: int, prices: Prices) -> Estimate:
    """What is left to do, and what it takes on so many cores that are never idle."""
    samples, shards = state.samples_left, state.shards_left
    accepted = samples * figures.accepted
    core_s = samples * figures.sample_s
    wall_s = core_s / cores
    objects = round(shards * (figures.objects + 1))
    # Each sample is put into staging and got from there once; deleting it costs nothing.
    writes = objects + samples + LISTS_OF_SHARD * shards + math.ceil(state.shards / LISTED_KEYS)
    reads = samples + LOOKS_OF_SHARD * shards
    per_s = 1.0 / wall_s if wall_s else 0.0
    return Estimate(
        samples=state.samples,
        samples_done=state.samples_done,
        shards=state.shards,
        shards_done=len(state.committed),
        cores=cores,
        figures=figures,
        prices=prices,
        core_hours=core_s / 3600.0,
        wall_hours=wall_s / 3600.0,
        jobs_per_s=(samples + shards) * per_s,
        bytes_left=accepted * figures.gait_bytes,
        staged_bytes=min(samples, cores + campaign.gaits_per_shard) * figures.gait_bytes,
        objects_left=objects,
        writes=writes,
        reads=reads,
        writes_per_s=writes * per_s,
        usd_compute=core_s / 3600.0 * prices.core_hour,
        usd_requests=(writes * prices.thousand_writes + reads * prices.thousand_reads) / 1e3,
        usd_storage_month=accepted * figures.gait_bytes / 1e9 * prices.gb_month,
    )


def with_sample_s(figures: Figures, sample_s: float | None) -> Figures:
    """The same figures with the user's own time for a sample, if there is one."""
    if sample_s is None:
        return figures
    return replace(figures, sample_s=sample_s, source=f"{figures.source}; seconds for a sample as given")
