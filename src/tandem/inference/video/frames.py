"""What a video is, whatever file it comes from or goes to."""

from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from tandem.errors import DataError

VIDEO_SUFFIXES = (".mp4", ".mov", ".mkv", ".webm", ".avi")
"""Videos that are read, in lower case; ``.gif`` with more than one frame is a video too."""

MAX_FRAME_PIXELS = 8192 * 4320
"""Frames with more pixels are refused before they are decoded."""


@dataclass(frozen=True)
class Frame:
    """One picture of a video.

    Attributes:
        pixels: ``(H, W, 3)`` or, with transparency, ``(H, W, 4)``, uint8, upright.
        time: When it is shown, in ticks of the video's time base.
        duration: For how long, likewise.
    """

    pixels: np.ndarray = field(repr=False)
    time: int
    duration: int


@dataclass(frozen=True)
class Sound:
    """A packet of sound as it is in the file, compressed; its timing is in it."""

    packet: Any = field(repr=False)


@dataclass(frozen=True)
class VideoInfo:
    """What is known of a video before its frames are read.

    Attributes:
        path: Its file.
        width: Pixels of the upright frames.
        height: Likewise.
        time_base: Seconds of one tick.
        frame_rate: Mean frames per second, as far as the file says so.
        num_frames: As far as the file says so; for the progress bar.
        pixel_aspect: Width of a pixel by its height.
        transparent: Whether frames may have transparent pixels.
        loop: How often a GIF is repeated, 0 for ever; None for once, and for a video.
        sounds: Codec of each sound track.
        others: What else it holds, such as ``subtitle track`` or ``cover picture``.
    """

    path: Path
    width: int
    height: int
    time_base: Fraction
    frame_rate: Fraction | None = None
    num_frames: int | None = None
    pixel_aspect: Fraction = Fraction(1)
    transparent: bool = False
    loop: int | None = None
    sounds: tuple[str, ...] = ()
    others: tuple[str, ...] = ()


class Video(AbstractContextManager["Video"], Protocol):
    """An open video, read once from its beginning to its end."""

    info: VideoInfo

    def parts(self) -> Iterator[Frame | Sound]:
        """The frames, and the sound where it lies between them.

        Raises:
            DataError: The file is damaged, or its frames change their size.
        """
        ...


@dataclass(frozen=True)
class LeftOutTrack:
    """Something of the source that a file cannot hold.

    Attributes:
        text: What it is, for people.
        is_sound: Whether it is a sound track.
    """

    text: str
    is_sound: bool = False


class VideoWriter(AbstractContextManager["VideoWriter"], Protocol):
    """A video that is being written; leaving the context ends the file.

    Attributes:
        description: Format and quality, for people.
        left_out: What of the source the file cannot hold.
    """

    description: str
    left_out: list[LeftOutTrack]

    def add(self, frame: Frame) -> None:
        """Add the next frame; its times are in ticks of the source."""
        ...

    def add_sound(self, sound: Sound) -> None:
        """Add a packet of the source's sound, if the file holds that track."""
        ...


def check_frame_size(path: Path, width: int, height: int) -> None:
    """Refuse frames without pixels or with too many of them.

    Raises:
        DataError: They are refused.
    """
    if not 0 < width * height <= MAX_FRAME_PIXELS:
        raise DataError(
            f"{path}: its frames are {width} x {height} px; videos are read from 1 to {MAX_FRAME_PIXELS} pixels a "
            "frame. Scale it down first."
        )
