"""Pictures as video and back: H.264 in MP4, in memory, by PyAV (FFmpeg).

Any player opens what `encode` returns. Every picture keeps its number: one
packet for each, constant rate, no picture dropped or doubled. The same pictures
give the same bytes with the same FFmpeg and x264, on any x86-64 processor (one
thread, no clocks in the container, `X264_PARAMS`).
"""

from __future__ import annotations

import io
import operator
import struct
from collections.abc import Iterable, Iterator, Mapping, Sequence
from fractions import Fraction
from itertools import chain
from typing import Literal

import av
import numpy as np
from av.container import InputContainer
from av.error import FFmpegError
from av.video.reformatter import ColorRange, Colorspace, Interpolation
from numpy.typing import NDArray

from farm.dataset.regions import Regions
from farm.errors import FormatError, UserError

CODEC = "h264"
Chroma = Literal["half", "full"]
PIXEL_FORMATS: Mapping[Chroma, str] = {"half": "yuv420p", "full": "yuv444p"}
"""FFmpeg's name by how finely colour is kept: half as many pixels each way (4:2:0), which every player plays, or all
(4:4:4)."""

CONTAINER = "mp4"
KNOWN_CODECS = ("h264", "hevc", "av1")
"""What is played. A dataset may be anybody's: of FFmpeg's hundreds of demuxers and decoders none other is let near it
(some, such as playlists, open further files and addresses that they are told)."""

MAX_CLIP_BYTES = 2**31 - 1
"""Pictures of one clip, decoded: 90 s of 1024x1024 at 30 Hz are half of it."""

CODEC_MARGIN = 256
"""Pixels that a decoder may add to width and height for its own blocks and edges."""

PRESET = "medium"
"""x264's speed setting; at 256x256 one core still encodes faster than any core renders."""

KEYFRAME_INTERVAL = 60
"""Pictures between two that can be decoded alone (2 s at 30 Hz), so that a clip can be cut or sought. Key pictures take
15 to 25% of a film's bytes at 30, and nearly half of them where a still camera adds noise; beyond 60 little is won."""

Effort = Literal["fine", "quick"]
_SHAPED_FOR_NUMBERS = "psy=0:aq-mode=1:aq-strength=0:bframes=5:b-adapt=0:weightp=0:rc-lookahead=60"
EFFORTS: Mapping[Effort, str] = {
    "fine": f"{_SHAPED_FOR_NUMBERS}:ref=4",
    "quick": f"{_SHAPED_FOR_NUMBERS}:ref=2:trellis=0:subme=2:me=dia",
}
"""x264's options for films that networks read. Its defaults please eyes: `psy` keeps grain, and adaptive quantisation
(`aq`) spends bytes on flat walls at the cost of what moves. Without both the walker comes out truer for the same bytes;
five B-pictures, four references and a longer look ahead save a few per cent more, and no time; weighing references and
choosing places for B-pictures would cost a tenth of the time and win nothing (docs/video.md has the table). AQ is on
with no strength, which gives the bytes of none: where it is off FFmpeg keeps regions from x264. "quick" looks less
closely for what moved where, and takes half the time."""

X264_PARAMS = "cpu-independent=1"
"""Makes the bytes a function of the pictures alone. x264 (core 165, PyAV 18.1.0) propagates the
costs of its macroblock tree with AVX-512 eight macroblocks at a time and does not stop at the end of a row, so on a
processor with AVX-512 and a width that is no multiple of 128 pixels it takes in whatever lies in memory behind the
row: 40 encodes of one noisy 96x96 clip gave 4 results, and 4 fills of fresh memory (glibc's `MALLOC_PERTURB_`) gave 4.
Threads had no part in it. This option takes the tree's plain C code and forbids every choice that depends on the
processor: the bytes were then equal for every fill, and for x264 without assembler, with SSSE3, AVX2 and AVX-512,
which they were not before even at 256x256. On 18 clips of 10 s of 6 walkers (campaign `demo`, 256x256, crf 18) it
costs nothing: 204.8 kB a clip (205.0 without), 43.57 dB (43.56), 441 pictures/s of one core (430, which is noise). The
tree itself is worth keeping: at equal PSNR (crf 20, then with psy and AQ) `mbtree=0` takes 227.8 kB, 11% more, and
depends on the processor all the same."""

BUFFER_S = 1.0
"""Seconds over which a limited film may save bytes for what is harder: room for a key picture. x264 begins with nine
tenths of it saved."""

BT709 = 1
"""ISO/IEC 23091-2 code of BT.709, for primaries, transfer and matrix alike; tagged so that players agree on colours."""

