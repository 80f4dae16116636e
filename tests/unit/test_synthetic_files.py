"""The demo dataset as files: written, interrupted, continued, read back."""

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tandem.data.synthetic import (
    MODES,
    classify_mode,
    draw_pair,
    kind_of,
    load_dataset_info,
    split_index,
    write_dataset,
)
from tandem.data.unpaired import looks_unpaired
from tandem.errors import ConfigError, DataError

SMALL: dict[str, Any] = {"size": 24, "seed": 3, "num_train": 6, "num_val": 2, "num_test": 1}


def contents(root: Path) -> dict[str, bytes]:
    return {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file()}


@pytest.fixture(scope="module")
def dataset(tmp_path_factory) -> Path:
    return write_dataset(tmp_path_factory.mktemp("demo") / "data", **SMALL)


def test_side_by_side_layout(dataset):
    expected = {f"train/{n:05d}.png" for n in range(1, 7)} | {
        "val/00001.png",
        "val/00002.png",
        "test/00001.png",
    }
    assert set(contents(dataset)) == expected | {"demo.json"}
    pair = draw_pair(split_index("val", 2), size=24, seed=3)
    with Image.open(dataset / "val/00002.png") as image:
        assert image.mode == "RGB"
        assert np.array_equal(np.asarray(image), np.hstack([pair.a, pair.b]))


def test_folders_layout_holds_the_same_pictures(dataset, tmp_path):
    out = write_dataset(tmp_path / "two", **SMALL, layout="folders")
    for split, stem in (("train", "00006"), ("test", "00001")):
        halves = [np.asarray(Image.open(out / f"{split}{side}" / f"{stem}.png")) for side in "AB"]
        assert np.array_equal(np.hstack(halves), np.asarray(Image.open(dataset / split / f"{stem}.png")))
    assert not (out / "train").exists()


def test_unpaired_layout_shows_no_object_twice(tmp_path):
    out = write_dataset(tmp_path / "data", **SMALL, layout="unpaired")
    info = load_dataset_info(out)
    assert info.layout == "unpaired"
    for split, count in (("train", 6), ("val", 2), ("test", 1)):
        stems = {side: sorted(path.stem for path in (out / f"{split}{side}").iterdir()) for side in "AB"}
        assert stems["A"] == [f"{n:05d}" for n in range(1, count + 1)]
        assert stems["B"] == [f"{n:05d}" for n in range(count + 1, 2 * count + 1)]
        for stem in stems["A"]:
            pair = draw_pair(split_index(split, int(stem)), size=24, seed=3)
            assert np.array_equal(np.asarray(Image.open(out / f"{split}A" / f"{stem}.png")), pair.a)
        for stem in stems["B"]:  # the modes of the renderings stay known
            rendering = np.asarray(Image.open(out / f"{split}B" / f"{stem}.png"))
            assert classify_mode(rendering, info.mask(split, stem)) == info.entry(split, stem).mode
    indices = [entry.index for entries in info.entries.values() for entry in entries.values()]
    assert len(set(indices)) == len(indices) == 18
    assert not looks_unpaired(write_dataset(tmp_path / "pairs", **SMALL, layout="folders"))
    assert looks_unpaired(out)
    (out / "trainB/00009.png").unlink()
    before = contents(out)
    assert contents(write_dataset(out, **SMALL, layout="unpaired")).keys() - before.keys() == {"trainB/00009.png"}
    with pytest.raises(ConfigError, match="--num-train must be from 0 to 100000 with --layout unpaired, not 100001"):
        write_dataset(tmp_path / "new", num_train=100_001, layout="unpaired")


def test_coverage_can_be_measured_from_the_folder_alone(dataset):
    info = load_dataset_info(dataset)
    assert (info.size, info.seed, info.layout, info.modes) == (24, 3, "side_by_side", MODES)
    indices = [entry.index for entries in info.entries.values() for entry in entries.values()]
    assert len(set(indices)) == len(indices) == 9
    for split, entries in info.entries.items():
        for stem, entry in entries.items():
            rendering = np.asarray(Image.open(dataset / split / f"{stem}.png"))[:, 24:]
            assert classify_mode(rendering, info.mask(split, stem)) == entry.mode
            assert entry.kind == kind_of(entry.index, seed=3)
    assert info.mask("test", "00001", size=48).shape == (48, 48)
    with pytest.raises(DataError, match="no '00002' in split 'test'"):
        info.mask("test", "00002")


