"""Which of a file's pictures is the video, and what is said of all that is left out."""

import io
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from av.stream import Disposition
from PIL import Image

from tandem.errors import DataError
from tandem.inference.video.frames import Frame, VideoInfo
from tandem.inference.video.gif import GifWriter
from tandem.inference.video.reading import ContainerVideo
from tandem.inference.video.translate import open_writer
from videos import moving_frames


def jpeg() -> bytes:
    file = io.BytesIO()
    Image.fromarray(np.full((30, 40, 3), 200, np.uint8)).save(file, "JPEG")
    return file.getvalue()


def with_still(path: Path, *, kind: str, moving: bool = True) -> Path:
    """A video whose first track, or attachment, is a picture of 40 x 30 pixels."""
    with av.open(str(path), "w") as container:
        still = None
        if kind == "attachment":
            container.add_attachment("cover.jpg", "image/jpeg", jpeg())
        else:
            still = container.add_stream("mjpeg", rate=25)
            still.width, still.height, still.pix_fmt = 40, 30, "yuvj420p"
            still.disposition = Disposition.attached_pic if kind == "cover" else Disposition(0)
        video = container.add_stream("libx264" if moving else "aac", rate=25 if moving else 48_000)
        if moving:
            video.width, video.height, video.pix_fmt = 64, 48, "yuv420p"
            for index, array in enumerate(moving_frames(10)):
                picture = av.VideoFrame.from_ndarray(array, "rgb24")
                picture.pts, picture.time_base = index, Fraction(1, 25)
                container.mux(video.encode(picture))
        container.mux(video.encode(None))
        if still is not None:
            packet = av.Packet(jpeg())
            packet.stream, packet.pts, packet.dts, packet.time_base = still, 0, 0, Fraction(1, 25)
            container.mux(packet)
    return path


@pytest.mark.parametrize(
    ("suffix", "kind", "says"),
    [("mp4", "cover", "cover picture"), ("mkv", "attachment", "cover picture"), ("mkv", "track", "video track")],
)
def test_the_picture_that_moves(tmp_path: Path, suffix: str, kind: str, says: str) -> None:
    """Not a cover, nor a track of one picture that comes first; what is left out has a name."""
    path = with_still(tmp_path / f"a.{suffix}", kind=kind)
    with ContainerVideo(path) as video:
        frames = [part for part in video.parts() if isinstance(part, Frame)]
        assert (video.info.width, video.info.height, len(frames)) == (64, 48, 10)
        assert video.info.others == (says,)
        for suffix_out in (".mp4", ".gif"):
            with open_writer(tmp_path / "out", suffix_out, video) as writer:
                writer.add(frames[0])
            assert [what.text for what in writer.left_out] == [f"the {says}"]


def test_a_cover_alone_is_no_video(tmp_path: Path) -> None:
    path = with_still(tmp_path / "a.mp4", kind="cover", moving=False)
    with pytest.raises(DataError, match=r"holds no moving picture, only .*cover picture"):
        ContainerVideo(path)


def test_a_gif_has_square_pixels(tmp_path: Path) -> None:
    """So others are named among what is left out."""
    info = VideoInfo(Path("a.mp4"), 64, 48, Fraction(1, 25), pixel_aspect=Fraction(16, 11))
    with GifWriter(tmp_path / "a.gif", info) as writer:
        assert [what.text for what in writer.left_out] == ["the shape of its pixels (16:11; those of a GIF are square)"]
