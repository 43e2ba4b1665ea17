"""TLS is verified: an endpoint that nobody vouches for is refused, and accepted with the certificate that does."""

from __future__ import annotations

from pathlib import Path

import pytest

from farm.errors import StorageError
from farm.storage import open_storage
from farm.storage import s3 as s3_module
from tests.integration.ceph import CephServer
from tests.integration.conftest import S3Root
from tests.integration.relay import relay, self_signed

pytestmark = pytest.mark.s3


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A certificate is no better the fifth time."""
    monkeypatch.setattr(s3_module, "ATTEMPTS", 1)


REFUSED = r"has no valid TLS certificate; check the endpoint URL, or set AWS_CA_BUNDLE"


def test_a_certificate_that_nobody_vouches_for_is_refused(
    ceph: CephServer, s3_root: S3Root, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is sent to such an endpoint: the relay before the server sees no request."""
    context, bundle = self_signed(tmp_path)
    with relay(ceph.port, tls=context) as secure:
        storage = open_storage(s3_root.uri, endpoint_url=secure.endpoint_url)
        for call in (lambda: storage.get("a"), lambda: storage.put("a", b"1"), storage.probe, storage.list):
            with pytest.raises(StorageError, match=REFUSED) as caught:
                call()
            assert secure.endpoint_url in str(caught.value)
        assert secure.seen == []
        monkeypatch.setenv("AWS_CA_BUNDLE", str(bundle))
        trusting = open_storage(s3_root.uri, endpoint_url=secure.endpoint_url)
        trusting.put_once("a", b"over TLS")
        assert trusting.get("a") == b"over TLS"
        assert [method for method, _ in secure.seen] == ["PUT", "GET"]


def test_a_certificate_for_another_host_is_refused(
    ceph: CephServer, s3_root: S3Root, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    context, bundle = self_signed(tmp_path)
    monkeypatch.setenv("AWS_CA_BUNDLE", str(bundle))
    with relay(ceph.port, tls=context) as secure:
        elsewhere = secure.endpoint_url.replace("127.0.0.1", "localhost")
        with pytest.raises(StorageError, match=REFUSED):
            open_storage(s3_root.uri, endpoint_url=elsewhere).put("a", b"1")
        assert secure.seen == []


@pytest.mark.parametrize("content", [None, "no certificate"])
def test_a_bundle_that_is_not_one_is_named(
    ceph: CephServer, s3_root: S3Root, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: str | None
) -> None:
    bundle = tmp_path / "bundle of mine.pem"
    if content is not None:
        bundle.write_text(content)
    monkeypatch.setenv("AWS_CA_BUNDLE", str(bundle))
    with relay(ceph.port, tls=self_signed(tmp_path)[0]) as secure:
        with pytest.raises(StorageError, match="AWS_CA_BUNDLE"):
            open_storage(s3_root.uri, endpoint_url=secure.endpoint_url).get("a")
        assert secure.seen == []
