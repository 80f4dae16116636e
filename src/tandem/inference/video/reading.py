"""Reading videos with PyAV (FFmpeg), frame by frame.

Only the containers of `VIDEO_SUFFIXES` are opened, and only the file itself: playlists and formats that name other
files or addresses are refused. Frames become upright 8-bit RGB or RGBA; see `tandem.inference.video.pixels`.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from tandem.errors import DataError, MissingExtraError
from tandem.inference.video.completeness import check_whole
from tandem.inference.video.frames import MAX_FRAME_PIXELS, Frame, Sound, VideoInfo, check_frame_size
from tandem.inference.video.pixels import Orientation, has_alpha, orientation_of, upright_pixels
from tandem.inference.video.timing import Timing

if TYPE_CHECKING:
    import av
    import av.container
    import av.stream

_OPTIONS = {
    "format_whitelist": "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi",
    "protocol_whitelist": "file",
    "max_pixels": str(MAX_FRAME_PIXELS),
}
_DECODERS_OF_ALPHA = {"vp8": "libvpx", "vp9": "libvpx-vp9"}


def require_av() -> None:
    """Refuse to go on without PyAV.

    Raises:
        MissingExtraError: It is not installed.
    """
    try:
        import av  # noqa: F401, PLC0415  (optional)
    except ImportError as error:
        raise MissingExtraError("av", "video", "reading and writing videos") from error


class ContainerVideo:
    """A video; see `tandem.inference.video.frames.Video`.

    Raises:
        DataError: It is no video, cut off, has no picture, or frames that are too large.
        MissingExtraError: PyAV is not installed.
    """

    def __init__(self, path: Path) -> None:
        require_av()
        check_whole(path)
        self._path = path
        self._orientation, self.info = _probe(path)
        self._container = open_container(path)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._container.close()

    @property
    def sound_streams(self) -> list["av.AudioStream"]:
        """The sound tracks, as templates for those of a copy."""
        return [stream for stream in self._container.streams.audio if _context(stream) is not None]

    def parts(self) -> Iterator[Frame | Sound]:
        """See `Video`."""
        track = _picture(self._container, self._path)
        decoder = _decoder(track, self._path)
        timing = Timing(self.info, track)
        with _reading(self._path):
            for packet in self._container.demux(track, *self.sound_streams):
                if packet.is_corrupt:
                    raise DataError(f"{self._path}: damaged or cut off after {timing.count} frames")
                if packet.stream is track:
                    timing.see(packet)
                    for decoded in decoder.decode(packet):  # pyright: ignore[reportArgumentType]  (of this track)
                        yield from self._shown(decoded, timing)
                elif packet.dts is not None:
                    yield Sound(packet)
            yield from timing.last()

    def _shown(self, decoded: "av.VideoFrame", timing: Timing) -> Iterator[Frame]:
        """The frame before this one, whose end is known now."""
        self._orientation = orientation_of(decoded, self._orientation)
        pixels = upright_pixels(decoded, self._orientation, transparent=self.info.transparent)
        height, width = pixels.shape[:2]
        if (width, height) != (self.info.width, self.info.height):
            raise DataError(
                f"{self._path}: its frames change their size, from {self.info.width} x {self.info.height} to {width} x "
                f"{height} px after {timing.count} frames. Cut it there, or bring it to one size first."
            )
        return timing.placed(pixels, decoded)


def _probe(path: Path) -> tuple[Orientation, VideoInfo]:
    """How its first frame comes upright, and what the file says, with the size of that frame."""
    with open_container(path) as container, _reading(path):
        track = _picture(container, path)
        context = _context(track)
        if context is None:
            raise DataError(f"{path}: its picture is coded in a way that cannot be read here")
        if not context.width * context.height:
            raise DataError(
                f"{path}: damaged, or its frames are too large: videos are read up to {MAX_FRAME_PIXELS} pixels a frame"
            )
        check_frame_size(path, context.width, context.height)
        if track.time_base is None:
            raise DataError(f"{path}: its picture track has no time base")
        context.options = {"max_pixels": _OPTIONS["max_pixels"]}
        first = next(container.decode(track), None)
        if first is None:
            raise DataError(f"{path}: holds no frames")
        sounds = [stream for stream in container.streams.audio if _context(stream) is not None]
        rate = track.average_rate or track.guessed_rate
        aspect = track.sample_aspect_ratio or Fraction(1)
        orientation = orientation_of(first)
        height, width = upright_pixels(first, orientation, transparent=False).shape[:2]
        info = VideoInfo(
            path=path,
            width=width,
            height=height,
            time_base=track.time_base,
            frame_rate=rate if rate and rate > 0 else None,
            pixel_aspect=1 / aspect if orientation.transposed else aspect,
            transparent=_has_alpha_beside(track) or (has_alpha(first) and not _is_raw_avi(track)),
            sounds=tuple(stream.codec_context.codec.canonical_name for stream in sounds),
            others=tuple(
                _what(s) for s in container.streams if s is not track and (s.type != "audio" or not _context(s))
            ),
        )
        return orientation, replace(info, num_frames=track.frames or _estimated_frames(container, info))


def _picture(container: "av.container.InputContainer", path: Path) -> "av.VideoStream":
    """The track that players show: of several the one that FFmpeg takes for the main one, and never a cover.

    Raises:
        DataError: There is none.
    """
    tracks = [track for track in container.streams.video if not _is_cover(track)]
    if not tracks:
        found = ", ".join(sorted({_what(stream) for stream in container.streams}))
        raise DataError(f"{path}: holds no moving picture, only {found or 'nothing'}")
    best = container.streams.best("video")
    return next((track for track in tracks if best is not None and track.index == best.index), tracks[0])


def _is_cover(stream: "av.stream.Stream") -> bool:
    from av.stream import Disposition  # noqa: PLC0415  (optional)

    return bool(stream.disposition & Disposition.attached_pic)


def _what(stream: "av.stream.Stream") -> str:
    return "cover picture" if _is_cover(stream) else f"{stream.type} track"


def _is_raw_avi(track: "av.VideoStream") -> bool:
    """Whether pixels are stored as they are in an AVI, where the fourth byte of a pixel means nothing."""
    return track.container.format.name == "avi" and _context(track).name == "rawvideo"


def _has_alpha_beside(track: "av.VideoStream") -> bool:
    """Whether alpha is a second picture beside each one, as in WebM (AlphaMode of Matroska)."""
    modes = (value for key, value in track.metadata.items() if key.lower() == "alpha_mode")
    return _context(track).name in _DECODERS_OF_ALPHA and any(mode == "1" for mode in modes)


def _decoder(track: "av.VideoStream", path: Path) -> "av.VideoCodecContext":
    """What decodes the picture, alpha included; FFmpeg's own decoders of VP8 and VP9 leave that out.

    Raises:
        DataError: FFmpeg was built without the one that is needed.
    """
    import av  # noqa: PLC0415  (optional)
    import av.codec.codec  # noqa: PLC0415

    decoder: Any = track.codec_context
    if _has_alpha_beside(track):
        name = _DECODERS_OF_ALPHA[decoder.name]
        try:
            decoder = av.VideoCodecContext.create(name, "r")
        except av.codec.codec.UnknownCodecError as error:
            raise DataError(
                f"{path}: its transparency is read by {name}, which FFmpeg was built without here. Install PyAV from "
                "PyPI, whose FFmpeg has it, or convert the video to one without alpha."
            ) from error
    else:
        track.thread_type = "AUTO"
    decoder.options = {"max_pixels": _OPTIONS["max_pixels"]}
    return decoder


def _estimated_frames(container: "av.container.InputContainer", info: VideoInfo) -> int | None:
    if not container.duration or not info.frame_rate:
        return None
    return max(1, round(Fraction(container.duration, 1_000_000) * info.frame_rate))


def open_container(path: Path) -> "av.container.InputContainer":
    """Open a video for reading.

    Raises:
        DataError: It is none.
    """
    import av  # noqa: PLC0415  (optional)

    with _reading(path):
        return av.open(str(path.resolve()), options=_OPTIONS, metadata_errors="replace")


def _context(stream: "av.stream.Stream") -> Any:
    """What decodes a track; None, other than the types say, where FFmpeg does not know how it is coded."""
    return stream.codec_context


@contextmanager
def _reading(path: Path) -> Iterator[None]:
    """Turn what FFmpeg says into a `DataError`."""
    import av  # noqa: PLC0415  (optional)

    try:
        yield
    except av.FFmpegError as error:
        raise DataError(
            f"{path}: damaged, or no video that can be read ({error.strerror}). Videos are mp4, mov, mkv, webm and avi."
        ) from error
