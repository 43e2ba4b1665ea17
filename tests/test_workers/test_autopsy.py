"""A lost worker's log, read."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

from workers.autopsy import bury, cause_of_death, hung_in_storage, place_of_hang, telling_lines

CRASHED = """\
something a library said
Fatal Python error: Segmentation fault

Thread 0x00007f85b0000000 (most recent call first):
  File "/usr/lib/python3.11/threading.py", line 331 in wait

Current thread 0x00007f85b4228b80 (most recent call first):
  File "/usr/lib/python3.11/ctypes/__init__.py", line 519 in string_at
  File "/opt/gaitfarm/workers/simulate/forward.py", line 55 in simulate
  File "/opt/gaitfarm/workers/staging.py", line 111 in make_and_stage

Extension modules: numpy._core, yaml._yaml (total: 2)
"""

HUNG = """\
Timeout (0:00:09)!
Thread 0x00007f85b0000000 (most recent call first):
  File "/usr/lib/python3.11/threading.py", line 331 in wait
Thread 0x00007f85b4228b80 (most recent call first):
  File "/opt/gaitfarm/workers/simulate/forward.py", line 55 in simulate
  File "/opt/gaitfarm/workers/staging.py", line 111 in make_and_stage
"""


def test_a_crash_is_named_with_its_place() -> None:
    assert cause_of_death(CRASHED) == "Segmentation fault in string_at (__init__.py, line 519)"


def test_a_killed_process_leaves_no_dump() -> None:
    assert cause_of_death("something a library said\n") == "the process was killed (SIGKILL; out of memory?)"


def test_a_hang_is_placed_in_the_thread_that_made_the_gait() -> None:
    assert place_of_hang(HUNG) == " in simulate (forward.py, line 55)"
    assert place_of_hang("") == ""


def test_waiting_for_storage_is_told_from_hanging_in_any_thread() -> None:
    storing = HUNG.replace("/usr/lib/python3.11/threading.py", "/opt/gaitfarm/farm/storage/s3.py")
    assert hung_in_storage(storing)
    assert not hung_in_storage(HUNG)
    assert not hung_in_storage("")
    assert not hung_in_storage(f"{storing}\n{HUNG}"), "the last dump counts"
    assert not hung_in_storage(CRASHED.replace("/opt/gaitfarm/workers/simulate/forward.py", "/x/farm/storage/s3.py"))


def test_the_telling_lines_begin_with_the_last_dump() -> None:
    assert telling_lines(CRASHED)[0] == "Fatal Python error: Segmentation fault"
    assert not any(line.startswith("Extension") for line in telling_lines(CRASHED))
    assert telling_lines("a\n" * 50 + "Traceback\nValueError: x\n")[-1] == "ValueError: x"


def test_a_real_crash_is_read(tmp_path: Path) -> None:
    module = tmp_path / "workers" / "staging.py"
    module.parent.mkdir()
    module.write_text(
        "import ctypes, faulthandler\nfaulthandler.enable()\ndef make():\n    ctypes.string_at(0)\nmake()\n"
    )
    log = tmp_path / "worker.log"
    with log.open("wb") as stderr:
        subprocess.run([sys.executable, str(module)], stderr=stderr, check=False)
    assert cause_of_death(bury(2**22 + 1, str(log))).startswith("Segmentation fault in string_at")


def test_only_a_worker_of_ours_is_killed(tmp_path: Path) -> None:
    innocent = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    worker = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)", "ray::GaitWorker.work"])
    try:
        # The kernel shows a new program's arguments a moment after it has closed the pipe that Popen waits for.
        while b"GaitWorker" not in Path(f"/proc/{worker.pid}/cmdline").read_bytes():
            time.sleep(0.01)
        assert bury(innocent.pid, str(tmp_path / "none.log")) == ""
        assert bury(worker.pid, str(tmp_path / "none.log")) == ""
        assert worker.wait(10) == -9
        assert innocent.poll() is None
        os.kill(innocent.pid, 0)
    finally:
        for process in (innocent, worker):
            process.kill()
            process.wait()
