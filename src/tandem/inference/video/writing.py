"""Writing videos with PyAV (FFmpeg): H.264, the sound copied as it is.

The picture is encoded by x264 at constant quality (CRF 18, which looks like the source), BT.709, limited range, as
yuv420p, which everything plays. That format halves the colours' resolution, so it has no odd sizes; such frames are
written as yuv444p, for the size is kept.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

import numpy as np

from tandem.data.pixels import convert_channels
from tandem.errors import ConfigError, DataError
from tandem.inference.video.frames import Frame, LeftOutTrack, Sound, VideoInfo
from tandem.inference.video.reading import require_av
from tandem.inference.video.sound import SoundCopy

if TYPE_CHECKING:
    import av
    import av.container

FORMATS = {".mp4": "mp4", ".mov": "mov", ".mkv": "matroska"}
"""Suffixes of the videos that are written, and FFmpeg's names of their formats."""
CRF = 18

_BT709, _LIMITED = 1, 1
_ANY_RATE = Fraction(25)  # where the source says none; the time stamps decide


class ContainerWriter:
    """A video that is being written; see `tandem.inference.video.frames.VideoWriter`.

    Args:
        path: The file, any name.
        suffix: Decides the format.
        info: The source, whose size, time base and pixel aspect are kept.
        sounds: Tracks of the source to be copied.

    Raises:
        DataError: FFmpeg refuses the picture.
        MissingExtraError: PyAV is not installed.
    """

    def __init__(self, path: Path, suffix: str, info: VideoInfo, sounds: Sequence["av.AudioStream"] = ()) -> None:
        require_av()
        import av  # noqa: PLC0415  (optional)

        self._info, self._path = info, path
        name = FORMATS[suffix]
        self._pixel_format = "yuv444p" if info.width % 2 or info.height % 2 else "yuv420p"
        self.description = f"H.264, CRF {CRF}, {self._pixel_format}"
        self.left_out = [LeftOutTrack(f"the {what}") for what in info.others]
        options = {"movflags": "+faststart"} if name in {"mp4", "mov"} else {}
        with _writing(path):
            self._container = av.open(str(path), "w", format=name, options=options)
            self._video = self._add_video()
            self._sounds: dict[int, SoundCopy] = {}
            for stream in sounds:
                try:
                    self._sounds[stream.index] = SoundCopy(self._container, stream, info.path)
                except (av.FFmpegError, ValueError):
                    codec = stream.codec_context.codec.canonical_name
                    hint = "" if suffix == ".mkv" else "; .mkv may"
                    why = f"{codec}, which {suffix} does not hold as it is{hint}"
                    self.left_out.append(LeftOutTrack(f"the sound ({why})", is_sound=True))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is not None:
            self._abandon()
            return
        with _writing(self._path):
            for packet in self._video.encode(None):
                self._container.mux(packet)
            self._container.close()

    def add(self, frame: Frame) -> None:
        """See `VideoWriter`."""
        import av  # noqa: PLC0415  (optional)

        rgb = np.ascontiguousarray(convert_channels(frame.pixels, 3))
        with _writing(self._path):
            picture = av.VideoFrame.from_ndarray(rgb, format="rgb24").reformat(
                format=self._pixel_format, dst_colorspace="ITU709", dst_color_range="MPEG"
            )
            picture.pts, picture.duration, picture.time_base = frame.time, frame.duration, self._info.time_base
            for packet in self._video.encode(picture):
                self._container.mux(packet)

    def add_sound(self, sound: Sound) -> None:
        """See `VideoWriter`."""
        copy = self._sounds.get(sound.packet.stream.index)
        if copy is not None:
            with _writing(self._path):
                for packet in copy.take(sound.packet):
                    self._container.mux(packet)

    def _add_video(self) -> "av.VideoStream":
        from av.codec.context import Flags  # noqa: PLC0415  (optional)

        info = self._info
        video = self._container.add_stream("libx264", rate=info.frame_rate or _ANY_RATE)
        video.width, video.height, video.pix_fmt = info.width, info.height, self._pixel_format
        video.options = {"crf": str(CRF), "preset": "medium"}
        context = video.codec_context
        context.time_base = info.time_base
        context.flags |= Flags.frame_duration
        context.max_b_frames = 0  # else MP4 ends with the last frame that is decoded, which is not the last one shown
        context.sample_aspect_ratio = info.pixel_aspect
        context.colorspace = context.color_primaries = context.color_trc = _BT709
        context.color_range = _LIMITED
        return video

    def _abandon(self) -> None:
        import av  # noqa: PLC0415  (optional)

        try:
            self._container.close()
        except (av.FFmpegError, OSError, ValueError):
            return  # the file is thrown away, and why is told by the error that brought us here


@contextmanager
def _writing(path: Path) -> Iterator[None]:
    """Turn what FFmpeg says into what the disk says, or into a `DataError`."""
    import av  # noqa: PLC0415  (optional)

    try:
        yield
    except av.FFmpegError as error:
        if isinstance(error, OSError):
            raise OSError(error.errno, error.strerror, str(path)) from error
        raise DataError(f"the video cannot be written: {error.strerror}. Try another --out, such as .mkv.") from error


def check_suffix(path: Path) -> None:
    """Refuse a name that says no format of ours.

    Raises:
        ConfigError: It does not.
    """
    if path.suffix.lower() not in {*FORMATS, ".gif"}:
        raise ConfigError(
            f"--out {path}: the translation of a video is one file that ends in {', '.join(FORMATS)} or .gif."
        )
