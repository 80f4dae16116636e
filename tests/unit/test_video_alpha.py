"""Transparent videos: what is hidden under alpha 0 does not show, whichever codec holds it; networks see white."""

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from tandem.data.fit import FitRule
from tandem.errors import DataError
from tandem.inference.inputs import fit_image, to_input
from tandem.inference.video.frames import Frame
from tandem.inference.video.reading import ContainerVideo
from videos import copied, see, see_gif

HIDDEN, SHOWN = (255, 0, 0), (0, 0, 255)
CODECS = {
    "webm": ("libvpx-vp9", "yuva420p"),
    "mkv": ("ffv1", "bgra"),
    "mov": ("qtrle", "argb"),
    "avi": ("utvideo", "gbrap"),
}


def pictures() -> list[np.ndarray]:
    """A blue block that moves, and half of one that stands, on red that nobody sees: ``(H, W, 4)``."""
    frames = []
    for index in range(4):
        frame = np.full((48, 64, 4), (*HIDDEN, 0), np.uint8)
        frame[8:24, 8 * index : 8 * index + 24] = (*SHOWN, 255)
        frame[32:40, 16:48] = (*SHOWN, 128)
        frames.append(frame)
    return frames


def transparent(path: Path, codec: str, pixel_format: str) -> Path:
    with av.open(str(path), "w") as container:
        video = container.add_stream(codec, rate=10)
        video.width, video.height, video.pix_fmt = 64, 48, pixel_format
        video.options = {"lossless": "1"} if codec == "libvpx-vp9" else {}
        if path.suffix == ".webm":
            video.metadata["alpha_mode"] = "1"
        for index, array in enumerate(pictures()):
            picture = av.VideoFrame.from_ndarray(array, "rgba").reformat(format=pixel_format)
            picture.pts, picture.time_base = index, Fraction(1, 10)
            container.mux(video.encode(picture))
        container.mux(video.encode(None))
    return path


def read(path: Path) -> tuple[bool, list[np.ndarray]]:
    with ContainerVideo(path) as video:
        return video.info.transparent, [part.pixels for part in video.parts() if isinstance(part, Frame)]


def inside(area: np.ndarray) -> np.ndarray:
    """An area without the pixels near its edge, where codecs share colours between neighbours: ``(H, W)`` bool."""
    eroded = np.zeros_like(area)
    eroded[2:-2, 2:-2] = np.lib.stride_tricks.sliding_window_view(area, (5, 5)).all((2, 3))
    return eroded


@pytest.mark.parametrize("suffix", CODECS)
def test_alpha_is_read(tmp_path: Path, suffix: str) -> None:
    said, frames = read(transparent(tmp_path / f"a.{suffix}", *CODECS[suffix]))
    assert said
    for frame, expected in zip(frames, pictures(), strict=True):
        assert np.abs(frame[:, :, 3].astype(int) - expected[:, :, 3]).max() <= 1


@pytest.mark.parametrize("suffix", CODECS)
def test_hidden_colours_do_not_show(tmp_path: Path, suffix: str) -> None:
    """In a video, which has no alpha, there is white; a GIF is transparent there."""
    source = transparent(tmp_path / f"a.{suffix}", *CODECS[suffix])
    video = see(copied(source, tmp_path / "out.mp4"))
    frames, _, _ = see_gif(copied(source, tmp_path / "out.gif"))
    for picture, frame, expected in zip(video.pixels, frames, pictures(), strict=True):
        alpha = expected[:, :, 3]
        assert np.abs(picture[inside(alpha == 0)].astype(int) - 255).max() < 24
        assert np.array_equal(frame[:, :, 3] == 255, alpha >= 128)
        assert np.abs(frame[inside(alpha == 255)][:, :3].astype(int) - SHOWN).max() <= 4


def test_a_fourth_byte_that_means_nothing(tmp_path: Path) -> None:
    """Uncompressed AVI of 32 bits, as screen recorders write it: the byte is 0 and says nothing."""
    said, frames = read(transparent(tmp_path / "a.avi", "rawvideo", "bgra"))
    assert not said
    assert all(map(np.array_equal, frames, (frame[:, :, :3] for frame in pictures())))


def test_without_the_decoder_of_alpha(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = transparent(tmp_path / "a.webm", *CODECS["webm"])
    monkeypatch.setattr("tandem.inference.video.reading._DECODERS_OF_ALPHA", {"vp9": "no-such-decoder"})
    with pytest.raises(DataError, match="its transparency is read by no-such-decoder"):
        read(path)


@pytest.mark.parametrize("channels", [1, 3])
def test_a_network_sees_white(channels: int) -> None:
    """A frame is put over white before it is resized: what is hidden does not count, not even at its edges."""
    rule = FitRule(size=(24, 32), preprocess="resize_and_crop", load_size=(24, 32))
    frames = [pictures()[0], pictures()[0]]
    frames[1][frames[1][:, :, 3] == 0, :3] = (0, 255, 0)
    plan = rule.plan(48, 64, "auto")
    red, green = (fit_image(to_input(frame, channels=channels), plan).values for frame in frames)
    assert red.shape == (channels, 24, 32)
    assert np.array_equal(red, green)
    assert (red[:, :2] == 1).all()
