"""pybullet, imported without the line that it prints on stdout, where a machine may be reading JSON."""

from __future__ import annotations

import ctypes
import importlib
import os
from typing import Any


def _import_quietly(name: str) -> Any:
    """Import a module that prints as it loads."""
    libc = ctypes.CDLL(None)
    stdout, nowhere = os.dup(1), os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 1)
        module = importlib.import_module(name)
        libc.fflush(None)  # C's own buffer would else come out later
    finally:
        os.dup2(stdout, 1)
        os.close(stdout)
        os.close(nowhere)
    return module


pybullet = _import_quietly("pybullet")
