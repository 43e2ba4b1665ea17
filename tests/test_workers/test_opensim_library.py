"""The order in which OpenSim's libraries are loaded changes its speed and nothing else."""

from __future__ import annotations

import subprocess
import sys

import pytest

WALK = """
import hashlib
{first}
from farm.control.reflex import gain_names
from farm.records import GaitParameters
from workers.simulate.forward import Walk
import numpy as np

names = gain_names("{body_model}")
person = GaitParameters(
    body_model="{body_model}", reflex_gain_names=names, reflex_gains=np.ones((2, len(names))), target_speed_m_s=1.2
)
walk = Walk(person, seed=1).run(duration_s=0.4, budget_s=200.0)
assert len(walk.times_s) > 30, walk.detail
print(hashlib.sha256(walk.states.tobytes()).hexdigest())
"""


@pytest.mark.parametrize("body_model", ["planar", "3d"])
def test_a_walk_is_bit_for_bit_the_same_in_either_order(body_model: str) -> None:
    digests = set()
    for first in ("import opensim", ""):
        script = WALK.format(first=first, body_model=body_model)
        done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=240, check=False)
        assert done.returncode == 0, done.stderr[-2000:]
        digests.add(done.stdout.strip())
    assert len(digests) == 1
