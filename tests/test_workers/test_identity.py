"""The physics' identity: the same for the same sources, another for any change in one."""

from __future__ import annotations

from importlib import resources
from pathlib import Path

import pytest

from workers.simulate import identity


def test_every_source_is_there_and_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = identity.model_sha256()
    assert whole == identity.model_sha256()
    assert len(whole) == 64
    for left_out in identity.SOURCES:
        rest = tuple(source for source in identity.SOURCES if source != left_out)
        monkeypatch.setattr(identity, "SOURCES", rest)
        assert identity.model_sha256() != whole, left_out


def test_the_twin_has_an_identity_of_its_own() -> None:
    assert len(identity.twin_sha256()) == 64
    assert identity.twin_sha256() not in (identity.model_sha256(), identity._sha256(()))


def test_everything_that_moves_the_body_is_a_source() -> None:
    """A new file of the OpenSim engine is either physics, and listed, or named here as what it is instead."""
    not_physics = {
        "__init__.py",
        "agreement.py",
        "checks.py",
        "engines.py",
        "export.py",
        "identity.py",
        "metabolics.py",
        "opensim_library.py",
        "probe.py",
        "record.py",
        "score.py",
        "urdf.py",
    }
    folder = Path(str(resources.files("workers.simulate")))
    found = {path.name for path in folder.glob("*.py")}
    listed = {name for package, name in identity.SOURCES if package == "workers.simulate"}
    assert found == listed | not_physics
