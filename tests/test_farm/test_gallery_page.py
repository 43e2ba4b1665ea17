"""The gallery's pages, opened from a folder in headless Chromium: what is on the screen is what the labels say."""

from __future__ import annotations

import io
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from farm.dataset.reader import GaitDataset
from farm.gait.joint_angles import angles_from_coordinates
from farm.gallery.write import write_gallery
from farm.storage import open_storage
from tests.norm_dataset import norm_campaign, norm_sample, write_norm_dataset

webdriver = pytest.importorskip("selenium.webdriver", reason="the gallery's pages were not tried: no selenium here")

BROWSERS = ("chromium", "google-chrome", "chromium-browser")
PATIENCE_S = 60.0
VIEWS = ("front", "side")

VISIBLE_POINTS = """
const svg = document.querySelector(`video[data-view=${arguments[0]}]`).parentElement.querySelector("svg");
return [...svg.querySelectorAll(".keypoint.visible")].map(c => [c.getAttribute("cx"), c.getAttribute("cy")]);
"""

KNEE_AXIS_AND_DOTS = """
const knee = document.querySelectorAll(".cycles svg")[1];
const left = [...knee.querySelectorAll("text")]
  .filter(t => t.getAttribute("text-anchor") === "end" && t.getAttribute("x") < 36);
return [left.map(t => [+t.textContent, t.getAttribute("y") - 4]),
        ["r", "l"].map(side => +knee.querySelector(`.dot.${side}`).getAttribute("cy"))];
"""

PLACES = """
const film = document.querySelector(`video[data-view=${arguments[0]}]`);
const box = film.getBoundingClientRect();
const circles = [...film.parentElement.querySelectorAll(".keypoint:not(.gone)")].map(circle => {
  const at = circle.getBoundingClientRect();
  return [circle.textContent, at.x + at.width / 2, at.y + at.height / 2];
});
return [[box.x, box.y, box.width, box.height], circles];
"""

N_SHOWN = """
return [...document.querySelectorAll(".picture " + arguments[0])]
  .filter(e => getComputedStyle(e).display !== "none").length;
"""


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    program = next(filter(None, map(shutil.which, BROWSERS)), None)
    driver = shutil.which("chromedriver")
    if program is None or driver is None:
        pytest.skip("the gallery's pages were not tried: no Chromium here; tools/setup_system.sh browser")
    options = webdriver.ChromeOptions()
    options.binary_location = program
    profile = tmp_path_factory.mktemp("profile")
    for argument in (
        "headless=new", "no-sandbox", "disable-gpu", "disable-dev-shm-usage", "force-device-scale-factor=1",
        "window-size=1300,1000", "autoplay-policy=no-user-gesture-required", f"user-data-dir={profile}",
    ):  # fmt: skip
        options.add_argument(f"--{argument}")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    page = webdriver.Chrome(options=options, service=webdriver.ChromeService(driver))
    try:
        yield page
    finally:
        page.quit()


@pytest.fixture(scope="module")
def gallery(tmp_path_factory: pytest.TempPathFactory) -> tuple[GaitDataset, Path]:
    """Two walkers from two views, with masks."""
    root = tmp_path_factory.mktemp("gallery")
    campaign = norm_campaign(samples=2, views=VIEWS, mask=True)
    walkers = [norm_sample(campaign, i, speed_m_s=1.2) for i in range(2)]
    write_norm_dataset(open_storage(str(root / "set")), campaign, walkers)
    write_gallery(str(root / "set"), root / "out")
    return GaitDataset(str(root / "set")), root / "out"


def opened(browser: Any, page: Path) -> Any:
    browser.get_log("browser")
    browser.get(page.as_uri())
    wait(lambda: browser.execute_script("return [...document.querySelectorAll('video')].every(v => v.readyState >= 2)"))
    return browser


def wait(truth: Callable[[], bool]) -> None:
    end = time.monotonic() + PATIENCE_S
    while not truth():
        assert time.monotonic() < end, "the page did not come to it"
        time.sleep(0.05)


