"""Which physics made a gait: a hash of the sources that determine a simulation.

Sources rather than a built model, whose fitted polynomials differ in the last
bit from one linear-algebra library to the next.
"""

from __future__ import annotations

import hashlib
from importlib import resources

SOURCES: tuple[tuple[str, str], ...] = (
    ("farm.sampling", "anatomy.py"),
    ("farm.control", "reflex.py"),
    ("farm.control", "similarity.py"),
    ("workers.simulate", "musculature.py"),
    ("workers.simulate", "paths.py"),
    ("workers.simulate", "description.py"),
    ("workers.simulate", "model.py"),
    ("workers.simulate", "forward.py"),
)


TWIN = "workers.simulate.twin"


def model_sha256() -> str:
    """Hash of the files in `SOURCES`, names included."""
    return _sha256(SOURCES)


def twin_sha256() -> str:
    """Hash of every file of the compiled twin: what a gait depends on besides the model where the twin made it."""
    files = sorted(resources.files(TWIN).iterdir(), key=lambda file: file.name)
    return _sha256(tuple((TWIN, file.name) for file in files if file.name.endswith(".py")))


def _sha256(sources: tuple[tuple[str, str], ...]) -> str:
    digest = hashlib.sha256()
    for package, name in sources:
        digest.update(f"{package}/{name}\0".encode())
        digest.update((resources.files(package) / name).read_bytes())
    return digest.hexdigest()
