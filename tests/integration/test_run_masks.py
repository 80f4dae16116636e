"""Masks from data to outputs: training, its resume, shards and validation; GeoTIFFs with nodata, read by rasterio."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
import torch
from PIL import Image
from rasterio.transform import from_origin
from support import assert_same_run, sample, state_of, tandem, train

from tandem.data.array_files import read_image, write_image
from tandem.errors import ConfigError, DataError
from tandem.inference.translator import load

RANGES = {"range_a": "0,2000", "range_b": "0,4000;0,2000", "input_channels": 1, "output_channels": 2}
SMALL: dict[str, Any] = {
    "method": "pix2pix",
    "norm": "instance",
    "dropout": False,
    "preprocess": "crop",
    "batch_size": 2,
    "steps": 4,
    "snapshot_every": 100,
    "encoder_filters": None,
    "latent_dim": None,
    "num_preview_samples": None,
}


def geotiff(path: Path, values: np.ndarray, nodata: float | None) -> None:
    """Write ``(C, H, W)`` with a place on the map."""
    path.parent.mkdir(parents=True, exist_ok=True)
    count, height, width = values.shape
    place = {"crs": "EPSG:32632", "transform": from_origin(5e5, 5e6, 10, 10)}
    size = {"width": width, "height": height, "count": count}
    with rasterio.open(path, "w", driver="GTiff", dtype=values.dtype, nodata=nodata, **size, **place) as file:
        file.write(values)


def scenes(root: Path, *, holes: bool = True) -> Path:
    """Heights in A, two bands of them in B, 40 px: -9999 in A, NaN in B, and masks."""
    for split, index in (("train", 0), ("train", 1), ("train", 2), ("val", 0), ("test", 0)):
        rows, columns = np.mgrid[:40, :40]
        heights = (1000 + 700 * np.sin(columns / 6 + index) * np.cos(rows / 5)).astype(np.float32)
        a, b = heights[None].copy(), np.stack([heights * 2, heights + 50])
        mask = np.full((1, 40, 40), 255, np.uint8)
        if holes:
            a[:, 4:9, :12], b[:, 20:30, 30:], mask[:, 35:] = -9999, np.nan, 0
        geotiff(root / f"{split}A" / f"{index}.tif", a, -9999 if holes else None)
        geotiff(root / f"{split}B" / f"{index}.tif", b, None)
        geotiff(root / f"{split}M" / f"{index}.tif", mask, None)
    return root


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return scenes(tmp_path_factory.mktemp("scenes"))


@pytest.fixture(scope="module")
def run(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("masked") / "run"
    options = SMALL | RANGES | {"validate_every": 2, "validate_metrics": "l1,ssim", "mask": "files"}
    train(data, out, **options)
    return out


def test_a_mask_that_is_valid_everywhere_changes_no_bit(tmp_path: Path) -> None:
    root = scenes(tmp_path / "data", holes=False)
    for name, mask in (("plain", "none"), ("masked", "files")):
        train(root, tmp_path / name, **SMALL, **RANGES, mask=mask)
    plain, masked = (state_of(tmp_path / name)[0] for name in ("plain", "masked"))
    assert plain.keys() == masked.keys()
    assert all(torch.equal(plain[key], masked[key]) for key in plain)


def test_an_interrupted_run_goes_on_with_its_masks(data: Path, run: Path, tmp_path: Path) -> None:
    options = SMALL | RANGES | {"validate_every": 2, "validate_metrics": "l1,ssim", "mask": "files"}
    train(data, tmp_path / "run", **options | {"steps": 2})
    assert tandem("train", "--resume", tmp_path / "run", "--steps", "4").status == 0
    assert_same_run(run, tmp_path / "run")


def test_outputs_are_nodata_where_inputs_are(data: Path, run: Path, tmp_path: Path) -> None:
    sample(run, data, "--split", "test", "--only", "outputs", "--format", "tif", out=tmp_path / "out")
    masked = np.zeros((40, 40), bool)
    masked[4:9, :12] = masked[35:] = True
    with rasterio.open(tmp_path / "out" / "0.tif") as file:
        assert (file.nodata, file.crs.to_epsg(), file.count) == (-9999.0, 32632, 2)
        assert np.array_equal(file.dataset_mask() == 0, masked)
        assert (file.read()[:, masked] == -9999).all()
    # A file by itself has no mask, and one from file to file is the same.
    sample(run, data / "testA" / "0.tif", out=tmp_path / "one.tif")
    masked[35:] = False
    with rasterio.open(tmp_path / "one.tif") as file:
        assert np.array_equal(file.dataset_mask() == 0, masked)


def test_masks_are_given_to_files_and_folders(data: Path, run: Path, tmp_path: Path) -> None:
    """They give the bytes of a dataset that has the same masks."""
    for folder in ("in", "masks"):
        shutil.copytree(data / f"test{'A' if folder == 'in' else 'M'}", tmp_path / folder)
    sample(run, data, "--split", "test", "--only", "outputs", "--format", "tif", out=tmp_path / "dataset")
    expected = (tmp_path / "dataset" / "0.tif").read_bytes()
    sample(run, tmp_path / "in" / "0.tif", "--mask", tmp_path / "masks" / "0.tif", out=tmp_path / "one.tif")
    assert (tmp_path / "one.tif").read_bytes() == expected
    words = ("--mask", tmp_path / "masks", "--only", "outputs", "--format", "tif")
    sample(run, tmp_path / "in", *words, out=tmp_path / "folder")
    assert (tmp_path / "folder" / "0.tif").read_bytes() == expected
    other = np.full((40, 40), 255, np.uint8)
    other[:, 10:12] = 0
    write_image(tmp_path / "masks" / "0.tif", other)
    sample(run, tmp_path / "in", *words, out=tmp_path / "folder")  # another mask is another input
    with rasterio.open(tmp_path / "folder" / "0.tif") as file:
        assert (file.dataset_mask()[:, 10:12] == 0).all()
    sample(run, data, "--split", "test", *words, out=tmp_path / "instead")  # of those that a dataset has
    assert (tmp_path / "instead" / "0.tif").read_bytes() == (tmp_path / "folder" / "0.tif").read_bytes()


def test_a_translator_takes_a_mask(data: Path, run: Path, tmp_path: Path) -> None:
    translator = load(run, device="cpu")
    path = data / "testA" / "0.tif"
    plain, mask = read_image(path), read_image(data / "testM" / "0.tif")
    write_image(tmp_path / "filled.tif", np.where(mask > 0, plain, np.float32(-9999)))
    filled = read_image(tmp_path / "filled.tif").clip(0)  # 0 is the lower end of the range, which is the fill
    expected = translator(filled, 1, output="values")
    picture = Image.fromarray(mask[:, :, 0])
    for given in (data / "testM" / "0.tif", mask, mask[:, :, 0] > 0, torch.from_numpy(mask[:, :, 0]), picture):
        assert np.array_equal(translator(path, 1, mask=given, output="values"), expected)
    first, second = translator([path, path], 1, mask=[None, mask], output="values")
    assert np.array_equal(second, expected)
    assert np.array_equal(first, translator(path, 1, output="values"))
    assert not np.array_equal(first, second)
    with pytest.raises(DataError, match=r"the mask: is 40 x 39 pixels, but it is the mask of the image, 40 x 40"):
        translator(path, 1, mask=mask[:-1])
    with pytest.raises(ConfigError, match="mask must be a list of 2"):
        translator([path, path], 1, mask=[mask])


def test_masks_that_do_not_fit(data: Path, run: Path, tmp_path: Path) -> None:
    (tmp_path / "masks").mkdir()
    write_image(tmp_path / "masks" / "0.png", np.ones((40, 40), np.uint8))
    write_image(tmp_path / "small.png", np.ones((40, 39), np.uint8))
    for inputs, mask, reason in (
        ((data / "testA",), "none.png", "there is no such file"),
        ((data / "testA" / "0.tif",), "small.png", "is 39 x 40 pixels, but it is the mask of"),
        ((data / "trainA",), "small.png", "holds 1 image, and there are 3 inputs"),
        ((data / "trainA",), "masks", "2 inputs without a mask of the same stem"),
    ):
        refused = tandem("sample", run, *inputs, "--mask", tmp_path / mask, "--out", tmp_path / "no", "--device", "cpu")
        assert (refused.status != 0, reason in refused.err) == (True, True), refused.err
    train(data, tmp_path / "plain", **SMALL, **RANGES)
    refused = tandem(
        "sample", tmp_path / "plain", data / "testA", "--mask", tmp_path / "masks", "--out", tmp_path / "no"
    )
    assert "was trained without --mask" in refused.err
    with pytest.raises(ConfigError, match="was trained without --mask"):
        load(tmp_path / "plain", device="cpu")(data / "testA" / "0.tif", mask=tmp_path / "masks" / "0.png")
    assert not (tmp_path / "no").exists()


def test_what_inputs_hold_without_data_is_no_matter(data: Path, run: Path, tmp_path: Path) -> None:
    """NaN, the nodata of a file and --nodata are the same to a model, and each comes back."""
    plain = read_image(data / "testA" / "0.tif")
    for name, nodata, value in (("nan", None, np.nan), ("own", 7.0, 7.0), ("given", None, -32768.0)):
        values = np.where(plain == -9999, np.float32(value), plain)
        geotiff(tmp_path / f"{name}.tif", np.moveaxis(values, 2, 0), nodata)
    sample(run, tmp_path / "nan.tif", out=tmp_path / "out-nan.tif")
    sample(run, tmp_path / "own.tif", out=tmp_path / "out-own.tif")
    nan, own = (read_image(tmp_path / f"out-{name}.tif") for name in ("nan", "own"))
    empty = np.isnan(nan).all(axis=2)
    assert np.array_equal(empty, plain[:, :, 0] == -9999)
    assert np.array_equal(nan[~empty], own[~empty])
    assert (own[empty] == 7).all()
    with rasterio.open(tmp_path / "out-nan.tif") as file:
        assert np.isnan(file.nodata)


def test_metrics_are_those_of_numpy(data: Path, run: Path, tmp_path: Path) -> None:
    words = ("--metrics", "l1,psnr,ssim", "--out", tmp_path / "report", "--device", "cpu", "--num-samples", "1")
    assert tandem("evaluate", run, data, "--split", "test", *words).status == 0
    found = {
        score["name"]: score["value"]
        for result in json.loads((tmp_path / "report" / "report.json").read_text())["results"]
        for score in result["scores"]
    }
    a, b = (read_image(data / f"test{side}" / "0.tif") for side in "AB")
    mask = np.ones((40, 40), bool)
    mask[4:9, :12] = mask[20:30, 30:] = mask[35:] = False
    a = np.where(mask[:, :, None] | (a > -9999), a, 0)
    a[35:] = 0  # the lower end of the range, which is the fill
    translator = load(run, device="cpu")
    made = translator(a.astype(np.float32), 1, output="values")[0]
    unit = [np.clip(one / np.array([4000, 2000]), 0, 1) for one in (made, b)]
    difference = (unit[0] - unit[1])[mask]
    assert found["l1"] == pytest.approx(np.abs(difference).mean(), rel=1e-4)
    assert found["psnr"] == pytest.approx(-10 * np.log10(np.square(difference).mean()), rel=1e-4)


def test_shards_with_masks_train_to_the_same_weights(tmp_path: Path) -> None:
    for index in range(3):
        draw = np.random.default_rng(index)
        for side in "AB":
            write_image(tmp_path / "data" / f"train{side}" / f"{index}.png", noise(draw))
        write_image(tmp_path / "data" / "trainM" / f"{index}.png", (draw.random((40, 40)) < 0.9).astype(np.uint8) * 255)
    assert tandem("data", "pack", tmp_path / "data", tmp_path / "packed", "--mask", "files").status == 0
    for name in ("data", "packed"):
        train(tmp_path / name, tmp_path / f"run-{name}", **SMALL, mask="files")
    folder, shards = (state_of(tmp_path / f"run-{name}")[0] for name in ("data", "packed"))
    assert all(torch.equal(folder[key], shards[key]) for key in folder)


def noise(draw: np.random.Generator) -> np.ndarray:
    return draw.integers(0, 256, (40, 40, 3), np.uint8)


def one_band(data: Path, tmp_path: Path) -> Path:
    """Two domains of one band."""
    for side in "AB":
        shutil.copytree(data / "trainA", tmp_path / "domains" / f"train{side}")
    return tmp_path / "domains"


@pytest.mark.parametrize("method", ["tandem", "bicyclegan", "cyclegan", "cut"])
def test_every_method_trains_with_masks(data: Path, tmp_path: Path, method: str) -> None:
    """Without a word about the numbers: `test_masked_losses` has those."""
    own = {
        "tandem": {"latent_dim": 2, "encoder_filters": 4, "generator_filters": 8, "gan_from": 0.0},
        "bicyclegan": {"latent_dim": 2, "encoder_filters": 4},
        "cyclegan": {"generator_blocks": 1, "lambda_identity": 0.0},
        "cut": {"generator_blocks": 6, "nce_patches": 8, "output_channels": 1, "range_b": "0,4000"},
    }[method]
    options = dict.fromkeys(("latent_dim", "encoder_filters", "num_preview_samples"))
    options |= {"method": method, "preprocess": "crop", "batch_size": 2, "steps": 2, "snapshot_every": 100} | own
    train(one_band(data, tmp_path) if method == "cut" else data, tmp_path / "run", **RANGES | options, mask="nodata")
    lines = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    assert all(np.isfinite(value) for line in lines for value in line.values() if isinstance(value, float))


def test_a_prior_that_is_fitted_again_sees_the_masks(data: Path, tmp_path: Path) -> None:
    own = {"method": "bicyclegan", "latent_dim": 2, "encoder_filters": 4, "prior": "gaussian"}
    options = SMALL | RANGES | {"norm": None, "dropout": None, "steps": 2, "num_preview_samples": 2} | own
    train(data, tmp_path / "run", **options, mask="files")
    words = ("--prior", "gaussian", "--device", "cpu", "--out", tmp_path / "model")
    finished = tandem("prior", tmp_path / "run", *words)
    assert finished.status == 0, finished.err
    ours, theirs = (load(folder, device="cpu").prior for folder in (tmp_path / "model", tmp_path / "run"))
    np.testing.assert_array_equal(ours.means, theirs.means)
    np.testing.assert_array_equal(ours.factors, theirs.factors)
