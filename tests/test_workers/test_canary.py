"""The same pictures bit for bit: in another process, after other drawing, as noted; and what is said if not."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import subprocess
import sys

import pytest

from tests.contracts.sources import ROOT
from tests.filmed_dataset import filmed_campaign, filmed_sample
from workers import doctor
from workers.render import canary
from workers.render.context import gl_context
from workers.render.raster import Pictures


@pytest.fixture(scope="module")
def pictures() -> Pictures:
    return canary.draw()


def film_hash() -> str:
    """Of every array of a small film, with a phone's shake, lens, shutter and noise."""
    campaign = filmed_campaign(64, 2.0, views=("side", "phone"), rgb="lossless")
    frames = filmed_sample(0, campaign).frames
    assert frames is not None
    found = hashlib.sha256()
    for view in frames.views:
        for array in (view.rgb, view.mask, view.depth, view.keypoints_2d, view.visibility, view.bbox):
            assert array is not None
            found.update(array.tobytes())
    return found.hexdigest()


def test_two_processes_film_the_same_gait_bit_for_bit() -> None:
    script = "import tests.test_workers.test_canary as t; print(t.film_hash())"
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-c", script], env=environment, capture_output=True, text=True, timeout=600, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split()[-1] == film_hash()


def test_the_canary_sings_the_same_whatever_was_drawn_before(pictures: Pictures) -> None:
    before = canary.hashes_of(pictures)
    filmed_sample(1, filmed_campaign(64, 1.0, views=("side",), rgb="lossless", samples=2))
    assert canary.hashes_of(canary.draw()) == before
    assert set(before) == {"colours", "masks", "distances"}


def test_the_canary_shows_shapes_with_stripes_shadows_and_someone_in_front(pictures: Pictures) -> None:
    assert pictures.rgb is not None
    assert pictures.mask is not None
    assert pictures.depth_m is not None
    assert {int(part) for part in set(pictures.mask.ravel())} >= {0, canary.PARTS.index("torso")}
    assert pictures.rgb.std() > 30
    assert 2.0 < pictures.depth_m[pictures.depth_m > 0].min() < pictures.depth_m.max() < 7.0


def test_one_step_of_light_changes_the_colours_and_nothing_else(
    pictures: Pictures, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(canary, "LIGHT", dataclasses.replace(canary.LIGHT, key=canary.LIGHT.key + 0.01))
    changed = canary.hashes_of(canary.draw())
    assert [kind for kind, value in canary.hashes_of(pictures).items() if changed[kind] != value] == ["colours"]


def test_pictures_are_drawn_as_noted(pictures: Pictures) -> None:
    name = gl_context().name
    if name not in canary.noted():
        pytest.skip(f"{name} is not noted")
    assert canary.noted()[name] == canary.hashes_of(pictures), (
        "pictures are not drawn as noted; if the shaders were changed on purpose: python -m tools.canary --note"
    )


NOTES = {"old": {"colours": "a", "masks": "b"}, "other": {"colours": "c", "masks": "b"}}


@pytest.mark.parametrize(
    ("renderer", "hashes", "verdict", "like", "differing"),
    [
        ("old", {"colours": "a", "masks": "b"}, "as noted", "old", ()),
        ("old", {"colours": "x", "masks": "b"}, "changed", None, ("colours",)),
        ("fresh", {"colours": "c", "masks": "b"}, "alike", "other", ()),
        ("fresh", {"colours": "c", "masks": "d"}, "new", None, ()),
    ],
)
def test_what_the_canary_says(
    renderer: str, hashes: dict[str, str], verdict: str, like: str | None, differing: tuple[str, ...]
) -> None:
    song = canary.judged(renderer, hashes, NOTES)
    assert (song.verdict, song.like, song.differing) == (verdict, like, differing)


def test_the_doctor_hears_the_canary(monkeypatch: pytest.MonkeyPatch) -> None:
    here = canary.listen()
    told = json.loads(json.dumps(dict(here.hashes)))
    for notes, status, words in (
        ({here.renderer: told}, "ok", "bit for bit as noted for"),
        ({"another": told}, "ok", "draws bit for bit as another does"),
        ({here.renderer: {**told, "masks": "0"}}, "warning", "no longer draws masks as noted"),
        ({}, "warning", "otherwise than the renderers that are noted"),
    ):
        monkeypatch.setattr(canary, "noted", lambda notes=notes: notes)
        finding = doctor._hear_the_canary()
        assert (finding.status, bool(finding.mend)) == (status, status == "warning")
        assert words in finding.detail
        assert here.renderer in finding.detail


def test_the_notes_are_hashes_by_renderer() -> None:
    for name, hashes in canary.noted().items():
        assert name.count("; ") == 2, "vendor; renderer; version"
        assert set(hashes) == {"colours", "masks", "distances"}
        assert all(len(value) == canary.HASH_DIGITS for value in hashes.values())
