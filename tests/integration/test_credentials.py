"""Credentials: from the standard chains alone, refreshed as they change, and nowhere in what a run leaves.

The canaries are real keys of a real server, so that a run with them works, and
words that stand nowhere else; after each run everything it wrote is searched.
"""

from __future__ import annotations

import base64
import itertools
import json
import os
import pickle
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import boto3
import pytest

from farm.dataset.manifest import committed_shards
from farm.dataset.verify import verify
from farm.errors import StorageError
from farm.storage import Storage, open_storage
from tests.contracts.sources import ROOT
from tests.integration.ceph import CephServer
from tests.integration.conftest import S3Root
from tests.samples import make_campaign
from tests.test_workers.faulty import THIS, write_faults
from workers.messages import WorkOrder

pytestmark = [pytest.mark.s3, pytest.mark.timeout(900)]  # drivers on a loaded machine

SAMPLES = 8
_users = itertools.count()


@dataclass(frozen=True)
class Canary:
    """A user's keys, which the server knows, and a session token, which it passes over."""

    user: str
    access_key: str
    secret_key: str
    token: str

    @property
    def words(self) -> tuple[str, ...]:
        return (self.access_key, self.secret_key, self.token)


@pytest.fixture
def canary(ceph: CephServer) -> Canary:
    number = next(_users)
    made = Canary(
        f"canary{number}", f"CANARYKEY{number:03d}", f"canary-secret-{number:03d}", f"canary-token-{number:03d}"
    )
    ceph.make_user(made.user, made.access_key, made.secret_key)
    return made


@pytest.fixture
def root(ceph: CephServer, s3_environment: None, canary: Canary, monkeypatch: pytest.MonkeyPatch) -> S3Root:
    """A bucket of the canary's own; no credentials in the environment yet."""
    client = boto3.client(
        "s3",
        endpoint_url=ceph.endpoint_url,
        region_name="us-east-1",
        aws_access_key_id=canary.access_key,
        aws_secret_access_key=canary.secret_key,
    )
    client.create_bucket(Bucket=f"{canary.user}-data")
    client.close()
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    monkeypatch.setenv("AWS_ENDPOINT_URL", ceph.endpoint_url)
    return S3Root(f"s3://{canary.user}-data/walks", ceph.endpoint_url, f"{canary.user}-data")


@pytest.fixture
def ray_folder() -> Iterator[Path]:
    """Short: Ray's sockets lie deep in it."""
    folder = Path(tempfile.mkdtemp(prefix="gf", dir="/tmp"))
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


def in_environment(canary: Canary, **other: str) -> dict[str, str]:
    keys = {
        "AWS_ACCESS_KEY_ID": canary.access_key,
        "AWS_SECRET_ACCESS_KEY": canary.secret_key,
        "AWS_SESSION_TOKEN": canary.token,
    }
    return keys | other


def by_profile(canary: Canary, folder: Path) -> dict[str, str]:
    path = folder / "credentials"
    path.write_text(
        f"[walks]\naws_access_key_id = {canary.access_key}\naws_secret_access_key = {canary.secret_key}\n"
        f"aws_session_token = {canary.token}\n"
    )
    return {"AWS_SHARED_CREDENTIALS_FILE": str(path), "AWS_PROFILE": "walks"}


def by_process(folder: Path) -> dict[str, str]:
    """A profile whose credentials are what a program prints: here, what `hand_out` wrote last."""
    config = folder / "config"
    config.write_text(f"[profile walks]\ncredential_process = /bin/cat {folder / 'handed-out.json'}\n")
    return {"AWS_CONFIG_FILE": str(config), "AWS_PROFILE": "walks"}


def hand_out(folder: Path, access_key: str, secret_key: str, token: str, *, lasts: timedelta) -> None:
    """Write what the credential process prints. With less than ten minutes to go botocore asks before each request."""
    card = {
        "Version": 1,
        "AccessKeyId": access_key,
        "SecretAccessKey": secret_key,
        "SessionToken": token,
        "Expiration": (datetime.now(UTC) + lasts).isoformat(),
    }
    whole = folder / "next.json"
    whole.write_text(json.dumps(card))
    whole.replace(folder / "handed-out.json")


