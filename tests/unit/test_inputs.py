"""The data of a run, paired or unpaired: what is opened, what is measured, what is refused before the first step."""

import itertools
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from PIL import Image

from tandem.config.bicyclegan import BicycleGANConfig
from tandem.config.data import DataConfig
from tandem.config.run import RunConfig
from tandem.config.training import TrainingConfig
from tandem.data.check_report import SizeRange
from tandem.data.datasets import PairedDataset, UnpairedDataset
from tandem.data.images import read_image
from tandem.data.loader import make_loader
from tandem.data.pixels import resize, to_tensor
from tandem.data.shards.pack import pack
from tandem.data.splits import SplitFacts
from tandem.data.unpaired import find_unpaired
from tandem.errors import ConfigError, DataError
from tandem.training.checks import require_sense
from tandem.training.inputs import Inputs, open_inputs


@dataclass(frozen=True, kw_only=True)
class UnpairedConfig(BicycleGANConfig):
    """A method that trains on two domains."""

    paired: ClassVar[bool] = False


@dataclass(frozen=True, kw_only=True)
class OneConfig(UnpairedConfig):
    """One that takes a batch of one, as CycleGAN does."""

    def problems(self, data: DataConfig, batch_size: int) -> Iterator[str]:
        return (problem for problem in super().problems(data, batch_size) if "batch" not in problem)


def config(*, paired: bool = False, batch_size: int = 2, seed: int = 0, **data: Any) -> RunConfig:
    method = BicycleGANConfig if paired else UnpairedConfig
    return RunConfig(
        data=DataConfig(**({"size": 32} | data)),
        objective=method(generator_depth=3),
        training=TrainingConfig(batch_size=batch_size, num_previews=3, seed=seed),
    )


def images(folder: Path, sizes: list[tuple[int, int]], seed: int = 0) -> list[np.ndarray]:
    """Noise of these heights and widths as ``0.png`` and so on."""
    folder.mkdir(parents=True)
    arrays = [
        np.random.default_rng([seed, i]).integers(0, 256, (*size, 3), dtype=np.uint8) for i, size in enumerate(sizes)
    ]
    for index, array in enumerate(arrays):
        Image.fromarray(array).save(folder / f"{seed}-{index}.png")
    return arrays


def opened(tmp_path: Path, options: RunConfig, *folders: Path) -> Inputs:
    return open_inputs(options, *(folders or (tmp_path / "data",)), cache=tmp_path / "cache")


def refused(tmp_path: Path, options: RunConfig, *folders: Path) -> str:
    with pytest.raises((DataError, ConfigError)) as caught:
        opened(tmp_path, options, *folders)
    return str(caught.value)


def test_unpaired_data_is_measured_domain_by_domain(tmp_path: Path) -> None:
    a = images(tmp_path / "data" / "trainA", [(40, 32), (33, 50)], seed=1)
    b = images(tmp_path / "data" / "trainB", [(32, 32), (64, 35), (36, 36)], seed=2)
    images(tmp_path / "data" / "testA", [(90, 10)], seed=3)
    images(tmp_path / "data" / "testB", [(10, 90)], seed=4)
    report = opened(tmp_path, config()).report
    assert (report.num_pairs, report.min_width, report.max_width) == (3 + 1, 10, 90)
    assert (report.sizes_a.min_width, report.sizes_a.max_width) == (32, 50)
    assert (report.sizes_b.min_height, report.sizes_b.max_height) == (32, 64)
    assert (report.sizes_a.min_aspect, report.sizes_a.max_aspect) == (32 / 40, 50 / 33)
    for domain, statistics in ((a, report.a), (b, report.b)):
        values = np.concatenate([array.reshape(-1, 3) for array in domain]) / 127.5 - 1
        np.testing.assert_allclose(statistics.mean, values.mean(0), atol=1e-12)
        np.testing.assert_allclose(statistics.std, values.std(0), atol=1e-12)
    small = [np.asarray(Image.fromarray(array).resize((64, 64), Image.Resampling.BICUBIC)) / 127.5 for array in b]
    distances = [np.abs(x - y).mean() for x, y in itertools.combinations(small, 2)]
    assert report.spread_b == pytest.approx(np.mean(distances), abs=1e-12)
    turned = opened(tmp_path, config(direction="BtoA")).report
    assert (turned.a, turned.sizes_a) == (report.b, report.sizes_b)
    assert opened(tmp_path, config()).report == report  # from the cache


