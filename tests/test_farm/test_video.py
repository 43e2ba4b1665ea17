"""Video in and out: every picture keeps its number, colours survive, the bytes repeat."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Sequence
from functools import cache
from typing import Any

import av
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from farm.config import Pictures
from farm.dataset import video
from farm.dataset.encode_view import encode_view
from farm.dataset.regions import Regions
from farm.dataset.video import decode, encode, psnr_db
from farm.errors import FormatError, UserError


def _clip(frames: int = 40, height: int = 64, width: int = 96) -> np.ndarray:
    """A coloured, textured disc that moves over a gradient: smooth like a picture, different in every frame."""
    y, x = np.mgrid[0:height, 0:width].astype(float)
    clip = np.empty((frames, height, width, 3), np.uint8)
    for number in range(frames):
        ground = np.stack([90 + x, 200 - y, 120 + 0.4 * x + 0.4 * y], axis=-1)
        distance = np.hypot(x - 48 - 30 * np.cos(number / 10), y - 32 - 20 * np.sin(number / 10))
        inside = 1 / (1 + np.exp(distance - 12))[..., None]
        colour = np.array([200.0, 60.0, 40.0]) + 8 * np.sin(x / 3)[..., None]
        clip[number] = np.clip(ground * (1 - inside) + colour * inside, 0, 255)
    return clip


def test_pictures_survive_the_round_trip() -> None:
    clip = _clip()
    back = decode(encode(clip, frame_rate_hz=30.0, crf=18))
    assert back.shape == clip.shape
    assert back.dtype == np.uint8
    assert psnr_db(clip, back) >= 36.0
    assert np.abs(back.astype(float).mean(axis=(0, 1, 2)) - clip.astype(float).mean(axis=(0, 1, 2))).max() < 0.75


def test_every_picture_keeps_its_number() -> None:
    clip = _clip(65)
    back = decode(encode(clip, frame_rate_hz=30.0)).astype(float)
    errors = ((clip[:, None].astype(float)[:, :, ::4, ::4] - back[None, :, ::4, ::4]) ** 2).mean(axis=(2, 3, 4))
    assert np.array_equal(errors.argmin(axis=1), np.arange(65))


@cache
def _sought() -> tuple[bytes, np.ndarray]:
    """A clip of three groups of pictures, and all that it decodes to."""
    data = encode(_clip(2 * video.KEYFRAME_INTERVAL + 15), frame_rate_hz=30.0)
    return data, decode(data)


def test_every_picture_alone_is_the_one_of_the_whole() -> None:
    data, whole = _sought()
    for number in range(len(whole)):
        assert np.array_equal(decode(data, at=[number])[0], whole[number]), number


@pytest.mark.parametrize(
    "at",
    [[134, 0, 61, 61, 60], range(58, 63), slice(55, 125, 7), slice(None, None, -1), slice(130, 300), slice(5, 5), []],
)
def test_some_pictures_come_in_the_order_asked_for(at: Sequence[int] | slice) -> None:
    data, whole = _sought()
    expected = whole[at] if isinstance(at, slice) else whole[np.array(at, dtype=int)]
    assert np.array_equal(decode(data, at=at), expected)


@given(st.lists(st.integers(0, 134), min_size=1, max_size=6))
@settings(max_examples=20, deadline=None)
def test_any_pictures_are_those_of_the_whole(at: list[int]) -> None:
    data, whole = _sought()
    assert np.array_equal(decode(data, at=at), whole[at])


def test_only_the_groups_that_are_needed_are_decoded(monkeypatch: pytest.MonkeyPatch) -> None:
    """The bytes of the other groups may be rubbish."""
    data, whole = _sought()
    with av.open(io.BytesIO(data)) as container:
        second = next(
            packet for packet in container.demux(video=0)
            if packet.is_keyframe and packet.pts * packet.time_base * 30 == video.KEYFRAME_INTERVAL
        )  # fmt: skip
        place, size = second.pos, second.size
    spoilt = data[: place + 8] + bytes(size - 8) + data[place + size :]
    last = list(range(2 * video.KEYFRAME_INTERVAL, len(whole)))
    assert np.array_equal(decode(spoilt, at=[*range(20), *last]), whole[[*range(20), *last]])
    with contextlib.suppress(FormatError):
        assert not np.array_equal(decode(spoilt, at=range(60, 120)), whole[60:120])


@pytest.mark.parametrize("number", [135, -1])
def test_a_picture_that_is_not_there_is_named(number: int) -> None:
    with pytest.raises(UserError, match=f"no picture {number}: there are 135, numbered from 0"):
        decode(_sought()[0], at=[3, number])


@pytest.mark.parametrize(
    ("codec", "options"), [("libx265", {"crf": "20"}), ("libsvtav1", {"crf": "30", "preset": "8"})]
)
def test_pictures_of_other_codecs_are_found_too(codec: str, options: dict[str, str]) -> None:
    """x265 makes open groups: what is shown before a key picture may be stored after it."""
    target = io.BytesIO()
    with av.open(target, "w", format="mp4") as container:
        stream = container.add_stream(codec, rate=30, options=options | {"x265-params": "log-level=none:pools=1"})
        stream.width, stream.height, stream.pix_fmt, stream.gop_size = 96, 64, "yuv420p", 12
        for picture in _clip(40):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode(None))
    whole = decode(target.getvalue())
    assert len(whole) == 40
    for number in (0, 11, 12, 13, 22, 23, 24, 39):
        assert np.array_equal(decode(target.getvalue(), at=[number])[0], whole[number]), number


def test_the_same_pictures_give_the_same_bytes() -> None:
    assert encode(_clip(), frame_rate_hz=30.0) == encode(_clip(), frame_rate_hz=30.0)


def _noisy_clip() -> np.ndarray:
    """Noise over a texture that moves: 6 macroblocks wide, so that vectors of 8 reach past the end of a row."""
    rng = np.random.default_rng(0)
    ground = rng.integers(0, 255, (96, 96, 3)).astype(float)
    moving = np.stack([np.roll(ground, number // 2, axis=1) for number in range(20)])
    return np.clip(moving + rng.normal(0, 40, moving.shape), 0, 255).astype(np.uint8)


def test_pictures_may_come_one_by_one() -> None:
    clip = _clip(33)
    assert encode(iter(clip), frame_rate_hz=30.0) == encode(clip, frame_rate_hz=30.0)
    with pytest.raises(ValueError, match=r"F at least 1, got no picture"):
        encode(iter(()), frame_rate_hz=30.0)
    with pytest.raises(ValueError, match=r"picture 1 of rgb is uint8 \[64, 94, 3\], the first uint8 \[64, 96, 3\]"):
        encode(iter([clip[0], clip[1][:, 2:]]), frame_rate_hz=30.0)


def test_whole_chroma_keeps_small_vivid_things_and_odd_sizes() -> None:
    clip = _clip(20)
    clip[:, ::3, ::3] = (255, 0, 0)
    half, whole = (decode(encode(clip, frame_rate_hz=30.0, crf=8, chroma=chroma)) for chroma in ("half", "full"))
    assert psnr_db(clip, whole) > psnr_db(clip, half) + 10
    odd = clip[:, :63, :95]
    assert psnr_db(odd, decode(encode(odd, frame_rate_hz=30.0, crf=8, chroma="full"))) > 38
    with pytest.raises(ValueError, match=r"95x63 pixels; H\.264 with 4:2:0 chroma needs even numbers"):
        encode(odd, frame_rate_hz=30.0)


@pytest.mark.parametrize("bits_per_pixel", [0.1, 0.5])
def test_a_limited_film_takes_no_more_bytes_than_that(bits_per_pixel: float) -> None:
    """Noise that moves, for which x264 would like 20 times as many."""
    rng = np.random.default_rng(1)
    clip = rng.integers(90, 160, (240, 64, 96, 3)).astype(np.uint8)
    free = encode(clip, frame_rate_hz=30.0)
    data = encode(clip, frame_rate_hz=30.0, bits_per_pixel=bits_per_pixel)
    most = bits_per_pixel * 64 * 96 * (len(clip) + 30 * video.BUFFER_S) / 8
    assert len(data) - 4000 < 1.05 * most  # 4000: the container's own tables
    assert len(free) > 4 * most
    assert np.array_equal(decode(data, at=[200])[0], decode(data)[200])


REGIONS = Regions(np.array([[20.0 + number, 10, 60 + number, 90] for number in range(20)]), -9)
WAYS: tuple[dict[str, Any], ...] = (
    {},
    {"bits_per_pixel": 0.5, "regions": REGIONS},
    {"chroma": "full", "bits_per_pixel": 0.5},
    {"effort": "quick", "bits_per_pixel": 0.5, "regions": REGIONS},
)
"""Of encoding: free, and as a campaign's limit, finer person and wish for colour have it."""


