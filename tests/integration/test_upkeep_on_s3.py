"""verify, repair and gc on a real S3 server: interrupted uploads, damaged objects, the store's own clock."""

from __future__ import annotations

import boto3
import pytest

from farm.dataset.gc import find_garbage, sweep_garbage
from farm.dataset.repair import take_out
from farm.dataset.verify import verify
from farm.storage import open_storage
from tests.datasets import make_dataset
from tests.integration.conftest import S3Root
from tests.samples import make_campaign

pytestmark = pytest.mark.s3

CAMPAIGN = make_campaign(samples=4, gaits_per_shard=2, views=("side",), image_size=(34, 32), rgb="none", mask=False)


def test_damage_is_taken_out_and_leftovers_are_swept(s3_root: S3Root, monkeypatch: pytest.MonkeyPatch) -> None:
    storage = open_storage(s3_root.uri, endpoint_url=s3_root.endpoint_url)
    make_dataset(storage, CAMPAIGN)
    assert verify(storage, workers=2, processes=True).faults == ()
    damaged = next(item.key for item in storage.list("shards/00000000/") if "/labels/c/" in item.key)
    storage.put(damaged, storage.get(damaged)[:-1])
    found = verify(storage, thorough=False)
    assert found.damaged_shards.keys() == {"00000000"}
    (done,) = take_out(storage, found.damaged_shards)
    assert done.outcome == "taken out"
    make_dataset(storage, CAMPAIGN, shards=[0])
    assert verify(storage).faults == ()

    client = boto3.session.Session().client("s3", endpoint_url=s3_root.endpoint_url, region_name="us-east-1")
    prefix = s3_root.uri.removeprefix(f"s3://{s3_root.bucket}/")
    client.create_multipart_upload(Bucket=s3_root.bucket, Key=f"{prefix}/shards/00000001/torn.zarr/labels/c/0/0")
    client.close()
    storage.put("shards/00000001/beaten.zarr/zarr.json", b"12345")
    storage.put("notes.txt", b"mine")
    assert find_garbage(storage).garbage == (), "all of it is young"
    now_s = storage.now_s()
    monkeypatch.setattr(storage, "now_s", lambda: now_s + 2 * 86400)  # the same store, two days later
    plan = find_garbage(storage, repaired=True)
    assert [item.kind for item in plan.garbage] == ["attempt", "attempt", "unfinished"]
    assert plan.foreign == ("notes.txt",)
    sweep_garbage(storage, plan)
    left = find_garbage(storage, repaired=True)
    assert (left.garbage, left.foreign) == ((), ("notes.txt",))
    assert verify(storage).faults == ()
    assert storage.get(done.kept_at)
