"""Unpaired samples by position: which images meet, that crops are independent, that nothing else matters."""

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from scipy import stats

from tandem.data.augment import TrainTransform
from tandem.data.datasets import UnpairedDataset
from tandem.data.fit import FitRule
from tandem.data.image_file import DiskFile
from tandem.data.images import read_image
from tandem.data.loader import make_loader
from tandem.data.pixels import resize, to_tensor
from tandem.data.splits import SingleImage, UnpairedSplit
from tandem.data.unpaired import find_unpaired
from tandem.errors import DataError


def names_only(count_a: int, count_b: int) -> UnpairedSplit:
    a, b = (
        tuple(SingleImage(f"{s}{i}", DiskFile(Path(f"{s}{i}"))) for i in range(n))
        for s, n in (("a", count_a), ("b", count_b))
    )
    return UnpairedSplit(Path(), "train", "folders", a, b)


def dataset(folder: UnpairedSplit, **options: Any) -> UnpairedDataset:
    settings: dict[str, Any] = {
        "transform": TrainTransform((8, 8), flip=True, load_size=(10, 12)),
        "direction": "AtoB",
        "channels_a": 3,
        "channels_b": 3,
        "seed": 0,
    }
    return UnpairedDataset(folder, **(settings | options))


def make(root: Path, count_a: int, count_b: int, *, sizes: tuple[int, int] = (12, 9)) -> UnpairedSplit:
    """Square images of noise."""
    for side, count, size in (("A", count_a, sizes[0]), ("B", count_b, sizes[1])):
        (root / f"train{side}").mkdir(parents=True)
        for index in range(count):
            noise = np.random.default_rng([ord(side), index]).integers(0, 256, (size, size, 3), dtype=np.uint8)
            Image.fromarray(noise).save(root / f"train{side}" / f"{side.lower()}{index}.png")
    return find_unpaired(root)["train"]


@given(
    counts=st.tuples(st.integers(1, 30), st.integers(1, 30)),
    seed=st.integers(0, 2**40),
    epoch=st.integers(0, 10**6),
    direction=st.sampled_from(["AtoB", "BtoA"]),
)
def test_an_epoch_shows_every_input_before_it_repeats_one(
    counts: tuple[int, int], seed: int, epoch: int, direction: str
) -> None:
    data = dataset(names_only(*counts), seed=seed, direction=direction)
    assert len(data) == max(counts)
    num_inputs = counts[0] if direction == "AtoB" else counts[1]
    met = [data.images_at(epoch * len(data) + offset) for offset in range(len(data))]
    side = "a" if direction == "AtoB" else "b"
    names = [a.name for a, _ in met]
    for first in range(0, len(data) - num_inputs + 1, num_inputs):
        assert len(set(names[first : first + num_inputs])) == num_inputs
    assert all(a.name[0] == side and b.name[0] != side for a, b in met)
    again = dataset(names_only(*counts), seed=seed, direction=direction)  # whatever was asked for before
    assert [again.images_at(epoch * len(data) + offset) for offset in reversed(range(len(data)))] == met[::-1]


def test_partners_are_uniform_and_independent_of_the_input() -> None:
    data = dataset(names_only(6, 5), seed=3)
    table = np.zeros((6, 5))
    for position in range(6000):
        a, b = data.images_at(position)
        table[int(a.name[1:]), int(b.name[1:])] += 1
    assert (table.sum(1) == 1000).all()
    assert stats.chisquare(table.sum(0)).pvalue > 0.01
    assert stats.chi2_contingency(table).pvalue > 0.01
    following = [data.images_at(position)[1].name for position in range(6000)]
    table = np.zeros((5, 5))
    for before, after in itertools.pairwise(following):
        table[int(before[1:]), int(after[1:])] += 1
    assert stats.chi2_contingency(table).pvalue > 0.01


def test_epochs_and_seeds_differ() -> None:
    orders = set()
    for seed in (0, 1):
        data = dataset(names_only(50, 50), seed=seed)
        for start in (0, 50):
            met = [data.images_at(start + offset) for offset in range(50)]
            orders |= {tuple(a.name for a, _ in met), tuple(b.name for _, b in met)}
    assert len(orders) == 8


