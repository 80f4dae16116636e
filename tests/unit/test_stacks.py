"""Several files as one input: their order, types and ranges, where they lie, and what is refused."""

import json
from pathlib import Path

import numpy as np
import pytest

from tandem.cli import main
from tandem.data.array_files import write_image
from tandem.data.check import check_data
from tandem.data.discover import find_splits
from tandem.data.formats.stored import StoredImage, stacked
from tandem.data.image_file import DiskFile, StackedFile
from tandem.data.images import ImageReadError, read_size, read_stored
from tandem.data.levels import BY_TYPE, Levels
from tandem.data.mask_files import with_masks
from tandem.data.metadata import read_carried
from tandem.data.pixels import to_floats
from tandem.data.shards.open import open_shards, read_shards
from tandem.data.stacks import channels_of_parts, stacked_files
from tandem.data.unpaired import find_unpaired
from tandem.errors import DataError

KINDS = {"A1": (np.uint16, 1), "A2": (np.uint8, 3), "B": (np.uint8, 3)}


def noise(kind: type, channels: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, np.iinfo(kind).max + 1, (12, 14, channels), kind)


def write(root: Path, folders: str = "train{}", *, count: int = 2) -> Path:
    """Grey pictures of 16 bits and coloured ones of 8 bits as A, colours as B."""
    for number, (side, (kind, channels)) in enumerate(KINDS.items()):
        for index in range(count):
            write_image(root / folders.format(side) / f"{index}.png", noise(kind, channels, 10 * number + index))
    return root


def test_each_file_is_scaled_by_its_own_type(tmp_path: Path) -> None:
    (pair, _) = find_splits(write(tmp_path))["train"].pairs
    a, b = pair.read("AtoB", channels_a=4, channels_b=3)
    assert (a.dtype, b.dtype) == (np.uint16, np.uint8)
    own = np.concatenate([to_floats(noise(np.uint16, 1, 0)), to_floats(noise(np.uint8, 3, 10))])
    assert np.abs(BY_TYPE.to_floats(a) - own).max() < 1e-6
    assert np.array_equal(a[:, :, 0], noise(np.uint16, 1, 0)[:, :, 0])
    ranged = Levels("float64", (0.0, 0.0, 0.0, 0.0), (1000.0, 255.0, 128.0, 64.0))
    (values, _) = pair.read("AtoB", channels_a=4, channels_b=3, levels_a=ranged)
    assert np.array_equal(values[:, :, 1:], noise(np.uint8, 3, 10))  # as the file has them, not spread over 16 bits
    expected = np.clip(noise(np.uint8, 3, 10)[:, :, 2] / 32 - 1, -1, 1)
    assert np.abs(ranged.to_floats(values)[3] - expected).max() < 1e-6


@pytest.mark.parametrize(
    ("kinds", "common"),
    [
        (("uint8", "uint8"), "uint8"),
        (("uint16", "int16"), "int32"),
        (("uint8", "float32"), "float32"),
        (("uint32", "int16"), "float64"),
    ],
)
def test_the_type_holds_the_values_of_all(kinds: tuple[str, str], common: str) -> None:
    ends = [np.iinfo(kind).max if kind != "float32" else 0.1 for kind in kinds]
    arrays = [np.full((1, 1, 1), end, kind) for kind, end in zip(kinds, ends, strict=True)]
    made = stacked([StoredImage(array, 8 * array.itemsize, 1, False) for array in arrays])
    assert made.values.dtype == common
    assert made.values.ravel().tolist() == [array.item() for array in arrays]


def test_a_pixel_of_a_stack_is_empty_where_any_file_is() -> None:
    parts = [
        StoredImage(np.array([[[5], [7], [7]]], np.int16), 16, 0, False, nodata=5),
        StoredImage(np.array([[[1], [2], [np.nan]]], np.float32), 32, 0, False),
    ]
    levels = Levels("float32", (0.0,), (10.0,), fill=-1.0)
    assert levels.empty(stacked(parts)).tolist() == [[True, False, True]]  # type: ignore[union-attr]


@pytest.mark.parametrize("folders", ["train{}", "train_{}", "train/{}", "{}/train", "{}"])
def test_where_a_stacked_input_lies(tmp_path: Path, folders: str) -> None:
    root = write(tmp_path, folders)
    split = find_splits(root)["train"]
    first, second = split.pairs
    assert (first.name, second.name) == ("0", "1")
    parts = [root / folders.format(side) / "0.png" for side in ("A1", "A2")]
    assert [str(part) for part in first.file_a.parts] == [str(path) for path in parts]
    assert str(first.file_b) == str(root / folders.format("B") / "0.png")
    assert "; stacked on A: " in split.describe()
    assert channels_of_parts(first.file_a) == {"A1": 1, "A2": 3}
    assert read_size(first.file_a) == (14, 12)
    domains = find_unpaired(root)["train"]
    assert [one.file for one in domains.a] == [pair.file_a for pair in split.pairs]


