"""How long the last frame of a video lasts, in every format that says it, and where a video is cut without loss."""

from fractions import Fraction
from pathlib import Path

import pytest

from tandem.inference.video.frames import Frame
from tandem.inference.video.reading import ContainerVideo
from videos import Edit, copied, edit, moving_frames, see_gif, write_video

MS = Fraction(1, 1000)
TIMES = [0, 40, 80, 500, 540, 1500, 1540, 3000, 3040]


def ends_of(path: Path) -> list[tuple[Fraction, Fraction]]:
    """Start and end of every frame, in milliseconds."""
    with ContainerVideo(path) as video:
        tick = video.info.time_base / MS
        frames = [part for part in video.parts() if isinstance(part, Frame)]
        return [(frame.time * tick, (frame.time + frame.duration) * tick) for frame in frames]


@pytest.mark.parametrize(
    ("suffix", "codec", "b_frames"),
    [
        ("mp4", "libx264", "0"),
        ("mp4", "libvpx-vp9", None),
        ("mkv", "libx264", "0"),
        ("mkv", "libx264", "3"),
        ("webm", "libvpx-vp9", None),
    ],
)
def test_the_last_frame(tmp_path: Path, suffix: str, codec: str, b_frames: str | None) -> None:
    """Half a second, as the file says; with sound that goes on for longer."""
    path = write_video(
        tmp_path / f"a.{suffix}",
        moving_frames(len(TIMES)),
        times=TIMES,
        last=500,
        time_base=MS,
        rate=2,
        codec=codec,
        codec_options={} if b_frames is None else {"bf": b_frames},
        sounds=["libopus"],
    )
    assert ends_of(path) == list(zip(TIMES, [*TIMES[1:], TIMES[-1] + 500], strict=True))


@pytest.mark.parametrize(
    ("b_frames", "edits", "times", "end"),
    [
        ("0", [(1.2, 0.0)], [0, 40, 80, 500, 540], 1200),
        ("2", [(1.2, 0.0)], [0, 40, 80, 500, 540], 1200),
        ("0", [(0.06, 0.0)], [0, 40], 60),
        ("2", [(0.06, 0.0)], [0, 40], 60),
        ("0", [(0.5, None), (1.2, 0.0)], [500, 540, 580, 1000, 1040], 1700),
    ],
)
def test_a_video_that_is_cut_in_its_edit_list(
    tmp_path: Path, b_frames: str, edits: list[Edit], times: list[int], end: int
) -> None:
    """It ends where it is cut, not with the frame that is cut away."""
    options = {"bf": b_frames}
    path = write_video(
        tmp_path / "a.mp4", moving_frames(len(TIMES)), times=TIMES, time_base=MS, rate=25, codec_options=options
    )
    seen = ends_of(edit(path, [edits]))
    assert [start for start, _ in seen] == times
    assert seen[-1][1] == end


@pytest.mark.parametrize(("suffix", "codec"), [("mp4", "libx264"), ("mkv", "libx264"), ("webm", "libvpx-vp9")])
@pytest.mark.parametrize("target", ["mp4", "mov", "mkv", "gif"])
def test_times_survive(tmp_path: Path, suffix: str, codec: str, target: str) -> None:
    """From every format to every other: pauses, a beginning that is not 0, the end of the last frame, beside sound."""
    times = [700 + time for time in TIMES]
    options = {"bf": "0" if suffix == "mp4" else "3"} if codec == "libx264" else {}
    source = write_video(
        tmp_path / f"in.{suffix}",
        moving_frames(len(times)),
        times=times,
        last=500,
        time_base=MS,
        rate=2,
        codec=codec,
        codec_options=options,
        sounds=["libopus"],
    )
    path = copied(source, tmp_path / f"out.{target}")
    expected = list(zip(times, [*times[1:], times[-1] + 500], strict=True))
    if target == "gif":
        assert see_gif(path)[1] == [end - start for start, end in expected]
    else:
        assert ends_of(path) == expected


@pytest.mark.parametrize("codec", ["libx264", "mpeg4"])
@pytest.mark.parametrize("b_frames", ["0", "3"])
def test_avi_has_no_time_stamps(tmp_path: Path, codec: str, b_frames: str) -> None:
    """Frames follow each other at the rate, B-frames or not; the first one's own time is that of FFmpeg."""
    path = write_video(tmp_path / "a.avi", moving_frames(30), rate=25, codec=codec, codec_options={"bf": b_frames})
    seen = ends_of(path)
    start = seen[0][0]
    assert 0 <= start <= 80
    assert seen == [(start + 40 * index, start + 40 * index + 40) for index in range(30)]
