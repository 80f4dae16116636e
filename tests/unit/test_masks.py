"""Which pixels count: masks in files, nodata in levels, and what becomes of both where images are resized and moved."""

from itertools import islice
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from tandem.config.data import DataConfig
from tandem.config.run import RunConfig
from tandem.data.augment import TrainTransform
from tandem.data.check import check_data
from tandem.data.check_remarks import remarks_of
from tandem.data.datasets import PairedDataset, UnpairedDataset
from tandem.data.decoded import DecodedImages
from tandem.data.discover import find_splits
from tandem.data.examine.images import examine
from tandem.data.examine.verdict import findings_of
from tandem.data.formats.stored import StoredImage
from tandem.data.image_file import DiskFile
from tandem.data.images import ImageReadError
from tandem.data.levels import Levels, levels_of_run
from tandem.data.loader import images_in, make_loader
from tandem.data.mask_files import with_masks
from tandem.data.masks import read_mask, resize_valid
from tandem.data.percentiles import find_percentiles, wanted_percentiles
from tandem.data.pixels import resize
from tandem.data.unpaired import find_unpaired
from tandem.data.warp import Augmentation
from tandem.errors import ConfigError, DataError, TandemError

FILL = Levels(fill=-0.5)


def picture(path: Path, array: np.ndarray) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(array).save(path)
    return path


def write(root: Path, *, count: int = 3, letters: tuple[str, ...] = ("",)) -> Path:
    """Pairs in two folders with masks beside them, 20 x 16 px."""
    draw = np.random.default_rng(0)
    for index in range(count):
        for side in "AB":
            picture(root / f"train{side}" / f"{index}.png", draw.integers(0, 256, (16, 20, 3), np.uint8))
        for letter in letters:
            picture(root / f"trainM{letter}" / f"{index}.png", (draw.random((16, 20)) < 0.8).astype(np.uint8) * 255)
    return root


def test_a_mask_is_valid_where_any_channel_is_not_zero(tmp_path: Path) -> None:
    values = np.zeros((2, 3, 4), np.uint8)
    values[0, 1, 2], values[1, 2, 0], values[:, :, 3] = 1, 255, 255  # alpha says nothing
    mask = read_mask(DiskFile(picture(tmp_path / "m.png", values)), (2, 3), "x.png")
    assert mask.tolist() == [[False, True, False], [False, False, True]]
    numbers = np.array([[0.0, np.nan, -0.5]], np.float32)
    np.save(tmp_path / "m.npy", numbers)
    assert read_mask(DiskFile(tmp_path / "m.npy"), (1, 3), "x.png").tolist() == [[False, False, True]]
    with pytest.raises(
        ImageReadError, match=r"is 3 x 2 pixels, but it is the mask of x.png, 3 x 3: they must be alike"
    ):
        read_mask(DiskFile(tmp_path / "m.png"), (3, 3), "x.png")


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 30), st.integers(1, 30), st.integers(1, 40), st.integers(1, 40))
def test_no_masked_value_reaches_a_valid_pixel_of_a_resized_image(
    seed: int, height: int, width: int, new_height: int, new_width: int
) -> None:
    draw = np.random.default_rng(seed)
    valid = draw.random((height, width)) < 0.9
    image = draw.integers(0, 256, (height, width, 1), np.uint8)
    kept = resize_valid(valid, new_height, new_width)
    assert kept.shape == (new_height, new_width)
    both = [resize(np.where(valid[:, :, None], image, fill), new_height, new_width) for fill in (0, 255)]
    assert (both[0] == both[1])[kept].all()
    if valid.all():
        assert kept.all()


def test_pixels_that_hold_nothing_get_the_fill() -> None:
    values = np.array([[[7, 9], [7, 7], [1, 2]]], np.uint16)
    stored = StoredImage(values, 16, 0, False, nodata=7)
    kept = Levels("uint16", fill=1.0)
    assert kept.values_of(stored, 2, "x").tolist() == [[[7, 9], [65535, 65535], [1, 2]]]
    also = Levels("uint16", (0.0, 0.0), (100.0, 1000.0), fill=0.0, nodata=1)
    assert also.empty(stored).tolist() == [[False, True, False]]  # type: ignore[union-attr]
    assert also.values_of(stored, 2, "x").tolist() == [[[7, 9], [50, 500], [1, 2]]]
    numbers = StoredImage(np.array([[[np.nan, 0.5], [1, 2]]], np.float32), 32, 0, False)
    ranged = Levels("float32", (0.0,), (2.0,), fill=-1.0)
    assert ranged.values_of(numbers, 2, "x").tolist() == [[[0, 0], [1, 2]]]
    assert np.isnan(Levels("float32", (0.0,), (2.0,)).values_of(numbers, 2, "x")[0, 0, 0])  # as it is without masks


