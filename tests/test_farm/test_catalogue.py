"""The catalogue's parts: compacted, interrupted, taken over or foreign, the index says what the commits say."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from farm.dataset import catalogue, parts
from farm.dataset.catalogue import compact, forget, index_of, index_rows, iter_records, load_index, read_records
from farm.dataset.manifest import RejectedGait, ShardRecord, StoredBytes, commit_key, committed_shards, record_to_json
from farm.dataset.repair import take_out
from farm.errors import FormatError, ObjectNotFoundError, StorageError
from farm.storage import FileStorage, Storage
from tests.tables import to_parquet


def record_of(number: int, *, attempt: str = "a1", speed: float = 1.0, accepted: int = 2) -> ShardRecord:
    """A commit of three samples, of which the last ones are turned down."""
    ids = range(3 * number, 3 * number + 3)
    shard_id = f"{number:08d}"
    group = f"shards/{shard_id}/{attempt}.zarr"
    return ShardRecord(
        shard_id=shard_id,
        attempt_id=attempt,
        group=group if accepted else None,
        sample_ids=tuple(ids),
        n_accepted=accepted,
        n_rejected=3 - accepted,
        index=tuple({"sample_id": i, "condition": "healthy", "gait_speed": speed + i} for i in ids[:accepted]),
        rejected=tuple(
            RejectedGait(
                sample_id=i, reasons=("fell",), details={"fell": f"at {i} s"}, parameters={"mass_kg": 70.0 + i}
            )
            for i in ids[accepted:]
        ),
        objects=(StoredBytes(path=f"{group}/zarr.json", bytes=10, sha256="0" * 64),) if accepted else (),
    )


def commit(storage: Storage, numbers: Iterable[int], **options: Any) -> None:
    for number in numbers:
        record = record_of(number, **options)
        storage.put_once(commit_key(record.shard_id), record_to_json(record))


def expected_rows(storage: Storage) -> list[dict[str, Any]]:
    records = read_records(storage, committed_shards(storage))
    return sorted((row for record in records for row in index_rows(record)), key=lambda row: int(row["sample_id"]))


def assert_true(storage: Storage) -> None:
    """The index says what the commits say, of gaits, shards and rejected samples."""
    table = load_index(storage, with_rejected=True)
    assert table.rows() == expected_rows(storage)
    records = read_records(storage, committed_shards(storage))
    told = table.ask("SELECT shard_id, attempt_id, n_accepted, n_rejected FROM shards ORDER BY shard_id")
    assert told == [(r.shard_id, r.attempt_id, r.n_accepted, r.n_rejected) for r in records]
    rejected = table.ask("SELECT sample_id, shard_id, reasons, details FROM rejected ORDER BY sample_id")
    assert rejected == [
        (gait.sample_id, r.shard_id, list(gait.reasons), json.dumps(dict(gait.details)))
        for r in records
        for gait in r.rejected
    ]


class Watched(FileStorage):
    """Calls `before(operation, key)` before every operation on an object."""

    before: Callable[[str, str], None] = staticmethod(lambda operation, key: None)

    def get(self, key: str) -> bytes:
        self.before("get", key)
        return super().get(key)

    def get_range(self, key: str, start: int, length: int) -> bytes:
        self.before("get", key)
        return super().get_range(key, start, length)

    def put(self, key: str, data: bytes) -> None:
        self.before("put", key)
        super().put(key, data)

    def delete(self, key: str) -> None:
        self.before("delete", key)
        super().delete(key)


@pytest.fixture
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(catalogue, "MAX_PART_ROWS", 9)
    monkeypatch.setattr(parts, "CHUNK_ROWS", 4)


@pytest.mark.usefixtures("small_parts")
def test_full_parts_are_left_alone_and_the_rest_is_one(tmp_path: Path) -> None:
    storage = FileStorage(tmp_path)
    commit(storage, range(7))
    first = compact(storage)
    assert (len(first.parts), first.shards_added) == (3, 7)  # 9, 9 and 3 rows
    assert_true(storage)
    commit(storage, [7, 8])
    second = compact(storage)
    assert (len(second.parts), second.shards_added, second.removed) == (3, 2, 1)
    assert len(set(first.parts) & set(second.parts)) == 2
    assert_true(storage)
    assert compact(storage) == catalogue.Compaction(second.parts, 0, 0)


def test_shards_of_which_nothing_was_accepted_are_known(tmp_path: Path) -> None:
    storage = Watched(tmp_path)
    commit(storage, range(3), accepted=0)
    assert load_index(storage).rows() == []
    compact(storage)
    read: list[str] = []
    storage.before = lambda operation, key: read.append(key)  # type: ignore[method-assign]
    table = load_index(storage, with_rejected=True)
    assert table.rows() == []
    assert table.ask("SELECT count(*), min(mass_kg) FROM rejected") == [(9, 70.0)]
    assert not [key for key in read if key.startswith("commits/")]


def test_nothing_committed_is_an_empty_catalogue(tmp_path: Path) -> None:
    storage = FileStorage(tmp_path)
    assert compact(storage) == catalogue.Compaction((), 0, 0)
    assert storage.list("catalogue/") == []
    assert len(load_index(storage)) == 0


@settings(max_examples=10, deadline=None)
@given(steps=st.lists(st.sampled_from(["commit", "all rejected", "compact", "cut off"]), max_size=8), data=st.data())
def test_interrupted_at_any_step_the_index_is_right(
    tmp_path_factory: pytest.TempPathFactory, steps: list[str], data: st.DataObject
) -> None:
    """A compaction that dies before any one of its writes and deletions leaves nothing false behind."""
    storage = Watched(tmp_path_factory.mktemp("data"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(catalogue, "MAX_PART_ROWS", 6)
        patch.setattr(parts, "CHUNK_ROWS", 4)
        committed = 0
        for step in ["commit", *steps]:
            if step in ("commit", "all rejected"):
                commit(storage, [committed, committed + 1], accepted=2 if step == "commit" else 0)
                committed += 2
            else:
                left = data.draw(st.integers(0, 12)) if step == "cut off" else 1000
                storage.before = _cut_off_after(left)  # type: ignore[method-assign]
                try:
                    compact(storage)
                except StorageError:
                    assert step == "cut off"
                storage.before = lambda operation, key: None  # type: ignore[method-assign]
            assert_true(storage)
        compact(storage)
        assert_true(storage)
        names = [parts.part_names(storage), *(_names(storage, table) for table in ("shards", "rejected"))]
        assert set(names[0]) <= set(names[1]) & set(names[2])


def _names(storage: Storage, table: str) -> list[str]:
    folder = parts.FOLDERS[table]
    return [item.key.removeprefix(folder).removesuffix(".parquet") for item in storage.list(folder)]


def _cut_off_after(left: int) -> Callable[[str, str], None]:
    remaining = [left]

    def before(operation: str, key: str) -> None:
        if operation in ("put", "delete"):
            remaining[0] -= 1
            if remaining[0] < 0:
                raise StorageError("cut off")

    return before


def test_a_part_that_is_taken_over_while_it_is_read_is_looked_for_again(tmp_path: Path) -> None:
    storage, other = Watched(tmp_path), FileStorage(tmp_path)
    commit(storage, [0, 1])
    compact(storage)
    commit(storage, [2])
    told = []

    def before(operation: str, key: str) -> None:
        if key.startswith("catalogue/0") and not told:
            told.append(key)
            compact(other)

    storage.before = before  # type: ignore[method-assign]
    assert load_index(storage).rows() == expected_rows(other)
    assert told, "the other compaction did run in between"


def test_compacting_goes_on_when_another_one_was_faster(tmp_path: Path) -> None:
    storage, other = Watched(tmp_path), FileStorage(tmp_path)
    commit(storage, [0, 1])
    compact(storage)
    commit(storage, [2])
    told = []

    def before(operation: str, key: str) -> None:
        if operation == "get" and key.startswith("catalogue/0") and not told:
            told.append(key)
            commit(other, [3])
            compact(other)

    storage.before = before  # type: ignore[method-assign]
    done = compact(storage)
    assert told
    assert [parts.key_of(name, "gaits") for name in parts.part_names(other)] == list(done.parts)
    assert_true(other)


@pytest.mark.usefixtures("small_parts")
def test_many_at_once_harm_nothing(tmp_path: Path) -> None:
    storage = FileStorage(tmp_path)
    commit(storage, range(4))
    compact(storage)
    faults: list[BaseException] = []

    def work(first: int) -> None:
        try:
            for number in range(first, first + 6, 2):
                commit(storage, [number, number + 1])
                compact(storage)
                rows = load_index(storage).rows(columns=["sample_id"])
                assert len({row["sample_id"] for row in rows}) == len(rows) >= 8
        except BaseException as error:
            faults.append(error)

    threads = [threading.Thread(target=work, args=(first,)) for first in (4, 10, 16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert faults == []
    assert_true(storage)
    compact(storage)
    assert_true(storage)


def test_a_commit_that_was_replaced_is_not_told_of_by_an_old_part(tmp_path: Path) -> None:
    storage = FileStorage(tmp_path)
    commit(storage, range(3))
    compact(storage)
    storage.delete(commit_key("00000001"))
    commit(storage, [1], attempt="another", speed=2.25)
    assert_true(storage)
    done = compact(storage)
    assert (done.shards_added, done.removed) == (3, 1)
    assert_true(storage)


def test_forgetting_shards_removes_the_parts_that_tell_of_them(tmp_path: Path) -> None:
    storage = FileStorage(tmp_path)
    commit(storage, range(2))
    compact(storage)
    assert forget(storage, ["00000007"]) == 0
    assert forget(storage, ["00000001"]) == 1
    assert storage.list("catalogue/") == []
    storage.delete(commit_key("00000001"))
    commit(storage, [1], attempt="b1")  # the same size: only forgetting keeps the old attempt out
    assert_true(storage)


@pytest.mark.parametrize("again", [False, True], ids=["repaired", "repaired and made again"])
def test_a_commit_that_is_taken_out_while_it_is_compacted_leaves_no_part(tmp_path: Path, again: bool) -> None:
    storage = Watched(tmp_path)
    commit(storage, range(2))
    sha256 = hashlib.sha256(storage.get(commit_key("00000001"))).hexdigest()
    calm = FileStorage(tmp_path)

    def repair(operation: str, key: str) -> None:
        if operation == "put":  # all commits have been read
            storage.before = lambda operation, key: None
            (done,) = take_out(calm, {"00000001": sha256})
            assert done.outcome == "taken out"
            if again:
                commit(calm, [1], attempt="another")

    storage.before = repair
    done = compact(storage)
    if not again:
        commit(calm, [1], attempt="b1")  # of the same size
    assert done.parts == ()
    assert storage.list("catalogue/") == []
    assert_true(calm)
    assert len(compact(calm).parts) == 1


def test_a_repair_removes_what_was_compacted_since_it_forgot(tmp_path: Path) -> None:
    storage = Watched(tmp_path)
    commit(storage, range(2))
    calm = FileStorage(tmp_path)
    sha256 = hashlib.sha256(calm.get(commit_key("00000001"))).hexdigest()

    def compacts(operation: str, key: str) -> None:
        if (operation, key) == ("delete", commit_key("00000001")):
            assert compact(calm).shards_added == 2

    storage.before = compacts
    (done,) = take_out(storage, {"00000001": sha256})
    assert done.outcome == "taken out"
    commit(calm, [1], attempt="b1")  # of the same size
    assert_true(calm)


@pytest.mark.parametrize(
    "cell",
    [
        {"commit_bytes": "NULL::BIGINT"},
        {"shard_id": "[shard_id]"},
        {"shard_id": "NULL::VARCHAR"},
        {"attempt_id": "DATE '1999-01-01'"},
        {"n_accepted": "'-inf'::DOUBLE"},
        {"n_accepted": "NULL::BIGINT"},
        {"n_rejected": "INTERVAL 1 DAY"},
        {"n_accepted": "9223372036854775807::BIGINT"},
    ],
    ids=str,
)
def test_a_part_that_says_nonsense_of_its_shards_is_passed_over_and_replaced(
    tmp_path: Path, cell: dict[str, str]
) -> None:
    storage = FileStorage(tmp_path / "dataset")
    commit(storage, range(2))
    (key,) = compact(storage).parts
    shards = tmp_path / "dataset" / key.replace("catalogue/", "catalogue/shards/")
    ((name, value),) = cell.items()
    forged = tmp_path / "forged.parquet"
    duckdb.execute(f"COPY (SELECT * REPLACE ({value} AS {name}) FROM read_parquet('{shards}')) TO '{forged}'")
    shards.write_bytes(forged.read_bytes())
    if "9223372036854775807" in value:
        with pytest.raises(FormatError, match="delete the objects under catalogue/"):
            load_index(storage)
        assert forget(storage, ["00000000"]) == 1
    else:
        assert_true(storage)
        assert compact(storage).shards_added == 2
    assert_true(storage)


@pytest.mark.parametrize("damage", [b"", b"PAR1 and nothing else PAR1", None])
def test_a_part_that_does_not_say_what_it_covers_is_passed_over_and_replaced(
    tmp_path: Path, damage: bytes | None
) -> None:
    storage = FileStorage(tmp_path)
    commit(storage, range(2))
    (key,) = compact(storage).parts
    shards = key.replace("catalogue/", "catalogue/shards/")
    if damage is None:
        storage.delete(shards)  # as of an older gaitfarm, which wrote none
    else:
        storage.put(shards, damage)
    assert_true(storage)
    assert compact(storage).parts == (key,)
    assert_true(storage)
    assert storage.get(shards)[:4] == b"PAR1"


def test_a_part_of_more_gaits_than_its_shards_have_is_named(tmp_path: Path) -> None:
    storage = FileStorage(tmp_path)
    commit(storage, range(2))
    (key,) = compact(storage).parts
    storage.put(key, to_parquet([{"sample_id": i} for i in range(100_000)]))
    with pytest.raises(FormatError, match=r"holds 100000 gaits of shards that have 4; .*run `gaitfarm compact`"):
        load_index(storage)


def test_a_part_of_more_shards_than_are_committed_is_not_read(tmp_path: Path) -> None:
    storage = FileStorage(tmp_path)
    commit(storage, range(3))
    compact(storage)
    storage.delete(commit_key("00000002"))
    assert parts.read_parts(storage, parts.part_names(storage), tmp_path, max_shards=2) == []
    assert_true(storage)


def test_an_object_larger_than_any_part_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    storage = FileStorage(tmp_path)
    commit(storage, range(2))
    compact(storage)
    small = max(item.size for item in storage.list("catalogue/shards/"))
    monkeypatch.setattr(parts, "MAX_PART_BYTES", small - 1)
    assert_true(storage)  # what does not say what it covers is passed over


def test_the_same_sample_twice_is_named(tmp_path: Path) -> None:
    storage = FileStorage(tmp_path)
    commit(storage, [0])
    record = record_of(0).model_dump(mode="json") | {"shard_id": "00000005", "attempt_id": "a1"}
    text = json.dumps(record).replace("shards/00000000", "shards/00000005")
    storage.put_once(commit_key("00000005"), text.encode())
    for _ in range(2):
        with pytest.raises(FormatError, match=r"sample 0 is in the index twice; run `gaitfarm verify`"):
            load_index(storage)
        compact(storage)


def test_batches_and_counts(tmp_path: Path) -> None:
    table = index_of(record_of(number) for number in range(5))
    batches = table.batches("gait_speed > 4", ["sample_id"], size=3)
    assert [[row["sample_id"] for row in batch] for batch in batches] == [[4, 6, 7], [9, 10, 12], [13]]
    assert (table.count(), table.count("gait_speed > 4"), len(table)) == (10, 7, 10)
    batches = table.batches(size=4)
    first = next(batches)
    assert table.count("sample_id = 0") == 1  # asked in between
    assert [row["sample_id"] for row in [*first, *(row for batch in batches for row in batch)]] == [
        row["sample_id"] for row in table.rows()
    ]


def test_records_come_in_order_and_only_a_few_are_fetched_ahead(tmp_path: Path) -> None:
    storage = Watched(tmp_path)
    commit(storage, range(60))
    read: list[str] = []
    storage.before = lambda operation, key: read.append(key)  # type: ignore[method-assign]
    records = iter_records(storage, committed_shards(storage))
    first = next(records)
    assert first.shard_id == "00000000"
    assert len(read) <= 1 + catalogue.READERS
    assert [record.shard_id for record in records] == [f"{number:08d}" for number in range(1, 60)]
    with pytest.raises(ObjectNotFoundError):
        list(iter_records(storage, ["00000099"]))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("* REPLACE (CASE WHEN sample_id = 0 THEN NULL ELSE sample_id END AS sample_id)", "1 gaits .* say no sample"),
        ("* REPLACE (-1 - sample_id AS sample_id)", "4 gaits .* say no sample or place"),
        ("* REPLACE (NULL::BIGINT AS position)", "4 gaits .* say no sample or place"),
        ("* REPLACE (NULL::VARCHAR AS shard_id)", "4 gaits .* say no sample or place"),
        ("* REPLACE (position::VARCHAR AS position)", "column position is VARCHAR, not BIGINT"),
        ("* EXCLUDE (attempt_id)", "column attempt_id is missing, not VARCHAR"),
        ("*, DATE '2026-11-25' AS day", "column 'day' is DATE, which no commit has"),
        ("*, [1, 2] AS list", r"column 'list' is INTEGER\[\], which no commit has"),
    ],
)
def test_a_catalogue_that_no_gaitfarm_wrote_is_named(tmp_path: Path, change: str, message: str) -> None:
    storage = FileStorage(tmp_path / "set")
    commit(storage, range(2))
    path = tmp_path / "set" / compact(storage).parts[0]
    changed = tmp_path / "changed.parquet"
    duckdb.sql(f"COPY (SELECT {change} FROM read_parquet('{path}')) TO '{changed}' (FORMAT parquet)")
    path.write_bytes(changed.read_bytes())
    with pytest.raises(FormatError, match=f"{message}.*delete the objects under catalogue/"):
        load_index(storage)
