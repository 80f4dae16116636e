"""Animated GIFs: scanned for what they hold, read frame by frame, and written frame by frame.

Frames are shown as Pillow composes them: offsets, disposal and transparency are carried out, so that every frame here
is a whole picture. A GIF is written from whole frames, each with its own 256 colours and without dithering, which would
flicker. Pillow itself writes a GIF only when it has all frames, so this file joins the frames that Pillow has encoded.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self

import numpy as np
from PIL import GifImagePlugin, Image

from tandem.data.pixels import convert_channels
from tandem.errors import DataError
from tandem.inference.video.frames import Frame, LeftOutTrack, Sound, VideoInfo, check_frame_size

MOST_FRAMES_PER_SECOND = 50
"""Viewers slow down what is shown for less than two hundredths of a second."""

_MS = Fraction(1, 1000)
_CS = Fraction(1, 100)
_SHORT_MS, _SHORT_SHOWN_MS = 10, 100  # what viewers make of the frames that are shorter than they allow
_MAX_DELAY = 0xFFFF
_OPAQUE_COLOURS, _COLOURS_BESIDE_TRANSPARENT = 256, 255
_KEEP, _CLEAR = 1, 2  # disposal methods


@dataclass(frozen=True)
class GifScan:
    """What the blocks of a GIF say, without decoding a pixel.

    Attributes:
        size: Width and height of the canvas.
        num_frames: Pictures.
        transparent: Whether a picture has a transparent colour.
        loop: How often it is repeated, 0 for ever; None: shown once.
    """

    size: tuple[int, int]
    num_frames: int
    transparent: bool
    loop: int | None


def scan_gif(path: Path) -> GifScan:
    """Walk through the blocks of a GIF.

    Raises:
        DataError: It is no GIF, cut off, has no picture, too many pixels, or pictures that stand out of its canvas.
    """
    try:
        with path.open("rb") as file:
            return _scan(path, file)
    except OSError as error:
        raise DataError(f"{path}: {error.strerror}") from error
    except (struct.error, IndexError) as error:
        raise DataError(f"{path}: cut off: it ends in the middle of a block. Copy or download it again.") from error


def _scan(path: Path, file: BinaryIO) -> GifScan:
    if file.read(6) not in {b"GIF87a", b"GIF89a"}:
        raise DataError(f"{path}: the file is no GIF")
    width, height, flags, _, _ = struct.unpack("<HHBBB", file.read(7))
    check_frame_size(path, width, height)
    _skip_palette(file, flags)
    frames, transparent, loop = 0, False, None
    while (kind := file.read(1)) not in {b"", b";"}:
        if kind == b"!":
            label = file.read(1)[0]
            blocks = _blocks(file)
            if label == 0xF9 and blocks:
                transparent |= bool(blocks[0][0] & 1)
            elif label == 0xFF and blocks[:1] == [b"NETSCAPE2.0"] and blocks[1:] and blocks[1][0] == 1:
                loop = struct.unpack("<H", blocks[1][1:3])[0]
        elif kind == b",":
            left, top, wide, high, flags = struct.unpack("<HHHHB", file.read(9))
            frames += 1
            if left + wide > width or top + high > height:
                raise DataError(
                    f"{path}: frame {frames} reaches {left + wide} x {top + high} px, but the video has {width} x "
                    f"{height}: its frames do not have one size. Save it anew with an image editor."
                )
            _skip_palette(file, flags)
            struct.unpack("B", file.read(1))  # the size of the first code
            _blocks(file, keep=0)
        else:
            raise DataError(f"{path}: damaged: there is no block of kind {kind.hex()} in a GIF")
    if not frames:
        raise DataError(f"{path}: holds no frames")
    return GifScan((width, height), frames, transparent, loop)


def _skip_palette(file: BinaryIO, flags: int) -> None:
    if flags & 0x80:
        size = 3 << ((flags & 7) + 1)
        if len(file.read(size)) < size:
            raise IndexError


def _blocks(file: BinaryIO, *, keep: int = 2) -> list[bytes]:
    """The first `keep` of a series of sub-blocks; its end is an empty one."""
    kept: list[bytes] = []
    while length := file.read(1)[0]:
        data = file.read(length)
        if len(data) < length:
            raise IndexError
        if len(kept) < keep:
            kept.append(data)
    return kept


class GifVideo:
    """An animated GIF; see `tandem.inference.video.frames.Video`. Times are in milliseconds.

    Args:
        path: The file.
        as_shown: Frames of 0 and 10 ms last 100, as viewers show them; else what the file says.

    Raises:
        DataError: See `scan_gif`.
    """

    def __init__(self, path: Path, *, as_shown: bool) -> None:
        scan = scan_gif(path)
        self._path, self._as_shown, self._transparent = path, as_shown, scan.transparent
        self.info = VideoInfo(
            path=path,
            width=scan.size[0],
            height=scan.size[1],
            time_base=_MS,
            num_frames=scan.num_frames,
            transparent=scan.transparent,
            loop=scan.loop,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Nothing is open between the frames' iterations."""

    def parts(self) -> Iterator[Frame | Sound]:
        """See `Video`."""
        time = 0
        try:
            with Image.open(self._path, formats=["GIF"]) as image:
                for index in range(self.info.num_frames or 0):
                    image.seek(index)
                    pixels = np.array(image.convert("RGBA" if self._transparent else "RGB"))
                    duration = int(image.info.get("duration", 0))
                    if self._as_shown and duration <= _SHORT_MS:
                        duration = _SHORT_SHOWN_MS
                    yield Frame(pixels, time, duration)
                    time += duration
        except (OSError, EOFError, ValueError, SyntaxError, IndexError, Image.DecompressionBombError) as error:
            if isinstance(error, DataError):
                raise
            raise DataError(f"{self._path}: damaged or cut off ({error or type(error).__name__})") from error