@pytest.mark.parametrize("fill", [-1.5, 2.0])
def test_levels_that_do_not_fit(fill: float) -> None:
    with pytest.raises(ValueError, match="fill must be from -1 to 1"):
        Levels(fill=fill)
    with pytest.raises(ValueError, match="nodata must be finite and go with a fill"):
        Levels(nodata=3.0)


def test_options_without_effect_are_refused() -> None:
    with pytest.raises(ConfigError, match="--nodata has no effect without --mask"):
        RunConfig(data=DataConfig(nodata=-1.0))
    with pytest.raises(ConfigError, match="--decoded-place device does not go with --mask"):
        RunConfig(data=DataConfig(mask="nodata", decoded_place="device"))
    a, b = levels_of_run(DataConfig(mask="nodata", nodata=-9999.0, range_a="0,1", mask_fill=0.25))
    assert (a.fill, a.nodata, b.fill, b.is_by_type) == (0.25, -9999.0, 0.25, True)


@pytest.mark.parametrize("folders", ["train{}", "train/{}", "{}/train", "train_{}", "{}"])
def test_masks_lie_beside_the_images(tmp_path: Path, folders: str) -> None:
    for name in ("A", "B", "mask"):
        picture(tmp_path / folders.format(name) / "x.png", np.full((4, 4, 3), 9, np.uint8))
    splits = with_masks(find_splits(tmp_path), "files")
    (pair,) = splits["train"].inputs("AtoB")
    assert str(pair.mask) == str(tmp_path / folders.format("mask") / "x.png")
    assert f"masks in {tmp_path / folders.format('mask')}" in splits["train"].describe()
    assert with_masks(find_splits(tmp_path), "nodata")["train"].inputs("AtoB")[0].mask is None


def test_two_domains_have_masks_of_their_own(tmp_path: Path) -> None:
    root = write(tmp_path, letters=("A", "B"))
    split = with_masks(find_unpaired(root), "files")["train"]
    assert [str(one.mask) for one in split.inputs("AtoB")] == [str(root / "trainMA" / f"{i}.png") for i in range(3)]
    assert [str(one.mask) for one in split.outputs("AtoB")] == [str(root / "trainMB" / f"{i}.png") for i in range(3)]


def test_missing_masks_are_named(tmp_path: Path) -> None:
    root = write(tmp_path)
    (root / "trainM" / "1.png").unlink()
    with pytest.raises(DataError, match=r"1 image without a mask of the same stem in .*trainM:\n\s+- 1"):
        with_masks(find_splits(root), "files")
    (root / "trainM").rename(root / "other")
    with pytest.raises(DataError, match=r"no one folder of masks beside .*trainA, such as .*trainM"):
        with_masks(find_splits(root), "files")
    assert with_masks(find_splits(root), "files", required=False)["train"].inputs("AtoB")[0].mask is None


def test_a_manifest_names_masks(tmp_path: Path) -> None:
    root = write(tmp_path)
    rows = ["a,b,mask", *(f"trainA/{i}.png,trainB/{i}.png,{'' if i else 'trainM/0.png'}" for i in range(2))]
    (root / "pairs.csv").write_text("\n".join(rows))
    with pytest.raises(DataError, match=r"--mask none does not look at them.*Add --mask files"):
        with_masks(find_splits(root / "pairs.csv"), "none")
    first, second = with_masks(find_splits(root / "pairs.csv"), "files")["train"].inputs("AtoB")
    assert (str(first.mask), second.mask) == (str(root / "trainM" / "0.png"), None)


def dataset(root: Path, *, paired: bool = True, **options: object) -> PairedDataset | UnpairedDataset:
    settings: dict = {
        "transform": TrainTransform((8, 8), flip=True),
        "direction": "AtoB",
        "channels_a": 3,
        "channels_b": 3,
        "seed": 5,
        "levels": (FILL, FILL),
    } | options
    if paired:
        return PairedDataset(with_masks(find_splits(root), "files")["train"], **settings)  # type: ignore[arg-type]
    return UnpairedDataset(with_masks(find_unpaired(root), "files")["train"], **settings)  # type: ignore[arg-type]


@pytest.mark.parametrize("load", [None, (24, 30)])
@pytest.mark.parametrize("augmentation", [None, Augmentation(turns=True, rotate=20, elastic=1.0)])
def test_masks_are_cut_and_moved_as_their_images(
    tmp_path: Path, load: tuple[int, int] | None, augmentation: Augmentation | None
) -> None:
    """A hole is an image's own white rectangle, so that what is masked is what is white in it, wherever it goes."""
    for index in range(2):
        image = np.zeros((16, 20, 3), np.uint8)
        image[3:9, 6 + index : 15] = 255
        for side in "AB":
            picture(tmp_path / f"train{side}" / f"{index}.png", image)
        picture(tmp_path / "trainM" / f"{index}.png", 255 - image[:, :, 0])
    transform = TrainTransform((8, 8), flip=True, load_size=load)
    found = dataset(
        tmp_path, transform=transform, augmentation=augmentation, levels=(Levels(fill=1.0), Levels(fill=1.0))
    )
    for position in range(12):
        sample = found[position]
        valid = sample["mask_b"][0] > 0  # type: ignore[typeddict-item]
        assert torch.equal(sample["mask_a"], sample["mask_b"])  # type: ignore[typeddict-item]
        assert (sample["a"][:, valid] == -1).all()  # nothing of the hole is left
        moved = augmentation is not None or load is not None
        assert moved or (sample["a"][:, ~valid] == 1).all()


