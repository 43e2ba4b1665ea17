"""Streaming, cache and resume from a real S3 server; tensorstore reads the same objects, as docs/reading.md shows."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from farm.dataset.reader import GaitDataset
from farm.storage import open_storage
from tests.contracts.sources import ROOT
from tests.datasets import make_dataset
from tests.integration.ceph import SECRET_KEY
from tests.integration.conftest import S3Root
from tests.samples import make_campaign

pytestmark = pytest.mark.s3


@pytest.fixture
def dataset(s3_root: S3Root) -> GaitDataset:
    storage = open_storage(s3_root.uri, endpoint_url=s3_root.endpoint_url)
    make_dataset(storage, make_campaign(samples=10, gaits_per_shard=3), rejected=(4,))
    return GaitDataset(s3_root.uri, endpoint_url=s3_root.endpoint_url)


def test_a_stream_from_s3(dataset: GaitDataset, s3_root: S3Root, tmp_path: Path) -> None:
    """Whole objects and ranges, with a cache and without, resumed: the gaits of the dataset, each once."""
    expected = [0, 1, 2, 3, 5, 6, 7, 8, 9]
    cached = GaitDataset(s3_root.uri, endpoint_url=s3_root.endpoint_url, cache_dir=tmp_path / "cache")
    orders = []
    for source in (dataset, cached, cached):
        for memory_bytes in (1 << 30, 1):
            stream = source.stream(("coordinates",), frames=("side",), seed=2, memory_bytes=memory_bytes)
            first = [gait.sample_id for _, gait in zip(range(4), stream, strict=False)]
            again = source.stream(("coordinates",), frames=("side",), seed=2, memory_bytes=memory_bytes)
            again.load_state_dict(json.loads(json.dumps(stream.state_dict())))
            rest = list(again)
            orders.append(first + [gait.sample_id for gait in rest])
            for gait in rest:
                np.testing.assert_array_equal(
                    gait["coordinates"], dataset.gait(gait.sample_id, ("coordinates",))["coordinates"]
                )
    assert sorted(orders[0]) == expected
    assert orders == [orders[0]] * 6


def test_tensorstore_reads_from_s3(dataset: GaitDataset, s3_root: S3Root) -> None:
    """The example of docs/reading.md, with this server's address in it."""
    page = (ROOT / "docs" / "reading.md").read_text("utf-8")
    (example,) = re.findall(r"^```python s3\n(.*?)^```$", page, flags=re.MULTILINE | re.DOTALL)
    prefix = s3_root.uri.removeprefix(f"s3://{s3_root.bucket}/")
    for there, here in (
        ("s3://bucket/prefix", s3_root.uri),
        ("http://localhost:8000", s3_root.endpoint_url),
        ('"bucket": "bucket"', f'"bucket": "{s3_root.bucket}"'),
        ('f"prefix/', f'f"{prefix}/'),
    ):
        assert there in example
        example = example.replace(there, here)
    names: dict[str, Any] = {}
    exec(compile(example, "docs/reading.md, S3", "exec"), names)
    np.testing.assert_array_equal(names["first_gait"], dataset.shard(names["record"].shard_id)["coordinates"][0])  # type: ignore[index]


def test_no_credential_is_in_what_is_shown(dataset: GaitDataset) -> None:
    stream = dataset.stream(("labels",))
    shown = repr(dataset) + repr(stream) + json.dumps(stream.state_dict())
    assert SECRET_KEY not in shown
