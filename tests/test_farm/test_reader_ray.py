"""Ray Data reads the dataset through our source, in a Ray of its own."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import ray
import ray.data
from ray.data.block import BlockAccessor

from farm.dataset.reader import GaitDataset
from farm.errors import UserError
from tests.datasets import make_dataset
from tests.samples import make_campaign

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")
"""Ray Data 2.60 deprecates half a dozen of its own defaults as it sets them."""

N = 10


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> GaitDataset:
    folder = tmp_path_factory.mktemp("ray") / "dataset"
    make_dataset(str(folder), make_campaign(samples=N, gaits_per_shard=4))
    return GaitDataset(str(folder))


@pytest.fixture(scope="module")
def local_ray() -> Iterator[None]:
    with tempfile.TemporaryDirectory(prefix="gf-", dir="/tmp", ignore_cleanup_errors=True) as temp:
        ray.init(
            address="local", num_cpus=2, include_dashboard=False, object_store_memory=100_000_000, _temp_dir=temp,
            log_to_driver=False, configure_logging=False,
            runtime_env={"env_vars": {"PYTHONPATH": str(Path(__file__).parents[2])}},
        )  # fmt: skip
        ray.data.DataContext.get_current().enable_progress_bars = False
        yield
        ray.shutdown()


def test_tasks_are_parts_of_shards(dataset: GaitDataset) -> None:
    source = dataset.ray_datasource(("coordinates", "labels"))
    assert [task.metadata.num_rows for task in source.get_read_tasks(1)] == [4, 4, 2]
    assert [task.metadata.num_rows for task in source.get_read_tasks(6)] == [2, 2, 2, 2, 1, 1]
    sizes = [task.metadata.size_bytes for task in source.get_read_tasks(3)]
    assert sum(sizes) == source.estimate_inmemory_data_size()
    gait = dataset.gait(1, ("coordinates", "labels"))
    assert sizes[0] >= 4 * sum(array.nbytes for array in gait.arrays.values())


@pytest.mark.slow
@pytest.mark.usefixtures("local_ray")
def test_rows_are_gaits(dataset: GaitDataset) -> None:
    """Gaits of different lengths, words and numbers of the index: every gait once, with its values."""
    source = dataset.ray_datasource(("coordinates", "labels"), frames=("side",), columns=("condition", "gait_speed"))
    rows = {int(row["sample_id"]): row for row in ray.data.read_datasource(source).take_all()}
    assert sorted(rows) == list(range(N))
    for sample_id, row in rows.items():
        gait = dataset.gait(sample_id)
        np.testing.assert_array_equal(row["coordinates"], gait["coordinates"])
        np.testing.assert_array_equal(row["labels"], gait["labels"])
        np.testing.assert_array_equal(row["views/side/frames"], dataset.frames(sample_id, "side"))
        assert row["condition"] == gait.row["condition"]
        assert row["gait_speed"] == gait.row["gait_speed"]


@pytest.mark.slow
@pytest.mark.usefixtures("local_ray")
def test_filters_batches_and_nothing(dataset: GaitDataset) -> None:
    some = ray.data.read_datasource(dataset.ray_datasource(("labels",), where="sample_id >= 6"))
    assert some.count() == 4
    batch = next(iter(some.iter_batches(batch_size=4)))
    assert batch["labels"].shape[0] == 4
    assert ray.data.read_datasource(dataset.ray_datasource((), where="sample_id < 0")).count() == 0


def test_cuts_are_those_of_a_stream(dataset: GaitDataset) -> None:
    """Of the same epoch the same stretches, whichever task reads a gait."""
    for epoch in (0, 5):
        wanted = {"cut_s": 0.2, "seed": 1, "epoch": epoch}
        cuts = {gait.sample_id: gait["coordinates"] for gait in dataset.stream(("coordinates",), **wanted)}
        for parallelism in (1, 6):
            source = dataset.ray_datasource(("coordinates",), **wanted)
            blocks = [block for task in source.get_read_tasks(parallelism) for block in task()]
            rows = [row for block in blocks for row in BlockAccessor.for_block(block).iter_rows(False)]
            assert sorted(int(row["sample_id"]) for row in rows) == list(range(N))
            for row in rows:
                np.testing.assert_array_equal(row["coordinates"], cuts[int(row["sample_id"])])


def test_wrong_arguments_are_named(dataset: GaitDataset) -> None:
    with pytest.raises(UserError, match="no column 'gait_sped'; did you mean 'gait_speed'"):
        dataset.ray_datasource((), columns=("gait_sped",))
    with pytest.raises(UserError, match=r"columns is the word 'gait_speed'; .* columns=\('gait_speed',\)"):
        dataset.ray_datasource((), columns="gait_speed")
    with pytest.raises(UserError, match="there is no field 'nothing'"):
        dataset.ray_datasource(("nothing",))
