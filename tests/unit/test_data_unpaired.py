"""The folders of two domains: every layout that is accepted, and everything that is refused, by its message."""

from pathlib import Path

import pytest

from tandem.data.discover import find_splits
from tandem.data.image_file import DiskFile
from tandem.data.splits import Half, SingleImage
from tandem.data.unpaired import find_unpaired, looks_unpaired
from tandem.errors import DataError


def fill(folder: Path, *names: str) -> Path:
    """Discovery looks at names alone, so that empty files are images enough."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        (folder / name).touch()
    return folder


def single(name: str, path: Path, half: Half | None = None) -> SingleImage:
    return SingleImage(name, DiskFile(path), half)


def refused(root: Path, root_b: Path | None = None) -> str:
    with pytest.raises(DataError) as caught:
        find_unpaired(root, root_b)
    return str(caught.value)


@pytest.mark.parametrize(("name_a", "name_b"), [("trainA", "trainB"), ("train/A", "train/B")])
def test_domains_of_any_names_and_counts(tmp_path: Path, name_a: str, name_b: str) -> None:
    a = fill(tmp_path / name_a, "10.png", "9.jpg", "notes.txt")
    b = fill(tmp_path / name_b, "x.png", "y.webp", "9.png", ".hidden.png")
    fill(tmp_path / "testA", "1.png")
    fill(tmp_path / "testB", "2.png")
    splits = find_unpaired(tmp_path)
    assert list(splits) == ["train", "test"]
    train = splits["train"]
    assert train.a == (single("9", a / "9.jpg"), single("10", a / "10.png"))
    assert train.b == (single("9", b / "9.png"), single("x", b / "x.png"), single("y", b / "y.webp"))
    assert (train.root, train.name, train.layout) == (tmp_path, "train", "folders")
    assert train.describe() == f"train: unpaired, 2 images of A in {a} and 3 of B in {b}; ignored: 1 non-image file"


def test_any_two_folders_are_train(tmp_path: Path) -> None:
    a, b = fill(tmp_path / "horses", "1.png"), fill(tmp_path / "elsewhere" / "zebras", "1.png", "2.png")
    (train,) = find_unpaired(a, b).values()
    assert ([Path(str(image.file)).parent for image in train.a], len(train.b)) == ([a], 2)
    where = f"1 image of A in {a} and 2 of B in {b}"
    assert train.describe() == f"train: unpaired, {where} (no split folders: all of it is 'train')"


def test_halves_of_side_by_side_files_are_domains(tmp_path: Path) -> None:
    folder = fill(tmp_path / "train", "1.png", "2.png")
    (train,) = find_unpaired(tmp_path).values()
    assert train.a == tuple(single(name, folder / f"{name}.png", "left") for name in "12")
    assert train.b == tuple(single(name, folder / f"{name}.png", "right") for name in "12")
    assert train.describe() == (
        f"train: unpaired, 2 images of A (left halves) and 2 of B (right halves) in {tmp_path / 'train'}"
    )


def test_a_domain_that_is_empty_or_missing_is_named(tmp_path: Path) -> None:
    fill(tmp_path / "trainA", "1.png")
    assert f"{tmp_path / 'trainA'} is there, but its partner {tmp_path / 'trainB'} is not" in refused(tmp_path)
    fill(tmp_path / "trainB", "readme.txt")
    fill(tmp_path / "valB", "1.png")
    message = refused(tmp_path)
    assert f"{tmp_path / 'trainB'} holds no images: it holds 1 file (.txt)" in message
    assert f"its partner {tmp_path / 'valA'} is not" in message


def test_two_folders_that_do_not_work(tmp_path: Path) -> None:
    a, b = fill(tmp_path / "a", "1.png", "1.jpg"), fill(tmp_path / "b")
    message = refused(a, b)
    assert f"The two folders {a} and {b} cannot be used" in message
    assert "1.png and 1.jpg have the same stem" in message
    assert f"{b} holds no images: it holds nothing" in message
    assert f"Both domains are the same folder, {a}" in refused(a, tmp_path / "b" / ".." / "a")
    link = tmp_path / "link"
    link.symlink_to(a)
    assert "Both domains are the same folder" in refused(a, link)
    assert f"{tmp_path / 'bb'} does not exist. Did you mean {b}?" in refused(a, tmp_path / "bb")
    assert "is a file; the dataset must be a folder" in refused(a / "1.png", b)


def test_nothing_and_mixtures(tmp_path: Path) -> None:
    assert "DATA/trainA/*, trainB/* the images of domain A and of domain B, with any names" in refused(tmp_path)
    fill(tmp_path / "trainA", "1.png")
    fill(tmp_path / "trainB", "1.png")
    fill(tmp_path / "A", "1.png")
    assert "split folders and folders A/B" in refused(tmp_path)


@pytest.mark.parametrize(
    ("names_a", "names_b", "unpaired"),
    [
        ("1 2 3 4", "1 2 3 4", False),
        ("1 2 3 4", "1 2 3 4 5 6 7 8", False),
        ("1 2 3 4", "1 2 x y", False),  # a mistake, to be named, is more likely than another kind of data
        ("1 2 3 4", "1 x y z", True),
        ("1 2 3", "x y", True),
    ],
)
def test_what_looks_unpaired(tmp_path: Path, names_a: str, names_b: str, unpaired: bool) -> None:
    for side, names in (("A", names_a), ("B", names_b)):
        fill(tmp_path / f"train{side}", *(f"{name}.png" for name in names.split()))
    assert looks_unpaired(tmp_path) == unpaired
    assert len(find_unpaired(tmp_path)["train"].b) == len(names_b.split())


def test_other_layouts_do_not_look_unpaired(tmp_path: Path) -> None:
    assert not looks_unpaired(tmp_path / "nowhere")
    fill(tmp_path / "train", "1.png")
    assert not looks_unpaired(tmp_path)
    assert len(find_splits(tmp_path)["train"].pairs) == 1
