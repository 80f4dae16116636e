"""Making datasets: what an interrupted command leaves, what the next one makes of it, and what is refused."""

import hashlib
import json
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import rasterio
from PIL import Image
from rasterio.transform import from_origin
from scipy import ndimage

import tandem
from tandem.cli import main
from tandem.data.by_content import SplitShares
from tandem.data.discover import find_paired_folders, find_splits
from tandem.data.image_file import DiskFile
from tandem.data.prepare.work import Task, write_items
from tandem.errors import ConfigError, DataError


def photo(path: Path, seed: int, size: tuple[int, int] = (24, 32)) -> bytes:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.random.default_rng(seed).integers(0, 256, (*size, 3), dtype=np.uint8)).save(path)
    return path.read_bytes()


def files_of(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()
    }


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    for index in range(12):
        photo(tmp_path / "photos" / f"{'inner/' if index % 3 == 0 else ''}{index}.png", index)
    return tmp_path / "photos"


def prepare(photos: Path, out: Path, *more: str) -> int:
    return main(["data", "prepare", str(photos), "--to", str(out), "--rule", "grey", *more])


def test_pairs_of_photos(photos: Path, tmp_path: Path) -> None:
    assert prepare(photos, tmp_path / "out", "--val-split", "0.3", "--test-split", "0.3") == 0
    splits = find_splits(tmp_path / "out")
    assert list(splits) == ["train", "val", "test"]
    pairs = {pair.name: pair for split in splits.values() for pair in split.pairs}
    assert pairs.keys() == {f"{'inner_' if index % 3 == 0 else ''}{index}" for index in range(12)}
    for name, pair in pairs.items():
        source = photos / f"{name.replace('_', '/')}.png"
        assert pair.file_b is not None
        assert pair.file_b.read_bytes() == source.read_bytes()  # B is the photo's file itself
        with Image.open(source) as image:
            np.testing.assert_array_equal(np.array(Image.open(str(pair.file_a))), np.array(image.convert("L")))


def test_a_content_has_its_split_whatever_else_there_is(photos: Path, tmp_path: Path) -> None:
    assert prepare(photos, tmp_path / "few") == 0
    few = files_of(tmp_path / "few")
    for index in range(20, 32):
        photo(photos / f"{index}.png", index)
    assert prepare(photos, tmp_path / "few") == 0  # the same folder grows
    many = files_of(tmp_path / "few")
    assert {name: many[name] for name in few if name != "prepare.json"} == {
        name: content for name, content in few.items() if name != "prepare.json"
    }
    assert len(many) == len(few) + 2 * 12


