"""Filming a dataset's gaits again: what is known of each is taken from its shard as it is, and only pictures are new.

Nothing is simulated and nothing is drawn but scenes: a gait's row, its arrays and
why a sample was turned down are copied bit for bit, so that labels of the two
datasets can be compared gait by gait, and a split by (seed, sample id) falls alike.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

import numpy as np

from farm.config import Campaign, campaign_from_mapping, read_campaign
from farm.dataset.load import Values, array, load
from farm.dataset.manifest import DATASET_KEY, SHARDS, Origin, RejectedGait, ShardRecord
from farm.dataset.pack import PackedGait, Value, packed_with, picture_attributes
from farm.dataset.reader import GaitDataset
from farm.dataset.scene_cells import PREFIX, Cell
from farm.dataset.schema import ArrayPath, stored_arrays
from farm.errors import CampaignError, FormatError, UserError
from farm.gait.keypoints import keypoints_3d
from farm.gait.resample import StoredWalk, body_pose_at, frame_times
from farm.pipeline import Film, clock
from farm.planning import Progress, plan_of
from farm.records import GaitLabels, GaitParameters
from farm.sampling.anatomy import Anatomy, anatomy

OWN_SECTIONS = ("name", "description", "pictures", "scene")
"""What may be another than the source's: all else says which gaits there are."""

_IDENTITY = ("format_version", "dataset_id", "shard_id", "renderers")
"""Attributes of a group that are another in the new dataset."""
_OF_PICTURES = ("n_frames", "keypoints_3d")
"""Arrays that follow from the poses and the pictures' rate."""


_BEFORE_IT_WAS_TOLD: Mapping[str, Any] = {
    "scene": {"aids": {"kinds": []}, "people": {"coat_share": 0.0}},
    "pictures": {"person_crf_offset": 0},
}
"""How pictures were before a campaign could say so: what does not tell was made thus, and is filmed so again."""


def changes_from(name_or_path: str | None, *, scene_seed: int | None) -> tuple[Mapping[str, Any], str]:
    """What `refilm_campaign` is to change, and where that was read.

    Args:
        name_or_path: A YAML file, or a shipped campaign; None changes nothing.
        scene_seed: Of `scene`, in the file's place.

    Raises:
        CampaignError: No such file, or no mapping.
    """
    changes, told_in = ({}, "the command line") if name_or_path is None else read_campaign(name_or_path)
    if scene_seed is not None:
        changes = _merged(changes, {"scene": {"seed": scene_seed}})
    return changes, told_in


def refilm_campaign(source: GaitDataset, changes: Mapping[str, Any], *, told_in: str) -> Campaign:
    """The campaign of a dataset that films the source's gaits again.

    Args:
        changes: Of a campaign's mapping, `OWN_SECTIONS`; what is left out stays as in the source, within sections too.
            Other keys may be there as long as they say what the source's campaign says.
        told_in: Where they were read, for the messages.

    Raises:
        CampaignError: Changes of what the gaits are, or no valid campaign.
        UserError: The source's gaits cannot be filmed again.
    """
    where = f"{source.storage.uri}/{DATASET_KEY}"
    told = _merged(_BEFORE_IT_WAS_TOLD, source.manifest.campaign)
    theirs = campaign_from_mapping(told, source=where).model_dump(mode="json")
    ours = campaign_from_mapping(_merged(theirs, changes), source=told_in)
    dumped = ours.model_dump(mode="json")
    fixed = [name for name in dumped if name not in OWN_SECTIONS and dumped[name] != theirs[name]]
    if fixed:
        name = fixed[0]
        raise CampaignError(
            f"{told_in}: {name} is {str(dumped[name])[:80]!r}, but the gaits that are filmed again have "
            f"{str(theirs[name])[:80]!r}; leave it out. {', '.join(OWN_SECTIONS)} may be changed"
        )
    check_source(source)
    return ours


def check_source(source: GaitDataset) -> None:
    """See that a dataset's gaits can be filmed again.

    Raises:
        UserError: It is a part that was pulled, or lacks what filming needs.
    """
    if source.manifest.selection is not None:
        raise UserError(
            f"{source.storage.uri} is a part that was pulled of dataset {source.manifest.selection.dataset_id}; "
            "film that dataset again, and pull the part of the result"
        )
    campaign = campaign_from_mapping(source.manifest.campaign, source=f"{source.storage.uri}/{DATASET_KEY}")
    lacking = sorted(item.path for item in _copied(campaign) if item.path not in source.manifest.arrays)
    if lacking:
        raise UserError(f"{source.storage.uri} lacks {', '.join(lacking)} and cannot be filmed again")


def check_is_there(source: GaitDataset, state: Progress) -> None:
    """See that the source has every shard that is to be filmed.

    Raises:
        UserError: It has not come so far.
    """
    there = frozenset(source.shard_ids)
    missing = [plan.shard_id for plan in state.left() if plan.shard_id not in there]
    if missing:
        raise UserError(
            f"{source.storage.uri} does not have {len(missing)} of the shards that are to be filmed, such as "
            f"{missing[0]}; finish it first (gaitfarm generate), or film a --slice that it has"
        )


