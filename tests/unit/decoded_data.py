"""Datasets of every kind for the tests of decoded images."""

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import torch
from packing import packed
from PIL import Image

from tandem.data.augment import TrainTransform
from tandem.data.datasets import PairedDataset, UnpairedDataset
from tandem.data.discover import find_splits
from tandem.data.loader import Batch, SampleSource, make_loader
from tandem.data.shards.open import open_shards, read_shards
from tandem.data.unpaired import find_unpaired

TRANSFORMS = {
    "resize_and_crop": TrainTransform((8, 10), flip=True, load_size=(12, 14)),
    "crop": TrainTransform((8, 10), flip=True),
    "scale_width": TrainTransform((8, 8), flip=True, load_width=12, crop=False, multiple=4),
    "scale_width_and_crop": TrainTransform((8, 8), flip=True, load_width=12),
    "none": TrainTransform((8, 8), flip=True, crop=False, multiple=4),
}
"""What the five modes of `--preprocess` make of images that are 16 to 19 px high and 12 to 15 px wide."""

KINDS = ("side_by_side", "folders", "unpaired", "halves", "shards")


def write(root: Path, kind: str, *, count: int = 5, same_size: bool = False) -> Path:
    """Noise as JPEG and PNG files, of sizes that differ unless `same_size`; one has an alpha channel."""
    both = {"side_by_side": [""], "shards": [""], "halves": [""]}.get(kind, ["A", "B"])
    for side, index in itertools.product(both, range(count + (kind == "unpaired"))):
        folder = root / f"train{side}"
        folder.mkdir(parents=True, exist_ok=True)
        height, width = (16, 12) if same_size else (16 + index % 4, 12 + index % 3)
        generator = np.random.default_rng([index, len(side), ord(side or "_")])
        noise = generator.integers(0, 256, (height, width * (1 if side else 2), 3), dtype=np.uint8)
        image = Image.fromarray(noise)
        if index == 1:
            image.putalpha(120)
        image.save(folder / f"{index}.{'png' if index % 2 else 'jpg'}")
    return packed(find_splits(root), root / "packed") if kind == "shards" else root


def dataset(
    root: Path, kind: str, transform: TrainTransform = TRANSFORMS["resize_and_crop"], **options: Any
) -> PairedDataset | UnpairedDataset:
    """The training samples of what `write` has written."""
    settings: dict[str, Any] = {"direction": "AtoB", "channels_a": 3, "channels_b": 3, "seed": 7} | options
    if kind in {"unpaired", "halves"}:
        return UnpairedDataset(find_unpaired(root)["train"], transform=transform, **settings)
    folder = open_shards(read_shards(root), paired=True) if kind == "shards" else find_splits(root)
    return PairedDataset(folder["train"], transform=transform, **settings)  # type: ignore[arg-type]


def take(source: SampleSource, count: int, **options: Any) -> list[Batch]:
    """The first batches of a loader."""
    settings: dict[str, Any] = {"start": 0, "batch_size": 3, "num_workers": 0} | options
    with make_loader(source, **settings) as loader:
        return list(itertools.islice(loader, count))


def assert_same(first: list[Batch], second: list[Batch]) -> None:
    """Every bit, name and position of the batches is the same."""
    assert len(first) == len(second) > 0
    for x, y in zip(first, second, strict=True):
        for side in ("a", "b"):
            assert x[side].dtype == y[side].dtype == torch.float32
            assert x[side].is_contiguous()
            assert torch.equal(x[side], y[side])
        assert (x["names"], x["positions"]) == (y["names"], y["positions"])
