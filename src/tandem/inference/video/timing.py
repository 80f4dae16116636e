"""When the frames of a video are shown, and for how long: from time stamps, for durations are not to be believed.

What FFmpeg says of a frame's duration is in the order of decoding in MP4, the nominal rate in Matroska, and made up for
VP9 in MP4. So a frame lasts until the next one, and waits for it here. How long the last one lasts follows from what
its format does say; see `_LastFrame`.
"""

from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from tandem.errors import DataError
from tandem.inference.video.frames import Frame, VideoInfo

if TYPE_CHECKING:
    import av
    import av.packet


class Timing:
    """Rising time stamps: the file's own ones; where one is missing, the frame rate's.

    A single one that does not rise is put right behind the one before it. AVI has none: there FFmpeg numbers packets in
    the order of decoding, which is wrong for H.264 with B-frames, so its frames follow each other as they are decoded.

    Args:
        info: The video.
        track: The track of its picture.
    """

    def __init__(self, info: VideoInfo, track: "av.VideoStream") -> None:
        self._path = info.path
        self._ticks = max(1, round(1 / (info.frame_rate * info.time_base))) if info.frame_rate else 0
        self._waiting: Frame | None = None
        self._stalled = False
        self._last = _LastFrame(track)
        self._is_h264_avi = track.container.format.name == "avi" and track.codec_context.name == "h264"
        self._ahead: int | None = None
        self.count = 0

    def see(self, packet: "av.packet.Packet") -> None:
        """Note what a packet of the picture says, in the order of decoding."""
        if packet.size:
            self._last.see(packet)

    def placed(self, pixels: np.ndarray, decoded: "av.VideoFrame") -> Iterator[Frame]:
        """Take the next frame; the one before it comes out, whose end is known now.

        Args:
            pixels: See `Frame`.
            decoded: What the decoder says of it. Its duration is used where nothing better is known of the last frame.

        Raises:
            DataError: The time stamps do not rise, or are missing and there is no rate.
        """
        pts, duration = self._time_of(decoded), decoded.duration
        before = self._waiting
        last = None if before is None else before.time
        stalls = pts is not None and last is not None and pts <= last
        if (stalls and self._stalled) or (pts is None and not self._ticks):
            raise DataError(
                f"{self._path}: its frames have no rising time stamps (after {self.count} frames) and no usable rate, "
                "so its length is not known. Convert it first."
            )
        self._stalled = stalls
        if pts is None or stalls:
            pts = 0 if last is None else last + (1 if stalls else self._ticks)
        if not duration or duration < 0:
            duration = self._ticks or (1 if last is None else pts - last)
        self._waiting = Frame(pixels, pts, duration)
        self.count += 1
        if before is not None:
            yield replace(before, duration=pts - before.time)

    def _time_of(self, decoded: "av.VideoFrame") -> int | None:
        if not self._is_h264_avi:
            return decoded.pts
        if decoded.dts is None:
            return None
        if self._ahead is None:
            self._ahead = 0 if decoded.pts is None else decoded.dts - decoded.pts
        return decoded.dts - self._ahead

    def last(self) -> Iterator[Frame]:
        """The frame that waits when the video is over."""
        if self._waiting is not None:
            ticks = self._last.duration(self._waiting.time)
            yield replace(self._waiting, duration=ticks) if ticks else self._waiting


class _LastFrame:
    """How long the last frame of a video lasts.

    - Matroska and others say it in the packet of the frame.
    - MP4 says durations in the order of decoding, so only the packet that is decoded last ends with the video. Where
      that one is also shown last, the track's duration says it too, for every codec.
    - A video that is cut in its edit list ends there: at the end of the track, or where the first frame begins that is
      cut away.
    """

    def __init__(self, track: "av.VideoStream") -> None:
        self._track = track
        self._is_mp4 = "mp4" in track.container.format.name
        self._decoded: tuple[int | None, int] = (None, 0)  # time stamp and duration of a packet
        self._shown: tuple[int | None, int] = (None, 0)
        self._cut: int | None = None

    def see(self, packet: "av.packet.Packet") -> None:
        time, latest = packet.pts, self._shown[0]
        is_later = time is not None and (latest is None or time > latest)
        if packet.is_discard:
            if is_later and time is not None:
                self._cut = time if self._cut is None else min(self._cut, time)
            return
        self._decoded = (time, packet.duration or 0)
        if is_later:
            self._shown = self._decoded
            self._cut = None if self._cut is None or time is None or time > self._cut else self._cut

    def duration(self, time: int) -> int:
        """In ticks, of the frame at a time; 0: not known."""
        in_order = self._decoded[0] == self._shown[0]
        if not self._is_mp4:
            return max(0, (self._decoded if self._shown[0] is None else self._shown)[1])
        if self._cut is not None:
            ends = [end for end in (self._track.duration, self._cut) if end is not None and end > time]
            return min(ends, default=time) - time
        end = (self._track.start_time or 0) + (self._track.duration or 0)
        return end - time if in_order and end > time else max(0, self._decoded[1])
