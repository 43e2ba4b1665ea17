"""A dataset on a real S3 server: written by racing, dying workers, read, verified, pulled; no secret is ever shown."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import boto3
import numpy as np
import pytest

from farm.dataset.create import open_or_create
from farm.dataset.manifest import read_record
from farm.dataset.pull import carry_out, plan_pull, pull
from farm.dataset.pull_choice import Wish
from farm.dataset.ranges import Economy
from farm.dataset.reader import GaitDataset
from farm.dataset.verify import verify
from farm.dataset.writer import encode_shard
from farm.planning import plan_of
from farm.storage import open_storage
from tests.contracts.sources import ROOT
from tests.datasets import make_dataset
from tests.integration.ceph import ACCESS_KEY, SECRET_KEY, CephServer
from tests.integration.conftest import S3Root
from tests.samples import make_campaign, make_samples_for
from workers.write import commit_shard

pytestmark = pytest.mark.s3

CAMPAIGN = make_campaign(samples=6, gaits_per_shard=2, views=("side",), image_size=(34, 32))

WORKER = """
import sys
from farm.dataset.create import open_or_create
from farm.dataset.manifest import committed_shards
from farm.dataset.writer import encode_shard
from farm.planning import plan_of
from farm.storage import open_storage
from tests.samples import make_campaign, make_samples_for
from workers.write import commit_shard

uri, endpoint, samples, order = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
campaign = make_campaign(samples=samples, gaits_per_shard=2, views=("side",), image_size=(34, 32), rgb="none")
storage = open_storage(uri, endpoint_url=endpoint)
manifest = open_or_create(storage, campaign)
plans = list(plan_of(campaign))
for plan in plans[order:] + plans[:order]:
    if plan.shard_id not in committed_shards(storage):
        samples = make_samples_for(campaign, plan.sample_ids, n_samples=(40, 50))
        commit_shard(storage, encode_shard(campaign, manifest.dataset_id, plan.shard_id, samples))