def leaks(words: tuple[str, ...], places: Mapping[str, bytes]) -> list[str]:
    """Where a word stands, plain or in base64."""
    needles = [word.encode() for word in words]
    needles += [base64.b64encode(needle)[:-4] for needle in needles]
    return [place for place, data in places.items() if any(needle in data for needle in needles)]


def everything(storage: Storage | None, *folders: Path, **texts: str | bytes) -> dict[str, bytes]:
    """Every object of the dataset, every file below the folders, and these texts."""
    found = {name: text.encode() if isinstance(text, str) else text for name, text in texts.items()}
    for folder in folders:
        for path in sorted(folder.rglob("*")):
            if path.is_file() and not path.is_symlink():
                found[str(path)] = path.read_bytes()
    if storage is not None:
        found |= {item.key: item.key.encode() + storage.get(item.key) for item in storage.list()}
    return found


def drive(root: S3Root, environment: Mapping[str, str], folder: Path, ray_folder: Path) -> subprocess.Popen[str]:
    for name in ("temp", "home"):
        (folder / name).mkdir(exist_ok=True)
    places = {"TMPDIR": str(folder / "temp"), "HOME": str(folder / "home")}
    command = [sys.executable, "-m", "tests.integration.canary_drive", root.uri, str(SAMPLES), str(ray_folder)]
    return subprocess.Popen(
        command,
        cwd=ROOT,
        env=dict(os.environ) | dict(environment) | places,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def ended(run: subprocess.Popen[str]) -> tuple[str, str]:
    """What a driver printed; it is killed if it does not end."""
    try:
        return run.communicate(timeout=240)
    finally:
        run.kill()


@pytest.mark.slow
@pytest.mark.parametrize("chain", ["environment", "profile", "process"])
def test_a_run_leaves_no_credential_anywhere(
    root: S3Root, canary: Canary, tmp_path: Path, ray_folder: Path, chain: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor a worker that dies: its log, its stacks and Ray's own logs are searched too."""
    secrets, written = tmp_path / "secrets", tmp_path / "written"
    secrets.mkdir()
    written.mkdir()
    hand_out(secrets, *canary.words, lasts=timedelta(minutes=5))
    chains = {
        "environment": in_environment(canary),
        "profile": by_profile(canary, secrets),
        "process": by_process(secrets),
    }
    faults = write_faults(written / "faults.json", {1: ("sigkill", 1), 2: "raise", 3: ("segfault", 1)})
    with drive(root, chains[chain] | faults, written, ray_folder) as run:
        output, errors = ended(run)
    assert run.returncode == 0, errors
    for name, value in in_environment(canary).items():
        monkeypatch.setenv(name, value)
    storage = open_storage(root.uri)
    assert len(committed_shards(storage)) == SAMPLES // 4
    assert verify(storage).faults == ()
    order = WorkOrder(make_campaign(samples=4), "0" * 36, storage, THIS, str(written), gpu_required=False)
    searched = everything(
        storage, written, ray_folder, output=output, errors=errors, order=repr(order) + repr(storage),
        pickled=pickle.dumps(order),
    )  # fmt: skip
    assert any("worker-0001.log" in place for place in searched), "the workers' own logs were kept"
    assert any("raylet.out" in place for place in searched), "Ray's logs were kept"
    assert leaks(canary.words, searched) == []
    assert leaks(canary.words, {"planted": f"x{canary.secret_key}x".encode()}) == ["planted"]


@pytest.mark.parametrize(
    ("broken", "message"),
    [
        ({"AWS_SECRET_ACCESS_KEY": "canary-wrong-secret"}, "the secret key does not fit the access key"),
        ({"AWS_ACCESS_KEY_ID": "CANARYNOBODY"}, "the access key is not known there"),
        ({"AWS_SESSION_TOKEN": "canary\ntoken"}, "cannot"),
    ],
)
def test_failing_commands_show_no_credential(
    root: S3Root, canary: Canary, tmp_path: Path, broken: dict[str, str], message: str
) -> None:
    """Not in a message, and not in a traceback either."""
    environment = dict(os.environ) | in_environment(canary, **broken) | {"TMPDIR": str(tmp_path)}
    cli = "from farm.cli import main; main()"
    doctor = f"from workers.doctor import _storage; print(_storage({root.uri!r}, None))"  # the rest of it takes long
    for code, *arguments in (
        (cli, "verify", root.uri),
        (cli, "--debug", "generate", "demo", "--out", root.uri),
        (doctor,),
    ):
        done = subprocess.run(
            [sys.executable, "-c", code, *arguments],
            cwd=ROOT, capture_output=True, text=True, check=False, env=environment, timeout=200,
        )  # fmt: skip
        assert message in done.stdout + done.stderr
        assert (done.returncode == 0) == (code == doctor)
        words = (*canary.words, *broken.values())
        assert leaks(words, everything(None, tmp_path, out=done.stdout, err=done.stderr)) == []


def test_credentials_that_change_are_fetched_again(
    ceph: CephServer, root: S3Root, canary: Canary, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Short-lived ones from a credential process: the old pair is revoked, and the same storage object goes on."""
    for name, value in by_process(tmp_path).items():
        monkeypatch.setenv(name, value)
    hand_out(tmp_path, *canary.words, lasts=timedelta(minutes=5))
    storage = open_storage(root.uri)
    storage.put("a", b"1")
    ceph.add_keys(canary.user, "CANARYSECONDKEY", "canary-second-secret")
    hand_out(tmp_path, "CANARYSECONDKEY", "canary-second-secret", canary.token, lasts=timedelta(minutes=5))
    ceph.remove_keys(canary.user, canary.access_key)
    storage.put_once("b", b"2")
    assert [item.key for item in storage.list()] == ["a", "b"]

    hand_out(tmp_path, "CANARYSECONDKEY", "canary-second-secret", canary.token, lasts=timedelta(minutes=-5))
    with pytest.raises(StorageError, match="the session's credentials have expired; log in again") as caught:
        storage.put("c", b"3")
    assert (
        leaks((*canary.words, "CANARYSECONDKEY", "canary-second-secret"), {"error": str(caught.value).encode()}) == []
    )
    (tmp_path / "handed-out.json").unlink()
    with pytest.raises(StorageError, match="the credentials could not be fetched; log in again"):
        storage.put("c", b"3")

    hand_out(tmp_path, "CANARYSECONDKEY", "canary-second-secret", canary.token, lasts=timedelta(minutes=5))
    storage.put("c", b"3")
    assert storage.get("c") == b"3"


@pytest.mark.slow
def test_credentials_that_end_midway_end_the_run_and_the_next_goes_on(
    ceph: CephServer, root: S3Root, canary: Canary, tmp_path: Path, ray_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in by_process(tmp_path).items():
        monkeypatch.setenv(name, value)
    hand_out(tmp_path, *canary.words, lasts=timedelta(minutes=5))
    faults = write_faults(tmp_path / "faults.json", dict.fromkeys(range(SAMPLES), ("slow", 1)))
    storage = open_storage(root.uri)
    with drive(root, faults, tmp_path, ray_folder) as run:
        _wait_until(lambda: any(item.key.startswith("staging/") for item in storage.list()), run)
        ceph.remove_keys(canary.user, canary.access_key)
        output, errors = ended(run)
    assert run.returncode == 2, output + errors
    assert "error: cannot" in errors
    assert "the access key is not known there" in errors
    ceph.add_keys(canary.user, "CANARYNEXTKEY", "canary-next-secret")
    hand_out(tmp_path, "CANARYNEXTKEY", "canary-next-secret", canary.token, lasts=timedelta(minutes=5))
    assert len(committed_shards(storage)) < SAMPLES // 4
    with drive(root, faults, tmp_path, ray_folder) as run:
        output, errors = ended(run)
    assert run.returncode == 0, errors
    summary = json.loads(output)
    assert summary["staged_before"] >= 1, "what was made before is not made again"
    assert len(committed_shards(storage)) == SAMPLES // 4
    assert verify(storage).faults == ()


def _wait_until(reached: object, run: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + 200.0
    while callable(reached) and not reached():
        assert run.poll() is None, run.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.1)
