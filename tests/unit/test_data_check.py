"""The check before training: what it finds, what it measures, when it may skip the work."""

import itertools
import json
import os
import re
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tandem.data.check import CheckReport, check_data
from tandem.data.discover import find_splits
from tandem.data.splits import PairedSplit
from tandem.errors import DataError


def noise(height: int, width: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def make(root: Path, sizes: list[tuple[int, int]], split: str = "train") -> list[np.ndarray]:
    (root / split).mkdir(parents=True)
    arrays = [noise(height, 2 * width, seed) for seed, (height, width) in enumerate(sizes)]
    for index, array in enumerate(arrays):
        Image.fromarray(array).save(root / split / f"{index}.png")
    return arrays


def check(root: Path, **options: Any) -> CheckReport:
    settings: dict[str, Any] = {"channels_a": 3, "channels_b": 3} | options
    return check_data(list(find_splits(root).values()), **settings)


def test_sizes_and_statistics_against_numpy(tmp_path: Path) -> None:
    train = make(tmp_path, [(8, 10), (6, 12), (9, 7), (64, 64)])
    make(tmp_path, [(5, 40)], split="test")
    progress: list[tuple[int, int]] = []
    report = check(tmp_path, on_progress=lambda done, total: progress.append((done, total)))
    assert progress == [(done, 5) for done in range(1, 6)]
    sizes = (report.num_pairs, report.min_width, report.max_width, report.min_height, report.max_height)
    assert sizes == (5, 7, 64, 5, 64)
    for half, statistics in ((0, report.a), (1, report.b)):
        pixels = [np.split(array, 2, axis=1)[half].reshape(-1, 3) for array in train]
        values = np.concatenate(pixels) / 127.5 - 1
        np.testing.assert_allclose(statistics.mean, values.mean(0), atol=1e-12)
        np.testing.assert_allclose(statistics.std, values.std(0), atol=1e-12)
    small = [
        np.asarray(Image.fromarray(np.split(array, 2, axis=1)[1]).resize((64, 64), Image.Resampling.BICUBIC))
        for array in train
    ]
    distances = [np.abs(x / 127.5 - y / 127.5).mean() for x, y in itertools.combinations(small, 2)]
    assert report.spread_b == pytest.approx(np.mean(distances), abs=1e-12)


def test_direction_threads_and_channels(tmp_path: Path) -> None:
    make(tmp_path, [(8, 8), (8, 8)])
    forward, backward = check(tmp_path), check(tmp_path, direction="BtoA", num_threads=1)
    assert (forward.a, forward.b) == (backward.b, backward.a)
    assert forward.spread_b != backward.spread_b
    assert check(tmp_path, num_threads=3) == forward
    assert len(check(tmp_path, channels_a=1).a.mean) == 1


def test_spread_of_many_pairs_is_near_its_expectation(tmp_path: Path) -> None:
    (tmp_path / "train").mkdir()
    values = np.random.default_rng(0).permutation(256)[:60]
    for value in values:
        Image.new("L", (4, 2), int(value)).save(tmp_path / "train" / f"{value}.png")
    everything = np.mean([abs(x - y) for x, y in itertools.combinations(values.tolist(), 2)]) / 127.5
    report = check(tmp_path, channels_a=1, channels_b=1)
    assert report.spread_b == pytest.approx(everything, rel=0.15)  # 200 of 1,770 couples
    assert check(tmp_path, channels_a=1, channels_b=1) == report


def test_one_pair_has_no_spread(tmp_path: Path) -> None:
    make(tmp_path, [(4, 4)])
    assert check(tmp_path).spread_b == 0


def test_all_problems_are_collected(tmp_path: Path) -> None:
    make(tmp_path / "x", [(8, 8)] * 3)
    folder = tmp_path / "x" / "train"
    (folder / "0.png").write_bytes((folder / "0.png").read_bytes()[:150])
    (folder / "empty.jpg").touch()
    Image.new("RGB", (7, 4)).save(folder / "odd.png")
    for side, size in (("A", (4, 4)), ("B", (4, 5))):
        (tmp_path / "x" / f"val{side}").mkdir()
        Image.new("RGB", size).save(tmp_path / "x" / f"val{side}" / "v.png")
    with pytest.raises(DataError) as caught:
        check(tmp_path / "x", cache=tmp_path / "cache")
    lines = str(caught.value).splitlines()
    assert lines[0] == "4 of 6 pairs cannot be used:"
    assert lines[1].startswith("  - train/0.png: damaged or truncated (")
    assert lines[2] == "  - train/empty.jpg: the file is empty (0 bytes)"
    assert lines[3].startswith("  - train/odd.png: its width 7 is odd")
    assert lines[4].startswith("  - valA/v.png: is 4 x 4 pixels, but its partner ")
    assert lines[5].startswith("Repair or remove these files")
    assert not (tmp_path / "cache").exists()


def test_only_the_first_twenty_are_listed(tmp_path: Path) -> None:
    make(tmp_path, [(2, 2)])
    for index in range(30):
        (tmp_path / "train" / f"bad{index}.png").write_bytes(b"x")
    with pytest.raises(DataError) as caught:
        check(tmp_path)
    assert "bad19.png" in str(caught.value)
    assert "bad20.png" not in str(caught.value)
    assert "and 10 more (30 in all)" in str(caught.value)


def test_nothing_to_check() -> None:
    for folders in ([], [PairedSplit(Path(), "train", "side_by_side", ())]):
        with pytest.raises(DataError, match="no images"):
            check_data(folders, channels_a=3, channels_b=3)


def spoil(path: Path, *, same_time: bool) -> None:
    """Overwrite a file by as many zeros, so that only its time can tell."""
    status = path.stat()
    path.write_bytes(bytes(status.st_size))
    later = status.st_mtime_ns + (0 if same_time else 1_000_000_000)
    os.utime(path, ns=(status.st_atime_ns, later))


def test_unchanged_data_is_not_decoded_again(tmp_path: Path) -> None:
    root, cache = tmp_path / "data", tmp_path / "cache"
    make(root, [(8, 8), (6, 6)])
    report = check(root, cache=cache)
    spoil(root / "train" / "0.png", same_time=True)
    assert check(root, cache=cache) == report
    for options in ({"channels_b": 1}, {"direction": "BtoA"}, {"cache": None}):
        with pytest.raises(DataError, match=r"train/0\.png"):
            check(root, **({"cache": cache} | options))
    spoil(root / "train" / "1.png", same_time=False)
    with pytest.raises(DataError, match="2 of 2 pairs"):
        check(root, cache=cache)


@pytest.mark.parametrize(
    "damage",
    [
        lambda text: text[: len(text) // 2],
        lambda _: "[" * 50_000,
        lambda _: "[]",
        lambda _: '{"key": 1}',
        lambda text: text.replace('"min_width": 6', '"min_width": "6"'),
        lambda text: text.replace('"min_width": 6', '"min_width": -6'),
        lambda text: text.replace('"min_width": 6', '"min_width": 6, "other": 1'),
        lambda text: re.sub(r'"spread_b": [0-9.]+', '"spread_b": NaN', text),
        lambda text: re.sub(r'"key": "..', '"key": "zz', text).replace('"min_width": 6', '"min_width": 5'),
        lambda text: json.dumps(json.loads(text) | {"report": None}),
        lambda text: json.dumps(json.loads(text) | {"report": {"a": {"mean": [1.0], "std": [1.0]}}}),
        lambda _: "\udcff",
        lambda text: " " * 10**6 + text.replace('"min_width": 6', '"min_width": 5'),
    ],
)
def test_a_damaged_cache_is_computed_anew(tmp_path: Path, damage: Callable[[str], str]) -> None:
    root, cache = tmp_path / "data", tmp_path / "cache"
    make(root, [(8, 8), (6, 6)])
    report = check(root, cache=cache)
    (file,) = cache.iterdir()
    whole = file.read_text()
    assert json.loads(whole)["report"] == json.loads(json.dumps(asdict(report)))
    damaged = damage(whole)
    assert damaged != whole
    file.write_text(damaged, errors="surrogateescape")
    assert check(root, cache=cache) == report
    assert file.read_text() == whole


def test_a_cache_that_cannot_be_written_is_no_error(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    make(tmp_path / "data", [(8, 8)])
    (tmp_path / "file").touch()
    assert check(tmp_path / "data", cache=tmp_path / "file" / "cache").num_pairs == 1
    assert "could not be cached" in caplog.text
