"""``tandem timeline`` on real runs: finished, interrupted, continued; its frames against the gallery's pictures."""

import os
import shutil
import signal
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageChops
from support import Finished, files_of, fork, tandem, tiny, train, until, wait_for

PADDING, TITLE_ROOM, CELL, CAPTION = 2, 11 + 8, 64, 26
"""Of a gallery of 32 px images, which are shown three times as large; and of a timeline's frame."""
COLUMNS = {"input": 0, "ground truth": 1, "encoded": 2, "z1": 3, "z2": 4}


def timeline(run: Path, out: Path, *words: str) -> Finished:
    finished = tandem("timeline", run, "--out", out, *words)
    assert finished.status == 0, finished.err
    return finished


def gallery_cell(run: Path, step: int, row: int, title: str) -> Image.Image:
    """A cell of a picture of the gallery, measured out by hand."""
    x = PADDING + COLUMNS[title] * (CELL + PADDING)
    y = TITLE_ROOM + PADDING + row * (CELL + PADDING)
    with Image.open(run / "gallery" / f"step-{step:08d}.jpg") as picture:
        return picture.convert("RGB").crop((x, y, x + CELL, y + CELL))


def shown_cell(picture: Image.Image, row: int, column: int, *, above: int = 0) -> Image.Image:
    x = PADDING + column * (CELL + PADDING)
    y = above + TITLE_ROOM + PADDING + row * (CELL + PADDING)
    return picture.crop((x, y, x + CELL, y + CELL))


def frames_of(path: Path) -> list[Image.Image]:
    with Image.open(path) as gif:
        frames = []
        for index in range(getattr(gif, "n_frames", 1)):
            gif.seek(index)
            frames.append(gif.convert("RGB"))
    return frames


def distance(one: Image.Image, other: Image.Image) -> float:
    return float(np.asarray(ImageChops.difference(one, other)).mean())


def test_a_gif_of_a_finished_run(finished_run: Path, tmp_path: Path) -> None:
    """Steps 4, 8 and the end, 10: every cell is the gallery's, in the colours that a GIF has."""
    out = tmp_path / "t.gif"
    finished = timeline(finished_run, out, "--fps", "2")
    assert f"timeline: {out} (3 snapshots, steps 4 to 10; columns input, ground truth, z1, z2)" in finished.err
    frames = frames_of(out)
    assert len(frames) == 3
    for frame, step in zip(frames, (4, 8, 10), strict=True):
        for row in range(2):
            for column, title in enumerate(("input", "ground truth", "z1", "z2")):
                shown = shown_cell(frame, row, column, above=CAPTION)
                assert distance(shown, gallery_cell(finished_run, step, row, title)) < 6
    captions = [frame.crop((0, 0, frame.width, CAPTION)) for frame in frames]
    assert all(distance(captions[0], other) > 0 for other in captions[1:])


@pytest.mark.parametrize("suffix", ["png", "webp"])
def test_a_strip_of_a_finished_run(finished_run: Path, tmp_path: Path, suffix: str) -> None:
    """Of a PNG to the bit."""
    out = tmp_path / f"t.{suffix}"
    timeline(finished_run, out, "--inputs", "1", "--sample", "2")
    with Image.open(out) as picture:
        strip = picture.convert("RGB")
    expected = [gallery_cell(finished_run, 10, 1, title) for title in ("input", "ground truth")]
    expected += [gallery_cell(finished_run, step, 1, "z2") for step in (4, 8, 10)]
    assert strip.width == PADDING + 5 * (CELL + PADDING)
    for column, cell in enumerate(expected):
        assert distance(shown_cell(strip, 0, column), cell) <= (0 if suffix == "png" else 8)


def test_which_snapshots(finished_run: Path, tmp_path: Path) -> None:
    out = tmp_path / "t.gif"
    assert "(2 snapshots, steps 4 to 10;" in timeline(finished_run, out, "--every", "2").err
    assert len(frames_of(out)) == 2
    assert "(2 snapshots, steps 4 to 10;" in timeline(finished_run, out, "--max-frames", "2").err


