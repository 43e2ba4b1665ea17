"""Streams give every gait once, in an order that threads, memory, cache and ranks do not change, and resume exactly."""

from __future__ import annotations

import json
import pickle
import threading
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from farm.dataset import video
from farm.dataset.gaits import GaitBatch
from farm.dataset.reader import Gait, GaitDataset
from farm.dataset.split import Split
from farm.errors import FormatError, StateMismatchError, UserError
from tests.datasets import make_dataset
from tests.samples import make_campaign, make_samples_for

CAMPAIGN = make_campaign(samples=22, gaits_per_shard=3, seed=4)
REJECTED = (1, 7, 12, 13, 14)
"""All of shard 4, so that one commit has no group."""

ACCEPTED = [i for i in range(22) if i not in REJECTED]


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("streamed") / "dataset"
    make_dataset(str(folder), CAMPAIGN, rejected=REJECTED)
    return folder


@pytest.fixture(scope="module")
def dataset(root: Path) -> GaitDataset:
    return GaitDataset(str(root))


def ids(stream: Any) -> list[int]:
    return [gait.sample_id for gait in stream]


def test_each_gait_comes_once_with_its_own_values(dataset: GaitDataset) -> None:
    stream = dataset.stream(seed=3)
    assert len(stream) == len(ACCEPTED)
    gaits = list(stream)
    assert sorted(gait.sample_id for gait in gaits) == ACCEPTED
    for gait in gaits:
        one = dataset.gait(gait.sample_id)
        assert gait.row == one.row
        assert gait.attributes == one.attributes
        assert sorted(gait.arrays) == sorted(one.arrays)
        for path, value in one.arrays.items():
            np.testing.assert_array_equal(gait[path], value, err_msg=path)
            assert gait[path].dtype == value.dtype


def test_values_are_those_that_were_made(dataset: GaitDataset) -> None:
    made = make_samples_for(CAMPAIGN, range(3), n_samples=(60, 90, 75), rejected=REJECTED)
    samples = {sample.parameters.sample_id: sample for sample in made}
    for gait in dataset.stream(("coordinates", "labels"), where="sample_id < 3"):
        sample = samples[gait.sample_id]
        np.testing.assert_array_equal(gait["coordinates"], sample.trajectory.coordinates.astype(np.float32))
        assert gait["coordinates"].flags.owndata


@pytest.mark.parametrize("shuffle", ["shards", "full", "none"])
def test_order_depends_on_seed_and_epoch_alone(dataset: GaitDataset, shuffle: Any) -> None:
    def order_of(**changes: Any) -> list[int]:
        return ids(dataset.stream(("labels",), **{"seed": 1, "epoch": 2, "shuffle": shuffle} | changes))

    expected = order_of()
    stream = dataset.stream(("labels",), seed=1, shuffle=shuffle)
    assert expected == [int(stream.sample_ids[number]) for number in stream.order(2)]
    assert order_of(threads=1) == order_of(threads=7) == expected
    assert order_of(memory_bytes=1) == order_of(memory_bytes=3000) == expected
    if shuffle == "none":
        assert expected == ACCEPTED
    else:
        assert expected != ACCEPTED
        assert order_of(seed=2) != expected
        assert order_of(epoch=3) != expected


def test_the_order_of_a_dataset_is_pinned(dataset: GaitDataset) -> None:
    assert ids(dataset.stream(("labels",), seed=1)) == PINNED


PINNED = [15, 20, 8, 16, 19, 9, 21, 18, 11, 17, 4, 10, 0, 5, 6, 2, 3]


def test_values_do_not_depend_on_how_they_are_loaded(dataset: GaitDataset) -> None:
    """Whole objects or one gait's chunk, one thread or many: the same bytes."""
    wanted = {"fields": ("coordinates", "event_time", "keypoints_2d", "video"), "frames": ("side",), "cut_s": 0.4}
    whole = list(dataset.stream(**wanted, threads=4))
    single = list(dataset.stream(**wanted, threads=1, memory_bytes=1))
    for a, b in zip(whole, single, strict=True):
        assert a.sample_id == b.sample_id
        assert sorted(a.arrays) == sorted(b.arrays)
        for path, value in a.arrays.items():
            np.testing.assert_array_equal(value, b[path], err_msg=path)