def origin_of(source: GaitDataset) -> Origin:
    """Whose gaits they are, for the new dataset's manifest."""
    manifest = source.manifest
    return Origin(
        dataset_id=manifest.dataset_id,
        name=manifest.name,
        created=manifest.created,
        software=manifest.software,
        manifest_sha256=hashlib.sha256(source.storage.get(DATASET_KEY)).hexdigest(),
    )


def sources_of(source: GaitDataset) -> dict[str, str]:
    """SHA-256 of what shaped the gaits: `farm.dataset.create.open_or_create`'s `sources`."""
    return {name: value for name, value in source.manifest.software.items() if name.endswith("_sha256")}


def filmed_again(
    campaign: Campaign, source: GaitDataset, sample_id: int, film: Film, seconds: dict[str, float]
) -> PackedGait | RejectedGait:
    """One sample of the source with new pictures; what was turned down stays turned down.

    Args:
        seconds: Filled with what each stage took.

    Raises:
        FormatError: The source's shard is damaged.
    """
    shard_id = plan_of(campaign).shard_of(sample_id).shard_id
    with clock(seconds, "read"):
        record = source.record(shard_id)
        for rejected in record.rejected:
            if rejected.sample_id == sample_id:
                return rejected
        position = _position(source, record, sample_id)
        group = source.shard(shard_id)
        (stored,) = load(group, _copied(campaign), (position,), whole=False)
    if int(stored["sample_id"]) != sample_id:
        raise _damaged(source, record, f"holds sample {int(stored['sample_id'])} where its record says {sample_id}")
    row: Mapping[str, Any] = record.index[position]
    attributes = {name: value for name, value in source.attributes(shard_id).items() if name not in _IDENTITY}
    try:
        parameters = GaitParameters.from_cells(sample_id, campaign.body_model, row)
        walk = StoredWalk(float(attributes["sample_rate_hz"]), tuple(attributes["bodies"]), stored["body_pose"])
        columns = {name: list(array(group, name).attrs["columns"]) for name in ("parameters", "labels")}
    except (ValueError, KeyError) as error:
        raise _damaged(source, record, f"sample {sample_id}: {error}") from None
    with clock(seconds, "label"):
        body = anatomy(parameters)
        labels = _labels(campaign, body, walk, stored)
    with clock(seconds, "film"):
        frames = film(campaign, parameters, body, walk, labels)
    values: dict[str, Value] = {
        **stored,
        "n_frames": np.asarray(labels.n_frames, dtype=np.int32),
        "keypoints_3d": labels.keypoints_3d.astype(np.float32),
    }
    attributes |= picture_attributes(campaign)
    with clock(seconds, "pack"):
        return packed_with(campaign, _row(row, labels.n_frames), values, attributes, columns, frames)


def parameters_again(source: GaitDataset, campaign: Campaign, sample_id: int) -> GaitParameters:
    """What the source says was drawn for a sample, accepted or not.

    Raises:
        FormatError: Its record is damaged.
    """
    record = source.record(plan_of(campaign).shard_of(sample_id).shard_id)
    told = {rejected.sample_id: rejected.parameters for rejected in record.rejected}
    cells = told[sample_id] if sample_id in told else record.index[_position(source, record, sample_id)]
    try:
        return GaitParameters.from_cells(sample_id, campaign.body_model, cells)
    except ValueError as error:
        raise _damaged(source, record, f"sample {sample_id}: {error}") from None


def _copied(campaign: Campaign) -> list[ArrayPath]:
    """Arrays that are taken from the source."""
    return [
        item for item in stored_arrays(campaign.pictures) if not item.spec.per_view and item.path not in _OF_PICTURES
    ]


def _position(source: GaitDataset, record: ShardRecord, sample_id: int) -> int:
    if sample_id not in record.accepted_ids:
        raise _damaged(source, record, f"does not account for sample {sample_id}")
    return record.accepted_ids.index(sample_id)


def _labels(campaign: Campaign, body: Anatomy, walk: StoredWalk, stored: Values) -> GaitLabels:
    """What filming needs of the labels, at the pictures' rate; of the rest as much as the shard's arrays have."""
    times = frame_times(walk, campaign.pictures.frame_rate_hz)
    return GaitLabels(
        event_time=stored["event_time"].astype(float),
        event_type=stored["event_type"],
        values={},
        frame_rate_hz=campaign.pictures.frame_rate_hz,
        frame_time=times,
        keypoints_3d=keypoints_3d(body, body_pose_at(walk, times), walk.bodies),
        imu_acceleration=stored["imu_acceleration"].astype(float),
        imu_angular_velocity=stored["imu_angular_velocity"].astype(float),
    )


def _row(row: Mapping[str, Cell], n_frames: int) -> dict[str, Cell]:
    """A row of the source without its scene."""
    kept = {name: value for name, value in row.items() if not name.startswith(f"{PREFIX}_")}
    return kept | {"n_frames": n_frames}


def _merged(theirs: Any, changes: Any) -> Any:
    """A mapping with changes at any depth; what is no mapping is replaced."""
    if not isinstance(theirs, Mapping) or not isinstance(changes, Mapping):
        return changes
    return {**theirs, **{name: _merged(theirs.get(name), value) for name, value in changes.items()}}


def _damaged(source: GaitDataset, record: ShardRecord, what: str) -> FormatError:
    return FormatError(f"{source.storage.uri}/{SHARDS}{record.shard_id}: {what}; run `gaitfarm verify`")
