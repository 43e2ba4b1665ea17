"""What `S3Storage` makes of lost answers, conflicts, cut bodies and torn uploads, with a real server behind."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import boto3
import pytest

from farm.errors import AlreadyExistsError, StorageError, StorageUnavailableError
from farm.storage import Storage, open_storage
from farm.storage import s3 as s3_module
from farm.storage.s3 import MULTIPART_FROM_BYTES, PART_BYTES, S3Storage
from tests.integration.ceph import CephServer
from tests.integration.conftest import S3Root
from tests.integration.relay import Fate, Relay, relay

pytestmark = pytest.mark.s3


@pytest.fixture
def relayed(ceph: CephServer) -> Iterator[Relay]:
    with relay(ceph.port) as running:
        yield running


@pytest.fixture
def storage(s3_root: S3Root, relayed: Relay) -> Storage:
    """The bucket through the relay."""
    return open_storage(s3_root.uri, endpoint_url=relayed.endpoint_url)


@pytest.fixture
def direct(s3_root: S3Root) -> Storage:
    """The same bucket without the relay."""
    return open_storage(s3_root.uri, endpoint_url=s3_root.endpoint_url)


@contextmanager
def strikes(relayed: Relay, method: str, fate: Fate, times: int) -> Iterator[list[str]]:
    """The first `times` requests of this method meet this fate."""
    struck: list[str] = []

    def decide(asked: str, path: str) -> Fate:
        if asked != method or len(struck) >= times:
            return "pass"
        struck.append(path)
        return fate

    relayed.fate = decide
    yield struck
    relayed.fate = lambda method, path: "pass"


@pytest.mark.parametrize("fate", ["lose the answer", "answer 500 after it"])
def test_a_write_whose_answer_was_lost_is_our_own_success(
    storage: Storage, direct: Storage, relayed: Relay, fate: Fate
) -> None:
    """botocore asks again, meets its own object and is told 412: that is not somebody else's win."""
    with strikes(relayed, "PUT", fate, 1) as struck:
        storage.put_once("commits/0.json", b"mine")
    assert len(struck) == 1
    assert [method for method, _ in relayed.seen] == ["PUT", "PUT", "GET"]
    assert direct.get("commits/0.json") == b"mine"