def test_previews_come_from_both_domains_of_val_test_or_train(tmp_path: Path) -> None:
    images(tmp_path / "data" / "trainA", [(32, 32)] * 3, seed=1)
    images(tmp_path / "data" / "trainB", [(32, 32)] * 2, seed=2)
    inputs = opened(tmp_path, config())
    assert isinstance(inputs.train, UnpairedDataset)
    assert inputs.previews[0] == ["1-0 | 2-0", "1-1 | 2-0", "1-2 | 2-1"]
    images(tmp_path / "data" / "testA", [(64, 48)] * 2, seed=3)
    images(tmp_path / "data" / "testB", [(32, 32)] * 2, seed=4)
    names, a, b = opened(tmp_path, config()).previews
    assert names == ["3-0 | 4-0", "3-1 | 4-1"]
    assert a.shape == b.shape == (2, 3, 32, 32)
    expected = to_tensor(resize(read_image(tmp_path / "data" / "testA" / "3-1.png"), 32, 32))
    assert torch.equal(a[1], expected)


def test_the_method_chooses_what_is_read(tmp_path: Path) -> None:
    images(tmp_path / "data" / "train", [(32, 64)] * 2)
    paired, unpaired = opened(tmp_path, config(paired=True)), opened(tmp_path, config())
    assert isinstance(paired.train, PairedDataset)
    assert isinstance(unpaired.train, UnpairedDataset)
    assert torch.equal(paired.previews[1], unpaired.previews[1])
    assert paired.train.files_at(0) == [str(paired.train.split.pairs[paired.train.index_at(0)].file_a)]


def test_two_folders_are_pairs_or_domains_by_the_method(tmp_path: Path) -> None:
    folders = [tmp_path / "drawings", tmp_path / "photos"]
    for folder in folders:
        images(folder, [(32, 32)] * 3, seed=1)
    paired = opened(tmp_path, config(paired=True), *folders)
    assert isinstance(paired.train, PairedDataset)
    assert sorted(map(str, paired.train.files_at(0))) == [
        str(folder / f"1-{paired.train.index_at(0)}.png") for folder in folders
    ]
    assert isinstance(opened(tmp_path, config(), *folders).train, UnpairedDataset)
    (folders[1] / "1-0.png").rename(folders[1] / "other.png")
    message = refused(tmp_path, config(paired=True), *folders)
    assert "without a file of the same stem" in message
    assert "--method cyclegan, cut or fastcut" in message


def test_pairs_that_look_like_two_domains_are_refused_with_the_methods_for_these(tmp_path: Path) -> None:
    images(tmp_path / "data" / "trainA", [(32, 32)] * 3, seed=1)
    images(tmp_path / "data" / "trainB", [(32, 32)] * 3, seed=2)
    message = refused(tmp_path, config(paired=True))
    assert "without a file of the same stem" in message
    assert "--method cyclegan, cut or fastcut" in message
    for index in range(2):  # now most have a partner, so one is missing
        (tmp_path / "data" / "trainB" / f"2-{index}.png").rename(tmp_path / "data" / "trainB" / f"1-{index}.png")
    assert "--method" not in refused(tmp_path, config(paired=True))


def test_any_two_folders(tmp_path: Path) -> None:
    a, b = tmp_path / "summer", tmp_path / "winter"
    images(a, [(32, 32)] * 2, seed=1)
    images(b, [(32, 32)] * 4, seed=2)
    assert len(opened(tmp_path, config(), a, b).train) == 4