@pytest.mark.parametrize("paired", [True, False])
def test_decoded_images_and_processes_give_the_same_masks(tmp_path: Path, paired: bool) -> None:
    root = write(tmp_path, letters=("",) if paired else ("A", "B"))
    plain, kept = dataset(root, paired=paired), dataset(root, paired=paired)
    kept.decoded = DecodedImages(kept.num_slots, 10**6)
    loaders = [make_loader(one, start=0, batch_size=2, num_workers=n) for n, one in enumerate((plain, kept))]
    with loaders[0], loaders[1]:
        for first, second in zip(islice(loaders[0], 4), loaders[1], strict=False):
            assert first.keys() == second.keys()
            one, two = images_in(first), images_in(second)
            assert all(torch.equal(one[name], two[name]) for name in ("a", "b", "mask_a", "mask_b"))
            assert one["mask_a"].shape == (2, 1, 8, 8)


def test_a_batch_without_masked_pixels_has_no_masks(tmp_path: Path) -> None:
    root = write(tmp_path)
    for path in (root / "trainM").iterdir():
        picture(path, np.full((16, 20), 1, np.uint8))
    with make_loader(dataset(root), start=0, batch_size=2, num_workers=0) as batches:
        assert "mask_b" not in next(batches)


def test_statistics_are_those_of_valid_pixels(tmp_path: Path) -> None:
    split = with_masks(find_splits(write(tmp_path)), "files")["train"]
    report = check_data([split], channels_a=3, channels_b=3, levels=(FILL, FILL))
    masks = [np.array(Image.open(tmp_path / "trainM" / f"{i}.png")) > 0 for i in range(3)]
    images = [np.array(Image.open(tmp_path / "trainB" / f"{i}.png")) for i in range(3)]
    pixels = np.concatenate([image[mask] for image, mask in zip(images, masks, strict=True)]) / 127.5 - 1
    assert np.allclose(report.b.mean, pixels.mean(axis=0))
    assert np.allclose(report.b.std, pixels.std(axis=0))
    assert report.values_b.masked == pytest.approx(1 - np.mean(masks))
    assert f"B: {100 * report.values_b.masked:.2g} % of the pixels are masked" in " ".join(remarks_of(report))
    (finding,) = [one for one in findings_of(examine([split])) if one.name == "masks"]
    assert finding.text == f"3 masks leave out {100 * (1 - np.mean(masks)):.2g} % of their pixels on average."


def test_distances_of_outputs_are_those_of_valid_pixels(tmp_path: Path) -> None:
    """Two outputs of one grey each, with holes: what stands in the holes is no matter."""
    for index, grey in enumerate((50, 101)):
        image, mask = np.full((64, 64, 3), grey, np.uint8), np.full((64, 64), 255, np.uint8)
        image[5:20, 30 * index : 30 * index + 9], mask[5:20, 30 * index : 30 * index + 9] = 255 * index, 0
        picture(tmp_path / "trainM" / f"{index}.png", mask)
        for side in "AB":
            picture(tmp_path / f"train{side}" / f"{index}.png", image)
    split = with_masks(find_splits(tmp_path), "files")["train"]
    assert check_data([split], channels_a=3, channels_b=3, levels=(FILL, FILL)).spread_b == pytest.approx(51 / 127.5)


def test_percentiles_are_those_of_valid_pixels(tmp_path: Path) -> None:
    split = with_masks(find_splits(write(tmp_path)), "files")["train"]
    wanted = wanted_percentiles(DataConfig(range_b="10%,90%", mask="files"))
    values = np.concatenate(
        [
            np.array(Image.open(tmp_path / "trainB" / f"{i}.png"))[
                np.array(Image.open(tmp_path / "trainM" / f"{i}.png")) > 0
            ]
            for i in range(3)
        ]
    )
    expected = [tuple(np.percentile(values[:, c], (10, 90), method="inverted_cdf")) for c in range(3)]
    assert find_percentiles(split, wanted)["b"] == tuple(expected)


def test_sizes_must_be_alike(tmp_path: Path) -> None:
    root = write(tmp_path)
    picture(root / "trainM" / "1.png", np.ones((16, 19), np.uint8))
    with pytest.raises(TandemError, match=r"trainM/1.png: is 19 x 16 pixels, but it is the mask of .*trainA/1.png"):
        [dataset(root)[position] for position in range(3)]