SCALER = Interpolation.BICUBIC | Interpolation.ACCURATE_RND | Interpolation.FULL_CHR_H_INT | Interpolation.BITEXACT
"""FFmpeg's scaler truncates unless told otherwise: pictures came back 1.1 of 255 too dark, with these flags 0.2 too
bright."""


def encode(
    rgb: NDArray[np.uint8] | Iterable[NDArray[np.uint8]],
    *,
    frame_rate_hz: float,
    crf: int = 18,
    bits_per_pixel: float | None = None,
    chroma: Chroma = "half",
    regions: Regions | None = None,
    effort: Effort = "fine",
) -> bytes:
    """One MP4 file of `rgb`, playable before it has come in whole (index in front).

    Args:
        rgb: `[F, H, W, 3]` uint8, F at least 1, or its F pictures one after the other, of which none is kept;
            H and W even where `chroma` is "half".
        frame_rate_hz: Pictures in a second.
        crf: Constant rate factor, 0 (lossless but for chroma) to 51; 18 is visually lossless.
        bits_per_pixel: Most that the film takes for each pixel of each picture: over any stretch at most as many as
            the stretch and `BUFFER_S` more would have. None for no limit.
        chroma: Resolution of colour. "full" is truer, and played by fewer programs.
        regions: What to keep truer than the rest, a box for each picture. None: all alike.
        effort: "quick" takes half the time of "fine", and gets less for the same bytes.

    Raises:
        ValueError: Wrong shape or type, odd size, no picture, a rate that is not positive, or fewer boxes than
            pictures.
    """
    if not frame_rate_hz > 0:
        raise ValueError(f"frame_rate_hz must be positive, got {frame_rate_hz!r}")
    pictures, (height, width) = _checked(rgb, even=chroma == "half")
    pixel_format = PIXEL_FORMATS[chroma]
    rate = Fraction(frame_rate_hz).limit_denominator(1001)
    target = io.BytesIO()
    options = {"fflags": "+bitexact", "flags": "+bitexact"}
    with av.open(target, "w", format=CONTAINER, container_options=options) as container:
        stream = container.add_stream("libx264", rate=rate)
        stream.width, stream.height, stream.pix_fmt = width, height, pixel_format
        stream.time_base = 1 / rate
        context = stream.codec_context
        context.thread_count = 1  # more threads cut the picture differently, and the farm's cores are all busy anyway
        context.gop_size = KEYFRAME_INTERVAL
        params = f"{X264_PARAMS}:{EFFORTS[effort]}"
        if bits_per_pixel is not None:
            kbit_s = bits_per_pixel * width * height * float(rate) / 1000.0
            params += f":vbv-maxrate={max(1, round(kbit_s))}:vbv-bufsize={max(1, round(kbit_s * BUFFER_S))}"
        context.options = {"crf": str(crf), "preset": PRESET, "flags": "+bitexact", "x264-params": params}
        context.color_primaries = context.color_trc = context.colorspace = BT709
        context.color_range = ColorRange.MPEG
        for number, picture in enumerate(pictures):
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), format="rgb24").reformat(
                format=pixel_format,
                dst_colorspace=Colorspace.ITU709,
                dst_color_range=ColorRange.MPEG,
                interpolation=SCALER,
                threads=1,
            )
            frame.pts, frame.time_base = number, 1 / rate
            if regions is not None:
                frame = regions.mark(frame, number)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return _index_first(target.getvalue())


def played_by_browsers(attributes: Mapping[str, object]) -> bool:
    """Whether Chromium, Firefox and Safari play the films of a `video` array, by its attributes."""
    return attributes.get("codec") == CODEC and attributes.get("pixel_format") == PIXEL_FORMATS["half"]


def _checked(
    rgb: NDArray[np.uint8] | Iterable[NDArray[np.uint8]], *, even: bool
) -> tuple[Iterator[NDArray[np.uint8]], tuple[int, int]]:
    """The pictures, each seen to be like the first; and their height and width.

    Raises:
        ValueError: They are no pictures that can be encoded; of those after the first, when it comes to them.
    """
    pictures = iter(rgb)
    first = next(pictures, None)
    if first is None or first.dtype != np.uint8 or first.ndim != 3 or first.shape[-1] != 3:
        given = f"{rgb.dtype} {list(rgb.shape)}" if isinstance(rgb, np.ndarray) else _kind(first)
        raise ValueError(f"rgb must be uint8 [F, H, W, 3] with F at least 1, got {given}")
    height, width = first.shape[:2]
    if even and (height % 2 or width % 2):
        raise ValueError(f"rgb is {width}x{height} pixels; H.264 with 4:2:0 chroma needs even numbers")

    def alike() -> Iterator[NDArray[np.uint8]]:
        for number, picture in enumerate(chain([first], pictures)):
            if picture.dtype != np.uint8 or picture.shape != first.shape:
                raise ValueError(f"picture {number} of rgb is {_kind(picture)}, the first {_kind(first)}")
            yield picture

    return alike(), (height, width)


