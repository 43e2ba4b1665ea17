"""Staged gaits: what goes in comes out, what is damaged is noticed, and what is committed is swept."""

from __future__ import annotations

import dataclasses
import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from farm.dataset.create import open_or_create
from farm.dataset.manifest import RejectedGait, committed_shards, read_record
from farm.dataset.pack import PackedGait, pack
from farm.dataset.writer import encode_shard
from farm.errors import CampaignError, FormatError, SimulationDiverged, StorageUnavailableError
from farm.pipeline import Stages
from farm.planning import plan_of
from farm.records import GaitParameters, Trajectory
from farm.storage import Storage, open_storage
from tests.norm_walk import norm_walk
from tests.samples import make_campaign, make_samples_for
from tests.test_workers import faulty
from workers.ledger import MakeSample, WriteShard
from workers.staging import (
    StagedGaitDamagedError,
    from_bytes,
    load_stages,
    make_and_stage,
    survey,
    sweep,
    to_bytes,
    write_and_commit,
)

CAMPAIGN = make_campaign(samples=3, gaits_per_shard=3, depth=True)
PACKED = [pack(CAMPAIGN, sample) for sample in make_samples_for(CAMPAIGN, range(3), rejected=[2])]
SHARD = plan_of(CAMPAIGN)[0]


@pytest.fixture
def storage(tmp_path: Path) -> Storage:
    opened = open_storage(str(tmp_path / "data"))
    open_or_create(opened, CAMPAIGN)
    return opened


def stage_all(storage: Storage) -> dict[int, str]:
    keys = {}
    for gait in PACKED:
        suffix = "rejected" if isinstance(gait, RejectedGait) else "gait"
        keys[gait.sample_id] = f"staging/{SHARD.shard_id}/{gait.sample_id:09d}/a.{suffix}"
        storage.put(keys[gait.sample_id], to_bytes(gait, {"simulate": 2.0}))
    return keys


@pytest.mark.parametrize("number", range(3))
def test_a_staged_gait_makes_the_same_shard_as_one_that_never_left_memory(number: int) -> None:
    back, seconds = from_bytes(to_bytes(PACKED[number], {"film": 1.25}))
    assert type(back) is type(PACKED[number])
    assert seconds == {"film": 1.25}
    straight = encode_shard(CAMPAIGN, "id", SHARD.shard_id, [PACKED[number]])
    assert encode_shard(CAMPAIGN, "id", SHARD.shard_id, [back]) == straight


def test_staging_is_deterministic_and_holds_no_pickle() -> None:
    first, second = (to_bytes(PACKED[0], {}) for _ in range(2))
    assert first == second
    hostile = dataclasses.replace(PACKED[0], values={"labels": np.array([object()])})  # type: ignore[type-var]
    with pytest.raises(ValueError, match="pickle"):
        to_bytes(hostile, {})  # type: ignore[arg-type]


@settings(deadline=None, max_examples=60)
@given(st.data())
def test_any_truncation_or_changed_byte_is_noticed(data: st.DataObject) -> None:
    whole = to_bytes(PACKED[0], {})
    where = data.draw(st.integers(0, len(whole) - 1))
    damaged = (
        whole[:where] if data.draw(st.booleans()) else whole[:where] + bytes([whole[where] ^ 1]) + whole[where + 1 :]
    )
    try:
        back, _ = from_bytes(damaged)
    except FormatError:
        return
    # A changed byte in what the archive does not need (a time stamp) is harmless: the content must be the same.
    assert isinstance(back, PackedGait)
    assert to_bytes(back, {}) == whole


def test_a_shard_is_written_from_what_is_staged_and_staging_is_swept(storage: Storage) -> None:
    keys = stage_all(storage)
    assert dict(survey(storage, SHARD).staged) == keys
    staged = {i: keys[i] for i in (0, 2)}
    job = WriteShard(SHARD.shard_id, staged, {1: "quarantined: hung; 3 attempts, the last: killed"}, 1)
    written = write_and_commit(storage, CAMPAIGN, "00000000-0000-0000-0000-000000000000", job)
    assert (written.n_accepted, written.n_rejected) == (1, 2)
    assert written.reasons == {"fell": 1, "quarantined": 1}
    record = read_record(storage, SHARD.shard_id)
    assert written.bytes == record.bytes > 0
    assert record.wall_s > 4.0
    assert record.rejected[0].details == {"quarantined: hung": "3 attempts, the last: killed"}
    assert not storage.list("staging/")
    assert survey(storage, SHARD).committed


def test_the_loser_of_a_race_reports_the_winners_shard(storage: Storage) -> None:
    dataset_id = "00000000-0000-0000-0000-000000000000"
    job = WriteShard(SHARD.shard_id, stage_all(storage), {}, 1)
    record = encode_shard(CAMPAIGN, dataset_id, SHARD.shard_id, PACKED)
    from workers.write import commit_shard

    winner = commit_shard(storage, record, worker="somebody else")
    written = write_and_commit(storage, CAMPAIGN, dataset_id, job)
    assert read_record(storage, SHARD.shard_id) == winner
    assert (written.n_accepted, written.n_rejected, written.bytes) == (2, 1, 0)
    assert not written.ours


def test_a_shard_of_which_no_gait_was_accepted_is_ours_too(storage: Storage) -> None:
    job = WriteShard(SHARD.shard_id, {}, dict.fromkeys(range(3), "quarantined: hung; killed"), 1)
    written = write_and_commit(storage, CAMPAIGN, "00000000-0000-0000-0000-000000000000", job)
    assert (written.n_accepted, written.n_rejected, written.bytes, written.ours) == (0, 3, 0, True)


