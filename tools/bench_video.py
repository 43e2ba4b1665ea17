"""Which video settings keep rendered walks well in how few bytes: encoders against each other, on this machine.

    LP_NUM_THREADS=1 OMP_NUM_THREADS=1 python -m tools.bench_video [--samples 1] [--only shipped,av1] [--json]

Draws walks from the norm curves, dressed and staged as a campaign has them, from every standard view (noise, blur
and distortion as these have them by default), encodes them by each of `SETTINGS`, and decodes them. `baseline` is the
first of them, x264 as gaitfarm used it at first; `shipped` goes through `farm.dataset.video` with a campaign's
defaults. All run one after the other in one process, on the same pictures.

Figures, over views (in the JSON each view's own, too):
    kB (kb)     bytes of 10 s of one view / 1000: mean, and most
    psnr_db     of R, G and B against what was drawn, over all pictures of a view: mean, and least
    person_db   the same inside the person's box
    luma_db     inside the person's box, of BT.709 luma alone: what colour's half resolution (4:2:0) does not touch
    ssim        Wang et al. 2004, of luma, every tenth picture: mean
    encode_fps, decode_fps   pictures a second of processor time, conversion from and to RGB included, one thread
    seek_ms     milliseconds of processor time for one picture out of a film, by `farm.dataset.video`
"""

from __future__ import annotations

import argparse
import io
import json
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from fractions import Fraction
from typing import Any

import av
import numpy as np
from av.video.reformatter import ColorRange, Colorspace
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from farm.config import Campaign, Pictures
from farm.dataset import video
from farm.dataset.encode_view import encode_view
from farm.dataset.regions import Regions
from farm.gait.labels import gait_labels
from farm.records import GaitParameters
from farm.sampling.anatomy import anatomy
from farm.view_config import STANDARD_VIEWS
from tests.norm_walk import norm_walk
from workers.render.film import set_stage, shoot

FIRST_SAMPLE = 3
SSIM_EVERY = 10
SEEKS = 8
LUMA = np.array([0.2126, 0.7152, 0.0722])
"""BT.709."""

Pixels = NDArray[np.uint8]


@dataclass(frozen=True)
class Setting:
    """One way to encode.

    Attributes:
        encoder: FFmpeg's name; "" for `farm.dataset.video.encode` as it is.
        gop: Most pictures from one key picture to the next.
        person: Offset of the crf inside the person's box; x264's alone.
        options: Of the encoder.
    """

    name: str
    encoder: str
    crf: int | None = None
    preset: str = ""
    gop: int = 60
    pixel_format: str = "yuv420p"
    person: int = 0
    options: Mapping[str, str] = field(default_factory=dict)
    container: str = "mp4"


def _x264(
    name: str, crf: int, params: str, *, gop: int = 60, preset: str = "medium", person: int = 0, chroma: str = "420"
) -> Setting:
    options = {"x264-params": f"cpu-independent=1:{params}"}
    return Setting(name, "libx264", crf, preset, gop, f"yuv{chroma}p", person, options)


_PLAIN = "psy=0:aq-mode=0"
_SHAPED = video.EFFORTS["fine"]
_CAP = "vbv-maxrate=183:vbv-bufsize=183"
"""What a campaign's default limit is for 256x256 at 30 Hz, kbit/s and kbit."""

_LIMITED = f"{_SHAPED}:{_CAP}"

_X265 = {"x265-params": "log-level=none:pools=none:frame-threads=1:psy-rd=0:psy-rdoq=0:aq-mode=0"}
_SVT = {"svtav1-params": "lp=1:tune=1"}