def _kind(picture: NDArray[np.generic] | None) -> str:
    return "no picture" if picture is None else f"{picture.dtype} {list(picture.shape)}"


def decode(
    data: bytes, *, at: Sequence[int] | slice | None = None, max_bytes: int = MAX_CLIP_BYTES
) -> NDArray[np.uint8]:
    """Pictures of a video: `[F, H, W, 3]` uint8, all of them or those at some numbers.

    Of the others only those are decoded that lie between a wanted picture and the key
    picture before it. What comes is to the bit what decoding everything gives.

    Args:
        at: Numbers of the wanted pictures, from 0 in the order of showing, or a slice of them. None for all.
        max_bytes: What the pictures may take together; a few kilobytes can declare terabytes.

    Raises:
        FormatError: Not an MP4 file of a known codec, cut off, damaged, or larger than `max_bytes`.
        UserError: The video has no picture of such a number.
    """
    what = f"video of {len(data)} bytes"
    try:
        with av.open(io.BytesIO(data), "r", format=CONTAINER) as container:
            if not container.streams.video:
                raise FormatError(f"{what} holds no pictures; run `gaitfarm verify`")
            stream = container.streams.video[0]
            context, expected = stream.codec_context, stream.frames
            _prepare(context, what, max_bytes)
            width, height = context.width, context.height
            packets = _packets(container, stream, len(data))
            if not packets or (expected and len(packets) != expected):
                raise FormatError(f"{what} holds {len(packets)} of {expected} pictures; run `gaitfarm verify`")
            wanted = picture_numbers(at, len(packets))
            if len(wanted) * width * height * 3 > max_bytes:
                raise FormatError(f"{what} decodes to {len(wanted)} pictures: more than {max_bytes} bytes")
            numbers, place_of = np.unique(np.asarray(wanted, dtype=np.int64), return_inverse=True)
            pictures = np.empty((len(numbers), height, width, 3), np.uint8)
            missing = set(range(len(numbers)))
            for place, frame in _frames(context, packets, numbers):
                if (frame.width, frame.height) != (width, height):
                    raise FormatError(f"{what} decodes to pictures of several sizes; run `gaitfarm verify`")
                pictures[place] = _rgb(frame)
                missing.discard(place)
    except (FFmpegError, ValueError) as error:
        raise FormatError(f"{what} cannot be decoded ({error}); run `gaitfarm verify`") from None
    if missing:
        raise FormatError(f"{what} does not give its picture {numbers[min(missing)]}; run `gaitfarm verify`")
    return pictures if np.array_equal(numbers, wanted) else pictures[place_of]


def picture_numbers(at: Sequence[int] | slice | None, count: int) -> Sequence[int]:
    """The pictures out of `count` that are meant, as numbers from 0.

    Raises:
        UserError: There is no picture of such a number.
    """
    if at is None:
        return range(count)
    if isinstance(at, slice):
        return range(count)[at]
    numbers = [operator.index(number) for number in at]
    for number in numbers:
        if not 0 <= number < count:
            raise UserError(f"there is no picture {number}: there are {count}, numbered from 0")
    return numbers


def _prepare(context: av.VideoCodecContext, what: str, max_bytes: int) -> None:
    """Ready a decoder that has not begun yet.

    Raises:
        FormatError: It is of a codec that is not played, or one of its pictures is larger than `max_bytes`.
    """
    if context.name not in (*KNOWN_CODECS, "libdav1d"):
        raise FormatError(f"{what} is {context.name}, must be {', '.join(KNOWN_CODECS)}; run `gaitfarm verify`")
    if not 0 < context.width * context.height * 3 <= max_bytes:
        raise FormatError(f"{what} has pictures of {context.width}x{context.height}: more than {max_bytes} bytes")
    context.thread_count = 1
    # The decoder works in whole blocks of pixels; beyond these the stream is not what its container declares.
    context.options = {"max_pixels": str((context.width + CODEC_MARGIN) * (context.height + CODEC_MARGIN))}


def _packets(container: InputContainer, stream: av.VideoStream, n_bytes: int) -> list[av.Packet[av.VideoStream]]:
    """A video's compressed pictures, in the order in which they are decoded.

    Raises:
        ValueError: They are more than fit into `n_bytes` of file: an index that names the same bytes again and again.
    """
    packets = []
    for packet in container.demux(stream):
        if packet.pts is None:  # the end, which PyAV marks by an empty packet
            continue
        n_bytes -= max(1, packet.size)
        if n_bytes < 0:
            raise ValueError("its index names more bytes than it has")
        packets.append(packet)
    return packets


