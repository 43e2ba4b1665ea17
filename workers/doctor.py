"""What this machine can do, tried and not guessed; and for each missing thing the line that mends it.

Native parts (OpenSim, OpenGL, Ray, torch) are tried in a child process with a
deadline: a library that crashes or hangs is a finding, not the end of the doctor.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import platform
import resource
import shutil
import tempfile
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from rich.console import Console
from rich.table import Table

import farm
from farm.errors import UserError

Status = Literal["ok", "warning", "missing"]

CHILD_DEADLINE_S = 120.0
"""Importing Ray and torch for the first time on a slow disk takes tens of seconds."""

MIN_FREE_BYTES = 5 * 2**30
"""Ray stops placing objects, and logs without end, when a disk is nearly full; a campaign needs room besides."""

MIN_SHARED_MEMORY_BYTES = 256 * 2**20
"""Docker gives 64 MiB unless told otherwise; Ray then falls back to files in /tmp."""

WANTED_OPEN_FILES = 65536
"""What Ray asks for on cluster nodes; one machine gets along with 4096."""

MIN_OPEN_FILES = 4096

PICTURES = "Pictures"
"""What is found out about the bits of pictures is called so."""

PENDULUM_TOLERANCE_RAD = 5e-6


@dataclass(frozen=True)
class Finding:
    """One thing that was tried: what came out and, unless it is well, the line that mends it."""

    name: str
    status: Status
    detail: str
    mend: str = ""


@dataclass(frozen=True)
class Examination:
    """Everything that was tried. Warnings do not make a machine unfit."""

    findings: tuple[Finding, ...]

    @property
    def healthy(self) -> bool:
        return all(finding.status != "missing" for finding in self.findings)

    def to_json(self) -> str:
        """For machines: `{"gaitfarm": version, "healthy": bool, "findings": [{name, status, detail, mend}]}`."""
        findings = [asdict(finding) for finding in self.findings]
        return json.dumps({"gaitfarm": farm.__version__, "healthy": self.healthy, "findings": findings}, indent=2)


def examine(out: str | None = None, *, endpoint_url: str | None = None) -> Examination:
    """Try everything that a campaign needs; `out` is a storage URI to try as well."""
    findings = [
        _python(),
        _tried("OpenSim", _integrate_a_pendulum, "pip install 'gaitfarm[farm]'"),
        _tried(
            "OpenGL (EGL)", _draw_a_picture, "tools/setup_system.sh gl   (or: apt-get install libegl1 libgl1-mesa-dri)"
        ),
        _tried(PICTURES, _hear_the_canary, "mend OpenGL first; then tools/setup_system.sh gl"),
        _tried("Video (FFmpeg)", _encode_two_pictures, "pip install --force-reinstall av"),
        _tried("Ray", _import_ray, "pip install 'gaitfarm[farm]'"),
        _tried("PyTorch", _import_torch, "pip install 'gaitfarm[train]'"),
        _disk(Path(tempfile.gettempdir()), "Disk for Ray"),
        _shared_memory(),
        _open_files(),
    ]
    if out is not None:
        findings.append(_storage(out, endpoint_url))
    return Examination(tuple(findings))


def show(examination: Examination, console: Console) -> None:
    """The examination as a table for people."""
    colour = {"ok": "green", "warning": "yellow", "missing": "bold red"}
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in ("", "what", "found"):
        table.add_column(heading, overflow="fold")
    for finding in examination.findings:
        mend = f"\n[bold]mend:[/bold] {_plain(finding.mend)}" if finding.mend else ""
        status = f"[{colour[finding.status]}]{finding.status}[/]"
        table.add_row(status, _plain(finding.name), _plain(finding.detail) + mend)
    console.print(table)
    if examination.healthy:
        console.print("[green]This machine can run the farm.[/green]")
    else:
        console.print("[bold red]Something is missing; the lines after `mend:` say how to get it.[/bold red]")


def _plain(text: str) -> str:
    return text.replace("[", r"\[")


# --- native parts, each in a child process -----------------------------------------------------------------


def _tried(name: str, attempt: Callable[[], str | Finding], mend: str, deadline_s: float = CHILD_DEADLINE_S) -> Finding:
    """Run `attempt` in a fresh process; it returns what to show, or a finding, and raises if the part is unfit."""
    context = multiprocessing.get_context("spawn")  # a forked child would inherit threads of gRPC and GL
    with ProcessPoolExecutor(1, mp_context=context) as pool:
        future = pool.submit(attempt)
        try:
            found = future.result(timeout=deadline_s)
            return found if isinstance(found, Finding) else Finding(name, "ok", found)
        except TimeoutError:
            for process in multiprocessing.active_children():
                process.kill()
            return Finding(name, "missing", f"no answer within {deadline_s:.0f} s", mend)
        except BrokenProcessPool:
            return Finding(name, "missing", "crashed the process that tried it", mend)
        except ModuleNotFoundError as error:
            return Finding(name, "missing", f"{error.name} is not installed", mend)
        except Exception as error:  # whatever a foreign library raises is the finding
            return Finding(name, "missing", f"{type(error).__name__}: {' '.join(str(error).split())}", mend)


def _integrate_a_pendulum() -> str:
    from workers.simulate.probe import opensim_version, pendulum_error_rad

    error = pendulum_error_rad()
    if not error < PENDULUM_TOLERANCE_RAD:
        raise RuntimeError(f"a pendulum integrated for 0.1 s is {error:.2g} rad off its closed form")
    return f"{opensim_version()}; a pendulum integrates to within {error:.0e} rad"


def _draw_a_picture() -> str:
    from workers.render.probe import drawn_by

    return drawn_by()


def _hear_the_canary() -> Finding:
    """Whether pictures are drawn as they were elsewhere, and before Mesa or the driver changed."""
    from workers.render.canary import listen

    song = listen()
    match song.verdict:
        case "as noted":
            return Finding(PICTURES, "ok", f"bit for bit as noted for {song.renderer}")
        case "alike":
            return Finding(PICTURES, "ok", f"{song.renderer} draws bit for bit as {song.like} does")
        case "changed":
            what = f"{song.renderer} no longer draws {', '.join(song.differing)} as noted: the driver has changed"
            mend = "go on with older datasets elsewhere, or film them again here (gaitfarm refilm)"
            return Finding(PICTURES, "warning", what, mend)
        case "new":
            what = f"{song.renderer} draws, in single bits, otherwise than the renderers that are noted"
            return Finding(PICTURES, "warning", what, "nothing, if a dataset is drawn on such machines as a whole")


def _encode_two_pictures() -> str:
    import av
    import numpy as np

    from farm.dataset.video import CODEC, decode, encode, psnr_db

    rows, columns = np.mgrid[0:64, 0:64]
    ramp = np.stack([4 * rows, 4 * columns, 2 * (rows + columns)], axis=-1).astype(np.uint8)
    pictures = np.stack([ramp, ramp[::-1]])
    back = decode(encode(pictures, frame_rate_hz=30.0))
    if back.shape != pictures.shape or not psnr_db(pictures, back) > 30.0:
        raise RuntimeError(f"two pictures came back as {list(back.shape)} at {psnr_db(pictures, back):.1f} dB")
    ffmpeg = av.ffmpeg_version_info
    return f"PyAV {av.__version__}, FFmpeg {ffmpeg}; {CODEC} keeps two pictures at {psnr_db(pictures, back):.1f} dB"


def _import_ray() -> str:
    import ray

    return str(ray.__version__)


def _import_torch() -> str:
    import torch

    gpus = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
    return f"{torch.__version__}; {', '.join(gpus) if gpus else 'CPU only'}"


# --- the machine itself ------------------------------------------------------------------------------------


def _python() -> Finding:
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    detail = f"{platform.python_version()} on {platform.system()} {platform.machine()}, {cores} cores"
    return Finding("Python", "ok", detail)


def _disk(path: Path, name: str) -> Finding:
    free = shutil.disk_usage(path).free
    detail = f"{free / 2**30:.1f} GiB free under {path}"
    if free < MIN_FREE_BYTES:
        return Finding(name, "warning", detail, f"free some space, {MIN_FREE_BYTES / 2**30:.0f} GiB at least")
    return Finding(name, "ok", detail)


def _shared_memory() -> Finding:
    path = Path("/dev/shm")  # noqa: S108  a mount that Ray uses, not a file of ours
    if not path.is_dir():
        return Finding("Shared memory", "warning", f"no {path}; Ray uses /tmp instead and is slower")
    total = shutil.disk_usage(path).total
    detail = f"{total / 2**20:.0f} MiB in {path}"
    if total < MIN_SHARED_MEMORY_BYTES:
        return Finding("Shared memory", "warning", detail, "start the container with --shm-size=1g")
    return Finding("Shared memory", "ok", detail)


def _open_files() -> Finding:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    unlimited = hard == resource.RLIM_INFINITY
    detail = f"up to {'any number' if unlimited else hard} per process"
    if unlimited or hard >= WANTED_OPEN_FILES:
        return Finding("Open files", "ok", detail)
    mend = f"ulimit -n {WANTED_OPEN_FILES}   (cluster nodes: in /etc/security/limits.conf)"
    if hard >= MIN_OPEN_FILES:
        return Finding("Open files", "warning", f"{detail}; enough for one machine", mend)
    return Finding("Open files", "missing", detail, mend)


def _storage(out: str, endpoint_url: str | None) -> Finding:
    from farm.storage import open_storage

    try:
        probe = open_storage(out, endpoint_url=endpoint_url).probe()
    except UserError as error:
        return Finding("Storage", "missing", str(error))  # the message says how to mend it
    if probe.put_if_absent:
        return Finding("Storage", "ok", probe.detail)
    return Finding("Storage", "warning", probe.detail, "nothing, if one run at a time is enough: see docs/storage.md")
