"""The catalogue on a real S3-compatible server: compacted by several at once, and read all the while."""

from __future__ import annotations

import threading

import pytest

from farm.dataset.catalogue import compact, load_index
from farm.dataset.parts import part_names
from farm.storage import open_storage
from tests.integration.conftest import S3Root
from tests.test_farm.test_catalogue import assert_true, commit

pytestmark = pytest.mark.s3


def test_compacted_by_several_at_once_while_commits_come(s3_root: S3Root) -> None:
    storage = open_storage(s3_root.uri, endpoint_url=s3_root.endpoint_url)
    commit(storage, range(3))
    compact(storage)
    faults: list[BaseException] = []

    def work(first: int) -> None:
        try:
            for number in range(first, first + 4, 2):
                commit(storage, [number, number + 1])
                compact(storage)
                rows = load_index(storage).rows(columns=["sample_id"])
                assert len({row["sample_id"] for row in rows}) == len(rows) >= 8
        except BaseException as error:
            faults.append(error)

    threads = [threading.Thread(target=work, args=(first,)) for first in (3, 7)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert faults == []
    assert_true(storage)
    compact(storage)
    assert len(part_names(storage)) == 1
    assert_true(storage)