def test_a_staged_gait_that_is_gone_or_damaged_stops_the_write_and_is_removed(storage: Storage) -> None:
    keys = stage_all(storage)
    storage.put(keys[1], storage.get(keys[1])[:-50])
    with pytest.raises(StagedGaitDamagedError, match="damaged"):
        write_and_commit(storage, CAMPAIGN, "id", WriteShard(SHARD.shard_id, keys, {}, 1))
    with pytest.raises(StagedGaitDamagedError):
        write_and_commit(storage, CAMPAIGN, "id", WriteShard(SHARD.shard_id, keys, {}, 2))
    assert sorted(survey(storage, SHARD).staged) == [0, 2]
    assert not committed_shards(storage)


def test_a_staged_gait_under_anothers_name_is_refused(storage: Storage) -> None:
    keys = stage_all(storage)
    storage.put(keys[1], storage.get(keys[0]))
    with pytest.raises(StagedGaitDamagedError, match="holds sample 0"):
        write_and_commit(storage, CAMPAIGN, "id", WriteShard(SHARD.shard_id, keys, {}, 1))


def test_only_what_is_committed_is_swept(storage: Storage) -> None:
    stage_all(storage)
    assert sweep(storage, ["00000007"]) == 0
    assert sweep(storage, [SHARD.shard_id]) == 3
    assert not storage.list("staging/")


def test_a_survey_passes_over_what_is_not_the_shards(storage: Storage) -> None:
    for name in ("000000009", "notes", "-1"):
        storage.put(f"staging/{SHARD.shard_id}/{name}/a.gait", b"")
    assert survey(storage, SHARD).staged == {}


def test_a_divergence_that_escapes_is_a_rejection(storage: Storage) -> None:
    def diverge(*_: object, **__: object) -> None:
        raise SimulationDiverged("state became NaN", time_s=1.5, coordinate="knee_angle_r")

    stages = Stages(simulate=diverge, film=faulty.film)  # type: ignore[arg-type]
    made = make_and_stage(storage, CAMPAIGN, MakeSample(SHARD.shard_id, 1, 1), stages)
    assert (made.accepted, made.reasons) == (False, ("diverged",))
    gait, _ = from_bytes(storage.get(made.key))
    assert isinstance(gait, RejectedGait)
    assert "knee_angle_r" in gait.details["diverged"]


def test_stages_that_are_none_are_refused() -> None:
    with pytest.raises(CampaignError, match=r"'builtins:dict' gave a dict"):
        load_stages("builtins:dict")


class Unreliable:
    """A storage whose chosen calls fail so many times."""

    def __init__(self, storage: Storage, **failures: int) -> None:
        self._storage = storage
        self.failures = failures

    def __getattr__(self, name: str) -> object:
        if self.failures.get(name, 0) > 0:
            self.failures[name] -= 1
            raise StorageUnavailableError("the store is not available")
        return getattr(self._storage, name)


def test_a_made_sample_is_held_until_storage_takes_it(storage: Storage, monkeypatch: pytest.MonkeyPatch) -> None:
    slept: list[float] = []
    monkeypatch.setattr("workers.staging.time.sleep", slept.append)
    stages = Stages(simulate=_norm_walk, film=faulty.film)
    unreliable = Unreliable(storage, put=6)
    made = make_and_stage(
        unreliable, CAMPAIGN, MakeSample(SHARD.shard_id, 1, 1), stages, until_s=time.monotonic() + 600.0
    )  # type: ignore[arg-type]
    assert slept == [1, 2, 4, 8, 15, 15]
    assert from_bytes(storage.get(made.key))[0].sample_id == 1


def test_a_made_sample_is_given_up_in_time_for_its_deadline(storage: Storage) -> None:
    stages = Stages(simulate=_norm_walk, film=faulty.film)
    with pytest.raises(StorageUnavailableError):
        make_and_stage(Unreliable(storage, put=1), CAMPAIGN, MakeSample(SHARD.shard_id, 1, 1), stages)  # type: ignore[arg-type]


def test_a_shard_that_stands_is_written_though_its_staging_cannot_be_swept(storage: Storage) -> None:
    job = WriteShard(SHARD.shard_id, stage_all(storage), {}, 1)
    dataset_id = "00000000-0000-0000-0000-000000000000"
    written = write_and_commit(Unreliable(storage, delete=1), CAMPAIGN, dataset_id, job)  # type: ignore[arg-type]
    assert written.bytes > 0
    assert committed_shards(storage) == (SHARD.shard_id,)
    assert sweep(storage, committed_shards(storage)) > 0


def test_a_writer_whose_staging_another_driver_swept_finds_that_drivers_shard(storage: Storage) -> None:
    dataset_id = "00000000-0000-0000-0000-000000000000"
    job = WriteShard(SHARD.shard_id, stage_all(storage), {}, 1)
    first = write_and_commit(storage, CAMPAIGN, dataset_id, job)
    second = write_and_commit(storage, CAMPAIGN, dataset_id, job)
    assert (second.n_accepted, second.n_rejected, second.reasons) == (first.n_accepted, first.n_rejected, first.reasons)


def _norm_walk(parameters: GaitParameters, *, duration_s: float, **_: object) -> Trajectory:
    return norm_walk(parameters, duration_s=duration_s)