@pytest.mark.parametrize("fate", ["lose the answer", "answer 500 after it"])
def test_a_write_whose_every_answer_was_lost_is_looked_for(
    storage: Storage, direct: Storage, relayed: Relay, fate: Fate, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(s3_module, "ATTEMPTS", 2)
    with strikes(relayed, "PUT", fate, 100):
        storage.put_once("commits/0.json", b"mine")
        with pytest.raises(AlreadyExistsError):
            storage.put_once("commits/0.json", b"another attempt's")
    assert direct.get("commits/0.json") == b"mine"


def test_a_conflict_without_end_fails_as_passing(
    storage: Storage, relayed: Relay, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(s3_module, "ATTEMPTS", 2)
    relayed.fate = lambda method, path: "pass" if method == "GET" else "conflict"
    monkeypatch.setattr(s3_module, "CONFLICT_WAIT_S", 0.001)
    with pytest.raises(StorageUnavailableError, match="run the command again"):
        storage.put_once("commits/0.json", b"mine")
    relayed.fate = lambda method, path: "pass"
    assert list(storage.list()) == []


def test_who_really_lost_is_told_so(storage: Storage, direct: Storage, relayed: Relay) -> None:
    direct.put_once("commits/0.json", b"theirs")
    with strikes(relayed, "PUT", "lose the answer", 1), pytest.raises(AlreadyExistsError, match="left as it is"):
        storage.put_once("commits/0.json", b"mine")
    assert direct.get("commits/0.json") == b"theirs"


def test_a_conflict_is_asked_again(storage: Storage, direct: Storage, relayed: Relay) -> None:
    """AWS answers 409 while another conditional write of the key is under way."""
    with strikes(relayed, "PUT", "conflict", 2) as struck:
        storage.put_once("commits/0.json", b"mine")
    assert len(struck) == 2
    assert direct.get("commits/0.json") == b"mine"


def test_cut_bodies_are_read_again(storage: Storage, direct: Storage, relayed: Relay) -> None:
    data = os.urandom(100_000)
    direct.put("a", data)
    with strikes(relayed, "GET", "cut the body", 2) as struck:
        assert storage.get("a") == data
    with strikes(relayed, "GET", "cut the body", 2) as struck_too:
        assert storage.get_range("a", 10, 50_000) == data[10:50_010]
    assert (len(struck), len(struck_too)) == (2, 2)


def test_a_large_record_goes_in_one_put(storage: Storage, direct: Storage, relayed: Relay, s3_root: S3Root) -> None:
    """Some servers ignore the condition when a multipart upload completes: no record ever goes in parts."""
    data = os.urandom(1 << 20) * (MULTIPART_FROM_BYTES // (1 << 20)) + b"the end"
    storage.put_once("commits/0.json", data)
    assert [method for method, _ in relayed.seen] == ["PUT"]
    assert "partNumber" not in relayed.seen[0][1]
    with pytest.raises(AlreadyExistsError):
        storage.put_once("commits/0.json", data[:-1] + b"!")
    assert direct.get_range("commits/0.json", len(data) - 7, 7) == b"the end"
    client = boto3.session.Session().client("s3", endpoint_url=s3_root.endpoint_url, region_name="us-east-1")
    assert "-" not in client.head_object(Bucket=s3_root.bucket, Key="some/prefix/commits/0.json")["ETag"]
    client.close()


def test_an_interrupted_upload_is_aborted(
    storage: Storage, direct: Storage, relayed: Relay, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A part that cannot be sent ends the upload: nothing is visible and nothing is left."""
    monkeypatch.setattr(s3_module, "ATTEMPTS", 1)
    relayed.fate = lambda method, path: "lose the answer" if "partNumber=2" in path else "pass"
    with pytest.raises(StorageUnavailableError, match="cannot write"):
        storage.put("large", bytes(MULTIPART_FROM_BYTES))
    relayed.fate = lambda method, path: "pass"
    assert any(method == "DELETE" and "uploadId" in path for method, path in relayed.seen)
    assert list(direct.list()) == []
    assert list(direct.unfinished()) == []


def test_what_a_killed_upload_left_is_found_and_discarded(direct: Storage, s3_root: S3Root) -> None:
    """A process is killed in the midst of a large object, once its second part is on the server."""
    code = (
        "import os, signal, sys, threading\n"
        "from farm.storage import open_storage\n"
        "from farm.storage.s3 import MULTIPART_FROM_BYTES\n"
        "storage = open_storage(sys.argv[1], endpoint_url=sys.argv[2])\n"
        "stored = threading.Semaphore(0)\n"
        "def count(**_):\n"
        "    stored.release()\n"
        "    if stored._value >= 2: os.kill(os.getpid(), signal.SIGKILL)\n"
        "storage._s3().meta.events.register('after-call.s3.UploadPart', count)\n"
        "storage.put('shards/0/a', bytes(MULTIPART_FROM_BYTES))\n"
    )
    done = subprocess.run([sys.executable, "-c", code, s3_root.uri, s3_root.endpoint_url], check=False)
    assert done.returncode == -9
    assert list(direct.list()) == []
    (left,) = direct.unfinished()
    assert left.key == "shards/0/a"
    assert left.size >= 2 * PART_BYTES
    assert abs(direct.now_s() - left.modified_s) < 300
    assert list(S3Storage(s3_root.bucket, "some/other", endpoint_url=s3_root.endpoint_url).unfinished()) == []
    direct.discard(left)
    direct.discard(left)
    assert list(direct.unfinished()) == []


def test_a_probe_that_fails_midway_leaves_nothing(
    storage: Storage, direct: Storage, relayed: Relay, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(s3_module, "ATTEMPTS", 1)
    writes = 0

    def decide(method: str, path: str) -> Fate:
        nonlocal writes
        writes += method == "PUT"
        return "lose the answer" if method in ("PUT", "GET") and writes > 10 else "pass"

    relayed.fate = decide
    with pytest.raises(StorageError, match="cannot be reached"):
        storage.probe()
    assert writes > 10
    assert list(direct.list()) == []
