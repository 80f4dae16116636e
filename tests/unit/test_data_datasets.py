"""Samples by position: order, direction, augmentation."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from tandem.data.augment import TrainTransform
from tandem.data.datasets import PairedDataset
from tandem.data.discover import find_splits
from tandem.data.fit import FitRule
from tandem.data.image_file import DiskFile
from tandem.data.images import read_image
from tandem.data.order import ShardOrder
from tandem.data.pixels import resize, to_tensor
from tandem.data.splits import Pair, PairedSplit, SingleImage
from tandem.errors import DataError

WHOLE = TrainTransform((8, 10), flip=False, load_size=(8, 10))
CROP = TrainTransform((8, 10), flip=True, load_size=(12, 14))


def make(root: Path, count: int, *, same: bool = False) -> PairedSplit:
    """Side-by-side pairs of noise, 10 x 8 each; with `same`, B is a copy of A."""
    rng = np.random.default_rng(0)
    (root / "train").mkdir(parents=True)
    for index in range(count):
        a, b = rng.integers(0, 256, (2, 8, 10, 3), dtype=np.uint8)
        Image.fromarray(np.concatenate([a, a if same else b], axis=1)).save(root / "train" / f"{index}.png")
    return find_splits(root)["train"]


def dataset(folder: PairedSplit, *, transform: TrainTransform = WHOLE, **options: Any) -> PairedDataset:
    settings: dict[str, Any] = {"direction": "AtoB", "channels_a": 3, "channels_b": 3, "seed": 0} | options
    return PairedDataset(folder, transform=transform, **settings)


@settings(max_examples=50, deadline=None)
@given(count=st.integers(1, 40), seed=st.integers(0, 2**40), epoch=st.integers(0, 10**6))
def test_each_epoch_shows_each_pair_once(count: int, seed: int, epoch: int) -> None:
    pairs = tuple(Pair(str(index), DiskFile(Path(str(index))), None) for index in range(count))
    data = dataset(PairedSplit(Path(), "train", "side_by_side", pairs), seed=seed)
    order = [data.index_at(epoch * count + offset) for offset in range(count)]
    assert sorted(order) == list(range(count))
    assert len(data) == count
    again = dataset(data.split, seed=seed)  # the same order, whatever was asked for before
    assert [again.index_at(epoch * count + offset) for offset in reversed(range(count))] == order[::-1]
    by_shard = ShardOrder(seed, [count])
    ordered = dataset(data.split, seed=seed, order=by_shard)
    assert [ordered.index_at(epoch * count + i) for i in range(count)] == [
        by_shard.index(epoch, i) for i in range(count)
    ]


def test_epochs_and_seeds_differ() -> None:
    pairs = tuple(Pair(str(index), DiskFile(Path(str(index))), None) for index in range(50))
    folder = PairedSplit(Path(), "train", "side_by_side", pairs)
    first, second = dataset(folder, seed=0), dataset(folder, seed=1)
    orders = [[data.index_at(start + i) for i in range(50)] for data in (first, second) for start in (0, 50)]
    assert len({tuple(order) for order in orders}) == 4


def test_direction_and_channels(tmp_path: Path) -> None:
    folder = make(tmp_path, 1)
    whole = read_image(folder.pairs[0].file_a)
    luma = np.asarray(Image.open(folder.pairs[0].file_a.open()).convert("L"))[:, :, None]
    forward = dataset(folder, channels_a=1, channels_b=3)[0]
    assert torch.equal(forward["a"], to_tensor(luma[:, :10]))
    assert torch.equal(forward["b"], to_tensor(whole[:, 10:]))
    backward = dataset(folder, channels_a=1, channels_b=3, direction="BtoA")[0]
    assert torch.equal(backward["a"], to_tensor(luma[:, 10:]))
    assert torch.equal(backward["b"], to_tensor(whole[:, :10]))


def test_two_folders_equal_side_by_side(tmp_path: Path) -> None:
    joined = make(tmp_path / "joined", 3)
    for pair in joined.pairs:
        whole = Image.open(pair.file_a.open())
        for side, box in (("A", (0, 0, 10, 8)), ("B", (10, 0, 20, 8))):
            (tmp_path / "apart" / "train" / side).mkdir(parents=True, exist_ok=True)
            whole.crop(box).save(tmp_path / "apart" / "train" / side / f"{pair.name}.png")
    apart = find_splits(tmp_path / "apart")["train"]
    for position in range(6):
        x, y = (dataset(folder, transform=CROP, direction="BtoA")[position] for folder in (joined, apart))
        assert torch.equal(x["a"], y["a"])
        assert torch.equal(x["b"], y["b"])
        assert (x["name"], x["position"]) == (y["name"], y["position"])


def test_augmentation_follows_the_position(tmp_path: Path) -> None:
    data = dataset(make(tmp_path, 1, same=True), transform=CROP, channels_a=1)
    luma = torch.tensor([0.299, 0.587, 0.114]).reshape(3, 1, 1)
    samples = [data[position] for position in range(12)]
    assert len({sample["b"].numpy().tobytes() for sample in samples}) > 6
    for position, sample in enumerate(samples):
        assert sample["position"] == position
        assert sample["a"].shape == (1, 8, 10)
        assert (sample["a"] - (sample["b"] * luma).sum(0)).abs().mean() < 0.03  # resized luma against luma of resized
        assert torch.equal(data[position]["b"], sample["b"])
    other = dataset(data.split, transform=CROP, channels_a=1, seed=1)
    assert any(not torch.equal(other[position]["b"], samples[position]["b"]) for position in range(12))


@pytest.mark.parametrize("transform", [CROP, WHOLE])
def test_pair_at_is_the_whole_pair_in_order(tmp_path: Path, transform: TrainTransform) -> None:
    folder = make(tmp_path, 5)
    data = dataset(folder, transform=transform)
    for index, pair in enumerate(folder.pairs):
        whole = read_image(pair.file_a)
        sample = data.preview_at(index, rule=FitRule(size=(8, 10), preprocess="resize_and_crop", load_size=(9, 11)))
        assert (sample["name"], sample["position"]) == (str(index), index)
        assert torch.equal(sample["a"], to_tensor(resize(whole[:, :10], 8, 10)))
        assert torch.equal(sample["b"], to_tensor(resize(whole[:, 10:], 8, 10)))


def test_errors_at_run_time_name_the_file(tmp_path: Path) -> None:
    folder = make(tmp_path, 1)
    path = Path(str(folder.pairs[0].file_a))
    with pytest.raises(DataError, match=rf"{path}: .*8 x 10 .*crop 9 x 9"):
        dataset(folder, transform=TrainTransform((9, 9), flip=False))[0]
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(DataError, match=rf"{path}: .*truncated"):
        dataset(folder)[0]
    path.unlink()
    with pytest.raises(DataError, match=rf"{path}: No such file"):
        dataset(folder)[0]


def test_odd_width_and_other_size_are_refused(tmp_path: Path) -> None:
    paths = [tmp_path / name for name in ("a.png", "b.png")]
    Image.new("L", (11, 6)).save(paths[0])
    Image.new("L", (6, 11)).save(paths[1])
    with pytest.raises(DataError, match=r"a\.png: its width 11 is odd"):
        Pair("a", DiskFile(paths[0]), None).read("AtoB", channels_a=1, channels_b=1)
    with pytest.raises(DataError, match=r"a\.png: is 11 x 6 pixels, but its partner .*b\.png is 6 x 11"):
        Pair("a", *map(DiskFile, paths)).read("AtoB", channels_a=1, channels_b=1)
    with pytest.raises(DataError, match=r"a\.png: is 11 x 6 pixels, but its partner .*b\.png is 6 x 11"):
        Pair("a", *map(DiskFile, paths)).size()


def test_sizes_are_those_of_what_is_read(tmp_path: Path) -> None:
    for name in ("a.png", "b.png"):
        Image.new("L", (12, 7)).save(tmp_path / name)
    first, second = (DiskFile(tmp_path / name) for name in ("a.png", "b.png"))
    halves = SingleImage("a", first, "left"), SingleImage("a", first, "right")
    for item in (Pair("a", first, None), Pair("a", first, second), SingleImage("a", first), *halves):
        array, _ = item.read("AtoB", channels_a=1, channels_b=1)
        assert item.size() == array.shape[:2]
