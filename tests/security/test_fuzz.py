"""Random damage to a real shard: the outcome is a named error or a sound value, never anything else.

The forger mends every checksum, so that it is the checks behind the checksums that are tried.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from farm.dataset.manifest import read_record
from farm.dataset.reader import GaitDataset
from farm.dataset.verify import verify
from farm.errors import UserError
from tests.datasets import make_dataset
from tests.samples import make_campaign
from tests.security.forge import Forger

CAMPAIGN = make_campaign(samples=2, gaits_per_shard=2, views=("side",), image_size=(34, 32))
pytestmark = [pytest.mark.slow, pytest.mark.alone]  # each case has so many seconds

FUZZED = settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
"""About a second each, most of it verifying; another `--hypothesis-seed` finds other damage."""

STRANGE: tuple[Any, ...] = (
    None, True, -1, 0, 1, 2**31, 2**63, -(2**63), 1e308, 0.5, "", "x", "NaN", "Infinity", "../..", [], {}, [[]],
    [0, -1], {"name": "evil"}, [2**60] * 8, "0x7ff8000000000000",
)  # fmt: skip


@pytest.fixture(scope="module")
def pristine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pristine")
    make_dataset(str(folder), CAMPAIGN, n_samples=(60, 80))
    return folder


@pytest.fixture(scope="module")
def paths(pristine: Path) -> list[str]:
    """Every array of the shard."""
    root = json.loads((Forger(pristine).group / "zarr.json").read_text())
    members = root["consolidated_metadata"]["metadata"]
    return sorted(path for path, member in members.items() if member["node_type"] == "array")


def every_place(value: Any, place: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The way to every value of a JSON document."""
    found = [place] if place else []
    if isinstance(value, dict):
        return found + [at for key in value for at in every_place(value[key], (*place, key))]
    if isinstance(value, list):
        return found + [
            at for number in range(min(len(value), 4)) for at in every_place(value[number], (*place, number))
        ]
    return found


def put(value: Any, place: tuple[Any, ...], new: Any) -> None:
    for step in place[:-1]:
        value = value[step]
    value[place[-1]] = new


def judge(root: Path, array: str) -> None:
    """Read the array as a team would, and verify: a value, a report, or a named error."""
    try:
        dataset = GaitDataset(str(root))
        gait = dataset.gait(0, [array.rpartition("/")[2]])
        for value in gait.arrays.values():
            assert isinstance(value, np.ndarray)
        if "video" in array:
            assert dataset.frames(0, "side").ndim == 4
    except UserError:
        pass
    try:
        report = verify(str(root), workers=1)
    except UserError:
        return
    json.dumps(report.to_dict())


@FUZZED
@given(data=st.data())
def test_strange_values_in_an_array_s_metadata(
    pristine: Path, tmp_path_factory: pytest.TempPathFactory, paths: list[str], data: st.DataObject
) -> None:
    root = tmp_path_factory.mktemp("fuzz") / "dataset"
    shutil.copytree(pristine, root)
    forger = Forger(root)
    array = data.draw(st.sampled_from(paths))
    metadata = json.loads((forger.group / array / "zarr.json").read_text())
    place = data.draw(st.sampled_from(every_place(metadata)))
    new = data.draw(st.sampled_from(STRANGE))
    forger.edit_array(array, lambda found: put(found, place, new))
    judge(root, array)
    shutil.rmtree(root.parent)


@FUZZED
@given(data=st.data())
def test_strange_values_in_the_group_s_metadata_the_record_and_the_manifest(
    pristine: Path, tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    root = tmp_path_factory.mktemp("fuzz") / "dataset"
    shutil.copytree(pristine, root)
    forger = Forger(root)
    what = data.draw(st.sampled_from(("root", "record", "manifest")))
    path = {"root": forger.group / "zarr.json", "record": forger.commit, "manifest": root / "dataset.json"}[what]
    place = data.draw(st.sampled_from(every_place(json.loads(path.read_text()))))
    new = data.draw(st.sampled_from(STRANGE))
    edit = {"root": forger.edit_root, "record": forger.edit_record, "manifest": forger.edit_manifest}[what]
    edit(lambda found: put(found, place, new))
    judge(root, "labels")
    shutil.rmtree(root.parent)


@FUZZED
@given(data=st.data())
def test_damaged_bytes_under_right_checksums(
    pristine: Path, tmp_path_factory: pytest.TempPathFactory, paths: list[str], data: st.DataObject
) -> None:
    root = tmp_path_factory.mktemp("fuzz") / "dataset"
    shutil.copytree(pristine, root)
    forger = Forger(root)
    array = data.draw(st.sampled_from(paths))
    if data.draw(st.booleans()):  # inside a chunk, whose own checksum is mended too
        chunks = forger.bare_chunks(array)
        number = data.draw(st.integers(0, len(chunks) - 1))
        chunks[number] = damaged(data, chunks[number])
        forger.write_chunks(array, chunks)
    else:
        name = forger.data_path(array).relative_to(forger.group).as_posix()
        forger.write(name, damaged(data, (forger.group / name).read_bytes()))
    judge(root, array)
    shutil.rmtree(root.parent)


@FUZZED
@given(data=st.data())
def test_damaged_text_of_a_record(
    pristine: Path, tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    root = tmp_path_factory.mktemp("fuzz") / "dataset"
    shutil.copytree(pristine, root)
    forger = Forger(root)
    forger.commit.write_bytes(damaged(data, forger.commit.read_bytes()))
    try:
        record = read_record(GaitDataset(str(root)).storage, "00000000")
    except UserError:
        pass
    else:
        assert record.n_accepted + record.n_rejected == len(record.sample_ids)
    judge(root, "labels")
    shutil.rmtree(root.parent)


def damaged(data: st.DataObject, found: bytes) -> bytes:
    """Some bytes changed, cut out or doubled."""
    at = data.draw(st.integers(0, max(0, len(found) - 1)))
    length = data.draw(st.integers(1, 16))
    match data.draw(st.sampled_from(("change", "cut", "double", "end"))):
        case "change":
            return found[:at] + data.draw(st.binary(min_size=length, max_size=length)) + found[at + length :]
        case "cut":
            return found[:at] + found[at + length :]
        case "double":
            return found[: at + length] + found[at:]
        case _:
            return found[:at]
