"""Images in subfolders: their paths are their names, from finding them to what is written; and what is no data."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from packing import facts_of, files_of, opened
from PIL import Image
from test_data_discover import fill, refused

from tandem.data.by_content import SplitShares
from tandem.data.check_remarks import in_subfolders
from tandem.data.discover import find_paired_folders, find_splits
from tandem.data.prepare.splitting import plan_split
from tandem.data.prepare.work import write_items
from tandem.data.shards.pack import pack
from tandem.data.unpaired import find_unpaired, looks_unpaired
from tandem.errors import DataError
from tandem.evaluation.subject import folder_images
from tandem.inference.jobs import find_jobs
from tandem.inference.sample_folder import sample_to_folder
from tandem.inference.sampling import SamplingOptions
from tandem.inference.translator import load
from tandem.names import file_path

MakeBundle = Callable[..., Path]


def picture(path: Path, seed: int = 0, width: int = 16) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    values = np.random.default_rng(seed).integers(0, 256, (16, width, 3), dtype=np.uint8)
    Image.fromarray(values).save(path)


def names_of(split) -> list[str]:
    return [item.name for item in split.inputs("AtoB")]


@pytest.fixture
def cities(tmp_path: Path) -> Path:
    for index, name in enumerate(("city2/1.png", "city10/1.png", "city10/north/1.png")):
        picture(tmp_path / "data" / "trainA" / name, index)
        picture(tmp_path / "data" / "trainB" / name, index + 50)
    return tmp_path / "data"


def test_pairs_have_the_same_path(cities: Path) -> None:
    train = find_splits(cities)["train"]
    assert names_of(train) == ["city2/1", "city10/1", "city10/north/1"]
    assert [str(file) for file in train.pairs[1].files] == [
        str(cities / f"train{side}" / "city10" / "1.png") for side in "AB"
    ]
    assert train.describe() == (f"train: 3 pairs, A in {cities / 'trainA'} | B in {cities / 'trainB'}, in 3 subfolders")
    (cities / "trainB" / "city2" / "1.png").rename(cities / "trainB" / "city2" / "2.png")
    message = refused(cities)
    assert f"1 file of {cities / 'trainA'} without a file of the same path in trainB:\n    - city2/1.png" in message
    assert "    - city2/2.png" in message


def test_two_folders_of_any_names_and_two_domains(cities: Path) -> None:
    a, b = cities / "trainA", cities / "trainB"
    assert names_of(find_paired_folders(a, b)["train"]) == ["city2/1", "city10/1", "city10/north/1"]
    (b / "city2" / "1.png").unlink()
    both = find_unpaired(a, b)["train"]
    assert (len(both.a), [one.name for one in both.b]) == (3, ["city10/1", "city10/north/1"])
    assert not looks_unpaired(cities)
    (b / "city10").rename(b / "elsewhere")
    assert looks_unpaired(cities)


def test_one_folder_by_names_or_side_by_side(tmp_path: Path) -> None:
    fill(tmp_path / "named" / "train" / "x_1", "1_A.png", "1_B.png")
    fill(tmp_path / "named" / "train" / "x_2", "1_A.png", "1_B.png")
    assert names_of(find_splits(tmp_path / "named")["train"]) == ["x_1/1", "x_2/1"]
    for name in ("c1/1.png", "c2/1.png", "c3/1.png"):
        picture(tmp_path / "wide" / "train" / name, width=32)
    train = find_splits(tmp_path / "wide")["train"]
    assert (train.layout, names_of(train)) == ("side_by_side", ["c1/1", "c2/1", "c3/1"])
    assert f"in {tmp_path / 'wide' / 'train'}, in 3 subfolders" in train.describe()


def test_two_folders_of_namesakes_may_be_a_and_b(tmp_path: Path) -> None:
    """Both are twice as wide as high, as street scenes are."""
    for name in ("fine/1.png", "photos/1.png"):
        picture(tmp_path / "train" / name, width=32)
    assert "holds two folders with images of the same names, fine/ and photos/" in refused(tmp_path)
    assert len(find_splits(tmp_path, layout="side_by_side")["train"]) == 2


def test_what_lies_beside_images_is_not_read(cities: Path) -> None:
    fill(cities / "trainA" / "thumbs", "1.png")
    fill(cities / "trainA" / ".cache", "1.png")
    train = find_splits(cities)["train"]
    assert len(train) == 3
    (remark,) = in_subfolders([train])
    assert remark.endswith("trainA: 1 image in subfolders (thumbs) are not read: they have the names of thumbnails")
    for side in "AB":
        picture(cities / f"train{side}" / "own.png")
    train = find_splits(cities)["train"]
    assert names_of(train) == ["own"]
    assert "not read: move them up, or all images into subfolders" in "".join(in_subfolders([train]))


@pytest.mark.parametrize(
    ("folders", "says"),
    [
        (["train", "test"], "test is called like a split"),
        (["x/val"], "val is called like a split"),
        (["images", "masks"], "holds the folders images/ and masks/, which are called like A and B"),
    ],
)
def test_folders_that_do_not_belong_together(cities: Path, folders: list[str], says: str) -> None:
    """Of two domains nothing else would say that images of the test are trained on, or masks."""
    for folder in folders:
        fill(cities / "trainA" / folder, "1.png")
    with pytest.raises(DataError, match=says):
        find_unpaired(cities / "trainA", cities / "trainB")


def test_links_that_lead_back(cities: Path, tmp_path: Path) -> None:
    (cities / "trainA" / "city2" / "up").symlink_to(cities / "trainA")
    assert "up leads back to a folder above it" in refused(cities)
    (cities / "trainA" / "city2" / "up").unlink()
    for side in "AB":
        picture(tmp_path / f"elsewhere{side}" / "1.png")
        (cities / f"train{side}" / "linked").symlink_to(tmp_path / f"elsewhere{side}")
    assert "linked/1" in names_of(find_splits(cities)["train"])


def test_shards_have_the_names_and_the_fingerprint(cities: Path, tmp_path: Path) -> None:
    folders = find_splits(cities)
    pack(folders, facts_of(folders), tmp_path / "packed", shard_bytes=1 << 20)
    train = opened(tmp_path / "packed")["train"]
    assert files_of(train) == files_of(folders["train"])
    assert train.fingerprint() == folders["train"].fingerprint()


def test_a_dataset_that_is_split_anew_keeps_them(cities: Path, tmp_path: Path) -> None:
    tasks, _ = plan_split(find_splits(cities), SplitShares(val_split=0, test_split=0))
    for _ in range(2):  # the second call reads the record of the first
        write_items(
            tmp_path / "new",
            tasks,
            lambda task: [file.read_bytes() for file in task.sources],
            settings={},
            noun="items",
        )
    assert files_of(find_splits(tmp_path / "new")["train"]) == files_of(find_splits(cities)["train"])


@pytest.mark.parametrize("only", [None, "outputs"])
def test_outputs_lie_where_their_inputs_lay(make_bundle: MakeBundle, cities: Path, tmp_path: Path, only) -> None:
    translator, out = load(make_bundle(), device="cpu"), tmp_path / "out"
    options = SamplingOptions(num_samples=1, only=only)
    jobs = find_jobs([cities / "trainA"])
    assert [job.name for job in jobs] == ["city2/1", "city10/1", "city10/north/1"]
    sample_to_folder(translator, jobs, out, options)
    base, ending = (out, ".png") if only else (out / "images", "_random_01.png")
    assert sorted(str(path.relative_to(base)) for path in base.rglob(f"*{ending}")) == [
        f"city10/1{ending}",
        f"city10/north/1{ending}",
        f"city2/1{ending}",
    ]
    if only:
        assert [one.name for one in folder_images(out)] == [job.name for job in jobs]
    picture(cities / "trainA" / "city2" / "1.png", seed=9)
    record = next(out.glob("*samples.jsonl"))
    lines = record.read_text().splitlines()
    sample_to_folder(translator, jobs, out, options)
    again = record.read_text().splitlines()
    assert [line in lines for line in again] == [True, False, True, True]  # the settings, and what has not changed
    sample_to_folder(translator, jobs[:1], out, SamplingOptions(num_samples=1, seed=1, only=only))
    assert [path.name for path in base.iterdir() if path.is_dir()] == ["city2"]


@pytest.mark.parametrize(
    ("name", "path"), [("x", "x"), ("a/b/x.y", "a/b/x.y"), ("../x", ".._x-"), ("/x", "_x-"), ("a//x", "a__x-")]
)
def test_where_files_of_a_name_go(name: str, path: str) -> None:
    assert file_path(name).startswith(path)
    assert ("/" in file_path(name)) == ("/" in path)