@pytest.mark.parametrize("way", WAYS)
def test_the_bytes_do_not_depend_on_what_lies_in_memory(way: dict[str, Any]) -> None:
    """Fails at once without `video.X264_PARAMS` where x264 uses AVX-512; elsewhere the next test does."""
    clip = _noisy_clip()
    rng = np.random.default_rng(1)
    found = set()
    for _ in range(20):
        rubbish = [rng.integers(0, 256, rng.integers(1_000, 100_000), dtype=np.uint8) for _ in range(20)]
        del rubbish  # x264 gets these blocks back from the heap
        found.add(encode(clip, frame_rate_hz=30.0, **way))
    assert len(found) == 1


@pytest.mark.parametrize("way", WAYS)
def test_the_bytes_do_not_depend_on_the_processor(monkeypatch: pytest.MonkeyPatch, way: dict[str, Any]) -> None:
    """x264 without its assembler gives what it gives with all that this processor offers."""
    clip = _noisy_clip()
    fast = encode(clip, frame_rate_hz=30.0, **way)
    monkeypatch.setattr(video, "X264_PARAMS", f"{video.X264_PARAMS}:asm=0")
    assert encode(clip, frame_rate_hz=30.0, **way) == fast


def _box_psnr(clip: np.ndarray, back: np.ndarray, boxes: np.ndarray) -> tuple[float, float]:
    """dB inside the boxes, and outside."""
    y, x = np.mgrid[0 : clip.shape[1], 0 : clip.shape[2]]
    x0, y0, x1, y1 = boxes.T[..., None, None]
    inside = (x >= x0) & (x <= x1) & (y >= y0) & (y <= y1)
    return psnr_db(clip[inside], back[inside]), psnr_db(clip[~inside], back[~inside])