def test_the_fingerprint_covers_both_domains(tmp_path: Path) -> None:
    images(tmp_path / "data" / "trainA", [(32, 32)] * 2, seed=1)
    images(tmp_path / "data" / "trainB", [(32, 32)] * 2, seed=2)
    prints = {opened(tmp_path, config()).fingerprint}
    for side, seed in (("A", 1), ("B", 2)):
        path = tmp_path / "data" / f"train{side}" / f"{seed}-0.png"
        Image.new("RGB", (32, 32)).save(path)  # another size in bytes
        prints.add(opened(tmp_path, config()).fingerprint)
        path.rename(path.with_name("other.png"))
        prints.add(opened(tmp_path, config()).fingerprint)
    assert len(prints) == 5
    folders = [tmp_path / "data" / "trainA", tmp_path / "data" / "trainB"]
    assert opened(tmp_path, config(), *folders).fingerprint in prints
    assert opened(tmp_path, config(), *folders[::-1]).fingerprint not in prints


def test_too_small_folders(tmp_path: Path) -> None:
    images(tmp_path / "data" / "trainA", [(32, 32)] * 3, seed=1)
    images(tmp_path / "data" / "trainB", [(32, 32)], seed=2)
    message = refused(tmp_path, config())
    assert "is too small: its split 'train' has 1 image of B, fewer than --batch-size 2. Add images." in message
    single = RunConfig(objective=OneConfig(), training=TrainingConfig(batch_size=1))
    with pytest.raises(DataError, match="1 image of B, fewer than the 2 that make a domain"):
        require_sense(single, tmp_path, find_unpaired(tmp_path / "data")["train"])
    message = refused(tmp_path, config(batch_size=4))
    assert "3 images of A and 1 image of B, fewer than --batch-size 4. Add images, or lower --batch-size." in message


def test_what_is_wrong_in_either_domain_is_named(tmp_path: Path) -> None:
    images(tmp_path / "data" / "trainA", [(32, 32)] * 2, seed=1)
    images(tmp_path / "data" / "trainB", [(32, 32)] * 2, seed=2)
    (tmp_path / "data" / "trainA" / "1-1.png").write_bytes(b"x")
    (tmp_path / "data" / "trainB" / "2-0.png").write_bytes(b"")
    message = refused(tmp_path, config())
    assert "2 of 4 images cannot be used" in message
    assert "trainA/1-1.png: not an image" in message
    assert "trainB/2-0.png: the file is empty" in message
    assert message.endswith("Repair or remove these files and start again.")
    other = tmp_path / "other"
    images(other / "test", [(32, 64)] * 2)
    assert "has no split 'train', only test" in refused(tmp_path, config(), other)


@pytest.mark.parametrize("paired", [False, True])
def test_images_smaller_than_the_crop_are_found_before_training(tmp_path: Path, paired: bool) -> None:
    images(tmp_path / "data" / "train", [(40, 80), (31, 80), (40, 62)])
    images(tmp_path / "data" / "val", [(8, 16)], seed=1)  # is not cropped
    opened(tmp_path, config(paired=paired))
    message = refused(tmp_path, config(paired=paired, preprocess="crop"))
    assert f"{2 if paired else 4} of {4 if paired else 8} {'pairs' if paired else 'images'} cannot be used" in message
    assert "train/0-1.png: its size 31 x 40 (height x width) is smaller than the crop 32 x 32" in message
    assert "train/0-2.png: its size 40 x 31" in message


