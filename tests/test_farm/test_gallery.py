"""The gallery: what is drawn where, and what a second run keeps."""

import base64
import dataclasses
import hashlib
import html
import io
import json
import re
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from farm.dataset import video
from farm.dataset.pull import pull
from farm.dataset.reader import GaitDataset
from farm.errors import UserError
from farm.gallery.curves import curves_of
from farm.gallery.outline import outline_path
from farm.gallery.overlay import (
    BOX,
    CAPTION_PX,
    EVENT,
    LEFT,
    OCCLUDED,
    OUTLINE,
    RIGHT,
    VISIBLE,
    PictureLabels,
    beside,
    edges,
)
from farm.gallery.page import Film, gait_page, page_data, view_data
from farm.gallery.pictures import AT_A_TIME
from farm.gallery.write import MARK, write_gallery
from farm.report import write_report
from farm.storage import open_storage
from tests.norm_dataset import norm_campaign, norm_sample, write_norm_dataset


def write_walkers(
    root: Path, *, rgb: str = "video", samples: int = 3, mask: bool = False, size: tuple[int, int] = (96, 96)
) -> str:
    campaign = norm_campaign(samples=samples, rgb=rgb, views=("side",), mask=mask, size=size)
    walkers = [norm_sample(campaign, i, speed_m_s=1.25) for i in range(samples)]
    write_norm_dataset(open_storage(str(root)), campaign, walkers)
    return str(root)


def has(picture: np.ndarray, colour: tuple[int, int, int]) -> bool:
    return bool((picture == colour).all(axis=-1).any())


def test_each_visibility_has_its_colour_and_the_original_stays_bare() -> None:
    picture = np.zeros((40, 60, 3), np.uint8)
    points = np.array([[10.0, 10.0], [30.0, 20.0], [np.nan, np.nan]])
    mask = np.zeros((40, 60), np.uint8)
    mask[5:30, 5:40] = 1
    labels = PictureLabels(
        ("nose", "right_heel", "left_heel"),
        points,
        np.array([2, 1, 0], np.uint8),
        np.array([4.0, 4, 45, 35]),
        mask,
        [0],
    )
    made = beside(picture, labels, "side", scale=2)
    assert made.shape == (80 + CAPTION_PX, 240, 3)
    assert not made[:80, :120].any()
    right = made[:80, 120:]
    for colour in (VISIBLE, OCCLUDED, OUTLINE, BOX, EVENT):
        assert has(right, colour), colour
    assert tuple(right[21, 21]) == VISIBLE  # (10 + 0.5) * 2: a pixel's centre lies half a pixel in


def test_outline_is_the_silhouette_and_parts_are_apart() -> None:
    mask = np.zeros((6, 8), np.uint8)
    mask[1:5, 1:4], mask[1:5, 4:7] = 1, 2
    silhouette, parts = edges(mask)
    assert silhouette.sum() == 2 * 6 + 2 * 2  # the rim of 4 x 6 pixels
    assert np.argwhere(parts).tolist() == [[2, 3], [3, 3]]
    whole = np.ones((4, 4), np.uint8)
    assert not edges(whole)[0].any()  # the picture's edge is no outline


@pytest.mark.parametrize("rgb", ["video", "lossless"])
def test_films_of_the_chosen_gaits_are_written_once(tmp_path: Path, rgb: str) -> None:
    uri = write_walkers(tmp_path / "set", rgb=rgb)
    made = write_gallery(uri, tmp_path / "out", where="sample_id > 0", count=1)
    assert len(made.sample_ids) == 1
    assert made.sample_ids[0] in (1, 2)
    film = tmp_path / "out" / made.films[0]
    pictures = video.decode(film.read_bytes(), at=[0])
    assert pictures.shape == (1, 2 * 96 + CAPTION_PX, 4 * 96, 3)
    before = film.stat().st_mtime_ns
    more = write_gallery(uri, tmp_path / "out", where="sample_id > 0", count=2)
    assert set(made.sample_ids) < set(more.sample_ids)
    assert film.stat().st_mtime_ns == before
    assert all((tmp_path / "out" / name).is_file() for name in (*more.films, *more.strips, *more.pages, more.front))
    front = (tmp_path / "out" / more.front).read_text("utf-8")
    assert [page for page in (f"gait_{i}.html" for i in range(3)) if f'href="{page}"' in front] == list(more.pages)


