"""Storage in an S3 bucket: AWS, or anything that speaks its protocol (Ceph, MinIO, R2, ...).

Credentials come from the standard chain only (environment, shared profile,
instance or container role). What is not AWS gets path-style addresses and no
optional checksums: since boto3 1.36 these are sent as a trailer that older
servers refuse or even store inside the object (boto3 issue 4435).
"""

from __future__ import annotations

import io
import os
import random
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import boto3
from boto3.exceptions import Boto3Error
from boto3.s3.transfer import TransferConfig
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from farm.errors import AlreadyExistsError, ObjectNotFoundError, StorageError, StorageUnavailableError
from farm.storage.contract import Probe, StoredObject, Unfinished, validate_key, validate_prefix
from farm.storage.probe import probe_by_racing
from farm.storage.s3_errors import BROKEN_BODIES, are_expired, explain, is_bucket_name, missing_object
from farm.storage.s3_range import part_asked_for

if TYPE_CHECKING:
    from types_boto3_s3 import S3Client

CONNECT_TIMEOUT_S = 10
READ_TIMEOUT_S = 30
ATTEMPTS = 5
"""Tries of one request, the first included; botocore backs off exponentially between them (at most 20 s). A store that
takes requests and never answers is given up after some 160 s, before the deadline of the sample that waits for it."""

MAX_CONNECTIONS = 32

MULTIPART_FROM_BYTES = 64 << 20
PART_BYTES = 16 << 20
"""Parts of a large object. Single puts are atomic everywhere; parts are for what a lost connection would cost."""

CONFLICT_ATTEMPTS = 8
CONFLICT_WAIT_S = 0.1
"""A store may answer 409 while another conditional write to the key is under way; wait and ask again."""

_DEFAULT_REGION = "us-east-1"
"""What S3-compatible services sign for when no region is configured."""


