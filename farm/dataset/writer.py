"""From samples to one shard's bytes. Nothing is stored here: see `farm.dataset.commit`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from farm.config import Campaign
from farm.dataset.group import build_group
from farm.dataset.manifest import Cell, RejectedGait
from farm.dataset.pack import RENDERER, PackedGait, pack
from farm.dataset.schema import FORMAT_VERSION, ArrayPath, stored_arrays
from farm.errors import FormatError
from farm.records import GaitSample


@dataclass(frozen=True)
class EncodedShard:
    """One shard, whole and in memory.

    Attributes:
        sample_ids: Every sample id that was asked for.
        objects: By key relative to the group; empty where no gait was accepted.
        index: One row for each accepted gait, in the order of the gait axis.
    """

    shard_id: str
    sample_ids: tuple[int, ...]
    objects: Mapping[str, bytes]
    index: tuple[Mapping[str, Cell], ...]
    rejected: tuple[RejectedGait, ...]

    @property
    def bytes(self) -> int:
        return sum(len(data) for data in self.objects.values())


def encode_shard(
    campaign: Campaign,
    dataset_id: str,
    shard_id: str,
    samples: Sequence[GaitSample | PackedGait | RejectedGait],
) -> EncodedShard:
    """One shard of all the samples that its plan asked for.

    Samples may come as they are, or packed one by one as they were made
    (`farm.dataset.pack.pack`), which keeps memory small; `RejectedGait` also
    stands for samples that never came to an end. The same samples give the same bytes.

    Raises:
        FormatError: A sample appears twice, breaks the format, or does not fit the others.
    """
    packed = [pack(campaign, item) if isinstance(item, GaitSample) else item for item in samples]
    packed.sort(key=lambda item: item.sample_id)
    sample_ids = tuple(item.sample_id for item in packed)
    if not sample_ids or len(set(sample_ids)) != len(sample_ids):
        raise FormatError(f"shard {shard_id} needs at least one sample, and each once; got {list(sample_ids)}")
    gaits = [item for item in packed if isinstance(item, PackedGait)]
    rejected = tuple(item for item in packed if isinstance(item, RejectedGait))
    objects = encode_gaits(stored_arrays(campaign.pictures), gaits, dataset_id, shard_id) if gaits else {}
    return EncodedShard(shard_id, sample_ids, objects, tuple(gait.row for gait in gaits), rejected)


def encode_gaits(
    paths: Sequence[ArrayPath], gaits: Sequence[PackedGait], dataset_id: str, shard_id: str
) -> dict[str, bytes]:
    """The objects of a group that holds `paths` of these gaits (at least one)."""
    first = gaits[0]
    for gait in gaits[1:]:
        _agree(first, gait)
    identity: dict[str, Any] = {"format_version": FORMAT_VERSION, "dataset_id": dataset_id, "shard_id": shard_id}
    drawn_by = {"renderers": renderers_of(gait.row for gait in gaits)}
    return build_group(paths, gaits, identity | dict(first.attributes) | drawn_by, first.array_attributes)


def renderers_of(rows: Iterable[Mapping[str, Cell]]) -> list[str]:
    """What drew the pictures of some gaits, sorted; nothing where there are none, or none that say."""
    return sorted({str(row[RENDERER]) for row in rows if row.get(RENDERER) is not None})


def _agree(first: PackedGait, other: PackedGait) -> None:
    """All gaits of a shard share their names of columns, bodies, muscles, ..."""
    for name, ours, theirs in (
        ("attributes", first.attributes, other.attributes),
        ("columns", first.array_attributes, other.array_attributes),
    ):
        for key in sorted(ours.keys() | theirs.keys()):
            if ours.get(key) != theirs.get(key):
                raise FormatError(
                    f"samples {first.sample_id} and {other.sample_id} differ in {name} {key!r} "
                    "and cannot share a shard; this is a bug"
                )
