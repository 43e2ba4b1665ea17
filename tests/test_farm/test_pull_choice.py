"""Which gaits a pull takes, what it says of its cost first, and what it does at the limits."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from farm.dataset import pull_estimate
from farm.dataset.catalogue import compact
from farm.dataset.manifest import committed_shards
from farm.dataset.pull import carry_out, plan_pull, pull
from farm.dataset.pull_choice import Wish, rank
from farm.dataset.reader import GaitDataset
from farm.dataset.split import Split
from farm.dataset.verify import verify
from farm.errors import FormatError, StorageError, UserError
from farm.storage import FileStorage
from tests.datasets import make_dataset
from tests.samples import make_campaign
from tests.test_farm.test_pull import _source, _Watched

MANY = make_campaign(samples=48, gaits_per_shard=8, rgb="none", mask=False, views=("side",))


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return _source(tmp_path_factory.mktemp("source"), "video")


def _ids(uri: Path) -> list[int]:
    return [row["sample_id"] for row in GaitDataset(str(uri)).index(columns=["sample_id"])] if uri.exists() else []


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("many")
    make_dataset(str(folder), MANY, shards=range(6), n_samples=(20,))
    return folder


def test_a_count_is_spread_over_the_dataset_and_grows_by_seed(many: Path, tmp_path: Path) -> None:
    few = pull(str(many), str(tmp_path / "few"), count=8, fields=["labels"])
    more = pull(str(many), str(tmp_path / "more"), count=20, fields=["labels"])
    other = pull(str(many), str(tmp_path / "other"), count=8, seed=1, fields=["labels"])
    assert (few.n_gaits, more.n_gaits, other.n_gaits) == (8, 20, 8)
    assert len({report.dataset_id for report in (few, more, other)}) == 3
    assert set(_ids(tmp_path / "few")) < set(_ids(tmp_path / "more")), "a larger count keeps the smaller one's gaits"
    assert _ids(tmp_path / "few") != _ids(tmp_path / "other")
    assert few.n_shards > 3
    assert _ids(tmp_path / "few") == sorted(sorted(range(48), key=lambda i: rank(0, i))[:8])
    assert verify(str(tmp_path / "few")).faults == ()


def test_a_count_above_what_there_is_takes_all(many: Path, tmp_path: Path) -> None:
    assert pull(str(many), str(tmp_path / "part"), where="sample_id < 5", count=99, fields=["labels"]).n_gaits == 5


def test_parts_of_a_split_are_disjoint_whole_and_the_same_for_everybody(many: Path, tmp_path: Path) -> None:
    split = Split(seed=4, train=0.5, validation=0.25, test=0.25)
    parts: dict[str, list[int]] = {}
    for part in ("train", "validation", "test"):
        pull(str(many), str(tmp_path / part), split=part, split_seed=4, split_shares="0.5/0.25/0.25", fields=["labels"])
        parts[part] = _ids(tmp_path / part)
        assert parts[part] == [i for i in range(48) if split.part_of(i) == part]
        selection = GaitDataset(str(tmp_path / part)).manifest.selection
        assert selection is not None
        assert (selection.split, selection.split_seed, selection.split_shares) == (part, 4, (0.5, 0.25, 0.25))
    assert sorted(i for part in parts.values() for i in part) == list(range(48))


def test_a_count_of_a_part_is_not_the_part_s_own_order(many: Path, tmp_path: Path) -> None:
    """Were both sorted by one hash, a count would come from the test part first."""
    pull(str(many), str(tmp_path / "part"), count=16, fields=["labels"])
    assert {Split().part_of(i) for i in _ids(tmp_path / "part")} >= {"train", "test"}


def test_a_growing_source_keeps_its_held_out_gaits_and_a_count_stays_a_count(tmp_path: Path) -> None:
    make_dataset(str(tmp_path / "source"), MANY, shards=[0, 1, 2], n_samples=(20,))
    places = {name: str(tmp_path / name) for name in ("test", "count")}
    options: dict[str, dict[str, Any]] = {"test": {"split": "test"}, "count": {"count": 10}}
    before = {}
    for name, where in places.items():
        pull(str(tmp_path / "source"), where, fields=["labels"], **options[name])
        before[name] = _ids(Path(where))
    make_dataset(str(tmp_path / "source"), MANY, shards=[3, 4, 5], n_samples=(20,))
    for name, where in places.items():
        pull(str(tmp_path / "source"), where, fields=["labels"], **options[name])
    assert _ids(Path(places["test"])) == [i for i in range(48) if Split().part_of(i) == "test"]
    assert set(before["test"]) <= set(_ids(Path(places["test"])))
    assert _ids(Path(places["count"])) == before["count"]


def test_a_count_that_was_interrupted_ends_as_if_it_had_not(many: Path, tmp_path: Path) -> None:
    wish: dict[str, Any] = {"count": 12, "fields": ["labels"]}
    pull(str(many), str(tmp_path / "whole"), **wish)
    with pytest.raises(StorageError, match="the network is gone"):
        pull(_Watched(many, fail_at="shards/00000004/"), str(tmp_path / "part"), jobs=1, **wish)
    there = committed_shards(FileStorage(tmp_path / "part"))
    assert there
    assert "00000004" not in there
    pull(str(many), str(tmp_path / "part"), **wish)
    assert _ids(tmp_path / "part") == _ids(tmp_path / "whole")


@pytest.mark.parametrize("wish", [Wish(), Wish(views=["side"], fields=["video", "labels"])])
def test_the_estimate_of_whole_shards_is_exact(source: Path, tmp_path: Path, wish: Wish) -> None:
    plan = plan_pull(str(source), str(tmp_path / "part"), wish)
    assert not (tmp_path / "part").exists(), "a plan changes nothing"
    report = carry_out(plan)
    assert plan.estimate.cost.exact
    assert (plan.estimate.cost.read_bytes, plan.estimate.cost.requests) == (report.read_bytes, report.requests)
    assert (plan.estimate.n_gaits, plan.estimate.n_shards) == (report.n_gaits, report.n_shards)


@pytest.mark.parametrize("where", ["sample_id in (0, 5)", "sample_id < 2"])
def test_the_estimate_of_some_gaits_is_near(source: Path, tmp_path: Path, where: str) -> None:
    plan = plan_pull(str(source), str(tmp_path / "part"), Wish(where))
    report = carry_out(plan)
    assert not plan.estimate.cost.exact
    assert plan.estimate.cost.read_bytes == pytest.approx(report.read_bytes, rel=0.2)
    assert plan.estimate.cost.requests == pytest.approx(report.requests, rel=0.2)
    written = sum(item.size for item in FileStorage(tmp_path / "part").list("shards/"))
    assert plan.estimate.cost.write_bytes == pytest.approx(written, rel=0.35)


def test_few_gaits_of_many_shards_open_few_commits(many: Path, tmp_path: Path) -> None:
    shutil.copytree(many, tmp_path / "source")
    compact(FileStorage(tmp_path / "source"))
    storage = _Watched(tmp_path / "source")
    report = pull(storage, str(tmp_path / "part"), where="sample_id in (3, 40)", fields=["labels"])
    assert report.n_gaits == 2
    assert {key for key in storage.read if key.startswith("commits/")} == {
        "commits/00000000.json", "commits/00000005.json",
    }  # fmt: skip


def test_of_many_shards_few_commits_are_looked_at(many: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copytree(many, tmp_path / "source")
    compact(FileStorage(tmp_path / "source"))
    whole = plan_pull(str(many), str(tmp_path / "part"), Wish(fields=["body_pose"])).estimate
    monkeypatch.setattr(pull_estimate, "LOOK_SHARDS", 2)
    storage = _Watched(tmp_path / "source")
    guessed = plan_pull(storage, str(tmp_path / "part"), Wish(fields=["body_pose"])).estimate
    assert len([key for key in storage.read if key.startswith("commits/")]) == 2
    assert (guessed.n_gaits, guessed.n_shards, guessed.cost.exact) == (48, 6, False)
    assert guessed.cost.read_bytes == pytest.approx(whole.cost.read_bytes, rel=0.1)


def test_a_pull_that_is_too_large_is_refused(source: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"--max-bytes allows 1000; choose fewer gaits .* Nothing was pulled"):
        pull(str(source), str(tmp_path / "part"), max_bytes=1000)
    assert not (tmp_path / "part").exists()


def test_progress_counts_bytes_up_to_the_whole(source: Path, tmp_path: Path) -> None:
    calls: list[tuple[int, int]] = []
    report = pull(str(source), str(tmp_path / "part"), progress=lambda done, total: calls.append((done, total)))
    assert [done for done, _ in calls] == sorted(done for done, _ in calls)
    assert calls[-1] == (report.read_bytes, report.read_bytes)


def test_shards_made_again_since_the_choice_are_not_mixed_up(many: Path, tmp_path: Path) -> None:
    shutil.copytree(many, tmp_path / "source")
    plan = plan_pull(str(tmp_path / "source"), str(tmp_path / "part"), Wish("sample_id = 3", fields=["labels"]))
    text = (tmp_path / "source/commits/00000000.json").read_text()
    attempt = json.loads(text)["attempt_id"]
    (tmp_path / "source/commits/00000000.json").write_text(text.replace(attempt, "0" * 32))
    with pytest.raises(FormatError, match="shard 00000000 was made again since the pull began; run it again"):
        carry_out(plan)


def test_memory_is_shared_out_and_a_large_shard_goes_alone(many: Path, tmp_path: Path) -> None:
    plan = plan_pull(str(many), str(tmp_path / "part"), Wish(fields=["labels"]))
    assert carry_out(plan, jobs=6, memory_bytes=1).n_gaits == 48


def test_a_storage_that_cuts_objects_off_is_found_before_the_commit(source: Path, tmp_path: Path) -> None:
    class Cutting(FileStorage):
        def put(self, key: str, data: bytes) -> None:
            super().put(key, data[:-1] if key.endswith("labels/c/0/0") else data)

    target = Cutting(tmp_path / "part")
    with pytest.raises(StorageError, match=r"labels/c/0/0 was stored with \d+ bytes, the storage lists \d+"):
        pull(str(source), target)
    assert committed_shards(target) in ((), ("00000002",)), "the last shard holds no gait"
