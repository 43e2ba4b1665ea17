"""The failing proxy itself: what it passes on, what it breaks, and what the storage makes of it, on real Ceph."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from farm.errors import AlreadyExistsError, StorageUnavailableError
from farm.storage import Storage, open_storage
from tests.faults import hooks
from tests.faults.proxy import FAULTS_OF_CLASS, Proxy, Schedule
from tests.faults.strikes import tally
from tests.integration.ceph import CephServer
from tests.integration.conftest import S3Root

pytestmark = pytest.mark.s3

LARGE = bytes(range(256)) * 400


class Scripted(Schedule):
    """These faults in this order for one class of requests, and none for others."""

    def __init__(self, kind: str, *faults: str | None) -> None:
        super().__init__(0)
        self._script = {kind: list(faults)}

    def fate(self, kind: str) -> str | None:
        left = self._script.get(kind, [])
        return left.pop(0) if left else None


@pytest.fixture
def proxy(ceph: CephServer, tmp_path: Path) -> Iterator[Proxy]:
    started = Proxy(ceph.port, tmp_path / "strikes").start()
    yield started
    started.stop()


@pytest.fixture
def through(s3_root: S3Root, proxy: Proxy, monkeypatch: pytest.MonkeyPatch) -> Storage:
    """The farm's own storage, with the proxy between it and Ceph."""
    monkeypatch.setattr("farm.storage.s3.READ_TIMEOUT_S", hooks.READ_TIMEOUT_S)
    monkeypatch.setattr("farm.storage.s3.MULTIPART_FROM_BYTES", hooks.MULTIPART_FROM_BYTES)
    return open_storage(s3_root.uri, endpoint_url=proxy.endpoint_url)


@pytest.fixture
def direct(s3_root: S3Root) -> Storage:
    return open_storage(s3_root.uri, endpoint_url=s3_root.endpoint_url)


def test_a_calm_proxy_changes_nothing(through: Storage, direct: Storage, proxy: Proxy) -> None:
    assert through.probe().put_if_absent
    through.put("shards/a", LARGE)
    through.put("staging/empty", b"")
    assert direct.get("shards/a") == LARGE
    assert through.get_range("shards/a", 100, 50) == LARGE[100:150]
    assert (
        [item.key for item in through.list()] == [item.key for item in direct.list()] == ["shards/a", "staging/empty"]
    )
    through.delete("shards/a")
    assert [item.key for item in direct.list()] == ["staging/empty"]
    assert proxy.requests > 8
    assert tally(proxy.book) == {}


@pytest.mark.parametrize("fault", FAULTS_OF_CLASS["commit"])
def test_a_commit_is_put_once_whatever_its_answer(through: Storage, direct: Storage, proxy: Proxy, fault: str) -> None:
    proxy.schedule = Scripted("commit", fault)
    through.put_once("commits/00000000.json", b"ours")
    assert direct.get("commits/00000000.json") == b"ours"
    assert sum(tally(proxy.book).values()) == 1
    proxy.schedule = Scripted("commit", fault)
    with pytest.raises(AlreadyExistsError):
        through.put_once("commits/00000000.json", b"theirs")
    assert direct.get("commits/00000000.json") == b"ours"


@pytest.mark.parametrize(("key", "data", "kind"), [("shards/a", b"small", "object"), ("shards/b", LARGE, "part")])
@pytest.mark.parametrize("fault", FAULTS_OF_CLASS["object"])
def test_an_object_is_whole_after_any_fault_of_its_writing(
    through: Storage, direct: Storage, proxy: Proxy, key: str, data: bytes, kind: str, fault: str
) -> None:
    proxy.schedule = Scripted(kind, None, fault) if kind == "part" else Scripted(kind, fault)
    through.put(key, data)
    assert direct.get(key) == data
    assert sum(tally(proxy.book).values()) == 1, "a fault that met nothing would prove nothing"


@pytest.mark.parametrize("fault", FAULTS_OF_CLASS["read"])
def test_what_is_read_is_whole_after_any_fault_of_its_reading(
    through: Storage, direct: Storage, proxy: Proxy, fault: str
) -> None:
    direct.put("shards/a", LARGE)
    proxy.schedule = Scripted("read", fault)
    assert through.get("shards/a") == LARGE
    assert sum(tally(proxy.book).values()) == 1


def test_repeated_requests_are_counted(through: Storage, proxy: Proxy) -> None:
    through.put("staging/a", b"x")
    assert getattr(through, "retries") == 0  # noqa: B009
    proxy.schedule = Scripted("staging", "500", "503 slow down", "answer lost")
    through.put("staging/b", b"x")
    assert getattr(through, "retries") == 3  # noqa: B009


def test_a_store_that_is_down_is_called_unavailable(
    through: Storage, proxy: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("farm.storage.s3.ATTEMPTS", 2)
    proxy.down = True
    with pytest.raises(StorageUnavailableError):
        through.put("staging/a", b"x")
    proxy.down = False
    through.put("staging/a", b"x")


def test_a_schedule_is_drawn_from_its_seed_for_each_class_alone() -> None:
    first, second = (Schedule(7, 0.5) for _ in range(2))
    alone = [first.fate("commit") for _ in range(60)]
    for _ in range(25):
        second.fate("read")
    assert [second.fate("commit") for _ in range(60)] == alone
    assert set(alone) - {None} == set(FAULTS_OF_CLASS["commit"]), "every fault of a class comes before any comes twice"
    assert [Schedule(8, 0.5).fate("commit") for _ in range(60)] != alone
    assert {Schedule(7, 0.0).fate("commit") for _ in range(60)} == {None}
