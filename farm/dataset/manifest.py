"""`dataset.json` and the commit records: what they hold, and how they are read without trusting them.

A manifest may come from anybody's bucket: its size is bounded before it is
parsed, its JSON has one meaning (`farm.dataset.strict_json`), its paths may not
leave the dataset, its numbers must add up. Unknown keys are ignored, because a
later writer of the same format version may add some.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    TypeAdapter,
    ValidationError,
    field_validator,
    model_validator,
)

from farm.dataset import strict_json
from farm.dataset.schema import FORMAT_VERSION, find
from farm.errors import FormatError, ObjectNotFoundError, StorageError
from farm.storage import Storage, validate_key

DATASET_KEY = "dataset.json"
COMMITS = "commits/"
SHARDS = "shards/"
CATALOGUE = "catalogue/"
STAGING = "staging/"
"""Made samples on their way into a shard (`workers.staging`); no reader looks there."""
REPAIRED = "repaired/"
"""Records of shards that `gaitfarm repair` has taken out of the dataset; no reader looks there."""

NAMELESS = "damaged"
"""How the copies of records begin there that do not say which attempt they are of."""

MAX_DATASET_BYTES = 4 << 20
MAX_COMMIT_BYTES = 64 << 20
"""A record of 4096 gaits with 200 numbers each takes about 20 MB."""

MAX_GAITS = 4096
MAX_OBJECTS = 4096
MAX_COLUMNS = 4096
MAX_TEXT = 4096

T = TypeVar("T")

SampleId = Annotated[int, Field(ge=0, lt=2**63)]
ShardId = Annotated[str, Field(pattern=r"^[0-9]{1,12}$")]
AttemptId = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,63}$")]
ViewName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,31}$")]
Text = Annotated[str, Field(max_length=MAX_TEXT)]
Cell = Annotated[str, Field(max_length=MAX_TEXT)] | bool | Annotated[int, Field(ge=-(2**63), lt=2**63)] | float | None
Row = Annotated[dict[Text, Cell], Field(max_length=MAX_COLUMNS)]
"""One gait in the index: words and numbers by column; None where a number is not defined."""


def _key_that_stays(key: str) -> str:
    try:
        return validate_key(key)
    except StorageError as error:
        raise ValueError(str(error)) from None


ObjectKey = Annotated[str, AfterValidator(_key_that_stays)]


class Record(BaseModel):
    """Frozen; ignores keys that it does not know; numbers are finite."""

    model_config = ConfigDict(frozen=True, extra="ignore", allow_inf_nan=False)


class StoredBytes(Record):
    """One object of a shard's group: path under the dataset's root, size and SHA-256 (hexadecimal)."""

    path: ObjectKey
    bytes: int = Field(ge=0)
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")


class RejectedGait(Record):
    """A sample that is not in the shard: why not, and what was drawn for it.

    Attributes:
        reasons: Short codes, such as "fell".
        details: One sentence for each code that has one.
        parameters: What was drawn: the same columns as in an index row.
        engine: What integrated it; records that do not say are older than the twin.
        recheck: The same columns as in an index row, where OpenSim has walked the sample again; else empty.
    """

    sample_id: SampleId
    reasons: tuple[Text, ...] = Field(min_length=1)
    details: dict[Text, Text] = {}
    parameters: Row = {}
    engine: Text = "opensim"
    recheck: Row = {}


class ShardRecord(Record):
    """What one commit says. A shard exists if and only if its record does.

    Attributes:
        group: Path of the Zarr group under the root; None where no gait was accepted.
        sample_ids: Every sample id that the plan asked of this shard.
        index: One row for each accepted gait, in the order of the group's gait axis.
        wall_s: Seconds from the first sample's start to the commit.
        worker: Where it was made, for finding a broken machine.
    """

    shard_id: ShardId
    attempt_id: AttemptId
    group: ObjectKey | None
    sample_ids: tuple[SampleId, ...] = Field(min_length=1, max_length=MAX_GAITS)
    n_accepted: int = Field(ge=0)
    n_rejected: int = Field(ge=0)
    rejected: tuple[RejectedGait, ...] = Field((), max_length=MAX_GAITS)
    objects: tuple[StoredBytes, ...] = Field((), max_length=MAX_OBJECTS)
    index: tuple[Row, ...] = Field((), max_length=MAX_GAITS)
    wall_s: float = Field(0.0, ge=0.0)
    worker: Text = ""

    @property
    def accepted_ids(self) -> tuple[int, ...]:
        """Sample ids in the order of the group's gait axis."""
        return tuple(int(row["sample_id"]) for row in self.index)  # type: ignore[arg-type]

    @property
    def bytes(self) -> int:
        return sum(item.bytes for item in self.objects)

    @field_validator("index")
    @classmethod
    def _rows_are_named(cls, rows: tuple[Row, ...]) -> tuple[Row, ...]:
        for number, row in enumerate(rows):
            sample_id = row.get("sample_id")
            if not isinstance(sample_id, int) or isinstance(sample_id, bool) or not 0 <= sample_id < 2**63:
                raise ValueError(f"row {number} has no sample_id")
        return rows

    @model_validator(mode="after")
    def _adds_up(self) -> ShardRecord:
        present = [*self.accepted_ids, *(gait.sample_id for gait in self.rejected)]
        for name, ids in (("sample_ids", self.sample_ids), ("index and rejected", present)):
            if len(set(ids)) != len(ids):
                raise ValueError(f"{name} names sample {_first_twice(ids)} twice")
        if (self.n_accepted, self.n_rejected) != (len(self.index), len(self.rejected)):
            raise ValueError(
                f"n_accepted {self.n_accepted} and n_rejected {self.n_rejected} do not count the "
                f"{len(self.index)} rows and {len(self.rejected)} rejected samples"
            )
        if set(present) != set(self.sample_ids):
            odd = min(set(present) ^ set(self.sample_ids))
            raise ValueError(f"sample {odd} is asked for and not accounted for, or the reverse")
        if (self.group is None) != (not self.index):
            raise ValueError("group must be null if and only if no gait was accepted")
        self._stays_in_its_group()
        return self

    def _stays_in_its_group(self) -> None:
        expected = f"{SHARDS}{self.shard_id}/{self.attempt_id}.zarr"
        if self.group not in (None, expected):
            raise ValueError(f"group is {self.group!r}, but this shard and attempt belong in {expected!r}")
        paths = [item.path for item in self.objects]
        if len(set(paths)) != len(paths):
            raise ValueError(f"objects names {_first_twice(paths)!r} twice")
        astray = next((path for path in paths if not path.startswith(f"{expected}/")), None)
        if astray is not None:
            raise ValueError(f"object {astray!r} lies outside the group {expected!r}")
        if self.group is not None and f"{expected}/zarr.json" not in paths:
            raise ValueError("objects does not name the group's zarr.json")


