"""One small dataset for the tests of exports, read only."""

from __future__ import annotations

import pytest

from tests.datasets import make_dataset
from tests.samples import make_campaign


@pytest.fixture(scope="session")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Seven gaits of different length in three shards (number 5 was rejected), two views, with films."""
    root = tmp_path_factory.mktemp("exports") / "dataset"
    make_dataset(str(root), make_campaign(samples=8, gaits_per_shard=3), rejected=(5,))
    return str(root)
