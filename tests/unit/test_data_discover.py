"""Every layout that is accepted, and everything that is refused, by what the message says."""

from pathlib import Path

import pytest
from PIL import Image

from tandem.data.discover import find_splits
from tandem.data.image_file import DiskFile
from tandem.data.splits import Pair
from tandem.errors import DataError


def fill(folder: Path, *names: str) -> Path:
    """Discovery looks at names alone, so that empty files are images enough."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        (folder / name).touch()
    return folder


def pair(name: str, a: Path, b: Path) -> Pair:
    return Pair(name, DiskFile(a), DiskFile(b))


def refused(root: Path) -> str:
    with pytest.raises(DataError) as caught:
        find_splits(root)
    return str(caught.value)


def test_side_by_side_in_natural_order(tmp_path: Path) -> None:
    fill(tmp_path / "train", "10.jpg", "9.JPG", "b1.png", "B2.png", ".hidden.jpg", "notes.txt", "Thumbs.db")
    fill(tmp_path / "test", "x.tiff")
    fill(tmp_path / "other", "y.png")
    splits = find_splits(tmp_path)
    assert list(splits) == ["train", "test"]
    train = splits["train"]
    assert (train.layout, train.root, train.name) == ("side_by_side", tmp_path, "train")
    assert [pair.name for pair in train.pairs] == ["9", "10", "b1", "B2"]
    assert train.pairs[0] == Pair("9", DiskFile(tmp_path / "train" / "9.JPG"), None)
    where = f"side by side (A left | B right) in {tmp_path / 'train'}"
    assert train.describe() == f"train: 4 pairs, {where}; ignored: 2 non-image files"
    assert splits["test"].describe() == f"test: 1 pair, side by side (A left | B right) in {tmp_path / 'test'}"


@pytest.mark.parametrize(("name_a", "name_b"), [("valA", "valB"), ("val/A", "val/B")])
def test_two_folders(tmp_path: Path, name_a: str, name_b: str) -> None:
    a = fill(tmp_path / name_a, "2.png", "10.png", "readme.md")
    b = fill(tmp_path / name_b, "10.jpg", "2.webp")
    (val,) = find_splits(tmp_path).values()
    assert val.layout == "folders"
    assert val.pairs == (pair("2", a / "2.png", b / "2.webp"), pair("10", a / "10.png", b / "10.jpg"))
    assert val.describe() == f"val: 2 pairs, A in {a} | B in {b}; ignored: 1 non-image file"


def test_a_dataset_without_split_folders_is_train(tmp_path: Path) -> None:
    flat = fill(tmp_path / "flat", "1.png", "2.png")
    (train,) = find_splits(flat).values()
    where = f"side by side (A left | B right) in {flat}"
    assert train.describe() == f"train: 2 pairs, {where} (no split folders: all of it is 'train')"
    a, b = (fill(tmp_path / "ab" / side, "1.png") for side in "AB")
    (train,) = find_splits(tmp_path / "ab").values()
    assert train.pairs == (pair("1", a / "1.png", b / "1.png"),)
    assert "no split folders: all of it is 'train'" in train.describe()


def test_links_are_followed_and_broken_ones_named(tmp_path: Path) -> None:
    fill(tmp_path / "elsewhere", "1.png")
    root = fill(tmp_path / "data")
    (root / "train").symlink_to(tmp_path / "elsewhere")
    assert find_splits(root)["train"].pairs[0].file_a == DiskFile(root / "train" / "1.png")
    (tmp_path / "elsewhere" / "2.png").symlink_to(tmp_path / "nowhere.png")
    assert f"{root / 'train' / '2.png'} is no file, or a link to a file that is not there" in refused(root)


def test_wrong_path_names_the_nearest_folder(tmp_path: Path) -> None:
    fill(tmp_path / "facades")
    fill(tmp_path / "maps")
    assert refused(tmp_path / "facade") == (
        f"The dataset folder {tmp_path / 'facade'} does not exist. Did you mean {tmp_path / 'facades'}?"
    )
    assert "Did you mean" not in refused(tmp_path / "zzz")
    assert f"parent folder {tmp_path / 'no'} does not exist either" in refused(tmp_path / "no" / "where")


def test_a_file_is_no_dataset(tmp_path: Path) -> None:
    path = tmp_path / "x.png"
    Image.new("RGB", (2, 2)).save(path)
    message = refused(path)
    assert f"{path} is a file" in message
    assert "DATA/trainA/*, trainB/*" in message


def test_nothing_found_says_what_is_there_and_what_is_accepted(tmp_path: Path) -> None:
    assert f"{tmp_path}: it holds nothing.\nAccepted are" in refused(tmp_path)
    fill(tmp_path / "images", "1.png")
    fill(tmp_path, "a.txt", "b.txt", "c.csv")
    assert "it holds images/, 2 files (.txt), 1 file (.csv).\nAccepted are" in refused(tmp_path)


def test_unmatched_stems_are_listed_for_each_side(tmp_path: Path) -> None:
    fill(tmp_path / "trainA", "both.png", *(f"a{i}.png" for i in range(25)))
    fill(tmp_path / "trainB", "both.png", "b.jpg")
    message = refused(tmp_path)
    assert f"25 files of {tmp_path / 'trainA'} without a file of the same stem in trainB" in message
    assert "a19.png" in message
    assert "a20.png" not in message
    assert "and 5 more (25 in all)" in message
    assert f"1 file of {tmp_path / 'trainB'} without a file of the same stem in trainA:\n    - b.jpg" in message


def test_all_problems_of_all_splits_in_one_error(tmp_path: Path) -> None:
    fill(tmp_path / "trainA", "1.png", "1.jpg")
    fill(tmp_path / "trainB", "1.png")
    fill(tmp_path / "valB", "1.png")
    fill(tmp_path / "test", "readme.txt")
    message = refused(tmp_path)
    assert "1.png and 1.jpg have the same stem" in message
    assert f"{tmp_path / 'valB'} is there, but its partner {tmp_path / 'valA'} is not" in message
    assert f"{tmp_path / 'test'} holds no images: it holds 1 file (.txt)" in message


def test_empty_folders_are_named(tmp_path: Path) -> None:
    fill(tmp_path / "trainA")
    fill(tmp_path / "trainB", "1.png")
    message = refused(tmp_path)
    assert f"{tmp_path / 'trainA'} holds no images: it holds nothing" in message
    assert "without a file" not in message


@pytest.mark.parametrize(
    ("folders", "expected"),
    [
        (("train", "trainA", "trainB"), "both"),
        (("train", "train/A", "train/B"), "holds both images and folders A/B"),
        (("train", "A", "B"), "split folders and folders A/B"),
        ((".", "A", "B"), "holds both images and folders A/B"),
    ],
)
def test_two_layouts_at_once(tmp_path: Path, folders: tuple[str, ...], expected: str) -> None:
    for folder in folders:
        fill(tmp_path / folder, "1.png")
    assert expected in refused(tmp_path)


def test_names_that_are_not_unicode(tmp_path: Path) -> None:
    fill(tmp_path / "train", "1.png")
    try:
        (tmp_path / "train" / "\udce9.png").touch()
    except OSError:
        pytest.skip("this file system takes only Unicode names")
    message = refused(tmp_path)
    assert r"\xe9.png' is not valid Unicode" in message
    message.encode()
