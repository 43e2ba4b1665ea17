"""The gallery: what is drawn where, and what a second run keeps."""

from pathlib import Path

import numpy as np
import pytest

from farm.dataset import video
from farm.errors import UserError
from farm.gallery.overlay import BOX, CAPTION_PX, EVENT, OCCLUDED, OUTLINE, VISIBLE, PictureLabels, beside, edges
from farm.gallery.write import MARK, write_gallery
from farm.storage import open_storage
from tests.norm_dataset import norm_campaign, norm_sample, write_norm_dataset


def write_walkers(root: Path, *, rgb: str = "video", samples: int = 3) -> str:
    campaign = norm_campaign(samples=samples, rgb=rgb, views=("side",))
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
    assert all((tmp_path / "out" / name).is_file() for name in (*more.films, *more.strips))


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
    uri = write_walkers(tmp_path / "set", rgb="none", samples=1)
    with pytest.raises(UserError, match="holds no pictures"):
        write_gallery(uri, tmp_path / "out")
    uri = write_walkers(tmp_path / "filmed", samples=1)
    with pytest.raises(UserError, match=r"no gait fulfils sample_id > 9"):
        write_gallery(uri, tmp_path / "out", where="sample_id > 9")
    with pytest.raises(UserError, match="--count is 0"):
        write_gallery(uri, tmp_path / "out", count=0)
    assert not (tmp_path / "out").exists()