"""


def _gaitfarm(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", "from farm.cli import main; main()", *arguments],
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
        cwd=ROOT,
        env={**os.environ, **environment},
    )


def _shows_no_secret(done: subprocess.CompletedProcess[str]) -> None:
    for secret in (ACCESS_KEY, SECRET_KEY, "wrong-secret"):
        assert secret not in done.stdout + done.stderr


def test_written_verified_read_and_pulled(s3_root: S3Root, tmp_path: Path) -> None:
    storage = open_storage(s3_root.uri, endpoint_url=s3_root.endpoint_url)
    make_dataset(storage, CAMPAIGN, rejected=[3])
    done = _gaitfarm("verify", s3_root.uri, "--endpoint-url", s3_root.endpoint_url, "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["n_gaits"] == 5
    _shows_no_secret(done)
    done = _gaitfarm("info", s3_root.uri, "--json", AWS_ENDPOINT_URL=s3_root.endpoint_url)
    assert done.returncode == 0, done.stderr
    summary = json.loads(done.stdout)
    assert (summary["n_gaits"], summary["n_rejected"], summary["n_shards_planned"]) == (5, 1, 3)
    assert summary["rejections"] == {"fell": 1}
    _shows_no_secret(done)
    done = _gaitfarm(
        "pull", s3_root.uri, str(tmp_path / "part"), "--where", "sample_id in (0, 4, 5)", "--fields",
        "video,labels", "--endpoint-url", s3_root.endpoint_url, "--json",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["n_gaits"] == 3
    _shows_no_secret(done)
    done = _gaitfarm("verify", str(tmp_path / "part"))
    assert done.returncode == 0, done.stdout + done.stderr
    assert "sound: 3 gaits" in done.stdout
    remote = GaitDataset(s3_root.uri, endpoint_url=s3_root.endpoint_url)
    local = GaitDataset(str(tmp_path / "part"))
    assert (remote.frames(4, "side") == local.frames(4, "side")).all()
    assert remote.shard("00000001")["labels"][0].shape == local.shard("00000002")["labels"][0].shape


def test_pulled_from_one_bucket_to_another(s3_root: S3Root) -> None:
    make_dataset(open_storage(s3_root.uri, endpoint_url=s3_root.endpoint_url), CAMPAIGN)
    target = f"s3://{s3_root.bucket}/elsewhere"
    done = _gaitfarm("pull", s3_root.uri, target, "--views", "side", "--endpoint-url", s3_root.endpoint_url)
    assert done.returncode == 0, done.stderr
    assert verify(target, endpoint_url=s3_root.endpoint_url).sound


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_pulled_from_a_folder_to_s3_and_on_to_another_service(
    s3_root: S3Root, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Folder -> Ceph -> another Ceph -> folder: the same gaits arrive."""
    make_dataset(str(tmp_path / "walks"), CAMPAIGN)
    other = CephServer(Path(tempfile.mkdtemp(prefix="gf-ceph-")))
    try:
        other.start()
        client = boto3.session.Session().client("s3", endpoint_url=other.endpoint_url, region_name="us-east-1")
        client.create_bucket(Bucket="elsewhere")
        client.close()
        pull(str(tmp_path / "walks"), s3_root.uri, destination_endpoint_url=s3_root.endpoint_url)
        done = _gaitfarm(
            "pull", s3_root.uri, "s3://elsewhere/part", "--where", "sample_id in (1, 2, 5)", "--endpoint-url",
            s3_root.endpoint_url, "--destination-endpoint-url", other.endpoint_url, "--json",
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        _shows_no_secret(done)
        assert json.loads(done.stdout)["n_gaits"] == 3
        assert verify("s3://elsewhere/part", endpoint_url=other.endpoint_url).faults == ()
        pull("s3://elsewhere/part", str(tmp_path / "back"), endpoint_url=other.endpoint_url)
    finally:
        other.stop()
    first, last = GaitDataset(str(tmp_path / "walks")), GaitDataset(str(tmp_path / "back"))
    assert [row["sample_id"] for row in last.index()] == [1, 2, 5]
    for sample_id in (1, 2, 5):
        for path, array in first.gait(sample_id).arrays.items():
            np.testing.assert_array_equal(last.gait(sample_id)[path], array)
        assert (first.frames(sample_id, "side") == last.frames(sample_id, "side")).all()


def test_a_killed_pull_from_s3_to_s3_is_gone_on_with(s3_root: S3Root) -> None:
    make_dataset(open_storage(s3_root.uri, endpoint_url=s3_root.endpoint_url), CAMPAIGN)
    target = f"s3://{s3_root.bucket}/elsewhere"
    storage = open_storage(target, endpoint_url=s3_root.endpoint_url)
    command = [sys.executable, "-c", "from farm.cli import main; main()", "pull", s3_root.uri, target, "--count", "5",
               "--jobs", "1", "--endpoint-url", s3_root.endpoint_url]  # fmt: skip
    worker = subprocess.Popen(command, cwd=ROOT, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 200
    while not storage.list("shards/"):
        assert worker.poll() is None
        assert time.monotonic() < deadline
    worker.send_signal(signal.SIGKILL)
    worker.wait()
    report = pull(
        s3_root.uri, target, count=5, endpoint_url=s3_root.endpoint_url, destination_endpoint_url=s3_root.endpoint_url
    )
    assert report.n_gaits == 5
    assert verify(storage).faults == ()


def test_one_gait_is_read_from_s3_by_ranges(s3_root: S3Root, tmp_path: Path) -> None:
    campaign = make_campaign(samples=32, gaits_per_shard=32, views=("side",), rgb="none", mask=False)
    make_dataset(open_storage(s3_root.uri, endpoint_url=s3_root.endpoint_url), campaign, n_samples=(300,))
    wish = Wish("sample_id = 17", fields=["body_pose", "keypoints_2d"])
    plan = plan_pull(
        s3_root.uri, str(tmp_path / "part"), wish, endpoint_url=s3_root.endpoint_url, economy=Economy(gap_bytes=4096)
    )
    report = carry_out(plan)
    record = read_record(plan.source, "00000000")
    whole = sum(item.bytes for item in record.objects if "/body_pose/c/" in item.path or "keypoints_2d/c/" in item.path)
    beside = plan.source.size("commits/00000000.json") + plan.source.size(f"{record.group}/zarr.json")
    assert report.read_bytes - beside < 1.2 * whole / 32 + 4 * 4096
    assert report.read_bytes == pytest.approx(plan.estimate.cost.read_bytes, rel=0.1)
    assert verify(str(tmp_path / "part")).faults == ()


def test_tampering_on_the_server_is_found(s3_root: S3Root) -> None:
    storage = open_storage(s3_root.uri, endpoint_url=s3_root.endpoint_url)
    make_dataset(storage, CAMPAIGN, shards=[0])
    key = next(item.key for item in storage.list("shards/") if "/labels/c/" in item.key)
    data = bytearray(storage.get(key))
    data[5] ^= 255
    client = boto3.session.Session().client("s3", endpoint_url=s3_root.endpoint_url, region_name="us-east-1")
    client.put_object(Bucket=s3_root.bucket, Key=f"some/prefix/{key}", Body=bytes(data))
    client.close()
    done = _gaitfarm("verify", s3_root.uri, "--endpoint-url", s3_root.endpoint_url)
    assert done.returncode == 1
    assert key in done.stdout.replace("\n", "")
    assert "SHA-256" in done.stdout


def test_who_commits_second_gets_the_winner_s_record(s3_root: S3Root) -> None:
    storage = open_storage(s3_root.uri, endpoint_url=s3_root.endpoint_url)
    manifest = open_or_create(storage, CAMPAIGN)
    plan = plan_of(CAMPAIGN)[0]
    shard = encode_shard(CAMPAIGN, manifest.dataset_id, plan.shard_id, make_samples_for(CAMPAIGN, plan.sample_ids))
    first, second = (commit_shard(storage, shard, wall_s=wall_s) for wall_s in (1.0, 2.0))
    assert first == second == read_record(storage, plan.shard_id)
    assert first.wall_s == 1.0
    report = verify(storage)
    assert report.sound
    assert report.n_garbage == report.n_objects, "the beaten attempt's objects are garbage, and harmless"


def test_racing_workers_that_are_killed_lose_and_double_nothing(s3_root: S3Root) -> None:
    """Three workers on the same shards, killed at random and replaced, until all is there."""
    samples = 24  # enough for four kills before all is there
    chance = random.Random(20261122)
    storage = open_storage(s3_root.uri, endpoint_url=s3_root.endpoint_url)
    workers: list[subprocess.Popen[bytes]] = []
    started = kills = 0
    deadline = time.monotonic() + 240
    try:
        while len(storage.list("commits/")) < samples // 2:
            assert time.monotonic() < deadline, (
                f"{kills} kills, {started} workers, {len(storage.list('commits/'))} done"
            )
            workers = [worker for worker in workers if worker.poll() is None]
            while len(workers) < 3:
                command = [sys.executable, "-c", WORKER, s3_root.uri, s3_root.endpoint_url, str(samples),
                           str(started % 3)]  # fmt: skip
                workers.append(subprocess.Popen(command, cwd=ROOT))
                started += 1
            time.sleep(chance.uniform(0.3, 1.0))
            if kills < 4 and storage.list("shards/"):
                chance.choice(workers).send_signal(signal.SIGKILL)
                kills += 1
        for worker in workers:
            worker.wait(120)
    finally:
        for worker in workers:
            worker.kill()
            worker.wait()
    assert kills == 4
    report = verify(storage)
    assert report.faults == ()
    assert (report.n_shards, report.n_gaits) == (samples // 2, samples)
    ids = [row["sample_id"] for row in GaitDataset(storage).index()]
    assert ids == list(range(samples))


def test_messages_name_the_cause_and_no_secret(s3_root: S3Root) -> None:
    endpoint = ("--endpoint-url", s3_root.endpoint_url)
    cases = (
        (("info", s3_root.uri, *endpoint), {}, "holds no dataset"),
        (("verify", "s3://nobody-made-this-bucket/x", *endpoint), {}, "no such bucket"),
        (("info", s3_root.uri, *endpoint), {"AWS_SECRET_ACCESS_KEY": "wrong-secret"}, "secret key does not fit"),
        (("info", f"s3://{ACCESS_KEY}:{SECRET_KEY}@bucket/x"), {}, "holds no credentials"),
        (("info", s3_root.uri, "--endpoint-url", f"http://{ACCESS_KEY}:{SECRET_KEY}@host"), {}, "holds credentials"),
    )
    for arguments, environment, message in cases:
        done = _gaitfarm(*arguments, **environment)
        assert done.returncode == 2, (arguments, done.stdout, done.stderr)
        assert message in " ".join(done.stderr.split())
        assert "Traceback" not in done.stderr
        _shows_no_secret(done)