class GifWriter:
    """A GIF that is being written; see `tandem.inference.video.frames.VideoWriter`.

    Each frame is shown from its start to its end in hundredths of a second, rounded, so that roundings do not add up.

    Args:
        path: The file, any name.
        info: The source.

    Raises:
        DataError: The source has more frames a second than viewers of GIFs show, or is too large for one.
    """

    def __init__(self, path: Path, info: VideoInfo) -> None:
        if info.frame_rate and info.frame_rate > MOST_FRAMES_PER_SECOND:
            raise DataError(
                f"{info.path} has {float(info.frame_rate):g} frames a second; a GIF shows at most "
                f"{MOST_FRAMES_PER_SECOND}. Give an --out that ends in .mp4."
            )
        self._info = info
        self._exact = info.path.suffix.lower() == ".gif"  # the delays of a GIF are kept, also short ones
        self._until: int | None = None
        self.description = "GIF, 256 colours a frame, without dithering"
        self.left_out = [LeftOutTrack(f"the sound ({codec}: a GIF has none)", is_sound=True) for codec in info.sounds]
        self.left_out += [LeftOutTrack(f"the {what}") for what in info.others]
        if info.pixel_aspect != 1:
            width, height = info.pixel_aspect.as_integer_ratio()
            self.left_out.append(LeftOutTrack(f"the shape of its pixels ({width}:{height}; those of a GIF are square)"))
        self._file = path.open("wb")
        self._file.write(b"GIF89a" + struct.pack("<HHBBB", info.width, info.height, 0x70, 0, 0))
        loop = info.loop if self._exact else 0
        if loop is not None:
            self._file.write(b"!\xff\x0bNETSCAPE2.0\x03\x01" + struct.pack("<H", loop) + b"\0")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self._file.write(b";")
        self._file.close()

    def add(self, frame: Frame) -> None:
        """See `VideoWriter`."""
        options = {"duration": 10 * self._delay(frame), "include_color_table": True}
        if self._info.transparent:
            # Cleared after each frame: what is transparent in the next one must not show this one.
            options |= {"transparency": _COLOURS_BESIDE_TRANSPARENT, "disposal": _CLEAR}
        else:
            options |= {"disposal": _KEEP}
        for data in GifImagePlugin.getdata(_indexed(frame.pixels, transparent=self._info.transparent), **options):
            self._file.write(data)

    def add_sound(self, sound: Sound) -> None:
        """See `VideoWriter`: a GIF has no sound."""

    def _delay(self, frame: Frame) -> int:
        """Hundredths of a second."""
        start, end = (round(ticks * self._info.time_base / _CS) for ticks in (frame.time, frame.time + frame.duration))
        if not self._exact:
            start = start if self._until is None else self._until
            end = max(end, start + 100 // MOST_FRAMES_PER_SECOND)
            self._until = end
        if end - start > _MAX_DELAY:
            raise DataError(
                f"{self._info.path}: a frame is shown for {(end - start) / 100:g} s; a GIF shows one for at most "
                f"{_MAX_DELAY / 100:g} s. Give an --out that ends in .mp4."
            )
        return end - start


def _indexed(pixels: np.ndarray, *, transparent: bool) -> Image.Image:
    """The frame with a palette; of a transparent one the last colour is none, where alpha is below one half."""
    colours = _COLOURS_BESIDE_TRANSPARENT if transparent else _OPAQUE_COLOURS
    image = Image.fromarray(np.ascontiguousarray(convert_channels(pixels, 3)))
    indexed = image.quantize(colours, dither=Image.Dither.NONE)
    if transparent:
        palette = (indexed.getpalette() or [])[: 3 * colours]
        indexed.putpalette(palette + [0] * (3 * _OPAQUE_COLOURS - len(palette)))
        if pixels.shape[2] == 4:
            hidden = Image.fromarray(np.where(pixels[:, :, 3] < 128, 255, 0).astype(np.uint8))
            indexed.paste(_COLOURS_BESIDE_TRANSPARENT, mask=hidden)
    return indexed