def test_a_table_names_the_parts(tmp_path: Path) -> None:
    root = write(tmp_path)
    (root / "pairs.csv").write_text("a1,a2,b\ntrainA1/0.png,trainA2/0.png,trainB/0.png\n")
    row = {"a": ["trainA1/0.png", "trainA2/0.png"], "b": "trainB/0.png"}
    (root / "pairs.jsonl").write_text(json.dumps(row))
    for name in ("pairs.csv", "pairs.jsonl"):
        (pair,) = find_splits(root / name)["train"].pairs
        assert channels_of_parts(pair.file_a) == {"a1": 1, "a2": 3}
    (root / "pairs.csv").write_text("a,a1,a2,b\n1.png,1.png,2.png,3.png\n")
    with pytest.raises(DataError, match="both a column a and columns a1, a2"):
        find_splits(root / "pairs.csv")


def test_what_is_wrong_is_said_at_once(tmp_path: Path) -> None:
    root = write(tmp_path)
    (root / "trainA2" / "1.png").unlink()
    (root / "trainB" / "0.png").rename(root / "trainB" / "7.png")
    with pytest.raises(DataError) as caught:
        find_splits(root)
    text = str(caught.value)
    for part in (r"trainA2 lacks 1 image of trainA1", "1 image of A", "2 images of B"):
        assert part in text, text
    (root / "trainA2").rename(root / "trainA3")
    (root / "trainA").mkdir()
    with pytest.raises(DataError, match="a stacked A is in folders A1, A2 and so on, at least two") as caught:
        find_splits(root)
    assert "both" in str(caught.value)


def test_sizes_and_channels_must_agree(tmp_path: Path) -> None:
    root = write(tmp_path)
    write_image(root / "trainA2" / "1.png", noise(np.uint8, 1, 3))
    write_image(root / "trainA1" / "1.png", noise(np.uint16, 3, 3))
    with pytest.raises(
        DataError, match=r"1 of 2 stacks have other channels than the first, 1 \+ 3:\n.*train/1: 3 \+ 1"
    ):
        check_data([find_splits(root)["train"]], channels_a=4, channels_b=3)
    write_image(root / "trainA2" / "0.png", noise(np.uint8, 3, 3)[:5])
    with pytest.raises(ImageReadError, match=r"trainA2/0.png: is 14 x 5 pixels, but .*trainA1/0.png.* is 14 x 12"):
        read_stored(find_splits(root)["train"].pairs[0].file_a)
    with pytest.raises(ImageReadError, match=r"has 4 channels \(stack of .*\), and 3 were asked for"):
        find_splits(write(tmp_path / "other"))["train"].pairs[0].read("AtoB", channels_a=3, channels_b=3)


def test_shards_hold_the_parts(tmp_path: Path) -> None:
    root = write(tmp_path / "data")
    for index in range(2):
        write_image(root / "trainM" / f"{index}.png", np.full((12, 14), 255, np.uint8))
    assert main(["data", "pack", str(root), str(tmp_path / "packed"), "--mask", "files"]) == 0
    splits = with_masks(find_splits(root), "files")
    shards = open_shards(read_shards(tmp_path / "packed"), paired=True)["train"]
    for one, other in zip(splits["train"].inputs("AtoB"), shards.inputs("AtoB"), strict=True):
        assert [a.sha256() for a in one.all_files] == [b.sha256() for b in other.all_files]
        assert len(other.image("a").file.parts) == 2
        assert other.mask is not None
    assert shards.fingerprint() == splits["train"].fingerprint()


def test_a_stack_is_no_file_of_its_own(tmp_path: Path) -> None:
    root = write(tmp_path)
    stack = stacked_files([root / "trainA1", root / "trainA2"])["0"]
    assert stack.labels == ("trainA1", "trainA2")
    with pytest.raises(DataError, match="a stack of 2 files, which cannot be copied as one"):
        stack.open()
    assert read_carried(stack) == read_carried(DiskFile(root / "trainA1" / "0.png"))
    other = StackedFile(stack.files[::-1], stack.labels)
    assert (stack.size, stack.sha256() == other.sha256()) == (other.size, False)
    assert stack.stamp()[-1] == max(file.stamp()[-1] for file in stack.files)
