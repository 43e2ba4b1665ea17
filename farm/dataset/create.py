"""Opening a dataset for writing: its identity is created once, and a campaign that differs is refused."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from importlib import metadata
from typing import Any

from pydantic import ValidationError

import farm
from farm.config import Campaign
from farm.dataset.claim import CLAIMS
from farm.dataset.manifest import DATASET_KEY, DatasetManifest, Origin, find_manifest, read_manifest
from farm.dataset.schema import FORMAT_VERSION, stored_arrays
from farm.errors import AlreadyExistsError, CampaignError, FormatError
from farm.sampling.anatomy import KEYPOINTS
from farm.storage import PROBE_PREFIX, Storage

RECORDED_SOFTWARE = ("opensim", "zarr", "numpy", "av")
"""Distributions whose version is part of a dataset's identity card, beside gaitfarm's own."""

MAX_DIFFERENCES = 5
"""How many differing fields a message names."""


def open_or_create(
    storage: Storage,
    campaign: Campaign,
    *,
    sources: Mapping[str, str] | None = None,
    refilmed_from: Origin | None = None,
) -> DatasetManifest:
    """The dataset under `storage`, made now if there is none.

    Args:
        campaign: What the dataset holds, or will.
        sources: SHA-256 by name of what shapes the gaits beside the campaign ("archive_sha256",
            "model_sha256"); kept with the versions of the software.
        refilmed_from: The dataset whose gaits are filmed again; None where gaits are simulated.

    Returns:
        The manifest, with the dataset's id: the same for every driver of the same campaign.

    Raises:
        CampaignError: The place holds another campaign's dataset; the message names what differs.
        FormatError: It holds a dataset that this software cannot read, or one that was pulled.
    """
    ours = _new_manifest(campaign, sources or {}, refilmed_from)
    theirs = find_manifest(storage)
    if theirs is not None:
        return _same_campaign(storage, ours, theirs)
    try:
        storage.put_once(DATASET_KEY, ours.to_json())
    except AlreadyExistsError:  # another driver was quicker
        return _same_campaign(storage, ours, read_manifest(storage))
    return ours


def find_same(storage: Storage, campaign: Campaign) -> DatasetManifest | None:
    """The campaign's dataset under `storage`, or None if there is none yet; nothing is written.

    Raises:
        CampaignError, FormatError: As `open_or_create`.
    """
    theirs = find_manifest(storage)
    return None if theirs is None else _same_campaign(storage, _new_manifest(campaign, {}, None), theirs)


def must_be_free(storage: Storage) -> None:
    """Refuse to begin a dataset among somebody's files; nothing is written, and where a dataset is nothing is listed.

    What a start of ours leaves behind that was killed, or is under way beside us, is in nobody's way.

    Raises:
        CampaignError: There is no dataset here, but something else is.
    """
    if find_manifest(storage) is not None:
        return
    ours = (CLAIMS, PROBE_PREFIX)
    found = next((item.key for item in storage.list() if not item.key.startswith(ours)), None)
    if found is not None and find_manifest(storage) is None:  # it may have been made since we looked
        raise CampaignError(f"{storage.uri} is not empty ({found}) and holds no dataset; choose another place")


def software_versions() -> dict[str, str]:
    """Versions of gaitfarm and of what it stores and simulates with."""
    versions = {"gaitfarm": farm.__version__}
    for name in RECORDED_SOFTWARE:
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            versions[name] = "not installed"
    return versions


def new_dataset_id() -> str:
    """A name that no other dataset has; nothing is drawn from it."""
    return str(uuid.uuid4())


def now_utc() -> str:
    """The time of creation, ISO 8601 to the second; provenance only."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _new_manifest(campaign: Campaign, sources: Mapping[str, str], refilmed_from: Origin | None) -> DatasetManifest:
    return DatasetManifest(
        format_version=FORMAT_VERSION,
        dataset_id=new_dataset_id(),
        name=campaign.name,
        created=now_utc(),
        seed=campaign.seed,
        campaign=campaign.model_dump(mode="json"),
        software=software_versions() | dict(sources),
        views=tuple(view.name for view in campaign.pictures.views),
        keypoints=KEYPOINTS,
        gaits_per_shard=campaign.gaits_per_shard,
        license=campaign.license,
        arrays=tuple(item.path for item in stored_arrays(campaign.pictures)),
        refilmed_from=refilmed_from,
    )


def _same_campaign(storage: Storage, ours: DatasetManifest, theirs: DatasetManifest) -> DatasetManifest:
    if theirs.selection is not None:
        raise FormatError(
            f"{storage.uri} holds a part that was pulled from dataset {theirs.selection.dataset_id}; "
            "nothing can be generated into it: choose another place"
        )
    if theirs.refilmed_from != ours.refilmed_from:
        raise CampaignError(
            f"{storage.uri} holds {_made_from(theirs.refilmed_from)}; here it would be "
            f"{_made_from(ours.refilmed_from)}: choose another place"
        )
    differing = [
        f"{name} is {_shown(there)} there and {_shown(here)} here"
        for name, there, here in _differences(_with_defaults(theirs.campaign), ours.campaign)
    ]
    differing += [
        f"{name} is {_shown(theirs.software.get(name))} there and {_shown(here)} here"
        for name, here in sorted(ours.software.items())
        if name.endswith("_sha256") and theirs.software.get(name) != here
    ]
    if differing:
        more = f", and {len(differing) - MAX_DIFFERENCES} more" if len(differing) > MAX_DIFFERENCES else ""
        raise CampaignError(
            f"{storage.uri} holds another campaign ({theirs.name!r}): {', '.join(differing[:MAX_DIFFERENCES])}{more}; "
            "choose another place, or the campaign that is there"
        )
    return theirs


def _made_from(origin: Origin | None) -> str:
    return "gaits that were simulated" if origin is None else f"gaits of dataset {origin.dataset_id}, filmed again"


def _with_defaults(campaign: dict[str, Any]) -> dict[str, Any]:
    """A stored campaign, with the keys that were added since at their defaults."""
    try:
        return Campaign.model_validate(campaign).model_dump(mode="json")
    except ValidationError:
        return campaign


def _differences(there: Any, here: Any, path: str = "") -> Iterator[tuple[str, Any, Any]]:
    """Path and both values of every leaf that differs."""
    if isinstance(there, dict) and isinstance(here, dict):
        for key in dict.fromkeys([*here, *there]):
            yield from _differences(there.get(key), here.get(key), f"{path}.{key}" if path else str(key))
    elif isinstance(there, list) and isinstance(here, list) and len(there) == len(here):
        for number, (old, new) in enumerate(zip(there, here, strict=True)):
            yield from _differences(old, new, f"{path}[{number}]")
    elif there != here:
        yield path, there, here


def _shown(value: Any) -> str:
    text = "absent" if value is None else repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
