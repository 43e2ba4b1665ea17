"""What Ray's processes inherit from the driver that starts them, and what the driver has afterwards."""

from __future__ import annotations

import os
import subprocess
import sys

PROGRAM = """
import os
import signal
import ray
from workers.actors import THREADS
from workers.ray_session import RAY_SETTINGS, started_ray

os.environ["OMP_NUM_THREADS"] = "7"
os.environ.pop("LP_NUM_THREADS", None)
before = dict(os.environ)
handler = lambda *_: None
signal.signal(signal.SIGTERM, handler)
with started_ray(1):
    assert signal.getsignal(signal.SIGTERM) is handler, "a second SIGTERM would break off Ray's shutdown"
    inherited = ray.get(ray.remote(lambda: dict(os.environ)).remote())
    assert {name: inherited[name] for name in THREADS} == THREADS, inherited
    assert inherited["RAY_USAGE_STATS_ENABLED"] == RAY_SETTINGS["RAY_USAGE_STATS_ENABLED"]
for name in (*THREADS, *RAY_SETTINGS):
    assert os.environ.get(name) == before.get(name), name
print("inherited and put back")
"""


def test_workers_inherit_one_thread_each_and_the_driver_gets_its_environment_back() -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], capture_output=True, text=True, timeout=250, check=False, env=dict(os.environ)
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "inherited and put back"
