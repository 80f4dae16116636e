"""Videos for tests: made with PyAV and Pillow, and read back frame by frame and packet by packet."""

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.codec.context import Flags
from PIL import Image, ImageSequence

from tandem.inference.video.frames import Frame
from tandem.inference.video.translate import open_video, open_writer

SOUND_RATE = 48_000
PERIOD = 16
"""Frames after which moving frames of the usual width begin anew."""


def moving_frames(count: int, *, height: int = 48, width: int = 64) -> list[np.ndarray]:
    """A bright block that moves over a coloured ground, each ``(H, W, 3)`` uint8."""
    frames = []
    for index in range(count):
        frame = np.full((height, width, 3), (40, 90, 160), np.uint8)
        left = 3 * index % (width - 16)
        frame[8:24, left : left + 16] = (240, 200, 30)
        frames.append(frame)
    return frames


def write_video(
    path: Path,
    frames: Sequence[np.ndarray],
    *,
    rate: Fraction | int = 10,
    times: Sequence[int] | None = None,
    last: int | None = None,
    time_base: Fraction | None = None,
    codec: str = "libx264",
    pixel_format: str = "yuv420p",
    sounds: Sequence[str] = (),
    codec_options: dict[str, str] | None = None,
    options: dict[str, str] | None = None,
) -> Path:
    """Write a video; `times` in ticks of `time_base`, by default one frame after the other at `rate`.

    With `last` every frame says how long it lasts: until the next one, the last one for so long.
    """
    time_base = time_base or 1 / Fraction(rate)
    with av.open(str(path), "w", options=options or {}) as container:
        video = container.add_stream(codec, rate=rate)
        video.height, video.width = frames[0].shape[:2]
        video.pix_fmt = pixel_format
        video.options = codec_options or {}
        video.codec_context.time_base = time_base
        starts = list(times or range(len(frames)))
        if last is not None:
            video.codec_context.flags |= Flags.frame_duration
            starts.append(starts[-1] + last)
        tracks = [container.add_stream(sound, rate=SOUND_RATE) for sound in sounds]
        for track in tracks:
            track.layout = "stereo"
        for index, array in enumerate(frames):
            picture = av.VideoFrame.from_ndarray(array, format="rgb24")
            picture.pts, picture.time_base = starts[index], time_base
            if last is not None:
                picture.duration = starts[index + 1] - starts[index]
            container.mux(video.encode(picture))
        container.mux(video.encode(None))
        for number, track in enumerate(tracks):
            _write_sound(container, track, seconds=float(len(frames) / Fraction(rate)), hertz=330 * (number + 1))
    return path


def _write_sound(container: Any, track: Any, *, seconds: float, hertz: float) -> None:
    time = np.arange(int(SOUND_RATE * seconds)) / SOUND_RATE
    wave = np.sin(2 * np.pi * (hertz + 300 * time) * time).astype(
        np.float32
    )  # a rising tone: no moment is like another
    resampler = av.AudioResampler(track.format.name, "stereo", SOUND_RATE, frame_size=track.frame_size or 1024)
    whole = av.AudioFrame.from_ndarray(np.stack([wave, wave]), "fltp", "stereo")
    whole.sample_rate, whole.pts, whole.time_base = SOUND_RATE, 0, Fraction(1, SOUND_RATE)
    for piece in [*resampler.resample(whole), *resampler.resample(None)]:
        container.mux(track.encode(piece))
    container.mux(track.encode(None))


Matrix = tuple[int, int, int, int]
MATRICES: dict[str, Matrix] = {
    "upright": (1, 0, 0, 1),
    "left and right exchanged": (-1, 0, 0, 1),
    "up and down exchanged": (1, 0, 0, -1),
    "upside down": (-1, 0, 0, -1),
    "clockwise": (0, 1, -1, 0),
    "counterclockwise": (0, -1, 1, 0),
    "transposed": (0, 1, 1, 0),
    "transposed at the other diagonal": (0, -1, -1, 0),
}
"""a, b, c, d: what is at x, y (downwards) is shown at a x + c y, b x + d y, moved to where nothing is negative."""


def orient(path: Path, matrix: Matrix) -> Path:
    """Set the matrix of the first track (ISO 14496-12, 8.3.2: nine numbers at byte 40 of version 0 of the box)."""
    a, b, c, d = (number << 16 for number in matrix)
    data = bytearray(path.read_bytes())
    at = data.index(b"tkhd") + 4 + 40
    data[at : at + 36] = struct.pack(">9i", a, b, 0, c, d, 0, 0, 0, 1 << 30)
    path.write_bytes(data)
    return path


def oriented(pixels: np.ndarray, matrix: Matrix) -> np.ndarray:
    """A picture ``(H, W, C)`` as a matrix shows it, pixel by pixel."""
    a, b, c, d = matrix
    y, x = np.mgrid[: pixels.shape[0], : pixels.shape[1]]
    across, down = a * x + c * y, b * x + d * y
    across, down = across - across.min(), down - down.min()
    shown = np.empty((down.max() + 1, across.max() + 1, pixels.shape[2]), pixels.dtype)
    shown[down, across] = pixels
    return shown


Edit = tuple[float, float | None]
"""Seconds that are shown, and where in the track they begin; None: nothing is shown for so long."""