@pytest.mark.parametrize("chroma", ["half", "full"])
def test_a_region_is_truer_and_follows_its_boxes(chroma: video.Chroma) -> None:
    clip = np.repeat(_noisy_clip()[..., :1], 3, axis=-1)  # grey: colour at half resolution would bound what can be won
    boxes = np.stack([np.array([2.0 * number, 30, 2 * number + 20, 60]) for number in range(20)])
    alike = decode(encode(clip, frame_rate_hz=30.0, crf=24, chroma=chroma))
    finer = decode(encode(clip, frame_rate_hz=30.0, crf=24, chroma=chroma, regions=Regions(boxes, -12)))
    gain_inside, gain_outside = np.subtract(_box_psnr(clip, finer, boxes), _box_psnr(clip, alike, boxes))
    assert gain_inside > 1.5
    assert gain_inside > 2 * gain_outside  # whole macroblocks are finer, and what is predicted from them


def test_where_nobody_is_all_is_alike() -> None:
    nobody = Regions(np.full((40, 4), np.nan), -9)
    outside = Regions(np.tile([-50.0, -50, -20, -20], (40, 1)), -9)
    plain = encode(_clip(), frame_rate_hz=30.0)
    assert encode(_clip(), frame_rate_hz=30.0, regions=nobody) == plain
    assert encode(_clip(), frame_rate_hz=30.0, regions=outside) == plain
    with pytest.raises(ValueError, match="there are 39 boxes, none for picture 39"):
        encode(_clip(), frame_rate_hz=30.0, regions=Regions(nobody.boxes[1:], -9))


def test_a_view_of_its_own_crf_is_alike_everywhere() -> None:
    boxes = np.tile([20.0, 10, 60, 50], (40, 1))
    pictures = Pictures(image_size=(96, 64))
    limit = pictures.bits_per_pixel
    assert encode_view(_clip(), boxes, pictures, crf=30) == encode(
        _clip(), frame_rate_hz=30.0, crf=30, bits_per_pixel=limit
    )
    assert encode_view(_clip(), boxes, pictures) == encode(
        _clip(), frame_rate_hz=30.0, crf=pictures.crf, bits_per_pixel=limit,
        regions=Regions(boxes, pictures.person_crf_offset),
    )  # fmt: skip


@pytest.mark.parametrize("rate", [12.5, 29.97, 30.0, 100.0])
def test_the_rate_is_stored(rate: float) -> None:
    with av.open(io.BytesIO(encode(_clip(8), frame_rate_hz=rate))) as container:
        stream = container.streams.video[0]
        assert float(stream.average_rate) == pytest.approx(rate, rel=1e-3)
        assert (stream.frames, stream.codec_context.pix_fmt) == (8, "yuv420p")


def test_the_index_comes_first() -> None:
    data = encode(_clip(8), frame_rate_hz=30.0)
    assert 0 < data.index(b"moov") < data.index(b"mdat")


def test_one_picture_is_a_video() -> None:
    assert decode(encode(_clip(1), frame_rate_hz=30.0)).shape == (1, 64, 96, 3)


@pytest.mark.parametrize(
    ("clip", "message"),
    [
        (np.zeros((4, 33, 64, 3), np.uint8), "64x33 pixels"),
        (np.zeros((0, 32, 64, 3), np.uint8), "F at least 1"),
        (np.zeros((4, 32, 64, 3), np.float32), "float32"),
        (np.zeros((4, 32, 64), np.uint8), r"\[4, 32, 64\]"),
    ],
)
def test_wrong_pictures_are_refused(clip: np.ndarray, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        encode(clip, frame_rate_hz=30.0)


@pytest.mark.parametrize("kept", [0, 40, 0.5, 0.9])
def test_a_cut_video_is_refused(kept: float) -> None:
    data = encode(_clip(), frame_rate_hz=30.0)
    cut = data[: int(kept * len(data)) if kept < 1 else int(kept)]
    with pytest.raises(FormatError, match="gaitfarm verify"):
        decode(cut)


def test_psnr_is_the_textbook_one() -> None:
    a = np.zeros((2, 4, 4, 3), np.uint8)
    assert psnr_db(a, a) == float("inf")
    assert psnr_db(a, a + 255) == pytest.approx(0.0)
    assert psnr_db(a, a + 1) == pytest.approx(48.1308, abs=1e-3)
    with pytest.raises(ValueError, match="one shape"):
        psnr_db(a, a[:1])
