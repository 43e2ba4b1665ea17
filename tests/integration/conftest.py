"""One S3 server for all integration tests, and a bucket for each that asks for one."""

from __future__ import annotations

import itertools
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import boto3
import pytest

from tests.integration import swift as swift_module
from tests.integration.ceph import ACCESS_KEY, INSTALL, SECRET_KEY, CephError, CephServer
from tests.integration.swift import SwiftError, SwiftServer

if TYPE_CHECKING:
    from types_boto3_s3 import S3Client

_buckets = itertools.count()

Server = TypeVar("Server", CephServer, SwiftServer)


@dataclass(frozen=True)
class S3Root:
    """An empty bucket: give `uri` and `endpoint_url` to whatever is tested; credentials are in the environment."""

    uri: str
    endpoint_url: str
    bucket: str


@pytest.fixture(scope="session")
def ceph() -> Iterator[CephServer]:
    """A running Ceph gateway; without the packages the test is skipped, and in CI it fails."""
    missing = CephServer.missing_programs()
    if missing:
        _cannot(f"Ceph is not installed ({', '.join(missing)}), so S3 was not tested: {INSTALL}")
    server = _started(CephServer, "gf-ceph-", CephError)
    try:
        yield server
    finally:
        server.stop()


@pytest.fixture(scope="session")
def swift() -> Iterator[SwiftServer]:
    """A running Swift, whose put-if-absent is not atomic; where it cannot run the test says why, and in CI it fails."""
    base = Path(tempfile.gettempdir())
    missing = SwiftServer.missing_parts(base)
    if missing:
        _cannot(f"the store without atomic put-if-absent was not tested: Swift lacks {' and '.join(missing)}")
    server = _started(SwiftServer, "gf-swift-", SwiftError)
    try:
        yield server
    finally:
        server.stop()


def _started(kind: Callable[[Path], Server], prefix: str, failure: type[Exception], attempts: int = 3) -> Server:
    """Between finding a free port and listening on it, another program on this machine may take it: then again."""
    while True:
        attempts -= 1
        folder = Path(tempfile.mkdtemp(prefix=prefix))
        try:
            server = kind(folder)
            server.start()
        except failure:
            shutil.rmtree(folder, ignore_errors=True)
            if not attempts:
                raise
        else:
            return server


def _cannot(reason: str) -> None:
    if os.environ.get("CI", "").lower() in ("1", "true", "yes"):
        pytest.fail(reason)
    pytest.skip(reason)


@pytest.fixture
def s3_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The standard credential chain sees the test user and nothing of this machine's own configuration."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", ACCESS_KEY)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET_KEY)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "no-config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "no-credentials"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")


def _client(endpoint_url: str) -> S3Client:
    """A client of its own session: boto3's default session keeps the credentials of its first use, another server's."""
    return boto3.session.Session().client("s3", endpoint_url=endpoint_url, region_name="us-east-1")


@pytest.fixture
def s3_root(ceph: CephServer, s3_environment: None) -> S3Root:
    """A new, empty bucket."""
    bucket = f"gaitfarm-test-{next(_buckets)}"
    client = _client(ceph.endpoint_url)
    client.create_bucket(Bucket=bucket)
    client.close()
    return S3Root(f"s3://{bucket}/some/prefix", ceph.endpoint_url, bucket)


@pytest.fixture
def swift_root(swift: SwiftServer, s3_environment: None, monkeypatch: pytest.MonkeyPatch) -> S3Root:
    """A new, empty container of Swift, as a bucket; credentials and endpoint are in the environment."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", swift_module.ACCESS_KEY)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", swift_module.SECRET_KEY)
    monkeypatch.setenv("AWS_ENDPOINT_URL", swift.endpoint_url)
    bucket = f"gaitfarm-test-{next(_buckets)}"
    client = _client(swift.endpoint_url)
    client.create_bucket(Bucket=bucket)
    client.close()
    return S3Root(f"s3://{bucket}/some/prefix", swift.endpoint_url, bucket)
