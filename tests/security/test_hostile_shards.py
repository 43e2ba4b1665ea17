"""Datasets made to harm whoever opens them: refused by name, by reader, verifier and puller alike, in little memory."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from farm.dataset.pull import pull
from farm.dataset.reader import GaitDataset
from farm.dataset.verify import verify
from farm.errors import FormatError, UserError
from tests.datasets import make_dataset
from tests.samples import make_campaign
from tests.security.attacks import ATTACKS, Attack
from tests.security.forge import Forger

CAMPAIGN = make_campaign(samples=2, gaits_per_shard=2, views=("side",), image_size=(34, 32), mask=False)
ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def pristine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pristine")
    make_dataset(str(folder), CAMPAIGN, n_samples=(60, 80))
    return folder


def read(root: Path, what: str) -> None:
    """What a downstream team would do: open the dataset, take the first gait."""
    dataset = GaitDataset(str(root))
    if what == "frames":
        dataset.frames(0, "side")
    else:
        dataset.gait(0, [what])


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack.name)
def test_a_hostile_shard_is_refused(pristine: Path, tmp_path: Path, attack: Attack) -> None:
    root = tmp_path / "hostile"
    shutil.copytree(pristine, root)
    read(root, attack.reads)
    attack.forge(Forger(root))
    with pytest.raises(FormatError, match=attack.message):
        read(root, attack.reads)
    report = verify(str(root))
    assert any(re.search(attack.message, fault.what) for fault in report.faults), report.faults
    assert report.damaged_shards.keys() == {"00000000"}
    assert not passes_on(root, tmp_path / "part")


def passes_on(root: Path, part: Path) -> bool:
    """Whether a pull takes what is hostile for sound: it refuses, or what it wrote is found out."""
    try:
        pull(str(root), str(part), where="sample_id = 0")
    except FormatError:
        return False
    return verify(str(part)).sound


CHILD = """
import json, resource, sys
from farm.dataset.pull import pull
from farm.dataset.reader import GaitDataset
from farm.dataset.verify import verify
from farm.errors import UserError
from tests.security.test_hostile_shards import read

pristine, room, jobs = sys.argv[1], int(sys.argv[2]), json.loads(sys.stdin.read())
read(pristine, "frames")
assert verify(pristine).sound
size = int(next(line for line in open("/proc/self/status") if line.startswith("VmSize")).split()[1]) * 1024
rss = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
resource.setrlimit(resource.RLIMIT_AS, (size + room, size + room))
told = {}
for name, root, what in jobs:
    told[name] = []
    part = root + "-part"
    for act in (lambda: read(root, what), lambda: verify(root), lambda: pull(root, part, where="sample_id = 0")):
        try:
            act()
            told[name].append("done")
        except UserError as error:
            told[name].append("refused")
        except BaseException as error:
            told[name].append(repr(error))
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 - rss
print(json.dumps({"peak": peak, "told": told}))
"""

ROOM_BYTES = 1 << 30
"""Address space beyond what a sound shard takes: a reservation of more fails. Threads' stacks take some of it."""

PEAK_BYTES = 200 << 20
"""Memory that is really used beyond that; the smallest of the bombs unpacks to 256 MB."""


@pytest.mark.slow
def test_no_attack_takes_much_memory(pristine: Path, tmp_path: Path) -> None:
    jobs = []
    for number, attack in enumerate(ATTACKS):
        root = tmp_path / str(number)
        shutil.copytree(pristine, root)
        attack.forge(Forger(root))
        jobs.append((attack.name, str(root), attack.reads))
    done = subprocess.run(
        [sys.executable, "-c", CHILD, str(pristine), str(ROOM_BYTES)],
        input=json.dumps(jobs),
        capture_output=True,
        timeout=280,
        text=True,
        cwd=ROOT,
        check=False,
        env=os.environ | {"MALLOC_ARENA_MAX": "1"},  # glibc reserves 64 MB of addresses for each thread's own
    )
    assert done.returncode == 0, done.stderr[-2000:]
    answer = json.loads(done.stdout)
    odd = {
        name: outcome
        for name, outcome in answer["told"].items()
        if outcome[:2] != ["refused", "done"] or outcome[2] not in ("refused", "done")
    }
    assert odd == {}
    assert answer["peak"] < PEAK_BYTES


def test_metadata_of_an_array_that_disagrees_with_the_consolidated(pristine: Path, tmp_path: Path) -> None:
    root = tmp_path / "hostile"
    shutil.copytree(pristine, root)
    forger = Forger(root)
    metadata = json.loads((forger.group / "labels" / "zarr.json").read_text())
    metadata["attributes"]["description"] = "something else"
    forger.write("labels/zarr.json", json.dumps(metadata).encode())
    faults = [fault.what for fault in verify(str(root)).faults]
    assert len(faults) == 1
    assert "disagrees with the consolidated metadata" in faults[0]


def test_an_object_that_grew_behind_its_record_is_not_read_whole(pristine: Path, tmp_path: Path) -> None:
    root = tmp_path / "hostile"
    shutil.copytree(pristine, root)
    path = Forger(root).data_path("labels")
    with path.open("r+b") as file:
        file.truncate(1 << 40)  # sparse: a terabyte that takes no room
    with pytest.raises(FormatError, match=r"longer than its record's|cut off or replaced"):
        GaitDataset(str(root)).shard("00000000")["labels"][:]
    assert any("cut off or replaced" in fault.what for fault in verify(str(root)).faults)


@pytest.mark.parametrize("relative", [False, True])
def test_a_symbolic_link_out_of_the_root_is_not_followed(pristine: Path, tmp_path: Path, relative: bool) -> None:
    root = tmp_path / "hostile"
    shutil.copytree(pristine, root)
    (tmp_path / "outside").write_bytes(b"secret")
    path = Forger(root).data_path("labels")
    path.unlink()
    outside = tmp_path / "outside"
    path.symlink_to(os.path.relpath(outside, path.parent) if relative else outside)
    assert path.read_bytes() == b"secret"
    with pytest.raises(UserError, match="symbolic link that leaves"):
        GaitDataset(str(root)).gait(0, ["labels"])
    assert not verify(str(root)).sound