def test_nothing_of_the_run_changes(finished_run: Path, tmp_path: Path) -> None:
    """But for the timeline itself, which lies in the run unless said otherwise; the run still continues."""
    run = Path(shutil.copytree(finished_run, tmp_path / "run"))
    before = files_of(run)
    assert tandem("timeline", run).status == 0
    after = files_of(run)
    assert {name for name in after if after[name] != before.get(name)} == {"timeline.gif"}
    assert len(frames_of(run / "timeline.gif")) == 3


def test_a_run_that_is_killed_and_continued(data: Path, tmp_path: Path) -> None:
    """While it runs, after a kill with a picture of a lost step, and after it has gone on with more samples."""
    run, out = tmp_path / "run", tmp_path / "t.gif"
    pid = fork("train", data, "--out", run, *tiny(steps=100_000, snapshot_every=2))
    until(lambda: len(list((run / "gallery").glob("step-*.jpg"))) >= 3, pid)
    timeline(run, out)
    assert len(frames_of(out)) >= 2
    os.kill(pid, signal.SIGKILL)
    wait_for(pid)
    newest = max((run / "gallery").glob("step-*.jpg"))
    shutil.copy(newest, run / "gallery" / "step-00900000.jpg")
    timeline(run, out)
    assert "steps 2 to 900" not in timeline(run, out).err
    last = int(newest.stem.removeprefix("step-"))
    train(data, run, steps=last + 7, snapshot_every=2, num_preview_samples=3)
    finished = timeline(run, out)
    assert "columns input, ground truth, z1, z2)" in finished.err
    assert f"steps 2 to {last + 7};" in finished.err
    finished = timeline(run, out, "--sample", "3")
    assert "left out that do not show these" in finished.err
    assert "columns input, ground truth, z3)" in finished.err


REFUSED = [
    (["nowhere"], 1, "there is no run at nowhere"),
    (["DATA"], 1, "is no run: it holds no config.yaml"),
    (["EMPTY"], 1, "has no pictures yet"),
    (["RUN", "--out", "t.jpg"], 2, "must end in .gif (moving) or .png, .webp (a strip)"),
    (["RUN", "--out", "t.png", "--fps", "3"], 2, "--fps: without effect on a strip"),
    (["RUN", "--sample", "3"], 2, "no column 'z3'; their columns are input, ground truth, encoded, z1, z2"),
    (["RUN", "--column", "nothing"], 2, "no column 'nothing'"),
    (["RUN", "--sample", "1", "--column", "z1"], 2, "give one of them"),
    (["RUN", "--inputs", "0,2"], 2, "the inputs 0 to 1, not 0, 2"),
    (["RUN", "--inputs", "one"], 2, "--inputs must be numbers"),
    (["RUN", "--every", "0"], 2, "--every must be at least 1"),
    (["RUN", "--max-frames", "1"], 2, "--max-frames must be at least 2"),
    (["RUN", "--out", "t.gif", "--fps", "0"], 2, "--fps must be from 0.1 to 50"),
]


@pytest.fixture
def place(data: Path, finished_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with links to what the cases name, and a run without pictures."""
    (tmp_path / "EMPTY").mkdir()
    shutil.copy(finished_run / "config.yaml", tmp_path / "EMPTY")
    (tmp_path / "DATA").symlink_to(data)
    (tmp_path / "RUN").symlink_to(finished_run)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(("words", "status", "says"), REFUSED)
def test_what_does_not_work_is_refused(place: Path, words: list[str], status: int, says: str) -> None:
    before = files_of(place)
    out = [] if "--out" in words else ["--out", "t.gif"]
    refused = tandem("timeline", *words, *out)
    assert says in refused.err
    assert refused.status == status
    assert files_of(place) == before