class Selection(Record):
    """Which part of another dataset a pulled dataset is.

    Attributes:
        dataset_id: The dataset that it was pulled from.
        where: Filter on the index, or None for every gait.
        views, fields: Names that were kept.
        count, seed: So many of the gaits that the others leave, chosen by this seed; None for all.
        split, split_seed, split_shares: The part of a division (`farm.dataset.split`) that was kept, the division's
            seed, and its shares: train, validation, test; None for all.
    """

    dataset_id: Text
    where: Text | None = None
    views: tuple[ViewName, ...] = ()
    fields: tuple[Text, ...] = ()
    count: int | None = Field(None, ge=1, lt=2**63)
    seed: int | None = Field(None, ge=0, lt=2**63)
    split: Text | None = None
    split_seed: int | None = Field(None, ge=0, lt=2**63)
    split_shares: tuple[float, float, float] | None = None


class Origin(Record):
    """The dataset whose gaits a dataset films again.

    Attributes:
        created: ISO 8601, UTC.
        software: What the gaits were simulated with, as the origin's manifest has it.
        manifest_sha256: Of the origin's `dataset.json`.
    """

    dataset_id: Text
    name: Text
    created: Text
    software: dict[Text, Text] = {}
    manifest_sha256: str = Field(pattern=r"^[0-9a-f]{64}$")


class DatasetManifest(Record):
    """`dataset.json`: what the dataset is, fixed at its creation.

    Attributes:
        created: ISO 8601, UTC.
        campaign: The whole resolved campaign, as `farm.config.Campaign` writes it.
        software: Versions of gaitfarm, opensim, zarr; SHA-256 of model and controller archive.
        arrays: Path of every array in every shard's group.
        selection: For a pulled dataset, what it was pulled from and which part it is.
        refilmed_from: For a dataset of other pictures of the same gaits, whose gaits they are.
    """

    format_version: int = Field(ge=1)
    dataset_id: str = Field(pattern=r"^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$")
    name: Text
    created: Text
    seed: int = Field(ge=0, lt=2**63)
    campaign: dict[str, Any]
    software: dict[Text, Text]
    views: tuple[ViewName, ...]
    keypoints: tuple[Text, ...] = Field(min_length=1, max_length=1024)
    gaits_per_shard: int = Field(ge=1, le=MAX_GAITS)
    license: Text
    arrays: tuple[ObjectKey, ...] = Field(min_length=1, max_length=MAX_OBJECTS)
    selection: Selection | None = None
    refilmed_from: Origin | None = None

    @property
    def known_arrays(self) -> tuple[str, ...]:
        """The arrays that this version of gaitfarm knows; a later one may have added others."""
        return tuple(path for path in self.arrays if find(path) is not None)

    def to_json(self) -> bytes:
        """The bytes of `dataset.json`."""
        return (self.model_dump_json(indent=1) + "\n").encode()


