"""Timelines: which snapshots, which cells, and that the cells are those of the pictures of snapshots."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from tandem.errors import ConfigError, DataError
from tandem.report.grid import grid_layout, image_grid, save_image
from tandem.report.snapshot_pictures import cut_cells, note_of, picture_path, picture_steps, read_note
from tandem.report.timeline import choose, read_snapshots, sample_title, save_timeline_gif, spread, timeline_strip

TITLES = ("input", "truth", "encoded", "z1", "z2")


def cell(value: int, *, size: tuple[int, int] = (24, 32)) -> np.ndarray:
    """One flat colour, which JPEG keeps."""
    return np.full((*size, 3), (value % 256, 255 - value % 256, value // 2 % 256), np.uint8)


def rows_at(step: int, *, rows: int = 2, titles: tuple[str, ...] = TITLES) -> list[list[np.ndarray]]:
    """Input and truth stay, the other columns depend on the step."""
    fixed = {"input": 10, "truth": 90, "real A": 170}
    names = enumerate(titles)
    values = [fixed.get(title, 40 * index + step) for index, title in names]
    return [[cell(value + 5 * row) for value in values] for row in range(rows)]


def write(folder: Path, step: int, *, rows: int = 2, titles: tuple[str, ...] = TITLES) -> None:
    pictures = rows_at(step, rows=rows, titles=titles)
    note = note_of(pictures, titles, grid_layout(pictures, column_titles=titles))
    save_image(image_grid(pictures, column_titles=titles), picture_path(folder, step), comment=note.as_text())


@pytest.fixture
def gallery(tmp_path: Path) -> Path:
    for step in (8, 16, 24, 120):
        write(tmp_path, step)
    return tmp_path


def assert_flat(image: Image.Image, expected: np.ndarray) -> None:
    """Inside; JPEG carries something of the neighbours over the edges."""
    pixels = np.asarray(image.convert("RGB")).astype(int)
    assert pixels.shape == expected.shape
    assert np.abs(pixels[8:-8, 8:-8] - expected[8:-8, 8:-8]).max() <= 6


@given(st.lists(st.integers(0, 10**6), min_size=1, max_size=400, unique=True), st.integers(1, 9), st.integers(2, 40))
def test_spread(steps: list[int], every: int, most: int) -> None:
    steps = sorted(steps)
    kept = spread(steps, every=every, most=most)
    assert kept == sorted(set(kept))
    assert set(kept) <= {*steps[::every], steps[-1]}
    assert (kept[0], kept[-1]) == (steps[0], steps[-1])
    assert len(kept) == min(most, len({*steps[::every], steps[-1]}))


def test_spread_is_even() -> None:
    kept = spread(range(0, 100_001, 10), every=1, most=11)
    assert kept == list(range(0, 100_001, 10_000))
    assert spread([1, 2, 3, 4, 5, 6], every=4, most=10) == [1, 5, 6]
    for every, most in ((0, 5), (1, 1)):
        with pytest.raises(ConfigError, match=r"--every must|--max-frames must"):
            spread([1, 2], every=every, most=most)


def test_the_cells_are_those_of_the_picture(gallery: Path) -> None:
    """The geometry holds for cells of one colour each, whatever titles and sizes."""
    assert picture_steps(gallery) == [8, 16, 24, 120]
    note = read_note(picture_path(gallery, 16))
    assert note is not None
    assert note.columns == TITLES
    cells = cut_cells(picture_path(gallery, 16), note, [1, 0], ["z2", "input"])
    for row, index in zip(cells, (1, 0), strict=True):
        assert_flat(row[0], rows_at(16)[index][4])
        assert_flat(row[1], rows_at(16)[index][0])


def test_what_is_shown_unless_asked(gallery: Path) -> None:
    """The samples, beside what never changes; without samples, all that changes."""
    snapshots, shown = choose(read_snapshots(gallery, picture_steps(gallery)))
    assert [snapshot.step for snapshot in snapshots] == [8, 16, 24, 120]
    assert (shown.inputs, shown.context, shown.columns) == ((0, 1), ("input", "truth"), ("z1", "z2"))
    other = gallery / "other"
    other.mkdir()
    for step in (1, 2):
        write(other, step, titles=("real A", "fake B", "rec A"))
    _, shown = choose(read_snapshots(other, [1, 2]))
    assert (shown.context, shown.columns) == (("real A",), ("fake B", "rec A"))


def test_what_is_asked_for(gallery: Path) -> None:
    snapshots = read_snapshots(gallery, picture_steps(gallery))
    _, shown = choose(snapshots, inputs=[1], columns=["encoded"])
    assert (shown.inputs, shown.context, shown.columns) == ((1,), ("input", "truth"), ("encoded",))
    with pytest.raises(ConfigError, match="no column 'z7'; their columns are input, truth, encoded, z1, z2"):
        choose(snapshots, columns=["z7"])
    with pytest.raises(ConfigError, match="the inputs 0 to 1, not 0, 2"):
        choose(snapshots, inputs=[0, 2])
    with pytest.raises(ConfigError, match="the inputs 0 to 1"):
        choose(snapshots, inputs=[-1])


@pytest.mark.parametrize(("words", "shown"), [("z", ("z1", "z2")), ("sample ", ("sample 1", "sample 2"))])
def test_samples_of_a_latent_and_of_dropout(tmp_path: Path, words: str, shown: tuple[str, ...]) -> None:
    for step in (8, 16):
        write(tmp_path, step, titles=("input", "truth", "encoded", f"{words}1", f"{words}2"))
    snapshots = read_snapshots(tmp_path, [8, 16])
    assert choose(snapshots)[1].columns == shown
    assert sample_title(snapshots, 2) == shown[1]


def test_one_snapshot_alone(gallery: Path) -> None:
    """Nothing is known of what stays: the first column is taken for the input."""
    _, shown = choose(read_snapshots(gallery, [24]))
    assert (shown.context, shown.columns) == (("input",), ("z1", "z2"))


def test_a_run_whose_previews_have_changed(gallery: Path) -> None:
    """Shown is what all pictures have; what only some have can be asked for, and leaves the others out."""
    write(gallery, 200, rows=3, titles=(*TITLES, "z3"))
    write(gallery, 208, rows=3, titles=(*TITLES, "z3"))
    snapshots = read_snapshots(gallery, picture_steps(gallery))
    chosen, shown = choose(snapshots)
    assert len(chosen) == 6
    assert (shown.inputs, shown.columns) == ((0, 1), ("z1", "z2"))
    chosen, shown = choose(snapshots, columns=["z3"])
    assert [snapshot.step for snapshot in chosen] == [200, 208]
    chosen, shown = choose(snapshots, inputs=[2])
    assert [snapshot.step for snapshot in chosen] == [200, 208]


def test_a_gif(gallery: Path, tmp_path: Path) -> None:
    """A frame is a snapshot: the caption above, then the cells under their titles; the last one stays two seconds."""
    snapshots, shown = choose(read_snapshots(gallery, picture_steps(gallery)))
    save_timeline_gif(snapshots, shown, tmp_path / "a.gif", fps=4)
    layout = grid_layout(rows_at(8), column_titles=TITLES)
    with Image.open(tmp_path / "a.gif") as gif:
        assert getattr(gif, "n_frames", 1) == 4
        captions = set()
        for index, step in enumerate((8, 16, 24, 120)):
            gif.seek(index)
            assert gif.info["duration"] == (2000 if index == 3 else 250)
            frame = gif.convert("RGB")
            captions.add(frame.crop((0, 0, frame.width, 26)).tobytes())
            for row in range(2):
                for column, source in enumerate((0, 1, 3, 4)):
                    x, y = layout.corner(row, column)
                    assert_flat(frame.crop((x, y + 26, x + 32, y + 26 + 24)), rows_at(step)[row][source])
    assert len(captions) == 4
    for fps in (0, 51):
        with pytest.raises(ConfigError, match="--fps must be from"):
            save_timeline_gif(snapshots, shown, tmp_path / "b.gif", fps=fps)


def test_a_strip(gallery: Path) -> None:
    snapshots, shown = choose(read_snapshots(gallery, picture_steps(gallery)), columns=["z2"])
    strip = timeline_strip(snapshots, shown)
    titles = ["input", "truth", *(f"step {step}" for step in (8, 16, 24, 120))]
    layout = grid_layout([rows_at(8)[0] + [rows_at(8)[0][0]]], column_titles=titles)
    assert strip.size == layout.corner(2, 6)
    for row in range(2):
        expected = [*rows_at(8)[row][:2], *(rows_at(step)[row][4] for step in (8, 16, 24, 120))]
        for column, value in enumerate(expected):
            x, y = layout.corner(row, column)
            assert_flat(strip.crop((x, y, x + 32, y + 24)), value)


def test_a_strip_of_several_columns(gallery: Path) -> None:
    """A row for each input and column; the input stands beside its first one."""
    snapshots, shown = choose(read_snapshots(gallery, [8, 120]))
    strip = timeline_strip(snapshots, shown)
    titles = ["input", "truth", "step 8", "step 120"]
    pictures = [rows_at(8)[0][:4]] * 4
    layout = grid_layout(pictures, column_titles=titles, row_titles=["z1", "z2", "z1", "z2"])
    assert strip.size == layout.corner(4, 4)
    for row in range(4):
        x, y = layout.corner(row, 3)
        assert_flat(strip.crop((x, y, x + 32, y + 24)), rows_at(120)[row // 2][3 + row % 2])
        x, y = layout.corner(row, 0)
        expected = np.full((24, 32, 3), 255, np.uint8) if row % 2 else rows_at(8)[row // 2][0]
        assert_flat(strip.crop((x, y, x + 32, y + 24)), expected)


def test_large_cells_are_shrunk(tmp_path: Path) -> None:
    """So that a GIF stays of a bearable size."""
    titles = tuple(f"z{index}" for index in range(1, 7))
    for step in (1, 2):
        pictures = [[cell(40 * index + step, size=(512, 512)) for index in range(6)]]
        note = note_of(pictures, titles, grid_layout(pictures, column_titles=titles))
        save_image(image_grid(pictures, column_titles=titles), picture_path(tmp_path, step), comment=note.as_text())
    snapshots, shown = choose(read_snapshots(tmp_path, [1, 2]))
    save_timeline_gif(snapshots, shown, tmp_path / "a.gif", fps=5)
    with Image.open(tmp_path / "a.gif") as gif:
        assert 1200 < gif.width < 1320


def test_pictures_of_an_older_version(gallery: Path) -> None:
    """They say nothing of their cells: left out, or an error if there are no others."""
    for step in (2, 4):
        save_image(image_grid(rows_at(step), column_titles=TITLES), picture_path(gallery, step))
    assert [snapshot.step for snapshot in read_snapshots(gallery, [2, 4, 8, 16])] == [8, 16]
    with pytest.raises(DataError, match="made by an older Tandem"):
        read_snapshots(gallery, [2, 4])


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"num_rows":2', '"num_rows":3'),
        ('"cell_width":32', '"cell_width":-32'),
        ('"cell_width":32', '"cell_width":99999999999'),
        ('"columns":["input",', '"columns":["input","more",'),
        ('"num_rows":2', '"num_rows":2,"more":1'),
        ('"num_rows":2', '"num_rows":"2"'),
        ('"layout":{', '"layout":[{'),
        ('"left":0', '"left":-5'),
    ],
)
def test_damaged_notes(gallery: Path, old: str, new: str) -> None:
    note = read_note(picture_path(gallery, 8))
    assert note is not None
    text = note.as_text()
    assert old in text
    picture = image_grid(rows_at(8), column_titles=TITLES)
    save_image(picture, picture_path(gallery, 8), comment=text.replace(old, new))
    with pytest.raises(DataError, match=r"step-00000008\.jpg: its note on where the cells are"):
        read_note(picture_path(gallery, 8))


def test_damaged_pictures(gallery: Path) -> None:
    path = picture_path(gallery, 8)
    note = read_note(path)
    assert note is not None
    whole = path.read_bytes()
    path.write_bytes(b"no picture")
    with pytest.raises(DataError, match="damaged, or no picture of a snapshot"):
        read_note(path)
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DataError, match="damaged, or no picture of a snapshot"):
        cut_cells(path, note, [0], ["input"])


def test_only_jpegs_have_comments(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="only JPEG files"):
        save_image(cell(1), tmp_path / "a.png", comment="x")