class S3Storage:
    """A bucket's prefix. See `farm.storage.contract.Storage` for what each method promises.

    `put_once` is one PUT with `If-None-Match: *`, never multipart: some servers
    ignore the condition when a multipart upload completes (Ceph 16 does).
    """

    def __init__(self, bucket: str, prefix: str = "", *, endpoint_url: str | None = None) -> None:
        """Name a bucket and prefix; the client is made at first use, anew in each process.

        `retries` counts the requests that this process has had to repeat.

        Raises:
            StorageError: The bucket's name or the endpoint cannot be right.
        """
        if not is_bucket_name(bucket):
            raise StorageError(
                f"s3://{bucket}: {bucket!r} is no bucket name; give s3://bucket/prefix with 3 to 63 "
                "lower-case letters, digits, '-' or '.'"
            )
        if prefix:
            validate_key(prefix)
        self._bucket = bucket
        self._prefix = f"{prefix}/" if prefix else ""
        self._endpoint_url = _checked_endpoint(endpoint_url)
        self._client: S3Client | None = None
        self._client_pid = 0
        self._lock = threading.Lock()
        self.retries = 0

    def __repr__(self) -> str:
        return f"S3Storage({self.uri!r})"

    def __getstate__(self) -> dict[str, Any]:
        return {"bucket": self._bucket, "prefix": self._prefix.rstrip("/"), "endpoint_url": self._endpoint_url}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(**state)  # type: ignore[misc]

    @property
    def uri(self) -> str:
        return f"s3://{self._bucket}/{self._prefix}".rstrip("/")

    def get(self, key: str) -> bytes:
        with self._explain("read", key):
            return self._download(key)

    def get_range(self, key: str, start: int, length: int) -> bytes:
        if length <= 0:
            return b""
        with self._explain("read", key):
            try:
                return self._download(key, (start, start + length - 1))
            except ClientError as error:
                if _status(error) == 416:  # the range begins past the end
                    return b""
                raise

    def put(self, key: str, data: bytes) -> None:
        name = self._key(key)
        with self._explain("write", key):
            if len(data) < MULTIPART_FROM_BYTES:
                self._s3().put_object(Bucket=self._bucket, Key=name, Body=data)
            else:
                self._s3().upload_fileobj(
                    io.BytesIO(data),
                    self._bucket,
                    name,
                    Config=TransferConfig(multipart_threshold=MULTIPART_FROM_BYTES, multipart_chunksize=PART_BYTES),
                )

    def put_once(self, key: str, data: bytes) -> None:
        name = self._key(key)
        for attempt in range(CONFLICT_ATTEMPTS):
            try:
                with self._explain("write", key):
                    status = self._create(name, data)
            except StorageUnavailableError:
                # The repetitions are spent, and one of them may have gone through with its answer lost.
                if self._stands_after_all(key, data):
                    return
                raise
            if status == 200 or (status == 412 and self._is_settled(key, data)):
                return
            time.sleep(CONFLICT_WAIT_S * 2**attempt * random.uniform(0.5, 1.0))  # noqa: S311  (spreads the retries)
        raise StorageUnavailableError(
            f"cannot write {self.uri}/{key}: other writers kept changing it through {CONFLICT_ATTEMPTS} attempts; "
            "run the command again"
        )

    def list(self, prefix: str = "") -> Sequence[StoredObject]:
        found: list[StoredObject] = []
        with self._explain("list", prefix):
            pages = self._s3().get_paginator("list_objects_v2")
            for page in pages.paginate(Bucket=self._bucket, Prefix=self._prefix + validate_prefix(prefix)):
                for item in page.get("Contents", []):
                    key = item["Key"].removeprefix(self._prefix)
                    if not key.endswith("/"):  # consoles make such empty objects to stand for folders
                        found.append(StoredObject(key, item["Size"], item["LastModified"].timestamp()))
        return sorted(found)

    def size(self, key: str) -> int:
        with self._explain("read", key):
            try:
                return self._s3().head_object(Bucket=self._bucket, Key=self._key(key))["ContentLength"]
            except ClientError as error:
                if _status(error) == 404:  # an answer to HEAD has no body: ask which of the two is missing
                    self._s3().head_bucket(Bucket=self._bucket)
                    raise ObjectNotFoundError(missing_object(f"{self.uri}/{key}")) from None
                raise

    def delete(self, key: str) -> None:
        with self._explain("delete", key):
            self._s3().delete_object(Bucket=self._bucket, Key=self._key(key))

    def now_s(self) -> float:
        with self._explain("list", ""):
            answer = self._s3().list_objects_v2(Bucket=self._bucket, Prefix=self._prefix, MaxKeys=1)
        date = answer["ResponseMetadata"]["HTTPHeaders"].get("date", "")
        try:
            return parsedate_to_datetime(date).timestamp()
        except ValueError:
            raise StorageError(
                f"{self.uri}: the store's answers carry no date ({date[:40]!r}), so the age of objects cannot be told; "
                "is there a proxy that drops the Date header?"
            ) from None

    def unfinished(self) -> Sequence[Unfinished]:
        """Multipart uploads that were neither completed nor aborted. A store that cannot list them shows none."""
        with self._explain("list", ""):
            try:
                pages = self._s3().get_paginator("list_multipart_uploads")
                uploads = [
                    (item["Key"], item["UploadId"], item["Initiated"].timestamp())
                    for page in pages.paginate(Bucket=self._bucket, Prefix=self._prefix)
                    for item in page.get("Uploads", [])
                ]
            except ClientError as error:
                if _status(error) == 501:
                    return []
                raise
            return sorted(
                Unfinished(name.removeprefix(self._prefix), self._parts_size(name, upload_id), begun_s, upload_id)
                for name, upload_id, begun_s in uploads
            )

    def discard(self, item: Unfinished) -> None:
        with self._explain("delete", item.key):
            try:
                self._s3().abort_multipart_upload(Bucket=self._bucket, Key=self._key(item.key), UploadId=item.upload_id)
            except ClientError as error:
                if _code(error) != "NoSuchUpload":
                    raise

    def probe(self) -> Probe:
        return probe_by_racing(self)

    def _parts_size(self, name: str, upload_id: str) -> int:
        """Bytes of an upload's parts so far; 0 if it has ended meanwhile."""
        try:
            pages = self._s3().get_paginator("list_parts").paginate(Bucket=self._bucket, Key=name, UploadId=upload_id)
            return sum(part["Size"] for page in pages for part in page.get("Parts", []))
        except ClientError as error:
            if _code(error) == "NoSuchUpload":
                return 0
            raise

    def _create(self, name: str, data: bytes) -> int:
        """One conditional PUT: 200, 409 (another is under way, ask again) or 412 (the key exists, perhaps by us)."""
        try:
            self._s3().put_object(Bucket=self._bucket, Key=name, Body=data, IfNoneMatch="*")
        except ClientError as error:
            if _status(error) in (409, 412):
                return _status(error)
            raise
        return 200

    def _download(self, key: str, byte_range: tuple[int, int] | None = None) -> bytes:
        """An object's bytes, or those from a first to a last one.

        botocore repeats requests that fail, but not a body that breaks off or is not what was asked for: that is
        done here.
        """
        request: dict[str, Any] = {"Bucket": self._bucket, "Key": self._key(key)}
        if byte_range:
            request["Range"] = f"bytes={byte_range[0]}-{byte_range[1]}"
        attempts = 0
        while True:
            attempts += 1
            try:
                answer = self._s3().get_object(**request)
                body = answer["Body"].read()
                return part_asked_for(body, answer.get("ContentRange"), byte_range) if byte_range else body
            except BROKEN_BODIES:
                if attempts >= ATTEMPTS:
                    raise

    def _is_settled(self, key: str, data: bytes) -> bool:
        """After a refusal: True if the object is ours, False if it has gone again, else AlreadyExistsError."""
        try:
            found = self.get(key)
        except ObjectNotFoundError:
            return False
        if found == data:
            return True
        raise AlreadyExistsError(f"{self.uri}/{key} exists already with other content; it was left as it is")

    def _stands_after_all(self, key: str, data: bytes) -> bool:
        """After the last attempt went unanswered: True if the object is ours, False if it is not there or unreachable.

        Raises:
            AlreadyExistsError: Another's stands there.
        """
        try:
            return self._is_settled(key, data)
        except AlreadyExistsError:
            raise
        except StorageError:
            return False

    def _key(self, key: str) -> str:
        return self._prefix + validate_key(key)

    def _s3(self) -> S3Client:
        """The client of this process: connections do not survive a fork."""
        with self._lock:
            if self._client is None or self._client_pid != os.getpid():
                self._client, self._client_pid = _client(self._endpoint_url), os.getpid()
                self._client.meta.events.register("needs-retry.s3", self._count_retry)
            return self._client

    def _count_retry(self, attempts: int, **_: Any) -> None:
        """Called by botocore after each attempt of a request, the first is number 1."""
        if attempts > 1:
            with self._lock:
                self.retries += 1

    @contextmanager
    def _explain(self, verb: str, key: str) -> Iterator[None]:
        where = f"{self.uri}/{key}".rstrip("/")
        try:
            yield
        except (ClientError, BotoCoreError, Boto3Error) as error:
            endpoint = self._client.meta.endpoint_url if self._client else self._endpoint_url
            raise explain(error, verb=verb, where=where, endpoint=endpoint) from None
        except RuntimeError as error:
            if not are_expired(error):
                raise
            raise explain(error, verb=verb, where=where, endpoint=None) from None


