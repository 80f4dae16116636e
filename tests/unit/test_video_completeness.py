"""Is a video all there? Every real container is accepted whole and refused at any cut."""

from pathlib import Path

import pytest

from tandem.errors import DataError
from tandem.inference.video.completeness import check_whole
from videos import moving_frames, write_video

FASTSTART = {"movflags": "+faststart"}
KINDS = [
    ("mp4", "libx264", {}),
    ("mp4", "libx264", FASTSTART),
    ("mov", "libx264", FASTSTART),
    ("mkv", "libx264", {}),
    ("webm", "libvpx-vp9", {}),
    ("avi", "mpeg4", {}),
]


@pytest.mark.parametrize(("suffix", "codec", "options"), KINDS)
def test_whole_or_cut_off(tmp_path: Path, suffix: str, codec: str, options: dict[str, str]) -> None:
    path = write_video(tmp_path / f"video.{suffix}", moving_frames(6), codec=codec, options=options)
    check_whole(path)
    whole = path.read_bytes()
    for share in (0.3, 0.7, 0.95, 1):
        path.write_bytes(whole[: int(share * len(whole)) - 1])
        with pytest.raises(DataError, match=r"cut off: the file has \d+ bytes of the \d+"):
            check_whole(path)


def test_more_than_announced_is_no_harm(tmp_path: Path) -> None:
    path = write_video(tmp_path / "video.mkv", moving_frames(3))
    path.write_bytes(path.read_bytes() + b"tail")
    check_whole(path)


@pytest.mark.parametrize("content", [b"\0", b"\x1a\x45\xdf\xa3", b"\x1a\x45\xdf\xa3\0\0", b"hello process_group" * 9])
def test_what_announces_nothing_passes(tmp_path: Path, content: bytes) -> None:
    """It is for the decoder to refuse it."""
    (tmp_path / "video").write_bytes(content)
    check_whole(tmp_path / "video")


def test_a_live_recording_passes(tmp_path: Path) -> None:
    """Matroska of unknown size: the eight bytes after the segment's name are ones."""
    path = write_video(tmp_path / "video.mkv", moving_frames(3))
    data = bytearray(path.read_bytes())
    at = data.index(b"\x18\x53\x80\x67") + 4
    data[at : at + 8] = b"\x01" + b"\xff" * 7
    path.write_bytes(data[: len(data) // 2])
    check_whole(path)


def test_empty_and_missing(tmp_path: Path) -> None:
    (tmp_path / "empty.mp4").touch()
    with pytest.raises(DataError, match="the file is empty"):
        check_whole(tmp_path / "empty.mp4")
    with pytest.raises(DataError, match="No such file"):
        check_whole(tmp_path / "none.mp4")


def test_boxes_without_end(tmp_path: Path) -> None:
    """Boxes of the least size, and sizes that wrap round, are read in no time."""
    (tmp_path / "many.mp4").write_bytes(b"\0\0\0\x08free" * 300_000)
    check_whole(tmp_path / "many.mp4")
    (tmp_path / "huge.mp4").write_bytes(b"\0\0\0\x01mdat" + b"\xff" * 8)
    with pytest.raises(DataError, match="cut off"):
        check_whole(tmp_path / "huge.mp4")
