"""OpenSim, loaded so that it runs at its own speed: every module here takes `osim` from this one.

The wheel's Python wrappers are compiled without optimisation and carry copies of Simbody's small inline functions as
weak symbols. `import opensim` alone loads a wrapper first, so that the dynamic linker gives its slow copies to the C++
libraries, too. With the libraries loaded before the wrappers each keeps its own: an evaluation of the planar body takes
56 instead of 70 microseconds, bit for bit the same (tests/test_workers/test_opensim_library.py).
"""

from __future__ import annotations

import ctypes
import os
from importlib.util import find_spec
from pathlib import Path

_IN_ORDER = (
    "libSimTKcommon.so.*", "libSimTKmath.so.*", "libSimTKsimbody.so.*", "libosimLepton.so", "libosimCommon.so",
    "libosimSimulation.so", "libosimActuators.so", "libosimAnalyses.so", "libosimTools.so",
)  # fmt: skip
"""Each library after those that it needs."""


def _load_libraries_first() -> None:
    """Load the C++ libraries of the wheel; a library that cannot be found is left to `import opensim`."""
    spec = find_spec("opensim")
    if spec is None or spec.origin is None:
        return
    folder = Path(spec.origin).parent
    for pattern in _IN_ORDER:
        for library in sorted(folder.glob(pattern)):
            try:
                ctypes.CDLL(str(library), mode=os.RTLD_GLOBAL | os.RTLD_NOW)
            except OSError:
                return  # another layout of the wheel: the plain import says best what is missing


_load_libraries_first()

import opensim as osim  # noqa: E402

__all__ = ["osim"]