def test_the_stored_film_is_what_the_page_plays(tmp_path: Path) -> None:
    uri = write_walkers(tmp_path / "set", samples=1)
    write_gallery(uri, tmp_path / "out")
    assert (tmp_path / "out" / "gait_0_side_bare.mp4").read_bytes() == GaitDataset(uri).video(0, "side")
    assert 'src="gait_0_side_bare.mp4"' in (tmp_path / "out" / "gait_0.html").read_text("utf-8")


def test_a_film_that_few_browsers_play_is_encoded_anew(tmp_path: Path) -> None:
    campaign = norm_campaign(samples=1, views=("side",), size=(97, 95), chroma="full")
    write_norm_dataset(open_storage(str(tmp_path / "set")), campaign, [norm_sample(campaign, 0, speed_m_s=1.2)])
    dataset = GaitDataset(str(tmp_path / "set"))
    assert dataset.shard("000000")["views/side/video"].attrs["pixel_format"] == "yuv444p"
    write_gallery(str(tmp_path / "set"), tmp_path / "out")
    film = (tmp_path / "out" / "gait_0_side_bare.mp4").read_bytes()
    with av.open(io.BytesIO(film)) as container:
        assert container.streams.video[0].codec_context.pix_fmt == "yuv420p"
    pictures = dataset.frames(0, "side")
    assert video.psnr_db(pictures, video.decode(film)[:, :95, :97]) > 28
    report = write_report(str(tmp_path / "set"), tmp_path / "report")
    assert video.decode(report.films[0].read_bytes(), at=[0]).shape == (1, 96, 98, 3)


@pytest.mark.parametrize("mask", [True, False])
def test_without_pictures_stick_figures_are_shown(tmp_path: Path, mask: bool) -> None:
    uri = write_walkers(tmp_path / "set", rgb="none", samples=1, mask=mask, size=(161, 129))
    write_gallery(uri, tmp_path / "out")
    gait = GaitDataset(uri).gait(0)
    film = video.decode((tmp_path / "out" / "gait_0_side_bare.mp4").read_bytes())
    assert film.shape == (len(gait["keypoints_3d"]), 130, 162, 3)
    names = gait.attributes["keypoints"]
    for side, colour in (("right", RIGHT), ("left", LEFT)):
        at = gait["views/side/keypoints_2d"][:, names.index(f"{side}_wrist")].round().astype(int)
        near = [frame[y - 2 : y + 3, x - 2 : x + 3].reshape(-1, 3) for frame, (x, y) in zip(film, at, strict=True)]
        found = np.array([np.abs(pixels.astype(int) - colour).sum(axis=1).min() < 120 for pixels in near])
        assert found.mean() > 0.6, side  # chroma has half the pixels, and the other arm passes in front
    ground = film[100, 0, 0].astype(int)
    if mask:
        inside = GaitDataset(uri).gait(0, ("mask",))["views/side/mask"][100] > 0
        assert film[100, :129, :161][inside].mean() > ground.mean() + 15
    page = (tmp_path / "out" / "gait_0.html").read_text("utf-8")
    assert 'width="162" height="130"' in page
    assert 'viewBox="-0.5 -0.5 162 130"' in page


