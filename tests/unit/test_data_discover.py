"""Every layout that is accepted, and everything that is refused, by what the message says."""

from pathlib import Path

import pytest
from PIL import Image

from tandem.data.discover import find_splits
from tandem.data.image_file import DiskFile
from tandem.data.splits import Pair
from tandem.data.unpaired import find_unpaired
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


def picture(path: Path, width: int, height: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (width, height)).save(path)


@pytest.mark.parametrize(
    ("a", "b"),
    [
        ("train/input", "train/target"),
        ("train/Input", "train/Target"),
        ("train_input", "train_target"),
        ("input_train", "target_train"),
        ("training/edges", "training/photos"),
        ("images/train", "labels/train"),
        ("train/a", "train/b"),
        ("source", "target"),
        ("edges", "photos"),
        ("train/real_A", "train/real_B"),
        ("training-A", "training-B"),
    ],
)
def test_folders_by_the_names_that_people_give_them(tmp_path: Path, a: str, b: str) -> None:
    fill(tmp_path / a, "1.png", "2.png")
    fill(tmp_path / b, "1.jpg", "2.png")
    (train,) = find_splits(tmp_path).values()
    assert train.name == "train"
    assert train.pairs[0] == pair("1", tmp_path / a / "1.png", tmp_path / b / "1.jpg")
    assert f"2 pairs, A in {tmp_path / a} | B in {tmp_path / b}" in train.describe()
    assert ("no split folders" in train.describe()) == ("/" not in a and "train" not in a)


@pytest.mark.parametrize(
    ("end_a", "end_b"),
    [("_A", "_B"), ("_edge", "_photo"), ("-a", "-b"), ("_input", "_target"), ("_real_A", "_real_B"), (".src", ".tgt")],
)
@pytest.mark.parametrize("folder", ["train", "."])
def test_files_by_the_ends_of_their_names(tmp_path: Path, end_a: str, end_b: str, folder: str) -> None:
    at = fill(tmp_path / folder, *(f"{name}{end}.png" for name in ("x 2", "x 10") for end in (end_a, end_b)))
    (train,) = find_splits(tmp_path).values()
    assert train.layout == "names"
    first = pair("x 2", at / f"x 2{end_a}.png", at / f"x 2{end_b}.png")
    assert train.pairs == (first, pair("x 10", at / f"x 10{end_a}.png", at / f"x 10{end_b}.png"))
    assert f"train: 2 pairs, A *{end_a}, B *{end_b} in {at}" in train.describe()
    (domains,) = find_unpaired(tmp_path).values()
    assert [image.name for image in domains.b] == ["x 2", "x 10"]
    assert f"2 images of A and 2 of B (A *{end_a}, B *{end_b})" in domains.describe()


def test_ends_that_do_not_fit_together_are_listed(tmp_path: Path) -> None:
    fill(tmp_path / "train", "1_A.png", "1_B.png", "2_A.png", "3_B.png", "x.png")
    message = refused(tmp_path)
    assert "A *_A, B *_B, and 1 file with another end:\n    - x.png" in message
    assert "without a file of the same name that ends in _B:\n    - 2_A.png" in message
    assert "without a file of the same name that ends in _A:\n    - 3_B.png" in message


@pytest.mark.parametrize(
    ("folders", "ways"),
    [
        (
            ["train/input", "train/target", "train/output"],
            ["train/input and train/target", "train/input and train/output"],
        ),
        (["trainA", "trainB", "train/A", "train/B"], ["trainA and trainB", "train/A and train/B"]),
        (["input/train", "target/train", "trainA", "trainB"], ["trainA and trainB", "input/train and target/train"]),
        (["A", "B", "images", "labels"], ["A and B", "images and labels"]),
    ],
)
def test_several_ways_are_all_named(tmp_path: Path, folders: list[str], ways: list[str]) -> None:
    for folder in folders:
        fill(tmp_path / folder, "1.png")
    message = refused(tmp_path)
    assert all(way in message for way in ways)
    assert "keep one of them" in message


def test_several_ends_are_all_named(tmp_path: Path) -> None:
    fill(tmp_path / "train", "1_input.png", "1_target.png", "2_input.png", "2_output.png")
    message = refused(tmp_path)
    assert "(A *_input, B *_target; A *_input, B *_output)" in message


@pytest.mark.parametrize(
    ("width", "height", "seen"),
    [
        (64, 32, ""),
        (48, 32, "48 x 32 pixels: halves of 24 x 32"),
        (32, 32, None),
        (24, 32, None),
        (33, 32, "halves of 16"),
    ],
)
def test_single_images_are_not_taken_for_pairs(tmp_path: Path, width: int, height: int, seen: str | None) -> None:
    for number in range(3):
        picture(tmp_path / "train" / f"{number}.png", width, height)
    if seen is None:
        message = refused(tmp_path)
        assert (
            f"{tmp_path / 'train'} holds single images, not pairs side by side: 0.png is {width} x {height}" in message
        )
        assert "--layout side_by_side" in message
        with pytest.raises(DataError, match="holds single images"):
            find_unpaired(tmp_path)
    else:
        (train,) = find_splits(tmp_path).values()
        assert seen in train.describe()
        assert ("halves" in train.describe()) == bool(seen)
    for found in (find_splits(tmp_path, layout="side_by_side"), find_unpaired(tmp_path, layout="side_by_side")):
        assert found["train"].layout == "side_by_side"
        assert "halves of" not in found["train"].describe()


def test_most_of_the_files_decide(tmp_path: Path) -> None:
    for number in range(40):
        picture(tmp_path / "train" / f"{number}.png", 64 if number % 4 else 32, 32)
    assert len(find_splits(tmp_path)["train"]) == 40
    for number in range(30):
        picture(tmp_path / "train" / f"{number}.png", 32, 32)
    assert "holds single images" in refused(tmp_path)


def test_two_folders_of_other_names_are_named(tmp_path: Path) -> None:
    for name in ("horses", "zebras"):
        fill(tmp_path / name, "1.png")
    assert "If horses/ and zebras/ hold A and B, call them A and B" in refused(tmp_path)
