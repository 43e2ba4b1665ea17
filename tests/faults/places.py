"""Where a round's dataset lies: a bucket of a real Ceph gateway behind a proxy, or a folder, on a full disk."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

import boto3

from tests.faults.checker import Bucket, Folder, Objects
from tests.faults.proxy import Proxy, Schedule
from tests.faults.schedule import Round
from tests.integration.ceph import ACCESS_KEY, SECRET_KEY, CephServer

PREFIX = "some/prefix"
SMALL_DISK_BYTES = 2_500_000
"""Less than half of what a round's dataset takes."""


class Place(Protocol):
    """What a round needs to know of its store."""

    uri: str
    endpoint_url: str | None
    direct_endpoint_url: str | None

    @property
    def objects(self) -> Objects:
        """The dataset, past everything that fails."""
        ...

    def environment(self) -> Mapping[str, str]:
        """What the driver's environment must have; it is asked for anew at each start."""
        ...

    def disturb(self, plan: Round, leg: int) -> None: ...

    def calm(self) -> None:
        """End every disturbance."""
        ...

    def remove(self) -> None: ...

    def unfinished(self) -> int:
        """Writes that were begun and never ended: half written files, parts of objects."""
        ...


class FolderPlace:
    """A folder; `small` puts it on a disk that is really full halfway."""

    def __init__(self, folder: Path, *, small: bool) -> None:
        self._mounted = self.full = small and _mount(folder, SMALL_DISK_BYTES)
        self.uri = str(folder / "data")
        self.endpoint_url: str | None = None
        self.direct_endpoint_url: str | None = None
        self._folder = folder

    @property
    def objects(self) -> Objects:
        return Folder(Path(self.uri))

    def environment(self) -> Mapping[str, str]:
        return {}

    def disturb(self, plan: Round, leg: int) -> None:
        pass  # system calls fail by the order, not by the place

    def calm(self) -> None:
        if self.full:
            self.full = False
            subprocess.run(["mount", "-o", "remount,size=500m", str(self._folder)], check=True)

    def remove(self) -> None:
        if self._mounted:
            subprocess.run(["umount", "-l", str(self._folder)], check=True)

    def unfinished(self) -> int:
        return sum(1 for _ in Path(self.uri).rglob(".writing-*"))


class BucketPlace:
    """A bucket of its own, reached through a proxy of its own."""

    def __init__(self, ceph: CephServer, name: str, book: Path) -> None:
        self._ceph = ceph
        self._bucket = name
        self._client = boto3.client(
            "s3", endpoint_url=ceph.endpoint_url, region_name="us-east-1", aws_access_key_id=ACCESS_KEY,
            aws_secret_access_key=SECRET_KEY,
        )  # fmt: skip
        self._client.create_bucket(Bucket=name)
        self.proxy = Proxy(ceph.port, book).start()
        self.uri = f"s3://{name}/{PREFIX}"
        self.endpoint_url: str | None = self.proxy.endpoint_url
        self.direct_endpoint_url: str | None = ceph.endpoint_url
        self._keys = (ACCESS_KEY, SECRET_KEY)
        self._limited = False

    @property
    def objects(self) -> Objects:
        return Bucket(self._bucket, PREFIX, self._ceph.endpoint_url)

    def environment(self) -> Mapping[str, str]:
        return {"AWS_ACCESS_KEY_ID": self._keys[0], "AWS_SECRET_ACCESS_KEY": self._keys[1]}

    def disturb(self, plan: Round, leg: int) -> None:
        seed = int.from_bytes(f"{plan.seed}/{plan.number}/{leg}".encode(), "big") % 2**63
        self.proxy.schedule = Schedule(seed, plan.request_rate, plan.request_rates)

    def passing_key(self) -> None:
        """Give the next drivers credentials that `expire` can take away."""
        self._keys = (f"PASSING{self._bucket.upper().replace('-', '')}", "passing-secret")
        self._ceph.admin("key", "create", "--uid=test", "--key-type=s3", f"--access-key={self._keys[0]}",
                         f"--secret-key={self._keys[1]}")  # fmt: skip

    def expire(self) -> None:
        self._ceph.admin("key", "rm", "--uid=test", "--key-type=s3", f"--access-key={self._keys[0]}")
        self._keys = (ACCESS_KEY, SECRET_KEY)

    def fill_up(self) -> None:
        """Let the store refuse whatever would take more room than is taken now, by its own quota."""
        self._limited = True
        for command in (("set", "--max-size=1"), ("enable",)):
            self._quota(*command)

    def calm(self) -> None:
        self.proxy.schedule = Schedule(0)
        self.proxy.down = False
        if self._limited:
            self._quota("disable")
            self._limited = False

    def remove(self) -> None:
        self.proxy.stop()
        for upload in self._uploads():
            self._client.abort_multipart_upload(Bucket=self._bucket, Key=upload["Key"], UploadId=upload["UploadId"])
        for page in self._client.get_paginator("list_objects_v2").paginate(Bucket=self._bucket):
            keys = [{"Key": item["Key"]} for item in page.get("Contents", [])]
            if keys:
                self._client.delete_objects(Bucket=self._bucket, Delete={"Objects": keys, "Quiet": True})
        self._client.delete_bucket(Bucket=self._bucket)
        self._client.close()

    def unfinished(self) -> int:
        return len(self._uploads())

    def _uploads(self) -> list[Any]:
        return list(self._client.list_multipart_uploads(Bucket=self._bucket).get("Uploads", []))

    def _quota(self, verb: str, *options: str) -> None:
        self._ceph.admin("quota", verb, "--quota-scope=bucket", f"--bucket={self._bucket}", *options)


def _mount(folder: Path, size: int) -> bool:
    """A disk of `size` bytes on a folder; False where this user may not mount (not root, or a container)."""
    if os.geteuid() != 0:
        return False
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)], check=False, capture_output=True
    )
    return done.returncode == 0
