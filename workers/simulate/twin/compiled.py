"""How the twin's functions are compiled: by numba, kept on disk, and never stale.

Numba's cache watches only the file of the function that it keeps; a change in a
file that this function calls would go unnoticed. Here the cache's name carries a
digest of all sources whose equations or constants are compiled in.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar, cast

import numba

import farm.control.reflex
import workers.simulate.paths

F = TypeVar("F", bound=Callable[..., Any])


def _digest() -> str:
    outside = (farm.control.reflex.__file__, workers.simulate.paths.__file__)
    sources = [*sorted(Path(__file__).parent.glob("*.py")), *map(Path, outside)]
    whole = hashlib.sha256()
    for source in sources:
        whole.update(source.read_bytes())
    return whole.hexdigest()[:12]


_DIGEST = _digest()


def inlined(function: F) -> F:
    """Compile into its callers: a call that passes a model's many arrays costs more than what some functions do."""
    function.__qualname__ = f"{function.__qualname__}_{_DIGEST}"
    return cast(F, numba.njit(inline="always", nogil=True, error_model="numpy")(function))


def compiled(function: F) -> F:
    """Compile without Python objects; releases the GIL while it runs.

    No fast-math: it would let the compiler assume that nothing is NaN, and
    divergence is found by NaN.
    """
    function.__qualname__ = f"{function.__qualname__}_{_DIGEST}"
    return cast(F, numba.njit(cache=True, nogil=True, error_model="numpy")(function))