def _client(endpoint_url: str | None) -> S3Client:
    """A client that knows whether it talks to AWS; the endpoint may also come from the environment or a profile."""
    session = boto3.session.Session()
    region = session.region_name or _DEFAULT_REGION
    config = Config(
        connect_timeout=CONNECT_TIMEOUT_S,
        read_timeout=READ_TIMEOUT_S,
        retries={"mode": "standard", "total_max_attempts": ATTEMPTS},
        max_pool_connections=MAX_CONNECTIONS,
    )
    if endpoint_url is None:
        client: S3Client = session.client("s3", config=config, region_name=region)
        if _is_aws(client.meta.endpoint_url):
            return client
        endpoint_url = client.meta.endpoint_url
    elif _is_aws(endpoint_url):
        return session.client("s3", endpoint_url=endpoint_url, config=config, region_name=region)
    plain = Config(
        s3={"addressing_style": "path"},
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
    )
    return session.client("s3", endpoint_url=endpoint_url, config=config.merge(plain), region_name=region)


def _is_aws(endpoint_url: str) -> bool:
    host = urlsplit(_checked_endpoint(endpoint_url) or "").hostname or ""
    return host.endswith((".amazonaws.com", ".amazonaws.com.cn"))


def _checked_endpoint(url: str | None) -> str | None:
    """The endpoint, if it is a plain http(s) address without credentials."""
    if url is None:
        return None
    parts = urlsplit(url)
    if "@" in parts.netloc:
        raise StorageError(
            f"the endpoint URL of {parts.hostname!r} holds credentials; leave them out "
            "and set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY or a profile"
        )
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise StorageError(f"endpoint URL {url!r} must be http://host[:port] or https://host[:port]")
    return url


def _status(error: ClientError) -> int:
    return int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))


def _code(error: ClientError) -> str:
    return str(error.response.get("Error", {}).get("Code", ""))