SETTINGS: tuple[Setting, ...] = (
    _x264("baseline", 18, "psy=1", gop=30),
    Setting("shipped", ""),
    _x264("shipped, quick", 21, f"{video.EFFORTS['quick']}:{_CAP}", person=-9),
    _x264("x264, GOP 60", 18, "psy=1"),
    _x264("x264, no psy", 20, "psy=0"),
    _x264("x264, no psy, AQ 3", 20, "psy=0:aq-mode=3"),
    _x264("x264, no psy, no AQ, GOP 30", 20, _PLAIN, gop=30),
    _x264("x264, no psy, no AQ", 20, _PLAIN),
    _x264("x264, no psy, no AQ, GOP 90", 20, _PLAIN, gop=90),
    _x264("x264, no psy, no AQ, slow", 20, _PLAIN, preset="slow"),
    _x264("whole picture alike", 17, _LIMITED),
    _x264("person finer by 6", 20, _LIMITED, person=-6),
    _x264("shipped, without its limit", 21, _SHAPED, person=-9),
    _x264("shipped, with chroma whole", 21, _LIMITED, person=-9, chroma="444"),
    _x264("chroma whole, finer by 12", 22, _LIMITED, person=-12, chroma="444"),
    _x264("chroma whole, alike, finer, no limit", 14, _SHAPED, chroma="444"),
    Setting("x265", "libx265", 21, "medium", options=_X265),
    Setting("SVT-AV1", "libsvtav1", 28, "6", options=_SVT),
    Setting("VP9", "libvpx-vp9", 28, options={"b": "0", "deadline": "good", "cpu-used": "3"}),
    Setting("MPEG-4 part 2", "mpeg4", options={"qscale": "3", "flags": "+qscale", "global_quality": str(3 * 118)}),
    Setting("FFV1 (lossless)", "ffv1", pixel_format="bgr0", gop=1, container="matroska"),
    Setting("huffyuv (lossless)", "huffyuv", pixel_format="rgb24", gop=1, container="avi"),
)


@dataclass(frozen=True, eq=False)
class Clip:
    """One view of one walk: pictures `[F, H, W, 3]`, and the person's box `[F, 4]` in px, NaN where nobody is seen."""

    view: str
    sample: int
    rgb: Pixels
    box: NDArray[np.floating]
    rate: float


@dataclass(frozen=True)
class Measured:
    """What one setting made of one clip; see the module's docstring."""

    view: str
    sample: int
    kb: float
    psnr_db: float
    person_db: float
    luma_db: float
    ssim: float
    encode_s: float
    decode_s: float
    seek_ms: float | None
    pictures: int


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=int, default=256, help="breadth and height of the pictures in pixels")
    parser.add_argument("--walk", type=float, default=10.0, metavar="SECONDS", help="length of each walk")
    parser.add_argument("--samples", type=int, default=1, help="how many people walk")
    parser.add_argument("--views", default=",".join(STANDARD_VIEWS), help="names, separated by commas")
    parser.add_argument("--only", default="", help="settings whose names hold one of these words, beside the baseline")
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of the table")
    arguments = parser.parse_args()
    os.environ.setdefault("SVT_LOG", "1")  # errors alone: SVT-AV1 greets on every film
    wanted = [word.strip() for word in arguments.only.split(",") if word.strip()]
    settings = [s for s in SETTINGS if s is SETTINGS[0] or not wanted or any(word in s.name for word in wanted)]
    found: dict[str, list[Measured]] = {setting.name: [] for setting in settings}
    for clip in clips(arguments.size, arguments.walk, arguments.samples, arguments.views.split(",")):
        for setting in settings:
            found[setting.name].append(measured(setting, clip))
    rows = [summary(setting, found[setting.name]) for setting in settings]
    if arguments.json:
        print(json.dumps({"size": arguments.size, "walk_s": arguments.walk, "settings": rows}))
    else:
        show(rows)


def show(rows: Sequence[Mapping[str, Any]]) -> None:
    """The table for people, which docs/video.md holds, too."""
    heads = (
        "", "crf", "preset", "GOP", "chroma", "kB", "most", "dB", "least", "person dB", "least", "luma", "least",
        "SSIM", "encode/s", "decode/s", "seek ms",
    )  # fmt: skip
    print(f"| {' | '.join(heads)} |")
    print("|---" * len(heads) + "|")
    for row in rows:
        chroma = {"yuv420p": "4:2:0", "yuv444p": "4:4:4"}.get(row["pixel_format"], "RGB")
        seek = "" if row["seek_ms"] is None else f"{row['seek_ms']:.0f}"
        crf = "" if row["crf"] is None else f"{row['crf']}, {row['person']}" if row["person"] else row["crf"]
        print(
            f"| {row['name']} | {crf} | {row['preset']} | {row['gop']} | {chroma} "
            f"| {row['kB']:.0f} | {row['kB_most']:.0f} | {row['psnr_db']:.1f} | {row['psnr_db_least']:.1f} "
            f"| {row['person_db']:.1f} | {row['person_db_least']:.1f} | {row['luma_db']:.1f} "
            f"| {row['luma_db_least']:.1f} | {row['ssim']:.3f} "
            f"| {row['encode_fps']:.0f} | {row['decode_fps']:.0f} | {seek} |"
        )