def edit(path: Path, edits: Sequence[Sequence[Edit]]) -> Path:
    """Replace the edit list (ISO 14496-12, 8.6.6) of each track of an MP4: a cut without loss.

    Where a track begins, after what only prepares its decoder, is 0 s.
    """
    data, tracks = path.read_bytes(), iter(edits)
    at = data.rindex(b"moov") - 4
    assert data.index(b"mdat") < at
    scale = int.from_bytes(data[(mvhd := data.index(b"mvhd")) + 16 : mvhd + 20])
    path.write_bytes(data[:at] + _edited(data[at:], scale, 0, tracks))
    return path


def _edited(boxes: bytes, movie: int, media: int, edits: Iterator[Sequence[Edit]]) -> bytes:
    done, at = b"", 0
    while at < len(boxes):
        size, kind = int.from_bytes(boxes[at : at + 4]), boxes[at + 4 : at + 8]
        body = boxes[at + 8 : at + size]
        if kind == b"trak":
            media = int.from_bytes(body[(mdhd := body.index(b"mdhd")) + 16 : mdhd + 20])
        if kind in (b"moov", b"trak", b"edts"):
            body = _edited(body, movie, media, edits)
        elif kind == b"elst":
            (zero,) = struct.unpack(">i", body[12:16])
            chosen = next(edits)
            body = struct.pack(">II", 0, len(chosen)) + b"".join(
                struct.pack(">Iihh", round(seconds * movie), -1 if start is None else zero + round(start * media), 1, 0)
                for seconds, start in chosen
            )
        done += struct.pack(">I4s", 8 + len(body), kind) + body
        at += size
    return done


@dataclass(frozen=True)
class Seen:
    """What is in a video: pictures ``(H, W, 3)``, their times and durations in seconds, packets of each sound track."""

    pixels: list[np.ndarray]
    times: list[Fraction]
    durations: list[Fraction]
    sounds: list[list[bytes]]
    sound_times: list[list[Fraction]]
    codecs: list[str]
    rate: Fraction | None
    pixel_format: str | None
    aspect: Fraction | None
    rotation: int


def see(path: Path) -> Seen:
    """Decode a whole video."""
    with av.open(str(path)) as container:
        video = container.streams.video[0]
        decoded = list(container.decode(video))
        rate, pixel_format, aspect = video.average_rate, video.pix_fmt, video.sample_aspect_ratio
    sounds: list[list[bytes]] = []
    sound_times: list[list[Fraction]] = []
    with av.open(str(path)) as container:
        tracks = container.streams.audio
        for _ in tracks:
            sounds.append([])
            sound_times.append([])
        for packet in container.demux(*tracks) if tracks else ():
            if packet.dts is not None:
                number = [track.index for track in tracks].index(packet.stream.index)
                sounds[number].append(bytes(packet))
                sound_times[number].append(packet.pts * packet.time_base)
        codecs = [track.codec_context.codec.canonical_name for track in tracks]
    return Seen(
        pixels=[frame.to_ndarray(format="rgb24") for frame in decoded],
        times=[frame.pts * frame.time_base for frame in decoded],
        durations=[frame.duration * frame.time_base for frame in decoded],
        sounds=sounds,
        sound_times=sound_times,
        codecs=codecs,
        rate=rate,
        pixel_format=pixel_format,
        aspect=aspect,
        rotation=decoded[0].rotation,
    )


def heard(path: Path) -> tuple[int, np.ndarray]:
    """What a player makes of the first sound track: the sample at which it begins, and one channel ``(N,)``."""
    with av.open(str(path)) as container:
        samples, begin = np.empty(0), 0
        for frame in container.decode(audio=0):
            array = frame.to_ndarray()
            channel = array[0] if frame.format.is_planar else array.reshape(-1, len(frame.layout.channels))[:, 0]
            scale = 1 if channel.dtype.kind == "f" else np.iinfo(channel.dtype).max
            at = round(frame.pts * frame.time_base * SOUND_RATE)
            begin = begin if len(samples) else at
            gap = at - begin - len(samples)
            silence = np.zeros(gap if gap > SOUND_RATE // 500 else 0)  # less is the rounding of time stamps
            samples = np.concatenate([samples, silence, channel.astype(float) / scale])
    return begin, samples


def copied(source: Path, target: Path) -> Path:
    """Write a video anew, frame by frame as it was read."""
    suffix = target.suffix
    with open_video(source, target_suffix=suffix) as video, open_writer(target, suffix, video) as writer:
        for part in video.parts():
            writer.add(part) if isinstance(part, Frame) else writer.add_sound(part)
    return target


def write_gif(path: Path, frames: Sequence[Image.Image], durations: int | Sequence[int], **options: Any) -> Path:
    """Write a GIF with Pillow; neighbours must differ, for it joins equal ones."""
    frames[0].save(path, "GIF", save_all=True, append_images=frames[1:], duration=durations, optimize=False, **options)
    return path


def see_gif(path: Path) -> tuple[list[np.ndarray], list[int], int | None]:
    """Frames as shown ``(H, W, 4)``, durations in ms, loop count."""
    with Image.open(path) as image:
        loop = image.info.get("loop")
        frames, durations = [], []
        for frame in ImageSequence.Iterator(image):
            frames.append(np.array(frame.convert("RGBA")))
            durations.append(frame.info.get("duration", 0))
    return frames, durations, loop