def record_to_json(record: ShardRecord) -> bytes:
    """The bytes of a commit."""
    return record.model_dump_json().encode()


def commit_key(shard_id: str) -> str:
    """The key of a shard's commit record."""
    return f"{COMMITS}{shard_id}.json"


def read_manifest(storage: Storage) -> DatasetManifest:
    """Read and check `dataset.json`.

    Raises:
        FormatError: There is none, it is damaged, or its format is newer than this software.
        StorageError: The storage cannot be read.
    """
    manifest = find_manifest(storage)
    if manifest is None:
        raise FormatError(f"{storage.uri} holds no dataset: there is no {DATASET_KEY}; check the URI")
    return manifest


def find_manifest(storage: Storage) -> DatasetManifest | None:
    """`read_manifest`, but None where there is no dataset yet."""
    try:
        data = _bounded(storage, DATASET_KEY, MAX_DATASET_BYTES)
    except ObjectNotFoundError:
        return None
    where = f"{storage.uri}/{DATASET_KEY}"
    head = _parse(_VERSION, data, where)
    if head.format_version > FORMAT_VERSION:
        writer = str(head.software.get("gaitfarm", ""))
        needed = f"gaitfarm {writer} or newer" if re.fullmatch(r"[0-9A-Za-z.+]{1,32}", writer) else "a newer gaitfarm"
        raise FormatError(
            f"{where}: format version {head.format_version}; this gaitfarm reads up to version {FORMAT_VERSION}. "
            f"It needs {needed}: pip install --upgrade gaitfarm"
        )
    return _parse(_MANIFEST, data, where)


def read_record(storage: Storage, shard_id: str) -> ShardRecord:
    """Read and check one commit.

    Raises:
        ObjectNotFoundError: The shard is not committed.
        FormatError: The record is damaged, or is another shard's.
    """
    return record_of(read_commit(storage, shard_id), storage.uri, shard_id)


def read_commit(storage: Storage, shard_id: str) -> bytes:
    """A commit's bytes, unchecked but for their number. Raises as `read_record`."""
    return _bounded(storage, commit_key(shard_id), MAX_COMMIT_BYTES)


def record_of(data: bytes, uri: str, shard_id: str) -> ShardRecord:
    """A commit's bytes, checked to be this shard's record. Raises FormatError."""
    where = f"{uri}/{commit_key(shard_id)}"
    record = parse_record(data, where)
    if record.shard_id != shard_id:
        raise FormatError(f"{where}: the record is of shard {record.shard_id!r}; {_MEND_RECORD}")
    return record


def parse_record(data: bytes, where: str) -> ShardRecord:
    """A commit's bytes, checked. `where` names them in messages."""
    return _parse(_RECORD, data, where, _MEND_RECORD)


def committed_shards(storage: Storage) -> tuple[str, ...]:
    """Ids of the committed shards, sorted; other objects under `commits/` are passed over."""
    names = (item.key.removeprefix(COMMITS) for item in storage.list(COMMITS))
    return tuple(name.removesuffix(".json") for name in names if re.fullmatch(r"[0-9]{1,12}\.json", name))


class _Version(Record):
    """The two keys that every version of the format has."""

    format_version: int = Field(ge=1)
    software: Mapping[str, Any] = {}


_VERSION = TypeAdapter(_Version)
_MANIFEST = TypeAdapter(DatasetManifest)
_RECORD = TypeAdapter(ShardRecord)
_MEND = "it is damaged or not ours: restore it from a copy"
_MEND_RECORD = f"{_MEND}, or have its shard made again (gaitfarm repair)"


def _parse(adapter: TypeAdapter[T], data: bytes, where: str, mend: str = _MEND) -> T:
    try:
        value = strict_json.parse(data)
    except ValueError as error:
        raise FormatError(f"{where}: {error}; {mend}") from None
    try:
        return adapter.validate_python(value)
    except ValidationError as error:
        fault = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(str(part) for part in fault["loc"][:4])
        message = " ".join(fault["msg"].removeprefix("Value error, ").split())[:300]
        raise FormatError(f"{where}: {f'{place}: ' if place else ''}{message}; {mend}") from None


def _bounded(storage: Storage, key: str, limit: int) -> bytes:
    data = storage.get_range(key, 0, limit + 1)
    if len(data) > limit:
        raise FormatError(f"{storage.uri}/{key} is larger than {limit} bytes; {_MEND}")
    return data


def _first_twice(values: Sequence[Any]) -> Any:
    seen = set()
    for value in values:
        if value in seen:
            return value
        seen.add(value)
    return None
