"""The bucket policy of docs/storage.md suffices and forbids the rest, on a server that enforces it."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import pytest

from farm.dataset.catalogue import compact
from farm.dataset.manifest import committed_shards, find_manifest
from farm.dataset.pull import pull
from farm.dataset.verify import verify
from farm.errors import StorageError
from farm.storage import Storage, open_storage
from farm.storage import s3 as s3_module
from farm.storage.s3 import MULTIPART_FROM_BYTES
from tests.contracts.sources import ROOT
from tests.datasets import make_dataset
from tests.integration.ceph import CephServer
from tests.integration.conftest import S3Root
from tests.samples import make_campaign

pytestmark = pytest.mark.s3

CAMPAIGN = make_campaign(samples=4, gaits_per_shard=2, views=("side",), image_size=(34, 32))
FORBIDDEN = "access is forbidden to these credentials"


def documented(first_key: str) -> dict[str, Any]:
    """The JSON block of docs/storage.md that begins with this key."""
    text = (ROOT / "docs" / "storage.md").read_text("utf-8")
    (found,) = [block for block in re.findall(r"```json\n(.*?)```", text, re.S) if block.startswith(f'{{"{first_key}"')]
    document: dict[str, Any] = json.loads(found)
    return document


@dataclass(frozen=True)
class Shared:
    """A bucket under the documented policy. `use` makes the environment that of a user."""

    uri: str
    outside: str
    use: Callable[[str], None]
    policy: dict[str, Any]
    put_policy: Callable[[dict[str, Any]], None]

    def storage(self, user: str) -> Storage:
        """The dataset's root, its client already made with the user's credentials."""
        return self._as(user, self.uri)

    def neighbour(self, user: str) -> Storage:
        return self._as(user, self.outside)

    def _as(self, user: str, uri: str) -> Storage:
        self.use(user)
        storage = open_storage(uri)
        storage._s3()  # type: ignore[attr-defined]
        return storage


@pytest.fixture(scope="module")
def users(ceph: CephServer) -> dict[str, tuple[str, str]]:
    keys = {user: (f"{user.upper()}POLICYKEY", f"{user}-policy-secret") for user in ("writer", "reader")}
    for user, (access_key, secret_key) in keys.items():
        ceph.make_user(user, access_key, secret_key)
    return keys


@pytest.fixture
def shared(s3_root: S3Root, users: dict[str, tuple[str, str]], monkeypatch: pytest.MonkeyPatch) -> Shared:
    owner = boto3.session.Session().client("s3", endpoint_url=s3_root.endpoint_url, region_name="us-east-1")
    owner.put_object(Bucket=s3_root.bucket, Key="others/secret", Body=b"another dataset's")
    text = json.dumps(documented("Version")).replace("BUCKET", s3_root.bucket).replace("PREFIX", "some/prefix")
    for user in users:  # Ceph names its users otherwise than AWS its roles
        text = text.replace(f"arn:aws:iam::ACCOUNT:role/{user.upper()}", f"arn:aws:iam:::user/{user}")
    monkeypatch.setenv("AWS_ENDPOINT_URL", s3_root.endpoint_url)

    def use(user: str) -> None:
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", users[user][0])
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", users[user][1])

    def put_policy(policy: dict[str, Any]) -> None:
        owner.put_bucket_policy(Bucket=s3_root.bucket, Policy=json.dumps(policy))

    policy = json.loads(text)
    put_policy(policy)
    return Shared(s3_root.uri, f"s3://{s3_root.bucket}/others", use, policy, put_policy)


def refused(*calls: Callable[[], object]) -> None:
    for call in calls:
        with pytest.raises(StorageError, match=FORBIDDEN):
            call()


def test_writer_and_reader_can_do_their_work_and_no_more(shared: Shared, tmp_path: Path) -> None:
    writer = shared.storage("writer")
    assert find_manifest(writer) is None, "what is not there is told from what is forbidden"
    assert writer.probe().truth == "atomic"
    make_dataset(writer, CAMPAIGN, n_samples=(40, 50))
    compact(writer)
    assert verify(writer).faults == ()
    writer.put("staging/large", bytes(MULTIPART_FROM_BYTES))
    writer.delete("staging/large")
    s3 = writer._s3()  # type: ignore[attr-defined]
    bucket, _, prefix = shared.uri.removeprefix("s3://").partition("/")
    torn = s3.create_multipart_upload(Bucket=bucket, Key=f"{prefix}/staging/torn")["UploadId"]
    s3.upload_part(Bucket=bucket, Key=f"{prefix}/staging/torn", UploadId=torn, PartNumber=1, Body=bytes(1000))
    (left,) = writer.unfinished()
    assert (left.key, left.size) == ("staging/torn", 1000)
    writer.discard(left)
    assert list(writer.unfinished()) == []

    reader = shared.storage("reader")
    assert len(committed_shards(reader)) == 2
    assert verify(reader).faults == ()
    pull(shared.uri, str(tmp_path / "pulled"))
    assert verify(open_storage(str(tmp_path / "pulled"))).faults == ()
    assert reader.now_s() > 1.7e9
    refused(
        lambda: reader.put("x", b"1"),
        lambda: reader.put_once("commits/9.json", b"1"),
        lambda: reader.put("dataset.json", b"{}"),
        lambda: reader.delete("dataset.json"),
        lambda: reader.put("large", bytes(MULTIPART_FROM_BYTES)),
        reader.probe,
        reader.unfinished,
    )
    assert find_manifest(reader) is not None


@pytest.mark.parametrize("user", ["writer", "reader"])
def test_what_lies_beside_the_dataset_is_closed(shared: Shared, user: str) -> None:
    beside = shared.neighbour(user)
    refused(
        lambda: beside.get("secret"),
        lambda: beside.get_range("secret", 0, 3),
        lambda: beside.put("secret", b"1"),
        lambda: beside.put_once("new", b"1"),
        lambda: beside.delete("secret"),
    )
    assert [item.key for item in beside.list()] == ["secret"], "names are visible: docs/storage.md says why"


def test_a_condition_on_the_prefix_makes_missing_objects_forbidden(shared: Shared) -> None:
    """Why the documented policy has none."""
    for statement in shared.policy["Statement"]:
        if "s3:ListBucket" in statement["Action"]:
            statement["Condition"] = {"StringLike": {"s3:prefix": ["some/prefix/*"]}}
    shared.put_policy(shared.policy)
    writer = shared.storage("writer")
    writer.put("a", b"1")
    assert [item.key for item in writer.list()] == ["a"]
    refused(lambda: writer.get("missing"))


def test_the_lifecycle_rule_is_accepted_and_touches_uploads_alone(s3_root: S3Root) -> None:
    rules = documented("Rules")
    assert all(set(rule) == {"ID", "Status", "Filter", "AbortIncompleteMultipartUpload"} for rule in rules["Rules"])
    client = boto3.session.Session().client("s3", endpoint_url=s3_root.endpoint_url, region_name="us-east-1")
    client.put_bucket_lifecycle_configuration(Bucket=s3_root.bucket, LifecycleConfiguration=rules)
    client.close()


def test_the_documented_figures_are_the_codes() -> None:
    """Numbers in prose drift; these are held to the code."""
    text = " ".join((ROOT / "docs" / "storage.md").read_text("utf-8").split())
    from farm.dataset.claim import Pace
    from farm.storage import probe

    numbers = {2: "two", 5: "five", 6: "six", 8: "eight"}
    pace = Pace()
    for phrase in (
        f"lets {numbers[probe.RACERS]} writers race for each of {numbers[probe.RACES]} keys",
        f"its driver raises every {pace.beat_s:.0f} s",
        f"stands still for {pace.patience_s:.0f} s",
        f"reads back after {numbers[round(pace.settle_s)]} seconds",
        f"{s3_module.CONNECT_TIMEOUT_S} s without a connection or {s3_module.READ_TIMEOUT_S} s without a byte",
        f"repeated up to {numbers[s3_module.ATTEMPTS]} times",
        f"Objects of {MULTIPART_FROM_BYTES >> 20} MB and more go up in parts of {s3_module.PART_BYTES >> 20} MB",
    ):
        assert phrase in text, phrase
