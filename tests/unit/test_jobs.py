"""From what the command line names to inputs with unique names."""

import logging
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from tandem.cli import main
from tandem.data.image_file import DiskFile
from tandem.data.splits import Pair, SingleImage
from tandem.errors import DataError
from tandem.inference.jobs import Job, find_jobs, has_two_domains, unique_names, warn_of_pairs
from tandem.inference.translator import Translator, load


@pytest.fixture
def translator(make_bundle: Callable[..., Path]) -> Translator:
    return load(make_bundle(channels=(3, 1)), device="cpu")


def picture(path: Path, *, width: int = 8, value: int = 0) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    half = np.full((8, width // 2, 3), value, np.uint8)
    Image.fromarray(np.hstack([half, 255 - half])).save(path)
    return path


def single(path: Path) -> SingleImage:
    return SingleImage(path.stem, DiskFile(path))


def named(*inputs: Path, **options: object) -> list[tuple[str, object]]:
    return [(job.name, job.item) for job in find_jobs(list(inputs), **options)]  # type: ignore[arg-type]


def test_files_and_folders(tmp_path: Path) -> None:
    one = picture(tmp_path / "single.png")
    b, a = picture(tmp_path / "folder" / "b.jpg"), picture(tmp_path / "folder" / "a.PNG")
    (tmp_path / "folder" / "notes.txt").write_text("")
    (tmp_path / "folder" / ".hidden.png").write_text("")
    assert named(one, tmp_path / "folder") == [("single", single(one)), ("a", single(a)), ("b", single(b))]


@pytest.mark.parametrize(("width", "pairs", "warns"), [(16, False, True), (16, True, False), (8, False, False)])
def test_pairs_that_are_given_as_plain_inputs_are_suspected(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, width: int, pairs: bool, warns: bool
) -> None:
    for name in "abcd":
        picture(tmp_path / f"{name}.png", width=width)
    warn_of_pairs(find_jobs([tmp_path], pairs=pairs))
    assert ("a.png, b.png, c.png: twice as wide as high" in caplog.text) == warns


def test_datasets(tmp_path: Path) -> None:
    paths = {split: picture(tmp_path / split / f"{split}.png", width=16) for split in ("train", "val", "test")}
    assert named(tmp_path) == [("test", Pair("test", DiskFile(paths["test"]), None))]
    assert named(tmp_path, split="train") == [("train", Pair("train", DiskFile(paths["train"]), None))]
    paths["test"].unlink()
    paths["test"].parent.rmdir()
    assert named(tmp_path)[0][0] == "val"
    with pytest.raises(DataError, match="has no split 'test', only train, val"):
        find_jobs([tmp_path], split="test")


def test_pairs_in_two_folders(tmp_path: Path) -> None:
    a, b = (picture(tmp_path / f"test{side}" / "x.png") for side in "AB")
    assert named(tmp_path) == [("x", Pair("x", DiskFile(a), DiskFile(b)))]


def test_files_as_pairs(tmp_path: Path, translator: Translator) -> None:
    path = picture(tmp_path / "x.png", value=10)
    job, whole = find_jobs([path], pairs=True)[0], find_jobs([path])[0]
    image, truth = job.read(translator)
    assert truth is not None
    assert (image.shape, truth.shape) == ((8, 4, 3), (8, 4, 1))
    assert (image[0, 0, 0], truth[0, 0, 0]) == (10, 245)
    image, truth = whole.read(translator)
    assert image.shape == (8, 8, 3)
    assert truth is None


def test_shards_are_datasets_too(tmp_path: Path, translator: Translator) -> None:
    for name, value in (("x", 10), ("y", 20)):
        picture(tmp_path / "pairs" / "test" / f"{name}.png", width=16, value=value)
    assert main(["data", "pack", str(tmp_path / "pairs"), str(tmp_path / "packed")]) == 0
    jobs = find_jobs([tmp_path / "packed"])
    assert [job.name for job in jobs] == ["x", "y"]
    for job, value in zip(jobs, (10, 20), strict=True):
        image, truth = job.read(translator)
        assert truth is not None
        assert (image[0, 0, 0], truth[0, 0, 0]) == (value, 255 - value)
    assert not has_two_domains(tmp_path / "packed")


def test_shards_of_two_domains_go_both_ways(tmp_path: Path) -> None:
    for folder, names in {"testA": "ab", "testB": "cde"}.items():
        for name in names:
            picture(tmp_path / "two" / folder / f"{name}.png")
    assert main(["data", "pack", str(tmp_path / "two"), str(tmp_path / "packed")]) == 0
    assert has_two_domains(tmp_path / "two")
    assert has_two_domains(tmp_path / "packed")
    found = [(job.name, job.direction) for job in find_jobs([tmp_path / "packed"], directions=("AtoB", "BtoA"))]
    assert found == [("a", "AtoB"), ("b", "AtoB"), ("c", "BtoA"), ("d", "BtoA"), ("e", "BtoA")]


def test_everything_that_is_missing_is_named(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError) as raised:
        find_jobs([tmp_path / "one.png", picture(tmp_path / "there.png"), tmp_path / "two", tmp_path / "empty"])
    message = str(raised.value)
    assert all(str(tmp_path / name) in message for name in ("one.png", "two", "empty"))
    assert "there.png" not in message


@given(st.lists(st.sampled_from(["x", "X", "x-2", "x-3", "X-2", "y", "x-2-2"]), max_size=12))
def test_names_are_unique(names: list[str]) -> None:
    """Whatever comes together; who is alone with a name keeps it, and the order stays."""
    unique = unique_names(names)
    assert len({name.casefold() for name in unique}) == len(unique) == len(names)
    folded = [name.casefold() for name in names]
    for index, (found, name) in enumerate(zip(unique, names, strict=True)):
        assert found.startswith(name)
        if folded.index(name.casefold()) == index:
            assert found == name


def test_a_description_changes_with_place_and_content(tmp_path: Path) -> None:
    first, second = picture(tmp_path / "a" / "x.png"), picture(tmp_path / "b" / "x.png")
    before = Job("x", single(first)).describe()
    assert before == Job("other", single(first)).describe()
    assert before != Job("x", single(second)).describe()
    assert before.startswith(str(first.resolve()))
    picture(first, value=1)
    assert before != Job("x", single(first)).describe()
    pair = Job("x", Pair("x", DiskFile(first), DiskFile(second))).describe()
    assert str(first.resolve()) in pair
    assert str(second.resolve()) in pair
    first.unlink()
    with pytest.raises(DataError, match=r"x\.png"):
        Job("x", single(first)).describe()


def test_pairs_by_name_are_inputs_with_their_ground_truth(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    for name in ("1_edge", "1_photo", "2_edge", "2_photo"):
        Image.new("RGB", (8, 8)).save(tmp_path / f"{name}.png")
    with caplog.at_level(logging.INFO):
        jobs = find_jobs([tmp_path])
    assert [(job.name, job.is_plain, len(job.item.files)) for job in jobs] == [("1", False, 2), ("2", False, 2)]
    assert [record.getMessage() for record in caplog.records] == [
        f"train: 2 pairs, A *_edge, B *_photo in {tmp_path} (no split folders: all of it is 'train')"
    ]
    assert [job.item.files[0].name for job in find_jobs([tmp_path], pairs=True)] == [
        f"{name}.png" for name in ("1_edge", "1_photo", "2_edge", "2_photo")
    ]


def test_single_images_in_a_split_are_translated_by_their_folder(tmp_path: Path) -> None:
    (tmp_path / "data" / "test").mkdir(parents=True)
    Image.new("RGB", (8, 8)).save(tmp_path / "data" / "test" / "1.png")
    with pytest.raises(DataError, match=r"are translated if their folder itself is named: .*test"):
        find_jobs([tmp_path / "data"])
    assert find_jobs([tmp_path / "data" / "test"])[0].is_plain
    assert len(find_jobs([tmp_path / "data"], pairs=True)[0].item.files) == 1