def test_pictures_are_decoded_and_files_are_whole(dataset: GaitDataset) -> None:
    for gait in dataset.stream(("video",), views=("side",), frames=("side",), where="sample_id < 6"):
        assert gait["views/side/video"].tobytes() == dataset.video(gait.sample_id, "side")
        np.testing.assert_array_equal(gait["views/side/frames"], dataset.frames(gait.sample_id, "side"))
        assert "views/front/video" not in gait.arrays
    for gait in dataset.stream((), frames=("front",), where="sample_id < 2"):
        assert set(gait.arrays) == {"sample_id", "n_samples", "n_frames", "views/front/frames"}


def test_lossless_pictures(tmp_path: Path) -> None:
    make_dataset(str(tmp_path), make_campaign(samples=4, gaits_per_shard=2, rgb="lossless"))
    lossless = GaitDataset(str(tmp_path))
    gaits = list(lossless.stream((), frames=("side",)))
    assert len(gaits) == 4
    for gait in gaits:
        np.testing.assert_array_equal(gait["views/side/frames"], lossless.frames(gait.sample_id, "side"))


def test_filters_and_splits(dataset: GaitDataset) -> None:
    split = Split(seed=5)
    for part in ("train", "validation", "test"):
        stream = dataset.stream(("labels",), split=part, split_seed=5, shuffle="none")
        assert ids(stream) == [i for i in ACCEPTED if split.part_of(i) == part]
    some = ids(dataset.stream(("labels",), where="sample_id % 2 = 0", split="train", split_seed=5, seed=8))
    assert sorted(some) == [i for i in ACCEPTED if i % 2 == 0 and split.part_of(i) == "train"]
    assert ids(dataset.stream(("labels",), where="sample_id < 0")) == []


def batches_equal(first: Sequence[GaitBatch], second: Sequence[GaitBatch]) -> None:
    for a, b in zip(first, second, strict=True):
        np.testing.assert_array_equal(a.sample_ids, b.sample_ids)
        for path, value in a.arrays.items():
            np.testing.assert_array_equal(value, b[path], err_msg=path)


def test_batches_are_padded(dataset: GaitDataset) -> None:
    batches = list(dataset.stream(("coordinates", "visibility", "labels"), batch_size=4))
    assert [len(batch) for batch in batches] == [4, 4, 4, 4, 1]
    for batch in batches:
        longest = batch["n_samples"].max()
        assert batch["coordinates"].shape[:2] == (len(batch), longest)
        for number, sample_id in enumerate(batch.sample_ids):
            one = dataset.gait(int(sample_id))
            n = len(one["coordinates"])
            np.testing.assert_array_equal(batch["coordinates"][number, :n], one["coordinates"])
            assert np.isnan(batch["coordinates"][number, n:]).all()
            n = len(one["views/side/visibility"])
            np.testing.assert_array_equal(batch["views/side/visibility"][number, :n], one["views/side/visibility"])
            assert not batch["views/side/visibility"][number, n:].any()
        np.testing.assert_array_equal(
            batch.column("gait_speed"), [dataset.gait(int(i)).row["gait_speed"] for i in batch.sample_ids]
        )


def test_cuts_are_stretches_of_one_length(dataset: GaitDataset) -> None:
    """0.5 s are 15 pictures and 50 samples, the same stretch in each array, another one in each epoch."""
    fields = ("coordinates", "keypoints_3d", "event_time")
    begins: dict[int, set[int]] = {}
    for epoch in range(6):
        for gait in dataset.stream(fields, cut_s=0.5, seed=1, epoch=epoch):
            whole = dataset.gait(gait.sample_id, (*fields, "n_events"))
            points, n = whole["keypoints_3d"], len(gait["keypoints_3d"])
            assert n == gait["n_frames"] == 15
            begin = next(i for i in range(len(points)) if np.array_equal(points[i : i + n], gait["keypoints_3d"]))
            begins.setdefault(gait.sample_id, set()).add(begin)
            first = round(begin / 30 * 100)
            np.testing.assert_array_equal(gait["coordinates"], whole["coordinates"][first : first + 50])
            assert gait["n_samples"] == len(gait["coordinates"])
            times = whole["event_time"]
            inside = times[(times >= begin / 30) & (times < begin / 30 + 0.5)]
            np.testing.assert_allclose(gait["event_time"], inside - begin / 30, atol=1e-6)
            assert gait["n_events"] == len(inside) == len(gait["event_type"])
    assert max(len(places) for places in begins.values()) > 2


