"""Sound copied from file to file: whether a format takes it, and which packets, so that only what was heard is heard.

An edit list (ISO 14496-12, 8.6.6) cuts without loss: packets before and behind what is played stay in the file, and
FFmpeg hands them out, marked. In a copy they would be heard again, and where a format has no negative times, the
picture would come later for them. So they are left out. In MP4 those right before the sound are kept, with which
decoders get going; there an edit list hides them again.
"""

import io
from collections.abc import Iterator
from fractions import Fraction
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from tandem.inference.video.reading import open_container

if TYPE_CHECKING:
    import av
    import av.container
    import av.packet

_EDIT_LISTS = frozenset({"mp4", "mov"})
"""Formats that hold sound from before their beginning, and hide it."""
_PRE_ROLL = Fraction(1, 10)
"""Seconds of sound that a decoder may need before it is right: 80 ms of Opus, one packet of AAC, two of MP3."""
_USUAL_LAYOUTS = {1: "mono", 2: "stereo", 6: "5.1", 8: "7.1"}
_TRIAL_PACKETS, _TRIAL_SECONDS = 8, 10


class SoundCopy:
    """A track of sound in a file that is written.

    Args:
        container: That file.
        source: The track that is copied.
        path: The file that it is in.

    Raises:
        ValueError: The format does not take it.
        av.FFmpegError: Likewise.
    """

    def __init__(self, container: "av.container.OutputContainer", source: "av.AudioStream", path: Path) -> None:
        name = container.format.name
        self._earliest = _tried(name, path, source.index)
        self._track = _add_copy(container, source)
        self._hides = name in _EDIT_LISTS
        self._hidden: list[av.packet.Packet] = []
        self._begun = False

    def take(self, packet: "av.packet.Packet") -> Iterator["av.packet.Packet"]:
        """The packets to be written now that `packet` has come."""
        start = _start(packet)
        if packet.is_discard:
            if self._hides and not self._begun and -_PRE_ROLL <= start < 0:
                self._hidden.append(packet)
            return
        if self._earliest is not None and start <= self._earliest:
            return
        if not self._begun and start > 0:  # nothing of this sound was hidden: it begins later
            self._hidden.clear()
        for one in (*self._hidden, packet):
            one.stream = self._track
            yield one
        self._begun = True
        self._hidden.clear()


def _start(packet: "av.packet.Packet") -> Fraction:
    """Seconds."""
    return ((packet.dts if packet.pts is None else packet.pts) or 0) * packet.time_base


def _add_copy(container: "av.container.OutputContainer", stream: "av.AudioStream") -> "av.AudioStream":
    """Add a track for the packets of `stream`; channels whose places the source does not say get the usual ones."""
    copy = container.add_stream_from_template(stream)
    usual = _USUAL_LAYOUTS.get(stream.codec_context.channels)
    if usual and stream.codec_context.layout.name.endswith(" channels"):
        copy.codec_context.layout = usual
    return copy


def _tried(name: str, source: Path, index: int) -> Fraction | None:
    """Write the first packets of a track into memory, for some refusals come at the end.

    They are written far before the beginning. A format without negative times moves them to its first one, which is the
    codec's delay before 0 s where it knows of that, else 0 s.

    Returns:
        The time up to which packets do not fit into the file, in seconds; None where all do.

    Raises:
        ValueError: The format does not take the track.
        av.FFmpegError: Likewise.
    """
    import av  # noqa: PLC0415  (optional)

    file, shift, count = io.BytesIO(), 0 if name in _EDIT_LISTS else _TRIAL_SECONDS, 0
    with open_container(source) as container, av.open(file, "w", format=name) as trial:
        stream = container.streams[index]
        copy = _add_copy(trial, stream)  # pyright: ignore[reportArgumentType]  (it is a track of sound)
        packets = (one for one in container.demux(stream) if one.dts is not None and not one.is_discard)
        for packet in islice(packets, _TRIAL_PACKETS):
            ticks = round(shift / packet.time_base)
            packet.dts, packet.pts = (packet.dts or 0) - ticks, None if packet.pts is None else packet.pts - ticks
            packet.stream = copy
            trial.mux(packet)
            count += 1
    if not shift or not count:
        return None
    file.seek(0)
    with av.open(file, "r") as written:
        first = next(written.demux(audio=0))
        return _start(first) - first.time_base / 2