def test_crops_and_flips_of_the_domains_are_independent(tmp_path: Path) -> None:
    """Both domains are one image of its own column numbers, so that a crop tells where it was made."""
    for side in "AB":
        (tmp_path / f"train{side}").mkdir()
        columns = np.tile(np.arange(11, dtype=np.uint8) * 20, (8, 1))
        Image.fromarray(columns).save(tmp_path / f"train{side}" / "x.png")
    data = dataset(find_unpaired(tmp_path)["train"], transform=TrainTransform((8, 8), flip=True), channels_a=1)
    table = np.zeros((8, 8))
    for position in range(1500):
        sample = data[position]
        draws = []
        for side in ("a", "b"):
            first, last = ((sample[side][0, 0, [0, -1]] + 1) * 127.5 / 20).round().int().tolist()
            draws.append(2 * min(first, last) + (first > last))
        table[draws[0], draws[1]] += 1
    assert stats.chisquare(table.sum(0)).pvalue > 0.01
    assert stats.chisquare(table.sum(1)).pvalue > 0.01
    assert stats.chi2_contingency(table).pvalue > 0.01


def test_samples_are_the_images_of_their_domain(tmp_path: Path) -> None:
    folder = make(tmp_path, 3, 2)
    whole = TrainTransform((8, 8), flip=False, load_size=(8, 8))
    for direction, sides in (("AtoB", "ab"), ("BtoA", "ba")):
        data = dataset(folder, transform=whole, direction=direction, channels_a=1)
        sample = data[1]
        names = sample["name"].split(" | ")
        assert [name[0] for name in names] == list(sides)
        assert data.files_at(1) == [
            str(tmp_path / f"train{side.upper()}" / f"{name}.png") for side, name in zip(sides, names, strict=True)
        ]
        for key, path, channels in (("a", data.files_at(1)[0], 1), ("b", data.files_at(1)[1], 3)):
            expected = to_tensor(resize(read_image(Path(path), channels=channels), 8, 8))
            assert torch.equal(sample[key], expected)


def test_halves_of_one_file(tmp_path: Path) -> None:
    (tmp_path / "train").mkdir()
    whole = np.random.default_rng(0).integers(0, 256, (8, 16, 3), dtype=np.uint8)
    Image.fromarray(whole).save(tmp_path / "train" / "1.png")
    data = dataset(find_unpaired(tmp_path)["train"], transform=TrainTransform((8, 8), flip=False, load_size=(8, 8)))
    assert torch.equal(data[0]["a"], to_tensor(whole[:, :8]))
    assert torch.equal(data[0]["b"], to_tensor(whole[:, 8:]))
    Image.fromarray(whole[:, :15]).save(tmp_path / "train" / "1.png")
    with pytest.raises(DataError, match=r"1\.png: its width 15 is odd"):
        data[0]


def test_fixed_ones_are_spread_over_both_domains(tmp_path: Path) -> None:
    data = dataset(make(tmp_path, 2, 6))
    rule = FitRule(size=(8, 8), preprocess="resize_and_crop", load_size=(9, 9))
    samples = [data.preview_at(index, rule=rule) for index in range(6)]
    assert [sample["name"] for sample in samples] == [f"a{index // 3} | b{index}" for index in range(6)]
    assert [data.preview_at(index, 2, rule=rule)["name"] for index in range(2)] == ["a0 | b0", "a1 | b3"]
    image = read_image(tmp_path / "trainB" / "b4.png")
    assert torch.equal(samples[4]["b"], to_tensor(resize(image, 8, 8)))


@pytest.mark.parametrize("num_workers", [0, 1, 2])
def test_resuming_is_exact_for_any_number_of_workers(tmp_path: Path, num_workers: int) -> None:
    data = dataset(make(tmp_path, 5, 7), direction="BtoA")
    expected = [data[position] for position in range(24)]
    for start in (0, 9):
        fresh = dataset(data.split, direction="BtoA")
        with make_loader(fresh, start=start, batch_size=3, num_workers=num_workers) as loader:
            batches = [next(loader) for _ in range(5)]
        samples = expected[start : start + 15]
        assert [name for batch in batches for name in batch["names"]] == [sample["name"] for sample in samples]
        for key in ("a", "b"):
            got = torch.cat([batch[key] for batch in batches])
            assert torch.equal(got, torch.stack([sample[key] for sample in samples]))


def test_errors_name_the_file(tmp_path: Path) -> None:
    data = dataset(make(tmp_path, 1, 1, sizes=(12, 7)), transform=TrainTransform((8, 8), flip=False))
    with pytest.raises(DataError, match=r"trainB/b0\.png: its size 7 x 7 .* smaller than the crop 8 x 8"):
        data[0]
    (tmp_path / "trainA" / "a0.png").write_bytes(b"no image")
    with pytest.raises(DataError, match=r"trainA/a0\.png: not an image"):
        data[0]
