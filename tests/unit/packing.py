"""Small datasets, packed, for the tests of shards."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import webdataset
from PIL import Image

from tandem.data.check import check_data
from tandem.data.discover import find_splits
from tandem.data.shards.open import open_shards, read_shards
from tandem.data.shards.pack import pack
from tandem.data.splits import Split, SplitFacts
from tandem.data.unpaired import find_unpaired


def image(path: Path, width: int, seed: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    noise = np.random.default_rng(seed).integers(0, 256, (8, width, 3), dtype=np.uint8)
    Image.fromarray(noise).save(path)


def make(root: Path, layout: str, count: int = 5) -> Mapping[str, Split]:
    for split, number in (("train", count), ("test", 2)):
        for index in range(number):
            if layout == "side_by_side":
                image(root / split / f"{index}.v{index % 2}.jpg", 16, index)
                continue
            shift = 100 if layout == "unpaired" else 0
            image(root / f"{split}A" / f"{index}.PNG", 8, index)
            image(root / f"{split}B" / f"{index + shift}.bmp", 8, index + 50)
    return find_unpaired(root) if layout == "unpaired" else find_splits(root)


def facts_of(folders: Mapping[str, Split]) -> dict[str, SplitFacts]:
    facts = {}
    for split, folder in folders.items():
        report = check_data([folder], channels_a=3, channels_b=3)
        facts[split] = SplitFacts(folder.fingerprint(), report.sizes_a, report.sizes_b)
    return facts


def packed(folders: Mapping[str, Split], out: Path, **options: Any) -> Path:
    pack(folders, facts_of(folders), out, **({"shard_bytes": 5000} | options))
    return out


def opened(root: Path, *, paired: bool = True) -> Mapping[str, Any]:
    return open_shards(read_shards(root), paired=paired)


def contents(root: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in root.iterdir()}


def files_of(folder: Split) -> list[tuple[str, bytes]]:
    sequences = folder.sequences().values()
    return [(item.name, file.read_bytes()) for items in sequences for item in items for file in item.files]


def tar(path: Path, *names: str) -> None:
    with webdataset.TarWriter(str(path)) as writer:
        for name in names:
            key, _, rest = name.partition(".")
            writer.write({"__key__": key, rest: b"x"})