def test_of_a_cut_only_its_own_pictures_are_decoded(dataset: GaitDataset, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[slice | None] = []
    cut: list[slice] = []

    def decode(data: bytes, *, at: slice | None = None) -> NDArray[np.uint8]:
        asked.append(at)
        return video.decode(data, at=at)

    monkeypatch.setattr("farm.dataset.stream.video", SimpleNamespace(decode=decode))
    for gait in dataset.stream(("keypoints_3d",), frames=("side",), cut_s=0.5, seed=1, where="sample_id < 9"):
        points, n = dataset.gait(gait.sample_id, ("keypoints_3d",))["keypoints_3d"], len(gait["keypoints_3d"])
        begin = next(i for i in range(len(points)) if np.array_equal(points[i : i + n], gait["keypoints_3d"]))
        whole = dataset.frames(gait.sample_id, "side")
        np.testing.assert_array_equal(gait["views/side/frames"], whole[begin : begin + n])
        cut.append(slice(begin, begin + n))
    assert sorted(map(repr, asked)) == sorted(map(repr, cut))  # threads decode ahead, in any order
    assert len(cut) == 7


@pytest.mark.parametrize("rgb", ["video", "lossless"])
def test_pictures_are_had_by_number(tmp_path: Path, rgb: str) -> None:
    make_dataset(str(tmp_path), make_campaign(samples=2, gaits_per_shard=2, rgb=rgb))
    filmed = GaitDataset(str(tmp_path))
    whole = filmed.frames(1, "side")
    np.testing.assert_array_equal(filmed.frames(1, "side", at=[7, 2, 7]), whole[[7, 2, 7]])
    np.testing.assert_array_equal(filmed.frames(1, "side", at=slice(3, None, 4)), whole[3::4])
    with pytest.raises(UserError, match=f"no picture {len(whole)}: there are {len(whole)}, numbered from 0"):
        filmed.frames(1, "side", at=[len(whole)])


def test_a_cut_longer_than_the_gait_is_padded_in_a_batch(dataset: GaitDataset) -> None:
    for batch in dataset.stream(("coordinates", "keypoints_3d"), cut_s=2.0, batch_size=3):
        assert batch["coordinates"].shape[1] == 200
        assert batch["keypoints_3d"].shape[1] == 60
        assert set(batch["n_samples"].tolist()) <= {60, 75, 90}


@given(world=st.integers(1, 5), batch_size=st.one_of(st.none(), st.integers(1, 4)), steps=st.integers(0, 6),
       after=st.integers(1, 5))  # fmt: skip
@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_ranks_share_an_epoch_and_others_go_on(
    dataset: GaitDataset, world: int, batch_size: int | None, steps: int, after: int
) -> None:
    """Some ranks read for a while, are saved, and another number of ranks reads the rest: every gait once."""

    def taken(item: Gait | GaitBatch) -> list[int]:
        return [item.sample_id] if isinstance(item, Gait) else [int(i) for i in item.sample_ids]

    found: list[int] = []
    states = []
    for rank in range(world):
        stream = dataset.stream((), seed=6, rank=rank, world=world, batch_size=batch_size, tail="keep")
        for _, item in zip(range(min(steps, len(stream))), stream, strict=False):
            found += taken(item)
        states.append(stream.state_dict())
    state = json.loads(json.dumps(states[0]))
    assert max(states, key=lambda s: (s["epoch"], s["index"])) == states[0]
    if state["epoch"] == 0:
        for rank in range(after):
            stream = dataset.stream((), seed=6, rank=rank, world=after, batch_size=batch_size, tail="keep")
            stream.load_state_dict(state)
            found += [i for item in stream for i in taken(item)]
    assert sorted(found) == ACCEPTED


def test_ranks_make_equally_many_steps(dataset: GaitDataset) -> None:
    for tail, n_steps in (("drop", 2), ("pad", 3)):
        each = [
            [batch.sample_ids for batch in dataset.stream((), rank=rank, world=3, batch_size=2, tail=tail)]
            for rank in range(3)
        ]
        assert [len(batches) for batches in each] == [n_steps] * 3
        found = np.concatenate([i for batches in each for i in batches])
        assert len(found) == n_steps * 6
        assert len(set(found.tolist())) == (12 if tail == "drop" else 17)


def test_a_restored_stream_goes_on(dataset: GaitDataset) -> None:
    wanted = {"fields": ("keypoints_3d",), "seed": 9, "batch_size": 3, "cut_s": 0.4}
    whole = dataset.stream(**wanted)
    batches = [*whole, *whole]
    first = dataset.stream(**wanted)
    for _, _ in zip(range(4), first, strict=False):
        pass
    assert first.state_dict() == dataset.stream(**wanted).state_after(4)
    second = dataset.stream(**wanted)
    second.load_state_dict(json.loads(json.dumps(first.state_dict())))
    batches_equal([*second, *second], batches[4:])
    assert second.state_dict()["epoch"] == 2


def test_a_count_of_items_may_go_beyond_the_epoch(dataset: GaitDataset) -> None:
    stream = dataset.stream((), seed=9, batch_size=3)
    begin = dataset.stream((), seed=9, batch_size=3)
    for n in range(1, 4 * len(begin)):
        walk = iter(stream)
        next(walk)
        walk.close()  # type: ignore[attr-defined]
        assert begin.state_after(n) == stream.state_dict()
    with pytest.raises(UserError, match="items is -1"):
        begin.state_after(-1)
    with pytest.raises(UserError, match="1 items were counted, and no epoch has any for rank 0"):
        dataset.stream((), where="sample_id < 0").state_after(1)


def test_a_stream_is_pickled_where_it_stands(dataset: GaitDataset) -> None:
    stream = dataset.stream(("labels",), seed=2)
    before = [gait.sample_id for _, gait in zip(range(5), stream, strict=False)]
    copy = pickle.loads(pickle.dumps(stream))
    rest = ids(copy)
    assert rest == ids(stream)
    assert sorted(before + rest) == ACCEPTED


def test_workers_in_turn_give_the_items_of_one(dataset: GaitDataset) -> None:
    alone = ids(dataset.stream((), seed=2))
    parts = [ids(dataset.stream((), seed=2).every(worker, 3)) for worker in range(3)]
    assert [parts[i % 3][i // 3] for i in range(len(alone))] == alone


def test_blocks_do_not_change_what_comes(dataset: GaitDataset, monkeypatch: pytest.MonkeyPatch) -> None:
    alone = ids(dataset.stream((), seed=2))
    monkeypatch.setattr("farm.dataset.stream.BLOCK", 4)
    assert ids(dataset.stream((), seed=2)) == alone
    parts = [ids(dataset.stream((), seed=2).every(worker, 3)) for worker in range(3)]
    assert [parts[i % 3][i // 3] for i in range(len(alone))] == alone


# --- a dataset that grows, and states that do not fit ---------------------------------------------------------


def test_a_dataset_that_has_grown_is_read_as_it_was(tmp_path: Path) -> None:
    make_dataset(str(tmp_path), CAMPAIGN, rejected=REJECTED, shards=[0, 1, 2, 5])
    stream = GaitDataset(str(tmp_path)).stream((), seed=3, split="train")
    expected = ids(stream)
    stream.set_epoch(0)
    first = [gait.sample_id for _, gait in zip(range(3), stream, strict=False)]
    state = json.loads(json.dumps(stream.state_dict()))
    assert state["shards"] == ["00000000-00000002", "00000005"]
    make_dataset(str(tmp_path), CAMPAIGN, rejected=REJECTED, shards=[3, 4, 6, 7])
    grown = GaitDataset(str(tmp_path)).stream((), seed=3, split="train")
    assert len(grown) > len(expected)
    grown.load_state_dict(state)
    assert first + ids(grown) == expected
    assert grown.state_dict()["shards"] == state["shards"]
    newer = GaitDataset(str(tmp_path)).stream((), seed=3, split="train").state_dict()
    grown.load_state_dict(newer)  # back from the older one
    assert grown.state_dict() == newer


def test_shards_that_are_gone_or_new_are_told(tmp_path: Path) -> None:
    make_dataset(str(tmp_path), CAMPAIGN, rejected=REJECTED, shards=[0, 1, 2])
    state = GaitDataset(str(tmp_path)).stream(()).state_dict()
    (tmp_path / "commits" / "00000001.json").unlink()
    with pytest.raises(StateMismatchError, match="no longer holds the shards 00000000-00000002"):
        GaitDataset(str(tmp_path)).stream(()).load_state_dict(state)
    make_dataset(str(tmp_path), CAMPAIGN, rejected=REJECTED, shards=[1])
    with pytest.raises(StateMismatchError, match="some are gone, or were made anew"):
        GaitDataset(str(tmp_path)).stream(()).load_state_dict(state)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"seed": 8}, "saved with seed=8, this stream has seed=0"),
        ({"where": "gait_speed < 1"}, "saved with where='gait_speed < 1', this stream has where=None"),
        ({"dataset_id": "another"}, "the state is of the dataset 'another'"),
        ({"version": 2}, "version 2; this gaitfarm reads version 1"),
        ({"index": 18}, "stands at gait 18 of 17 in epoch 0"),
        ({"index": -1}, "stands at gait -1"),
        ({"epoch": "one"}, "this is no state of a stream"),
        ({"shards": ["../0"], "pin": ""}, "the state's shards name '../0'"),
        ({"shards": ["000-999999999999"], "pin": "0"}, "no longer holds the shards"),
    ],
)
def test_states_that_do_not_fit(dataset: GaitDataset, changes: dict[str, Any], message: str) -> None:
    stream = dataset.stream((), seed=0)
    state = stream.state_dict() | changes
    with pytest.raises(StateMismatchError, match=message):
        stream.load_state_dict(state)
    with pytest.raises(StateMismatchError, match="this is no state of a stream"):
        stream.load_state_dict({"epoch": 1})
    assert (stream.epoch, stream.index) == (0, 0)


# --- what a user gets wrong -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"fields": ("keypoint_2d",)}, "no field 'keypoint_2d'; did you mean 'keypoints_2d'"),
        ({"fields": "labels"}, r"fields is the word 'labels'; give a tuple of names: fields=\('labels',\)"),
        ({"views": "side"}, "views is the word 'side'; give a tuple"),
        ({"frames": "side"}, "frames is the word 'side'; give a tuple"),
        ({"fields": ("depth",)}, "the dataset holds no 'depth': its campaign did not ask for it"),
        ({"fields": ("zzz",)}, "no field 'zzz'; fields are bbox,"),
        ({"views": ("top",)}, "no view 'top'; it has front, side"),
        ({"frames": ("top",)}, "no view 'top'; it has front, side"),
        ({"where": "speed < 1"}, "the index has no column 'speed'"),
        ({"split": "dev"}, "no part 'dev' of a split; choose train, validation, test"),
        ({"shares": "1/1/1"}, "write 0.8/0.1/0.1"),
        ({"world": 2}, "tail is not given, and 2 ranks share"),
        ({"rank": 1}, "rank 1 of 1"),
        ({"batch_size": 0}, "batch_size is 0"),
        ({"cut_s": 0.0}, "cut_s is 0.0; it must be a positive number of seconds"),
        ({"cut_s": float("nan")}, "cut_s is nan"),
        ({"threads": 0}, "threads is 0; it must be 1 or more"),
        ({"memory_bytes": 0}, "memory_bytes is 0"),
        ({"shuffle": True}, "shuffle is True; choose shards, full, none"),
        ({"seed": -1}, "seed is -1"),
        ({"epoch": -1}, "epoch is -1"),
        ({"fields": ("video",), "batch_size": 2}, "video files cannot be batched"),
    ],
)
def test_wrong_arguments_are_named(dataset: GaitDataset, arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        dataset.stream(**arguments)


def test_columns_that_are_not_numbers(dataset: GaitDataset) -> None:
    batch = next(iter(dataset.stream((), batch_size=2)))
    with pytest.raises(UserError, match="no column 'speed'"):
        batch.column("speed")
    with pytest.raises(UserError, match="the column 'condition' holds words"):
        batch.column("condition")


def test_damage_is_told_when_its_turn_comes(tmp_path: Path) -> None:
    make_dataset(str(tmp_path), CAMPAIGN, shards=[0, 1])
    file = next((tmp_path / "shards" / "00000001").glob("*.zarr/coordinates/c/0/0/0"))
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    file.write_bytes(bytes(data))
    stream = GaitDataset(str(tmp_path)).stream(("coordinates",), shuffle="none", threads=1)
    walk = iter(stream)
    assert [next(walk).sample_id for _ in range(3)] == [0, 1, 2]
    with pytest.raises(FormatError, match=r"coordinates/c/0/0/0 has other bytes than its record says"):
        next(walk)
    assert stream.index == 3


def test_a_stream_that_is_left_stops_its_threads(dataset: GaitDataset) -> None:
    walk = iter(dataset.stream((), threads=3))
    next(walk)
    walk.close()  # type: ignore[attr-defined]
    assert [t.name for t in threading.enumerate() if t.name.startswith("gaits-")] == []