@pytest.mark.parametrize("mode", ["none", "scale_width"])
def test_different_sizes_cannot_share_a_batch(tmp_path: Path, mode: str) -> None:
    images(tmp_path / "data" / "trainA", [(32, 32), (40, 32), (33, 32)], seed=1)
    images(tmp_path / "data" / "trainB", [(40, 40), (40, 40)], seed=2)
    message = refused(tmp_path, config(preprocess=mode))
    assert f"--preprocess {mode} keeps the sizes of images, but those of the input differ" in message
    assert "heights from 32 to 40 px" in message
    assert "of the output differ" in refused(tmp_path, config(preprocess=mode, direction="BtoA"))
    (tmp_path / "data" / "trainA" / "1-1.png").unlink()
    inputs = opened(tmp_path, config(preprocess=mode))  # 33 px come out as 32
    with make_loader(inputs.train, start=0, batch_size=2, num_workers=0) as loader:
        batch = next(loader)
    assert batch["a"].shape == (2, 3, 32, 32)
    assert batch["b"].shape == (2, 3, *((40, 40) if mode == "none" else (32, 32)))


@pytest.mark.parametrize("num_workers", [0, 1])
def test_a_batch_of_different_sizes_is_an_error_in_any_process(tmp_path: Path, num_workers: int) -> None:
    images(tmp_path / "data" / "trainA", [(32, 32), (32, 32)], seed=1)
    images(tmp_path / "data" / "trainB", [(32, 32), (32, 32)], seed=2)
    inputs = opened(tmp_path, config(preprocess="none"))
    images(tmp_path / "new", [(48, 32)])
    (tmp_path / "new" / "0-0.png").replace(tmp_path / "data" / "trainA" / "1-0.png")  # after the check
    with (
        make_loader(inputs.train, start=0, batch_size=2, num_workers=num_workers) as loader,
        pytest.raises(DataError, match=re.escape("images of different sizes cannot share a batch")) as caught,
    ):
        next(loader)
    assert "(48 x 32, 32 x 32)" in str(caught.value)


def test_a_changed_option_checks_anew_and_a_seed_does_not(tmp_path: Path) -> None:
    images(tmp_path / "data" / "train", [(40, 80)] * 2)
    opened(tmp_path, config())
    opened(tmp_path, replace(config(), training=replace(config().training, seed=1)))
    assert len(list((tmp_path / "cache").iterdir())) == 1
    opened(tmp_path, config(preprocess="crop"))
    assert len(list((tmp_path / "cache").iterdir())) == 2


@pytest.mark.parametrize("direction", ["AtoB", "BtoA"])
def test_domains_in_shards_give_the_samples_of_the_folder(tmp_path: Path, direction: str) -> None:
    images(tmp_path / "data" / "trainA", [(40, 32)] * 5, seed=1)
    images(tmp_path / "data" / "trainB", [(36, 36)] * 9, seed=2)
    facts = SplitFacts("", *[SizeRange(32, 36, 36, 40, 0.8, 1.0)] * 2)
    pack(find_unpaired(tmp_path / "data"), {"train": facts}, tmp_path / "packed", shard_bytes=9000)
    assert len(list((tmp_path / "packed").glob("train-b-*.tar"))) > 3
    folder = opened(tmp_path, config(direction=direction))
    shards = opened(tmp_path, config(direction=direction), tmp_path / "packed")
    assert shards.fingerprint == folder.fingerprint
    assert torch.equal(shards.previews[2], folder.previews[2])
    for position in (0, 3, 17, 40):
        one, other = folder.train[position], shards.train[position]
        assert one["name"] == other["name"]
        assert torch.equal(one["a"], other["a"])
        assert torch.equal(one["b"], other["b"])
        assert all(".tar:" in file for file in shards.train.files_at(position))
    turned = opened(tmp_path, config(direction=direction, shuffle="shards"), tmp_path / "packed")
    names = [turned.train[position]["name"].split(" | ") for position in range(9)]
    num_inputs = 5 if direction == "AtoB" else 9
    assert len({a for a, _ in names[:num_inputs]}) == num_inputs
    assert names != [folder.train[position]["name"].split(" | ") for position in range(9)]
    assert "--shuffle shards is for shards" in refused(tmp_path, config(shuffle="shards"))