def _frames(
    context: av.VideoCodecContext, packets: Sequence[av.Packet[av.VideoStream]], wanted: NDArray[np.int64]
) -> Iterator[tuple[int, av.VideoFrame]]:
    """The pictures of ascending numbers `wanted` `[n]`, each with its place there; what is damaged may be left out.

    A picture needs those from the last key picture on that is shown no later: what is shown before
    a key picture, but stored after it, leans on the key picture before (HEVC's open groups).
    """
    shown = sorted(range(len(packets)), key=lambda stored: _time(packets[stored]))
    number_of = {_time(packets[stored]): number for number, stored in enumerate(shown)}
    keys = [stored for stored, packet in enumerate(packets) if packet.is_keyframe]
    place_of = {int(number): place for place, number in enumerate(wanted)}
    last, position, begun = -1, 0, False
    for number in place_of:
        if number <= last:
            continue  # it came with one before it, or is damaged
        stored = shown[number]
        key = max((k for k in keys if k <= stored and _time(packets[k]) <= _time(packets[stored])), default=0)
        if begun and key > position:
            context.flush_buffers()
        if key > position:
            position = key
        begun = True
        while last < number:
            at_end = position == len(packets)
            for frame in context.decode(None if at_end else packets[position]):
                found = number_of.get(-1 if frame.pts is None else frame.pts, -1)
                last = max(last, found)
                if found in place_of:
                    yield place_of[found], frame
            if at_end:
                return
            position += 1


def _time(packet: av.Packet[av.VideoStream]) -> int:
    """When a picture is shown, in its stream's own unit."""
    return packet.pts or 0


def _rgb(frame: av.VideoFrame) -> NDArray[np.uint8]:
    picture = frame.reformat(
        format="rgb24",
        src_colorspace=Colorspace.ITU709,
        src_color_range=ColorRange.MPEG,
        interpolation=SCALER,
        threads=1,
    )
    return np.asarray(picture.to_ndarray(), dtype=np.uint8)


def psnr_db(a: NDArray[np.uint8], b: NDArray[np.uint8]) -> float:
    """Peak signal-to-noise ratio of two uint8 arrays of one shape, dB; infinite where they are equal."""
    if a.shape != b.shape:
        raise ValueError(f"pictures to compare must have one shape, got {list(a.shape)} and {list(b.shape)}")
    squares = 0.0
    for first, second in zip(a, b, strict=True):  # picture by picture: a whole clip as float is large
        squares += float(np.sum((first.astype(np.float32) - second.astype(np.float32)) ** 2, dtype=np.float64))
    return float("inf") if squares == 0 else float(10 * np.log10(255.0**2 * a.size / squares))


def _index_first(data: bytes) -> bytes:
    """Move the `moov` box before `mdat` (FFmpeg's `faststart`, which cannot work on a stream in memory).

    Chunk offsets (`stco`, `co64`; ISO/IEC 14496-12) move by the size of `moov`.
    """
    boxes = dict(_boxes(data, 0, len(data)))
    moov_start, moov_end = boxes["moov"]
    mdat_start = boxes["mdat"][0]
    if moov_start < mdat_start:
        return data
    moov = bytearray(data[moov_start:moov_end])
    for table in _offset_tables(moov, 8, len(moov)):
        _shift(moov, table, len(moov))
    return data[:mdat_start] + bytes(moov) + data[mdat_start:moov_start] + data[moov_end:]


def _boxes(data: bytes | bytearray, start: int, end: int) -> list[tuple[str, tuple[int, int]]]:
    """Name and extent of each box between two offsets."""
    found = []
    while start + 8 <= end:
        size = struct.unpack_from(">I", data, start)[0]
        if size == 1:
            size = struct.unpack_from(">Q", data, start + 8)[0]
        name = bytes(data[start + 4 : start + 8]).decode("latin-1")
        found.append((name, (start, start + size)))
        start += size
    return found


def _offset_tables(moov: bytearray, start: int, end: int) -> list[tuple[str, tuple[int, int]]]:
    """The chunk-offset boxes inside `moov`."""
    tables = []
    for name, (first, last) in _boxes(moov, start, end):
        if name in ("trak", "mdia", "minf", "stbl"):
            tables += _offset_tables(moov, first + 8, last)
        elif name in ("stco", "co64"):
            tables.append((name, (first, last)))
    return tables


def _shift(moov: bytearray, table: tuple[str, tuple[int, int]], by: int) -> None:
    name, (first, _) = table
    code, width = (">I", 4) if name == "stco" else (">Q", 8)
    count = struct.unpack_from(">I", moov, first + 12)[0]
    for number in range(count):
        at = first + 16 + number * width
        struct.pack_into(code, moov, at, struct.unpack_from(code, moov, at)[0] + by)
