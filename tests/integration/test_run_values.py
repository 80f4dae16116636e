"""Runs on files of other types than 8 bits: what goes in comes out in the same type and range."""

from pathlib import Path

import numpy as np
import pytest
from support import TINY_OPTIONS

import tandem
from tandem.cli import main


def write(root: Path, *, channels: tuple[int, int], types: tuple[type, type]) -> Path:
    for split in ("train", "test"):
        for side, number, dtype in zip("AB", channels, types, strict=True):
            for index in range(4):
                (root / f"{split}{side}").mkdir(parents=True, exist_ok=True)
                ramp = np.linspace(0, 1, 32 * 32 * number).reshape(32, 32, number)
                low, high = (-1000, 3000) if side == "B" and dtype != np.uint16 else (0, 65535)
                tandem.write_image(root / f"{split}{side}" / f"{index}.tif", (low + ramp * (high - low)).astype(dtype))
    return root


@pytest.mark.parametrize(
    ("dtype", "channels", "value_range"),
    [(np.uint16, 1, None), (np.int16, 6, "-1000,3000"), (np.float32, 2, "-1000,3000;-500,3000")],
)
def test_outputs_have_the_type_and_range_of_b(
    tmp_path: Path, dtype: type, channels: int, value_range: str | None
) -> None:
    data = write(tmp_path / "data", channels=(1, channels), types=(np.uint16, dtype))
    options = TINY_OPTIONS | {"input_channels": 1, "output_channels": channels, "range_b": value_range, "steps": 4}
    run = tandem.train(data, tmp_path / "run", quiet=True, **options)
    translator = run.load(device="cpu")
    preprocessing = translator.manifest.preprocessing
    assert (preprocessing.input_levels.type, preprocessing.output_levels.type) == ("uint16", np.dtype(dtype).name)
    outputs = translator(data / "testA" / "0.tif", 2, output="values")
    assert (outputs.dtype, outputs.shape) == (dtype, (2, 32, 32, channels))
    tensor = translator(data / "testA" / "0.tif", 2, output="tensor").numpy()
    if value_range is None:
        exact = (np.moveaxis(tensor, 1, -1) + 1) * 32767.5
    else:
        ends = np.array([[float(end) for end in part.split(",")] for part in value_range.split(";")])
        exact = ends[:, 0] + (np.moveaxis(tensor, 1, -1) + 1) / 2 * (ends[:, 1] - ends[:, 0])
    assert np.abs(outputs - exact).max() < 0.501 + 0.01 * (dtype == np.uint16)
    folder = tmp_path / "samples"
    assert main(["sample", str(tmp_path / "run"), str(data), "--out", str(folder), "--only", "outputs"]) == 0
    suffix = "png" if dtype == np.uint16 else "tif"
    written = tandem.read_image(folder / f"0.{suffix}")
    assert (written.dtype, written.shape) == (dtype, (32, 32, channels))
    assert np.array_equal(written, translator(data / "testA" / "0.tif", 1, output="values")[0])
    assert main(["sample", str(tmp_path / "run"), str(data / "testA" / "0.tif"), "--out", str(tmp_path / "x.npy")]) == 0
    assert np.array_equal(np.load(tmp_path / "x.npy"), written)
    assert (
        main(["sample", str(tmp_path / "run"), str(data), "--out", str(tmp_path / "page"), "--num-samples", "2"]) == 0
    )
    kept = sorted((tmp_path / "page").rglob("*values*.tif"))
    assert len(kept) == 8
    assert tandem.read_image(kept[0]).dtype == dtype