def summary(setting: Setting, each: Sequence[Measured]) -> dict[str, Any]:
    """Means and worst cases over the clips, and every clip."""
    pictures = sum(one.pictures for one in each)
    seeks = [one.seek_ms for one in each if one.seek_ms is not None]
    shipped = {} if setting.encoder else {
        "crf": Pictures().crf, "person": Pictures().person_crf_offset, "preset": video.PRESET,
        "gop": video.KEYFRAME_INTERVAL,
        "pixel_format": video.PIXEL_FORMATS[Pictures().chroma],
    }  # fmt: skip
    return {
        **asdict(setting),
        **shipped,
        "kB": float(np.mean([one.kb for one in each])),
        "kB_most": max(one.kb for one in each),
        **{
            name + end: float(how([getattr(one, name) for one in each]))
            for name in ("psnr_db", "person_db", "luma_db")
            for end, how in (("", np.mean), ("_least", np.min))
        },
        "ssim": float(np.mean([one.ssim for one in each])),
        "encode_fps": pictures / sum(one.encode_s for one in each),
        "decode_fps": pictures / sum(one.decode_s for one in each),
        "seek_ms": float(np.mean(seeks)) if seeks else None,
        "views": [asdict(one) for one in each],
    }


def clips(size: int, walk_s: float, samples: int, views: Sequence[str]) -> Iterator[Clip]:
    """Walks as a campaign films them, one after the other."""
    filmed = Pictures(views=tuple(STANDARD_VIEWS[name] for name in views), image_size=(size, size))
    campaign = Campaign(name="bench", samples=64, pictures=filmed)
    for sample in range(FIRST_SAMPLE, FIRST_SAMPLE + samples):
        parameters = GaitParameters(sample_id=sample)
        body, walk = anatomy(parameters), norm_walk(parameters, duration_s=walk_s)
        labels = gait_labels(walk, body, frame_rate_hz=campaign.pictures.frame_rate_hz)
        film = shoot(campaign, set_stage(campaign, parameters, body, walk, labels), labels)
        for view in film.views:
            if view.rgb is not None:
                yield Clip(view.view, sample, view.rgb, view.bbox, film.frame_rate_hz)


def measured(setting: Setting, clip: Clip) -> Measured:
    """Encode, decode and compare."""
    begun = time.process_time()
    data = encoded(setting, clip)
    encode_s = time.process_time() - begun
    begun = time.process_time()
    back = decoded(data)
    decode_s = time.process_time() - begun
    seconds = len(clip.rgb) / clip.rate
    whole, person, luma = errors(clip, back)
    return Measured(
        clip.view, clip.sample, len(data) / 1000.0 * 10.0 / seconds, psnr(whole), psnr(person), psnr(luma),
        float(np.mean([ssim(a, b) for a, b in zip(clip.rgb[::SSIM_EVERY], back[::SSIM_EVERY], strict=True)])),
        encode_s, decode_s, seek_ms(data, len(clip.rgb)), len(clip.rgb),
    )  # fmt: skip


def encoded(setting: Setting, clip: Clip) -> bytes:
    """The clip as a film."""
    if not setting.encoder:
        default = Pictures()
        return encode_view(clip.rgb, clip.box, default.model_copy(update={"frame_rate_hz": clip.rate}))
    rate = Fraction(clip.rate).limit_denominator(1001)
    target = io.BytesIO()
    with av.open(target, "w", format=setting.container) as container:
        stream = container.add_stream(setting.encoder, rate=rate)
        stream.height, stream.width = clip.rgb.shape[1:3]
        stream.pix_fmt, stream.time_base = setting.pixel_format, 1 / rate
        context = stream.codec_context
        regions = Regions(clip.box, setting.person)
        context.thread_count, context.gop_size = 1, setting.gop
        named = {"crf": setting.crf, "preset": setting.preset or None}
        context.options = {key: str(value) for key, value in named.items() if value is not None} | dict(setting.options)
        if setting.pixel_format.startswith("yuv"):
            context.color_primaries = context.color_trc = context.colorspace = video.BT709
            context.color_range = ColorRange.MPEG
        for number, picture in enumerate(clip.rgb):
            frame = _converted(av.VideoFrame.from_ndarray(picture, format="rgb24"), setting.pixel_format)
            frame.pts, frame.time_base = number, 1 / rate
            if setting.person:
                frame = regions.mark(frame, number)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return target.getvalue()