def test_long_films_are_drawn_picture_by_picture(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Never are more stored pictures in memory than are decoded at a time."""
    uri = write_walkers(tmp_path / "set", samples=1)
    decoded: list[int] = []
    whole = video.decode

    def counted(data: bytes, **how: Any) -> Any:
        found = whole(data, **how)
        decoded.append(len(found))
        return found

    monkeypatch.setattr(video, "decode", counted)
    write_gallery(uri, tmp_path / "out")
    assert sum(decoded) == len(GaitDataset(uri).gait(0)["keypoints_3d"])
    assert max(decoded) == AT_A_TIME < sum(decoded)


@given(arrays(np.uint8, st.tuples(st.integers(1, 7), st.integers(1, 7)), elements=st.integers(0, 2)))
def test_an_outline_holds_exactly_its_mask(mask: np.ndarray) -> None:
    path = outline_path(mask)
    inside = np.zeros(
        (*mask.shape, 2), dtype=int
    )  # walls to the left of each pixel, and how often a ring goes round it
    area = 0
    for x, y, sides in re.findall(r"M(\d+) (\d+)([hv\d-]*)z", path):
        at, corners = [int(x), int(y)], [(int(x), int(y))]
        for letter, length in re.findall(r"([hv])(-?\d+)", sides):
            at["hv".index(letter)] += int(length)
            corners.append((at[0], at[1]))
        for (x0, y0), (x1, y1) in zip(corners, [*corners[1:], corners[0]], strict=True):
            assert (x0 == x1) != (y0 == y1)
            area += (x0 * y1 - x1 * y0) / 2
            if x0 == x1:
                rows = slice(min(y0, y1), max(y0, y1))
                inside[rows, x0:, 0] += 1 if y1 < y0 else -1  # a way up has the body on its right
    assert np.array_equal(inside[..., 0] > 0, mask > 0)
    assert area == np.count_nonzero(mask)  # clockwise on the screen, holes the other way round


def test_a_dataset_cannot_put_code_on_the_page(tmp_path: Path) -> None:
    uri = write_walkers(tmp_path / "set", samples=1)
    gait = GaitDataset(uri).gait(0)
    evil = "</script><script>alert(1)</script><img src=x onerror=alert(1)>"
    attributes = {**gait.attributes, "keypoints": [evil, *gait.attributes["keypoints"][1:]]}
    gait = dataclasses.replace(gait, attributes=attributes)
    data = page_data(gait, [view_data(gait, "side")], curves_of(gait))
    page = gait_page(data, [Film("side", "film.mp4", 96, 96)], title=evil, lines=[evil])
    assert page.count("<script") == page.count("</script>") == 2  # the numbers, and the player
    assert "<img" not in page
    policy = re.search(r"script-src '(sha256-[^']+)'", html.unescape(page))
    script = re.search(r"<script>(.*)</script>\n</body>", page, flags=re.DOTALL)
    assert policy is not None
    assert script is not None
    assert policy[1] == "sha256-" + base64.b64encode(hashlib.sha256(script[1].encode()).digest()).decode()
    stored = re.search(r'id="gait">(.*?)</script>', page, flags=re.DOTALL)
    assert stored is not None
    assert json.loads(stored[1])["names"][0] == evil


def test_a_slice_without_coordinates_has_a_page_without_curves(tmp_path: Path) -> None:
    uri = write_walkers(tmp_path / "set", samples=1)
    pull(uri, str(tmp_path / "slice"), fields=("keypoints_2d", "visibility", "video"))
    write_gallery(str(tmp_path / "slice"), tmp_path / "out")
    page = (tmp_path / "out" / "gait_0.html").read_text("utf-8")
    assert "holds no coordinates" in page
    assert 'data-layer="box"' not in page


def test_somebody_elses_folder_is_left_alone(tmp_path: Path) -> None:
    uri = write_walkers(tmp_path / "set", samples=1)
    out = tmp_path / "out"
    out.mkdir()
    (out / "thesis.txt").write_text("mine")
    with pytest.raises(UserError, match=r"not empty \(thesis\.txt\).*another --out"):
        write_gallery(uri, out)
    (out / "thesis.txt").rename(out / MARK)
    with pytest.raises(UserError, match="gallery of another dataset"):
        write_gallery(uri, out)
    assert [path.name for path in out.iterdir()] == [MARK]


def test_nothing_to_show_is_said(tmp_path: Path) -> None:
    uri = write_walkers(tmp_path / "set", samples=1)
    pull(uri, str(tmp_path / "slice"), fields=("video",))
    with pytest.raises(UserError, match="holds no keypoints_2d and visibility of side: they were not pulled"):
        write_gallery(str(tmp_path / "slice"), tmp_path / "out")
    uri = write_walkers(tmp_path / "filmed", samples=1)
    with pytest.raises(UserError, match=r"no gait fulfils sample_id > 9"):
        write_gallery(uri, tmp_path / "out", where="sample_id > 9")
    with pytest.raises(UserError, match="--count is 0"):
        write_gallery(uri, tmp_path / "out", count=0)
    assert not (tmp_path / "out").exists()
