"""A real campaign on a real cluster of this one machine, which grows, loses machines in two ways, and shrinks.

`ray up`, the autoscaler, `ray job submit`, the dispatcher, simulation, storage: all real. Only the machines are groups
of processes (`deploy/local/local_nodes.py`), and the cloud's notice comes from a metadata service of the test's own.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from farm.config import load_campaign
from farm.dataset.catalogue import read_records
from farm.dataset.manifest import committed_shards
from farm.dataset.verify import verify
from farm.planning import plan_of
from farm.storage import open_storage
from tests.cluster.imds import Imds, imds_server
from tests.cluster.local_cluster import LocalCluster, wait_for

pytestmark = pytest.mark.alone  # a cluster of many processes, machines that get seconds of notice

SAMPLES = 60
SUBNET = f"127.{1 + os.getpid() % 200}.77"
LIMIT_S = 400.0
"""For each thing that is waited for; far more than it takes, since the machine may be busy."""

CAMPAIGN = {
    "name": "cluster-test",
    "samples": SAMPLES,
    "gaits_per_shard": 4,
    "engine": "twin",
    "simulation": {"duration_s": 10},
    "pictures": {"views": ["side"], "image_size": [32, 32], "frame_rate_hz": 10},
}


@pytest.fixture
def imds() -> Iterator[Imds]:
    with imds_server() as server:
        yield server


@pytest.fixture
def cluster(imds: Imds) -> Iterator[LocalCluster]:
    # Not tmp_path: Ray's sockets lie some 70 characters below its folder, and may have 107 in all.
    folder = Path(tempfile.mkdtemp(prefix="gf-", dir="/tmp"))
    cluster = LocalCluster(folder, subnet=SUBNET, imds_url=imds.url, idle_minutes=0.15)
    try:
        yield cluster
    finally:
        cluster.destroy()
        shutil.rmtree(folder, ignore_errors=True)


def events(log: Path) -> list[dict[str, Any]]:
    if not log.exists():
        return []
    return [json.loads(line) for line in log.read_text("utf-8").splitlines(keepends=True) if line.endswith("\n")]


def happened(log: Path, event: str) -> list[dict[str, Any]]:
    return [line for line in events(log) if line["event"] == event]


@pytest.mark.slow
@pytest.mark.timeout(3000)
def test_a_campaign_survives_its_machines(cluster: LocalCluster, imds: Imds, tmp_path: Path) -> None:
    campaign, data, log = tmp_path / "campaign.yaml", tmp_path / "data", tmp_path / "events.jsonl"
    campaign.write_text(yaml.safe_dump(CAMPAIGN), "utf-8")
    cluster.up()
    assert cluster.machines() == {}, "without work there is only the head"

    submitted = cluster.ray(
        "job", "submit", "--address", cluster.dashboard, "--no-wait", "--submission-id", "campaign",
        "--runtime-env-json", '{"env_vars": {"RAY_AUTH_MODE": "token"}}', "--",
        "gaitfarm", "generate", str(campaign), "--out", str(data), "--address", "auto", "--workers", "2",
        "--on", "role=sim", "--log", str(log),
    )  # fmt: skip
    assert submitted.returncode == 0, submitted.stdout + submitted.stderr

    def told() -> str:
        lines = "\n".join(map(str, events(log)[-20:]))
        return lines + cluster.ray("job", "logs", "--address", cluster.dashboard, "campaign").stdout + cluster.logs()

    wait_for("two workers ready", lambda: len(happened(log, "worker ready")) >= 2, limit_s=LIMIT_S, tell=told)
    first = cluster.machines()
    assert len(first) == 2, "the autoscaler gave each worker a machine"

    wait_for("the first gait", lambda: happened(log, "made"), limit_s=LIMIT_S, tell=told)
    killed, warned = sorted(first)
    cluster.pull_the_plug(killed)
    wait_for(
        "the loss is noticed",
        lambda: happened(log, "attempt lost") or happened(log, "worker lost"),
        limit_s=LIMIT_S,
        tell=told,
    )
    wait_for("it is replaced", lambda: len(happened(log, "worker ready")) >= 3, limit_s=LIMIT_S, tell=told)

    made = len(happened(log, "made"))
    imds.interrupt(warned)
    wait_for("the warned machine is drained", lambda: happened(log, "machine drained"), limit_s=LIMIT_S, tell=told)
    wait_for("it leaves the cluster", lambda: warned not in cluster.machines(), limit_s=LIMIT_S, tell=told)

    def status() -> str:
        answer = cluster.ray("job", "status", "--address", cluster.dashboard, "campaign")
        found = re.search(r"Job 'campaign' (succeeded|failed|was stopped)", answer.stdout + answer.stderr)
        return found[1] if found else ""

    ended = wait_for(
        "the job ends",
        status,
        limit_s=1800.0,
        tell=told,
    )
    assert ended == "succeeded", told()
    assert_complete(campaign, data, log, made_before_drain=made)

    wait_for("idle machines go away", lambda: cluster.machines() == {}, limit_s=LIMIT_S, tell=told)
    cluster.down()
    wait_for("nothing is left running", lambda: not cluster.processes(), limit_s=60.0)


def assert_complete(campaign: Path, data: Path, log: Path, *, made_before_drain: int) -> None:
    """Every planned sample exactly once, every byte right, and nothing held against a gait whose machine went."""
    planned = load_campaign(str(campaign))
    storage = open_storage(str(data))
    records = read_records(storage, committed_shards(storage))
    assert [record.shard_id for record in records] == [plan.shard_id for plan in plan_of(planned)]
    ids = [i for record in records for i in record.accepted_ids]
    ids += [gait.sample_id for record in records for gait in record.rejected]
    assert Counter(ids) == Counter(range(SAMPLES))
    assert verify(storage).faults == ()
    lost = happened(log, "attempt lost")
    assert {line["cause"] for line in lost} <= {"machine lost"}
    for line in [line for line in lost if "sample_id" in line]:
        again = [made for made in happened(log, "made") if made.get("sample_id") == line.get("sample_id")]
        assert [made["attempt"] for made in again] == [1], "a machine's end is not held against its sample"
    assert not happened(log, "sample given up")
    assert len(happened(log, "made")) == SAMPLES
    assert made_before_drain < SAMPLES, "the notice came while there was work"
    assert all("host" in ready for ready in happened(log, "worker ready"))