def go_to(page: Any, frame: int) -> None:
    page.execute_script(
        "const f = document.querySelector('#frame'); f.value = arguments[0]; f.dispatchEvent(new Event('input'));",
        frame,
    )
    wait(lambda: set(frames(page)) == {frame} and not seeking(page))


def frames(page: Any) -> list[int]:
    found = page.execute_script("return [...document.querySelectorAll('.picture svg')].map(s => s.dataset.frame)")
    return [int(frame) for frame in found]


def seeking(page: Any) -> bool:
    return bool(page.execute_script("return [...document.querySelectorAll('video')].some(v => v.seeking)"))


def test_it_needs_no_network_and_complains_of_nothing(browser: Any, gallery: tuple[GaitDataset, Path]) -> None:
    front = opened(browser, gallery[1] / "index.html")
    links = front.find_elements("css selector", ".entries a")
    assert len(links) == 2
    wait(lambda: bool(front.execute_script("return [...document.images].every(i => i.naturalWidth > 0)")))
    links[0].click()
    wait(lambda: "gait_0.html" in front.current_url)
    page = opened(browser, gallery[1] / "gait_0.html")
    asked = page.execute_script("return performance.getEntriesByType('resource').map(e => e.name)")
    assert all(name.startswith("file://") for name in asked)
    assert page.get_log("browser") == []
    page.execute_script("fetch('http://127.0.0.1:9/').catch(() => {})")
    wait(lambda: any("Content Security Policy" in entry["message"] for entry in page.get_log("browser")))


def test_picture_labels_and_cursors_show_the_same_moment(browser: Any, gallery: tuple[GaitDataset, Path]) -> None:
    dataset, out = gallery
    page = opened(browser, out / "gait_0.html")
    gait = dataset.gait(0)
    rate = gait.attributes["frame_rate_hz"]
    for frame in (133, 61):
        go_to(page, frame)
        for view in VIEWS:
            assert shown_picture(page, dataset, view, near=frame) == frame
            points = page.execute_script(VISIBLE_POINTS, view)
            seen = gait[f"views/{view}/visibility"][frame] == 2
            expected = gait[f"views/{view}/keypoints_2d"][frame][seen]
            np.testing.assert_allclose(np.array(points, dtype=float), expected, atol=0.051)
        places = page.execute_script("return [...document.querySelectorAll('.cursor')].map(c => +c.getAttribute('x1'))")
        assert len(set(places)) == 1
        axis = page.execute_script(
            "return [...document.querySelector('.times svg').querySelectorAll('.grid')].map(g => +g.getAttribute('x1'))"
        )
        seconds = (places[0] - axis[0]) / (axis[1] - axis[0])  # the grid has a line for each second
        assert seconds == pytest.approx(frame / rate, abs=0.01)


def shown_picture(page: Any, dataset: GaitDataset, view: str, *, near: int) -> int:
    """Which of the pictures around one a film shows on the screen, its labels hidden: each stride is like the last."""
    page.execute_script("document.querySelectorAll('.picture svg').forEach(s => s.style.visibility = 'hidden')")
    shot = page.find_element("css selector", f"video[data-view={view}]").screenshot_as_png
    page.execute_script("document.querySelectorAll('.picture svg').forEach(s => s.style.visibility = '')")
    numbers = range(near - 4, near + 5)
    pictures = dataset.frames(0, view, at=numbers).astype(float)
    seen = Image.open(io.BytesIO(shot)).convert("RGB").resize(pictures.shape[2:0:-1], Image.Resampling.BOX)
    return numbers[int(np.argmin(np.mean((pictures - np.asarray(seen, dtype=float)) ** 2, axis=(1, 2, 3))))]