def test_interrupted_writing_is_continued(dataset, tmp_path):
    out = tmp_path / "data"

    def stop_after_four(done: int, total: int) -> None:
        if done == 4:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_dataset(out, **SMALL, on_progress=stop_after_four)
    assert not (out / "demo.json").exists()
    kept = (out / "train/00001.png").stat().st_mtime_ns
    (out / "train/00002.png").write_bytes((out / "train/00002.png").read_bytes()[:-20])
    (out / "train/.00005.png.abc.tmp").write_bytes(b"half of a file")
    with pytest.raises(DataError, match="size: it has 24, asked for 32"):
        write_dataset(out, **{**SMALL, "size": 32})
    seen = []
    write_dataset(out, **SMALL, on_progress=lambda done, total: seen.append((done, total)))
    assert seen == [(done, 9) for done in range(3, 10)]
    assert contents(out) == contents(dataset)
    assert (out / "train/00001.png").stat().st_mtime_ns == kept


def test_workers_write_the_same_bytes(dataset, tmp_path):
    assert contents(write_dataset(tmp_path / "data", **SMALL, num_workers=2)) == contents(dataset)


def test_complete_dataset_is_left_alone_and_a_lost_file_comes_back(dataset, tmp_path):
    out = Path(shutil.copytree(dataset, tmp_path / "data"))
    before = {path: path.stat().st_mtime_ns for path in out.rglob("*") if path.is_file()}
    write_dataset(out, **SMALL)
    assert {path: path.stat().st_mtime_ns for path in out.rglob("*") if path.is_file()} == before
    (out / "val/00001.png").unlink()
    assert contents(write_dataset(out, **SMALL)) == contents(dataset)


def test_larger_train_split_keeps_the_others(dataset, tmp_path):
    larger = contents(write_dataset(tmp_path / "data", **{**SMALL, "num_train": 8}))
    small = contents(dataset)
    assert all(larger[name] == small[name] for name in small if name != "demo.json")


def test_other_parameters_and_other_folders_are_refused(dataset, tmp_path):
    with pytest.raises(DataError, match=r"(?s)seed: it has 3, asked for 4.*num_val: it has 2, asked for 5.*Choose"):
        write_dataset(dataset, **{**SMALL, "seed": 4, "num_val": 5})
    (tmp_path / "mine.txt").write_text("precious")
    with pytest.raises(DataError, match="not a demo dataset"):
        write_dataset(tmp_path, **SMALL)
    assert contents(tmp_path) == {"mine.txt": b"precious"}
    with pytest.raises(ConfigError, match=r"(?s)--size must be from 16 to .*, not 8.*--num-val must be .*, not -1"):
        write_dataset(tmp_path / "new", size=8, num_val=-1)
    with pytest.raises(ConfigError, match=r"--layout must be one of side_by_side, folders, unpaired, not 'zip'"):
        write_dataset(tmp_path / "new", layout="zip")  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="num_workers must be at least 1, not 0"):
        write_dataset(tmp_path / "new", num_workers=0)
    assert not (tmp_path / "new").exists()


def _entry(document: dict) -> dict:
    return document["files"]["train"]["00001"]


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda d: d.update(format="other"), "does not describe a demo dataset"),
        (lambda d: d.update(generator=999), "version 999"),
        (lambda d: d.update(size=10**9), "size is 1000000000"),
        (lambda d: d.update(seed="0"), "seed is '0'"),
        (lambda d: d.update(layout=["folders"]), "layout is"),
        (lambda d: d["modes"].pop(), "modes are not those"),
        (lambda d: d["files"].pop("val"), "exactly the splits"),
        (lambda d: d["files"].update(train=[]), "files.train must be an object"),
        (lambda d: d["files"]["train"].update({"../00001": _entry(d)}), "'../00001' is not a valid entry"),
        (lambda d: _entry(d).update(index=True), "'00001' is not a valid entry"),
        (lambda d: _entry(d).update(mode=8), "'00001' is not a valid entry"),
        (lambda d: _entry(d).update(kind=["hat"]), "'00001' is not a valid entry"),
        (lambda d: _entry(d).update(extra=1), "'00001' is not a valid entry"),
    ],
)
def test_damaged_info_is_refused(dataset, tmp_path, damage, message):
    document = json.loads((dataset / "demo.json").read_text())
    damage(document)
    (tmp_path / "demo.json").write_text(json.dumps(document))
    with pytest.raises(DataError, match=message):
        load_dataset_info(tmp_path)


@pytest.mark.parametrize("text", [None, "", "{", "[]", "1", "[" * 100_000, '{"format": "tandem-demo"}'])
def test_missing_or_foreign_info_is_refused(tmp_path, text):
    if text is not None:
        (tmp_path / "demo.json").write_text(text)
    with pytest.raises(DataError):
        load_dataset_info(tmp_path)


def test_needs_no_torch():
    """Worker processes and the command line's help import this package."""
    code = "import sys, tandem.data.synthetic; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
