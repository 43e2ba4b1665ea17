"""`S3Storage` keeps the contract on a real server, and names what a service refuses."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import boto3
import pytest

from farm.errors import StorageError
from farm.storage import Storage, open_storage
from farm.storage import s3 as s3_module
from farm.storage.s3 import MULTIPART_FROM_BYTES, S3Storage
from tests.contracts.storage_contract import StorageContract
from tests.integration.ceph import ACCESS_KEY, SECRET_KEY
from tests.integration.conftest import S3Root

pytestmark = pytest.mark.s3


class TestS3Storage(StorageContract):
    @pytest.fixture
    def storage(self, s3_root: S3Root) -> Storage:
        return open_storage(s3_root.uri, endpoint_url=s3_root.endpoint_url)


def test_endpoint_from_the_environment(s3_root: S3Root, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", s3_root.endpoint_url)
    storage = open_storage(s3_root.uri)
    storage.put("a", b"1")
    assert open_storage(s3_root.uri, endpoint_url=s3_root.endpoint_url).get("a") == b"1"


def test_a_prefix_is_a_world_of_its_own(s3_root: S3Root) -> None:
    first = open_storage(f"s3://{s3_root.bucket}/one", endpoint_url=s3_root.endpoint_url)
    second = open_storage(f"s3://{s3_root.bucket}/one-more", endpoint_url=s3_root.endpoint_url)
    whole = open_storage(f"s3://{s3_root.bucket}", endpoint_url=s3_root.endpoint_url)
    first.put("a", b"1")
    second.put("a", b"22")
    assert [item.key for item in first.list()] == ["a"]
    assert [(item.key, item.size) for item in whole.list()] == [("one-more/a", 2), ("one/a", 1)]


def test_large_objects_go_in_parts_and_come_back_whole(s3_root: S3Root) -> None:
    storage = open_storage(s3_root.uri, endpoint_url=s3_root.endpoint_url)
    data = os.urandom(1 << 20) * (MULTIPART_FROM_BYTES // (1 << 20)) + b"the end"
    storage.put("large", data)
    assert storage.size("large") == len(data)
    assert storage.get_range("large", len(data) - 7, 7) == b"the end"
    assert storage.get("large") == data
    client = boto3.session.Session().client("s3", endpoint_url=s3_root.endpoint_url, region_name="us-east-1")
    etag = client.head_object(Bucket=s3_root.bucket, Key="some/prefix/large")["ETag"]
    client.close()
    assert "-" in etag, "a multipart upload's ETag ends in the number of its parts"


def test_listings_longer_than_a_page(s3_root: S3Root) -> None:
    """S3 gives at most 1000 keys at a time; here the page is made small instead."""
    storage = S3Storage(s3_root.bucket, endpoint_url=s3_root.endpoint_url)
    for number in range(25):
        storage.put(f"l/{number:03d}", b"")
    client = storage._s3()
    sizes = []

    def smaller_pages(params: dict[str, object], **_: object) -> None:
        params["MaxKeys"] = 10

    def count(parsed: dict[str, list[object]], **_: object) -> None:
        sizes.append(len(parsed.get("Contents", [])))

    client.meta.events.register("provide-client-params.s3.ListObjectsV2", smaller_pages)
    client.meta.events.register("after-call.s3.ListObjectsV2", count)
    assert [item.key for item in storage.list("l/")] == [f"l/{number:03d}" for number in range(25)]
    assert sizes == [10, 10, 5]


def _message(storage: Storage) -> str:
    """What a user reads when this storage fails at every operation; all say the same and none a secret."""
    causes = set()
    for call in (
        lambda: storage.get("dataset.json"),
        lambda: storage.size("dataset.json"),
        lambda: storage.put("dataset.json", b"x"),
        lambda: storage.put_once("dataset.json", b"x"),
        lambda: storage.list("commits/"),
        lambda: storage.delete("dataset.json"),
    ):
        with pytest.raises(StorageError) as caught:
            call()
        message = str(caught.value)
        assert "\n" not in message
        assert storage.uri in message
        for secret in (ACCESS_KEY, SECRET_KEY, "wrong-secret", "UNKNOWNKEY"):
            assert secret not in message
        causes.add(message.split(": ", 1)[1].split(" (HTTP")[0])
    assert len(causes) == 1, causes
    return causes.pop()


def test_no_such_bucket(s3_root: S3Root) -> None:
    storage = open_storage("s3://gaitfarm-nobody-made-this/x", endpoint_url=s3_root.endpoint_url)
    assert _message(storage) == "there is no such bucket; create it or correct the name"


def test_wrong_secret(s3_root: S3Root, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wrong-secret")
    storage = open_storage(s3_root.uri, endpoint_url=s3_root.endpoint_url)
    with pytest.raises(StorageError, match="the secret key does not fit the access key") as caught:
        storage.put("a", b"1")
    assert "wrong-secret" not in str(caught.value)
    assert ACCESS_KEY not in str(caught.value)


def test_unknown_key(s3_root: S3Root, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "UNKNOWNKEY")
    storage = open_storage(s3_root.uri, endpoint_url=s3_root.endpoint_url)
    with pytest.raises(StorageError, match="the access key is not known there") as caught:
        storage.list()
    assert "UNKNOWNKEY" not in str(caught.value)


def test_forbidden_bucket(s3_root: S3Root) -> None:
    """A policy that denies the test user everything but to see the bucket."""
    open_storage(s3_root.uri, endpoint_url=s3_root.endpoint_url).put("dataset.json", b"{}")
    client = boto3.session.Session().client("s3", endpoint_url=s3_root.endpoint_url, region_name="us-east-1")
    resources = f'["arn:aws:s3:::{s3_root.bucket}", "arn:aws:s3:::{s3_root.bucket}/*"]'
    client.put_bucket_policy(
        Bucket=s3_root.bucket,
        Policy='{"Version": "2012-10-17", "Statement": [{"Effect": "Deny", "Principal": "*", "Action": '
        f'["s3:GetObject", "s3:PutObject", "s3:ListBucket", "s3:DeleteObject"], "Resource": {resources}}}]}}',
    )
    client.close()
    storage = open_storage(s3_root.uri, endpoint_url=s3_root.endpoint_url)
    assert _message(storage) == "access is forbidden to these credentials; grant them read and write on the bucket"


@pytest.mark.usefixtures("s3_environment")
class TestWithoutServer:
    """Failures before any answer; they need no Ceph."""

    @pytest.fixture(autouse=True)
    def _impatient(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(s3_module, "ATTEMPTS", 1)

    @pytest.fixture
    def closed_port(self) -> Iterator[int]:
        with socket.socket() as taken:  # bound and not listening: connections are refused
            taken.bind(("127.0.0.1", 0))
            yield taken.getsockname()[1]

    def test_unreachable(self, closed_port: int) -> None:
        endpoint = f"http://127.0.0.1:{closed_port}"
        message = _message(open_storage("s3://bucket/x", endpoint_url=endpoint))
        assert message == f"{endpoint} cannot be reached; check --endpoint-url (or AWS_ENDPOINT_URL) and the network"

    @pytest.mark.parametrize(("broken", "works"), [(1, True), (2, True), (9, False)])
    def test_a_body_that_breaks_off_is_read_again(
        self, monkeypatch: pytest.MonkeyPatch, broken: int, works: bool
    ) -> None:
        """A server that promises ten bytes, sends five and hangs up, as often as told."""
        monkeypatch.setattr(s3_module, "ATTEMPTS", 3)
        answers = 0

        class Server(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                nonlocal answers
                answers += 1
                self.send_response(200)
                self.send_header("Content-Length", "10")
                self.end_headers()
                self.wfile.write(b"01234" if answers <= broken else b"0123456789")
                self.close_connection = True

            def log_message(self, *_: object) -> None:
                """Keep the test's output clean."""

        with ThreadingHTTPServer(("127.0.0.1", 0), Server) as server:
            threading.Thread(target=server.serve_forever, daemon=True).start()
            endpoint = f"http://127.0.0.1:{server.server_port}"
            storage = open_storage("s3://bucket/x", endpoint_url=endpoint)
            if works:
                assert storage.get("a") == b"0123456789"
                assert answers == broken + 1
            else:
                with pytest.raises(StorageError, match=f"the connection to {endpoint} breaks off"):
                    storage.get("a")
                assert answers == 3
            server.shutdown()

    def test_no_credentials(self, closed_port: int, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delenv("AWS_ACCESS_KEY_ID")
        monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
        message = _message(open_storage("s3://bucket/x", endpoint_url=f"http://127.0.0.1:{closed_port}"))
        assert message == "there are no credentials; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE"

    def test_half_the_credentials(self, closed_port: int, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
        storage = open_storage("s3://bucket/x", endpoint_url=f"http://127.0.0.1:{closed_port}")
        assert _message(storage).startswith("the credentials are incomplete")

    def test_unknown_profile(self, closed_port: int, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("AWS_PROFILE", "nobody")
        storage = open_storage("s3://bucket/x", endpoint_url=f"http://127.0.0.1:{closed_port}")
        assert _message(storage).startswith("AWS_PROFILE names a profile that is not configured")

    @pytest.mark.parametrize("endpoint", ["ftp://host", "host:9000", "http://", ""])
    def test_endpoints_that_cannot_be(self, endpoint: str) -> None:
        with pytest.raises(StorageError, match="must be http://"):
            open_storage("s3://bucket/x", endpoint_url=endpoint)

    def test_credentials_in_the_endpoint_are_refused_and_not_repeated(self, monkeypatch: pytest.MonkeyPatch) -> None:
        with pytest.raises(StorageError, match="holds credentials") as caught:
            open_storage("s3://bucket/x", endpoint_url="http://user:topsecret@host:9000")
        assert "topsecret" not in str(caught.value)
        monkeypatch.setenv("AWS_ENDPOINT_URL", "http://user:topsecret@host:9000")
        with pytest.raises(StorageError, match="holds credentials") as caught:
            open_storage("s3://bucket/x").get("a")
        assert "topsecret" not in str(caught.value)

    def test_aws_itself_is_told_from_others(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Only what is not AWS gets path-style addresses and no optional checksums."""
        aws = s3_module._client(None)
        other = s3_module._client("http://127.0.0.1:9000")
        assert aws.meta.config.request_checksum_calculation == "when_supported"
        assert other.meta.config.request_checksum_calculation == "when_required"
        assert other.meta.config.s3["addressing_style"] == "path"
        monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "http://127.0.0.1:9001")
        assert s3_module._client(None).meta.config.request_checksum_calculation == "when_required"