def test_the_legs_dots_lie_on_their_curves(browser: Any, gallery: tuple[GaitDataset, Path]) -> None:
    dataset, out = gallery
    page = opened(browser, out / "gait_0.html")
    go_to(page, 120)
    gait = dataset.gait(0)
    angles = angles_from_coordinates(
        tuple(gait.attributes["coordinates"]), np.asarray(gait["coordinates"], dtype=float)
    )
    at = round(120 / gait.attributes["frame_rate_hz"] * gait.attributes["sample_rate_hz"])
    lines, height = page.execute_script(KNEE_AXIS_AND_DOTS)
    (first, first_y), (last, last_y) = lines[0], lines[-1]
    for side, y in zip("rl", height, strict=True):
        degrees = first + (y - first_y) / (last_y - first_y) * (last - first)
        assert degrees == pytest.approx(np.rad2deg(angles[f"knee_flexion_{side}"][at]), abs=0.5)
    assert page.execute_script("return document.querySelectorAll('.band').length") == 4 + 1  # and one in the legend
    assert page.execute_script("return document.querySelectorAll('.stride.now').length") == 4 * 2


def test_it_plays_in_step_and_stops(browser: Any, gallery: tuple[GaitDataset, Path]) -> None:
    page = opened(browser, gallery[1] / "gait_1.html")
    go_to(page, 10)
    page.find_element("id", "play").click()
    wait(lambda: frames(page)[0] > 25)
    assert page.find_element("id", "play").text == "Pause"
    page.find_element("id", "play").click()
    wait(lambda: len(set(frames(page))) == 1 and not seeking(page))
    stopped = frames(page)[0]
    page.find_element("id", "forth").click()
    wait(lambda: set(frames(page)) == {stopped + 1})


def test_layers_can_be_hidden_and_events_are_ringed(browser: Any, gallery: tuple[GaitDataset, Path]) -> None:
    dataset, out = gallery
    page = opened(browser, out / "gait_0.html")
    gait = dataset.gait(0)
    strike = round(float(gait["event_time"][4]) * gait.attributes["frame_rate_hz"])
    go_to(page, strike)
    assert page.execute_script(N_SHOWN, ".ring") >= len(VIEWS)
    assert page.execute_script(N_SHOWN, ".outline") == len(VIEWS)
    assert page.execute_script(N_SHOWN, ".box") == 0
    for layer, selector in (("keypoints", ".keypoint"), ("outline", ".outline"), ("events", ".ring")):
        assert page.execute_script(N_SHOWN, selector) > 0
        page.find_element("css selector", f"[data-layer={layer}]").click()
        assert page.execute_script(N_SHOWN, selector) == 0


def test_a_close_up_keeps_labels_on_the_picture(browser: Any, gallery: tuple[GaitDataset, Path]) -> None:
    dataset, out = gallery
    page = opened(browser, out / "gait_0.html")
    go_to(page, 140)
    before = page.execute_script(PLACES, "side")
    page.find_element("id", "close").click()
    after = page.execute_script(PLACES, "side")
    gait = dataset.gait(0)
    names, points = gait.attributes["keypoints"], gait["views/side/keypoints_2d"][140]
    for film, circles in (before, after):
        for name, x, y in circles:
            place = (points[names.index(name.replace(" ", "_"))] + 0.5) / 96
            assert (x, y) == pytest.approx((film[0] + place[0] * film[2], film[1] + place[1] * film[3]), abs=0.7), name
    assert after[0][2] > 1.1 * before[0][2]
    inside = np.array([(x, y) for _, x, y in after[1]])
    assert len(inside) == len(before[1]) > 20
    assert (inside > before[0][:2]).all()
    assert (inside < np.add(before[0][:2], before[0][2:])).all()
    go_to(page, 20)
    page.find_element("id", "close").click()
    assert page.execute_script(PLACES, "side")[0] == before[0]


def test_what_cannot_be_played_is_said_and_the_rest_goes_on(browser: Any, gallery: tuple[GaitDataset, Path]) -> None:
    page_file = gallery[1] / "gait_1.html"
    broken = page_file.with_name("broken.html")
    broken.write_text(page_file.read_text("utf-8").replace('src="gait_1_front_bare.mp4"', 'src="gone.mp4"'), "utf-8")
    try:
        browser.get(broken.as_uri())
        wait(lambda: "cannot play gone.mp4" in browser.find_element("css selector", "figcaption").text)
        go_to(browser, 50)
        assert browser.find_element("id", "now").text.startswith(f"{50 / 30:.2f} s")
    finally:
        broken.unlink()
