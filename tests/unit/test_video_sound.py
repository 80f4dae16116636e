"""Sound is copied so that a player hears what it heard before, at the same moment of the picture, and no more."""

from pathlib import Path

import av
import numpy as np
import pytest

from videos import SOUND_RATE, Edit, copied, edit, heard, moving_frames, see, write_video

MS = SOUND_RATE // 1000
AAC = 1024
"""Samples of a packet."""
CUTS: dict[str, list[list[Edit]]] = {
    "whole": [[(2.0, 0.0)], [(2.0, 0.0)]],
    "begins later": [[(1.2, 0.8)], [(1.2, 0.8)]],
    "ends earlier": [[(1.0, 0.0)], [(1.0, 0.0)]],
    "without its middle": [[(0.4, 0.0), (1.0, 1.0)], [(0.4, 0.0), (1.0, 1.0)]],
    "sound begins later": [[(1.2, 0.8)], [(0.5, None), (0.7, 1.2)]],
    "all begins later": [[(0.5, None), (1.0, 0.5)], [(0.5, None), (1.0, 0.5)]],
}


def video(path: Path, *, sound: str = "aac", cut: str) -> Path:
    """Two seconds with sound, cut by edit lists alone."""
    return edit(write_video(path, moving_frames(20), sounds=[sound], codec_options={"g": "5"}), CUTS[cut])


def difference(
    one: tuple[int, np.ndarray], other: tuple[int, np.ndarray], start: float, *, within: int, joint: float | None = None
) -> float:
    """Largest difference from a time in seconds on, at the best of the shifts `within` which times are rounded.

    Right behind a `joint` decoders need a packet of AAC to be right again.
    """
    begin = max(one[0], round(start * SOUND_RATE)) + within
    end = min(first + len(samples) for first, samples in (one, other)) - within
    counted = np.full(end - begin, True)
    if joint is not None:
        at = round(joint * SOUND_RATE) - begin
        counted[at : at + 2 * AAC] = False
    expected = one[1][begin - one[0] : end - one[0]]
    shifted = (other[1][begin - other[0] + by : end - other[0] + by] for by in range(-within, within + 1))
    return min(np.abs(samples - expected)[counted].max() for samples in shifted)


@pytest.mark.parametrize("cut", CUTS)
@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_nothing_that_was_cut_away_is_heard(tmp_path: Path, suffix: str, cut: str) -> None:
    """The sound begins and ends as before, up to a packet, and is the same between; the picture has its times."""
    source = video(tmp_path / "in.mp4", cut=cut)
    target = copied(source, tmp_path / f"out{suffix}")
    before, after = heard(source), heard(target)
    assert abs(after[0] - before[0]) <= AAC
    assert abs(after[0] + len(after[1]) - before[0] - len(before[1])) <= MS
    settled = (before[0] + (2 if suffix == ".mkv" else 1) * AAC) / SOUND_RATE
    assert difference(before, after, settled, within=MS, joint=0.4 if "middle" in cut else None) < 0.01
    assert [float(time) for time in see(target).times] == pytest.approx(
        [float(time) for time in see(source).times], abs=6e-4
    )


@pytest.mark.parametrize("sound", ["libmp3lame", "libopus", "ac3"])
@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_other_codecs(tmp_path: Path, suffix: str, sound: str) -> None:
    """Whose delays at the beginning differ."""
    source = video(tmp_path / "in.mp4", sound=sound, cut="begins later")
    target = copied(source, tmp_path / f"out{suffix}")
    before, after = heard(source), heard(target)
    assert 0 <= after[0] <= 0.05 * SOUND_RATE
    assert difference(before, after, 0.2, within=MS) < 0.01
    assert [float(time) for time in see(target).times] == pytest.approx(
        [float(time) for time in see(source).times], abs=6e-4
    )


def test_little_is_hidden(tmp_path: Path) -> None:
    """Of what was cut away, MP4 keeps what decoders need to get going: the sound is the same from its first sample."""
    source = video(tmp_path / "in.mp4", cut="begins later")
    target = copied(source, tmp_path / "out.mp4")
    for path, most in ((source, 1.0), (target, 0.1)):
        with av.open(str(path)) as container:
            hidden = [packet for packet in container.demux(audio=0) if packet.is_discard and packet.pts is not None]
            assert 0 < sum(packet.duration * packet.time_base for packet in hidden) <= most
    assert difference(heard(source), heard(target), 0, within=0) < 1e-4
    assert heard(source)[0] == heard(target)[0]


def test_delays_that_matroska_knows_stay(tmp_path: Path) -> None:
    """From Matroska to Matroska nothing is left out: its codec's delay hides the first packet."""
    source = write_video(tmp_path / "in.mkv", moving_frames(20), sounds=["aac"])
    target = copied(source, tmp_path / "out.mkv")
    assert see(target).sounds == see(source).sounds
    assert see(target).sound_times == see(source).sound_times
    assert difference(heard(source), heard(target), 0, within=0) < 1e-4
