"""Bad data is found before training, by file name; the next try with mended data goes through. Also ``tandem data``."""

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from support import pixels, tandem, tiny, train, write_pairs


def noise(path: Path, width: int, height: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)).save(path)


def truncated(data: Path) -> str:
    path = write_pairs(data / "train", 3) / "1.png"
    path.write_bytes(path.read_bytes()[:-500])
    return "train/1.png"


def no_image(data: Path) -> str:
    (write_pairs(data / "train", 3) / "1.png").write_bytes(b"GIF89a, or so")
    return "train/1.png"


def odd_width(data: Path) -> str:
    noise(write_pairs(data / "train", 3) / "odd.png", 65, 32)
    return "train/odd.png: its width 65 is odd"


def bad_in_test(data: Path) -> str:
    """Also a split that is only used after hours of training is read before."""
    write_pairs(data / "train", 3)
    noise(data / "test" / "odd.png", 65, 32)
    return "test/odd.png: its width 65 is odd"


def without_partner(data: Path) -> str:
    for side in "AB":
        write_pairs(data / f"train{side}", 2)
    noise(data / "trainA" / "lonely.png", 64, 32)
    return "lonely.png"


def other_sizes(data: Path) -> str:
    for side in "AB":
        write_pairs(data / f"train{side}", 2)
    noise(data / "trainB" / "1.png", 30, 32)
    return "trainA/1.png: is 64 x 32 pixels"


def one_side_missing(data: Path) -> str:
    write_pairs(data / "trainA", 2)
    return "its partner"


def empty_folder(data: Path) -> str:
    (data / "train").mkdir(parents=True)
    return "holds no images"


def nothing_there(data: Path) -> str:
    return f"The dataset folder {data} does not exist"


def only_text(data: Path) -> str:
    data.mkdir()
    (data / "readme.txt").write_text("images come later")
    return "No images were found"


def a_file(data: Path) -> str:
    data.write_text("")
    return "is a file; the dataset must be a folder"


def no_train(data: Path) -> str:
    write_pairs(data / "test", 2)
    return "no split 'train'"


@pytest.mark.parametrize(
    "spoil",
    [
        truncated,
        no_image,
        odd_width,
        bad_in_test,
        without_partner,
        other_sizes,
        one_side_missing,
        empty_folder,
        nothing_there,
        only_text,
        a_file,
        no_train,
    ],
)
def test_bad_data_is_found_before_training(tmp_path: Path, spoil: Callable[[Path], str]) -> None:
    data, out = tmp_path / "data", tmp_path / "run"
    says = spoil(data)
    refused = tandem("train", data, "--out", out, *tiny(steps=2))
    assert refused.status == 1
    assert says in refused.err
    assert "Traceback" not in refused.err
    assert not list(out.rglob("*.safetensors"))
    if spoil is not no_train:
        checked = tandem("data", "check", data)
        assert checked.status == 1
        assert says in checked.err
    if data.is_dir():
        shutil.rmtree(data)
    else:
        data.unlink(missing_ok=True)
    write_pairs(data / "train", 2)
    train(data, out, steps=1)


def test_many_problems_are_counted(tmp_path: Path) -> None:
    for index in range(25):
        noise(tmp_path / "train" / f"{index:02d}.png", 65, 32)
    refused = tandem("train", tmp_path, "--out", tmp_path / "run", *tiny(steps=2))
    assert refused.status == 1
    named = [line for line in refused.err.splitlines() if line.startswith("  - train/")]
    assert len(named) == 20
    assert "25 of 25 pairs cannot be used" in refused.err
    assert "… and 5 more (25 in all)" in refused.err


def test_a_misspelt_path_is_helped(tmp_path: Path) -> None:
    write_pairs(tmp_path / "facades" / "train", 1)
    refused = tandem("train", tmp_path / "facade", "--out", tmp_path / "run", *tiny(steps=1))
    assert f"Did you mean {tmp_path / 'facades'}?" in refused.err


def test_what_was_found_is_said(data: Path, tmp_path: Path) -> None:
    assert (
        f"train: 7 pairs, side by side (A left | B right) in {data / 'train'}"
        in train(data, tmp_path / "run", steps=1).err
    )
    checked = tandem("data", "check", data)
    assert checked.status == 0
    assert "11 pairs, all readable; widths 32 to 32 px, heights 32 to 32 px" in checked.err + checked.out


def test_unpaired_data_is_recognised_or_asked_for(tmp_path: Path) -> None:
    for side, count in (("A", 3), ("B", 2)):
        for index in range(count):
            noise(tmp_path / "data" / f"train{side}" / f"{side}{index}.png", 40, 32)
    recognised = tandem("data", "check", tmp_path / "data")
    assert recognised.status == 0
    assert "unpaired data: the names in the folders of A and B differ" in recognised.err
    assert f"train: unpaired, 3 images of A in {tmp_path / 'data' / 'trainA'} and 2 of B in" in recognised.err
    assert "5 images, all readable; widths 40 to 40 px, heights 32 to 32 px" in recognised.err
    folders = [tmp_path / "data" / "trainA", tmp_path / "data" / "trainB"]
    assert "5 images, all readable" in tandem("data", "check", *folders).err
    same = tandem("data", "check", folders[0], folders[0])
    assert same.status == 1
    assert "Both domains are the same folder" in same.err
    write_pairs(tmp_path / "pairs" / "train", 3)
    assert "3 pairs, all readable" in tandem("data", "check", tmp_path / "pairs").err
    forced = tandem("data", "check", tmp_path / "pairs", "--unpaired")
    assert "train: unpaired, 3 images of A (left halves) and 3 of B (right halves)" in forced.err
    assert "6 images, all readable" in forced.err


@pytest.mark.parametrize("layout", ["side_by_side", "folders", "unpaired"])
def test_the_demo_dataset(tmp_path: Path, layout: str) -> None:
    words = ["--size", "32", "--num-train", "3", "--num-val", "1", "--num-test", "1", "--layout", layout]
    first = tandem("data", "demo", tmp_path / "first", *words)
    assert first.status == 0
    assert tandem("data", "check", tmp_path / "first").status == 0
    tandem("data", "demo", tmp_path / "second", *words)
    tandem("data", "demo", tmp_path / "third", *words, "--seed", "1")
    one, two, three = (sorted((tmp_path / name).rglob("*.png")) for name in ("first", "second", "third"))
    assert [path.read_bytes() for path in one] == [path.read_bytes() for path in two]
    assert len(one) == (5 if layout == "side_by_side" else 10)
    assert not any(np.array_equal(pixels(x), pixels(y)) for x, y in zip(one, three, strict=True))
    other = tandem("data", "demo", tmp_path / "first", "--size", "64")
    assert other.status == 1
    assert "made with other parameters" in other.err


def test_options_of_data_are_checked(tmp_path: Path) -> None:
    small = tandem("data", "demo", tmp_path / "demo", "--size", "3")
    assert small.status == 2
    assert "--size must be from 16 to 2048, not 3" in small.err
    wrong = tandem("data", "demo", tmp_path / "demo", "--layuot", "folders")
    assert wrong.status == 2
    assert "Did you mean --layout?" in wrong.err
    assert not (tmp_path / "demo").exists()