def decoded(data: bytes) -> Pixels:
    """All pictures of a film, `[F, H, W, 3]`, by one thread."""
    with av.open(io.BytesIO(data)) as container:
        container.streams.video[0].codec_context.thread_count = 1
        return np.stack([_converted(frame, "rgb24").to_ndarray() for frame in container.decode(video=0)])


def _converted(frame: av.VideoFrame, pixel_format: str) -> av.VideoFrame:
    """As `farm.dataset.video` does it; between kinds of RGB no matrix is needed."""
    if not frame.format.name.startswith("yuv") and not pixel_format.startswith("yuv"):
        return frame.reformat(format=pixel_format)
    to_rgb = frame.format.name.startswith("yuv")
    matrix = {"src_colorspace" if to_rgb else "dst_colorspace": Colorspace.ITU709}
    extent = {"src_color_range" if to_rgb else "dst_color_range": ColorRange.MPEG}
    return frame.reformat(format=pixel_format, interpolation=video.SCALER, threads=1, **matrix, **extent)


def seek_ms(data: bytes, n_pictures: int) -> float | None:
    """Milliseconds for one picture, the mean of some anywhere; None where the reader does not play the film."""
    numbers = np.linspace(0, n_pictures - 1, SEEKS + 2)[1:-1].astype(int).tolist()
    try:
        video.decode(data, at=[numbers[0]])
    except video.FormatError:
        return None
    begun = time.process_time()
    for number in numbers:
        video.decode(data, at=[number])
    return (time.process_time() - begun) / len(numbers) * 1000.0


def errors(clip: Clip, back: Pixels) -> tuple[float, float, float]:
    """Mean squared errors of the whole pictures, inside the person's box, and of luma there."""
    height, width = back.shape[1:3]
    totals = np.zeros(3)
    counts = np.zeros(3)
    for drawn, seen, box in zip(clip.rgb, back, clip.box, strict=True):
        difference = drawn.astype(np.float32) - seen
        parts = [difference]
        if np.isfinite(box).all():
            x0, y0 = np.floor(np.maximum(box[:2], 0)).astype(int)
            x1, y1 = np.ceil(np.minimum(box[2:], (width - 1, height - 1))).astype(int) + 1
            parts += [difference[y0:y1, x0:x1], difference[y0:y1, x0:x1] @ LUMA]
        for number, part in enumerate(parts):
            totals[number] += float(np.sum(part**2, dtype=np.float64))
            counts[number] += part.size
    whole, person, luma = totals / counts
    return float(whole), float(person), float(luma)


def psnr(squared_error: float) -> float:
    """dB; 99 for equal pictures, so that means can be taken."""
    return 99.0 if squared_error == 0 else float(10 * np.log10(255.0**2 / squared_error))


def ssim(a: Pixels, b: Pixels) -> float:
    """Structural similarity of luma, 1 for equal pictures `[H, W, 3]`.

    Wang, Bovik, Sheikh & Simoncelli 2004, IEEE Trans Image Process 13:600, doi 10.1109/TIP.2003.819861: Gaussian window
    of 1.5 px over 11 x 11 px, K1 = 0.01, K2 = 0.03; without the rim that the window does not fill.
    """
    x, y = a @ LUMA, b @ LUMA
    c1, c2 = (0.01 * 255.0) ** 2, (0.03 * 255.0) ** 2

    def mean(values: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.asarray(gaussian_filter(values, 1.5, radius=5)[5:-5, 5:-5])

    mx, my = mean(x), mean(y)
    vx, vy, cov = mean(x * x) - mx**2, mean(y * y) - my**2, mean(x * y) - mx * my
    return float(np.mean((2 * mx * my + c1) * (2 * cov + c2) / ((mx**2 + my**2 + c1) * (vx + vy + c2))))


if __name__ == "__main__":
    main()