def test_shares_are_kept_on_average() -> None:
    shares = SplitShares(val_split=0.1, test_split=0.2)
    found = [shares.of(hashlib.sha256(bytes([number % 256, number // 256])).hexdigest()) for number in range(4000)]
    counts = Counter(found)
    assert counts["val"] == pytest.approx(400, abs=80)
    assert counts["test"] == pytest.approx(800, abs=100)
    with pytest.raises(ConfigError, match="leave nothing to train on"):
        SplitShares(val_split=0.6, test_split=0.5)


def test_a_killed_command_is_continued_to_the_same_files(photos: Path, tmp_path: Path) -> None:
    for index in range(40, 80):
        photo(photos / f"{index}.png", index, (300, 300))
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    assert prepare(photos, whole) == 0
    command = [sys.executable, "-m", "tandem", "data", "prepare", str(photos), "--to", str(killed), "--rule", "grey"]
    process = subprocess.Popen(command, stderr=subprocess.PIPE)
    deadline = time.monotonic() + 60
    while len(list(killed.glob("*A/*.png"))) < 3 and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.002)
    process.kill()
    process.communicate()
    made = files_of(killed)
    reference = files_of(whole)
    whole_ones = {name: content for name, content in made.items() if not name.split("/")[-1].startswith(".")}
    assert 3 <= len(whole_ones) < len(reference)
    assert all(reference[name] == content for name, content in whole_ones.items())  # no half of a file
    assert prepare(photos, killed) == 0
    assert files_of(killed) == reference


def test_a_photo_that_has_changed_is_made_anew(photos: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert prepare(photos, out) == 0
    new = photo(photos / "1.png", 99)
    (photos / "2.png").unlink()
    assert prepare(photos, out) == 0
    found = [content for name, content in files_of(out).items() if name.split("/")[0][-1] == "B"]
    assert new in found
    assert len(found) == 12  # what was made of the photo that has gone stays
    assert len(list(out.rglob("1.png"))) == 2


def test_other_settings_and_other_content_are_refused(
    photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert prepare(photos, tmp_path / "out") == 0
    assert prepare(photos, tmp_path / "out", "--side", "16") == 1
    assert "made with other settings (side: None)" in capsys.readouterr().err
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "letter.txt").write_text("mine")
    assert prepare(photos, tmp_path / "other") == 1
    assert "is not empty:\n  - letter.txt" in capsys.readouterr().err
    assert prepare(photos, photos / "out") == 2
    assert "lies in" in capsys.readouterr().err


@pytest.mark.parametrize("target", ["../outside.png", "trainA/../../x.png", "/etc/x.png", "trainA/link/y.png"])
def test_a_record_names_no_file_outside(photos: Path, tmp_path: Path, target: str) -> None:
    out = tmp_path / "out"
    assert prepare(photos, out) == 0
    victim = tmp_path / "outside.png"
    victim.write_bytes(b"mine")
    (out / "trainA" / "link").symlink_to(tmp_path)
    record = json.loads((out / "prepare.json").read_text())
    record["items"]["1.png"] = {"digest": "0", "targets": [target]}
    (out / "prepare.json").write_text(json.dumps(record))
    assert prepare(photos, out) == 1
    assert victim.read_bytes() == b"mine"


def test_a_bad_photo_is_named_and_the_others_are_done(
    photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (photos / "5.png").write_bytes((photos / "5.png").read_bytes()[:200])
    assert prepare(photos, tmp_path / "out") == 1
    message = capsys.readouterr().err
    assert "1 of 12 photos cannot be used" in message
    assert "5.png: damaged or truncated" in message
    assert len(list((tmp_path / "out").glob("*A/*.png"))) == 11
    photo(photos / "5.png", 5)
    assert prepare(photos, tmp_path / "out") == 0
    assert len(list((tmp_path / "out").glob("*A/*.png"))) == 12


def test_photos_of_one_name_get_two(tmp_path: Path) -> None:
    photo(tmp_path / "photos" / "x.png", 0)
    photo(tmp_path / "photos" / "X.bmp", 1)
    assert prepare(tmp_path / "photos", tmp_path / "out", "--test-split", "0", "--val-split", "0") == 0
    assert {path.name for path in (tmp_path / "out" / "trainB").iterdir()} == {"x-png.png", "X-bmp.bmp"}


def test_scaled_photos_are_pngs_of_that_side(tmp_path: Path) -> None:
    photo(tmp_path / "photos" / "x.bmp", 0, (60, 90))
    photo(tmp_path / "photos" / "small.png", 1, (10, 12))
    none = ("--test-split", "0", "--val-split", "0")
    assert prepare(tmp_path / "photos", tmp_path / "out", "--side", "20", *none) == 0
    sizes = {path.name: Image.open(path).size for path in (tmp_path / "out" / "trainB").iterdir()}
    assert sizes == {"x.png": (30, 20), "small.png": (12, 10)}


def test_values_bands_and_places_are_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A of six bands of 16 bits is what SciPy makes of them, in the place of the GeoTIFF that it was made of."""
    bands = np.random.default_rng(0).integers(0, 65536, (6, 21, 34), dtype=np.uint16)
    (tmp_path / "scenes").mkdir()
    place = {"crs": "EPSG:32631", "transform": from_origin(500000, 4649000, 10, 10)}
    shape = {"count": 6, "height": 21, "width": 34, "dtype": "uint16"}
    with rasterio.open(tmp_path / "scenes" / "x.tif", "w", "GTiff", **shape, **place) as file:
        file.write(bands)
    none = ("--test-split", "0", "--val-split", "0")
    arguments = ["data", "prepare", str(tmp_path / "scenes"), "--native", *none]
    assert main([*arguments, "--to", str(tmp_path / "blurred"), "--rule", "blur", "--sigma", "2"]) == 0
    expected = ndimage.gaussian_filter(bands.astype(np.float64), (0, 2, 2), mode="reflect", truncate=4.0)
    with rasterio.open(tmp_path / "blurred" / "trainA" / "x.tif") as file:
        assert (file.crs.to_epsg(), file.transform) == (32631, from_origin(500000, 4649000, 10, 10))
        assert file.dtypes == ("uint16",) * 6
        assert np.abs(file.read().astype(np.float64) - expected).max() < 0.6
    assert (tmp_path / "blurred" / "trainB" / "x.tif").read_bytes() == (tmp_path / "scenes" / "x.tif").read_bytes()

    (tmp_path / "rules_of_bands.py").write_text(
        "import numpy as np\n"
        "def ratio(bands, generator):\n"
        "    return np.log1p(bands[:, :, 1]) / np.log1p(bands[:, :, 2])\n"
    )
    monkeypatch.chdir(tmp_path)
    assert main([*arguments, "--to", str(tmp_path / "ratios"), "--rule", "rules_of_bands:ratio"]) == 0
    found = tandem.read_image(tmp_path / "ratios" / "trainA" / "x.tif")
    np.testing.assert_array_equal(found[:, :, 0], np.log1p(bands[1]) / np.log1p(bands[2]))


def test_what_is_no_photo_and_rules_of_colours_are_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "photos").mkdir()
    tandem.write_image(tmp_path / "photos" / "x.tif", np.zeros((9, 9, 6), np.float32))
    assert prepare(tmp_path / "photos", tmp_path / "out") == 1
    assert "x.tif: 6 x 32-bit floating-point is no photo: give --native" in capsys.readouterr().err
    assert prepare(tmp_path / "photos", tmp_path / "other", "--native") == 2
    assert "--rule grey is for the colours of photos" in capsys.readouterr().err


def test_work_runs_in_parallel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two items that wait for each other are made, which one after the other would not end."""
    monkeypatch.setattr("tandem.data.in_parallel.usable_cores", lambda: 2)
    photo(tmp_path / "x.png", 0)
    meeting = threading.Barrier(2, timeout=20)
    tasks = [Task(f"{i}", (DiskFile(tmp_path / "x.png"),), "0", (f"train/{i}.png",)) for i in range(2)]

    def make(task: Task) -> list[bytes]:
        meeting.wait()
        return [b"made"]

    done = write_items(tmp_path / "out", tasks, make, settings={}, noun="items")
    assert (done.written, done.kept) == (2, 0)


def save(path: Path, array: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(array).save(path)


@pytest.fixture
def two_folders(tmp_path: Path) -> Callable[[], tuple[Path, Path]]:
    def make() -> tuple[Path, Path]:
        rng = np.random.default_rng(0)
        for index in range(3):
            save(tmp_path / "labels" / f"{index}.png", rng.integers(0, 256, (12, 20), dtype=np.uint8))
            save(tmp_path / "scenes" / f"{index}.bmp", rng.integers(0, 256, (12, 20, 3), dtype=np.uint8))
        return tmp_path / "labels", tmp_path / "scenes"

    return make


def test_side_by_side_and_back(two_folders: Callable[[], tuple[Path, Path]], tmp_path: Path) -> None:
    a, b = two_folders()
    assert main(["data", "combine", str(a), str(b), "--to", str(tmp_path / "joined")]) == 0
    assert main(["data", "separate", str(tmp_path / "joined"), "--to", str(tmp_path / "apart")]) == 0
    for index in range(3):
        grey, colour = np.array(Image.open(a / f"{index}.png")), np.array(Image.open(b / f"{index}.bmp"))
        whole = np.array(Image.open(tmp_path / "joined" / "train" / f"{index}.png"))
        np.testing.assert_array_equal(whole, np.concatenate([np.stack([grey] * 3, 2), colour], axis=1))
        for side, expected in (("A", np.stack([grey] * 3, 2)), ("B", colour)):
            found = np.array(Image.open(tmp_path / "apart" / f"train{side}" / f"{index}.png"))
            np.testing.assert_array_equal(found, expected)


def test_combining_keeps_the_bits(tmp_path: Path) -> None:
    deep = np.arange(24, dtype=np.uint16).reshape(4, 6) * 2731
    save(tmp_path / "d" / "trainA" / "1.png", deep)
    save(tmp_path / "d" / "trainB" / "1.png", np.arange(24, dtype=np.uint8).reshape(4, 6) * 10)
    assert main(["data", "combine", str(tmp_path / "d"), "--to", str(tmp_path / "joined")]) == 0
    whole = np.array(Image.open(tmp_path / "joined" / "train" / "1.png"))
    np.testing.assert_array_equal(whole[:, :6], deep)
    np.testing.assert_array_equal(whole[:, 6:], np.arange(24).reshape(4, 6) * 10 * 257)


def test_what_cannot_be_combined_is_said(
    two_folders: Callable[[], tuple[Path, Path]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    a, b = two_folders()
    (b / "1.bmp").unlink()
    assert main(["data", "combine", str(a), str(b), "--to", str(tmp_path / "joined")]) == 1
    assert "without a file of the same stem" in capsys.readouterr().err
    save(tmp_path / "wide" / "train" / "1.png", np.zeros((4, 8), np.uint8))
    assert main(["data", "combine", str(tmp_path / "wide"), "--to", str(tmp_path / "joined")]) == 1
    assert "side by side already; 'tandem data separate' takes them apart" in capsys.readouterr().err
    assert main(["data", "combine", str(a), str(a), "--to", str(tmp_path / "joined")]) == 1
    assert "the same folder" in capsys.readouterr().err


def test_two_folders_with_splits_of_their_own(tmp_path: Path) -> None:
    for side in ("left", "right"):
        for split, number in (("train", 2), ("validation", 1)):
            for index in range(number):
                save(tmp_path / side / split / f"{index}.png", np.full((4, 4), index, np.uint8))
    splits = find_paired_folders(tmp_path / "left", tmp_path / "right")
    assert {name: len(split) for name, split in splits.items()} == {"train": 2, "val": 1}
    with pytest.raises(DataError, match="does not exist"):
        find_paired_folders(tmp_path / "left", tmp_path / "none")


def test_a_split_by_content_keeps_what_looks_alike_together(tmp_path: Path) -> None:
    """Each of twelve pictures is there thrice, as PNG and as JPEGs of two qualities, in train and in test."""
    rng = np.random.default_rng(0)
    for index in range(12):
        slope = np.mgrid[:48, :48].sum(0)[:, :, None] * rng.uniform(0.5, 1.5, 3)
        picture = (slope + 60 * np.sin(np.mgrid[:48, :48][index % 2] / rng.uniform(2, 6))[:, :, None]).clip(0, 255)
        image = Image.fromarray(np.concatenate([picture] * 2, 1).astype(np.uint8))
        for split, name, quality in (("train", "x.png", 75), ("train", "y.jpg", 95), ("test", "z.jpg", 60)):
            (tmp_path / "data" / split).mkdir(parents=True, exist_ok=True)
            image.save(tmp_path / "data" / split / f"{index}-{name}", quality=quality)
    arguments = [str(tmp_path / "data"), "--to", str(tmp_path / "out"), "--val-split", "0.3", "--test-split", "0.3"]
    assert main(["data", "split", *arguments]) == 0
    found = {path.name: path.parent.name for path in (tmp_path / "out").glob("*/*")}
    assert len(found) == 36
    for index in range(12):
        assert len({found[f"{index}-{name}"] for name in ("x.png", "y.jpg", "z.jpg")}) == 1
    assert len(set(found.values())) == 3
    source = {path.name: path.read_bytes() for path in (tmp_path / "data").glob("*/*")}
    assert {path.name: path.read_bytes() for path in (tmp_path / "out").glob("*/*")} == source
