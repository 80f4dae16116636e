"""Value ranges as percentiles of the training images, beside NumPy's, and kept for a run that goes on."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tifffile

import tandem
from tandem.config.data import DataConfig
from tandem.data.discover import find_splits
from tandem.data.levels import Levels, levels_of_run
from tandem.data.percentiles import find_percentiles, wanted_percentiles, with_numbers
from tandem.errors import ConfigError


def dataset(root: Path, dtype: str, *, nodata: float | None = None) -> list[np.ndarray]:
    """Pairs whose B has two channels of other values and sizes; the values of B without what holds nothing."""
    draw = np.random.default_rng(3)
    kept = []
    for index in range(7):
        height, width = 9 + index, 20 - index
        b = np.stack([draw.normal(1000, 300, (height, width)), draw.exponential(50, (height, width)) - 20], axis=2)
        b = (np.rint(b).clip(0, None) if dtype[0] == "u" else b).astype(dtype)
        valid = np.ones((height, width), bool)
        tags = []
        if nodata is not None:
            b[:3, :3], valid[:3, :3] = nodata, False
            tags = [(42113, 2, 0, str(nodata), True)]
        for side, values in (("A", np.zeros((height, width), np.uint8)), ("B", b)):
            (root / f"train{side}").mkdir(parents=True, exist_ok=True)
            plain = {"photometric": "minisblack", "planarconfig": "contig"}
            tifffile.imwrite(
                root / f"train{side}" / f"{index}.tif", values, extratags=tags if side == "B" else (), **plain
            )
        kept.append(b[valid])
    return kept


@pytest.mark.parametrize("text", ["0.1%,99.9%", "2%,75%", "0%,100%", " 10 % , 60.5 % "])
@pytest.mark.parametrize(("dtype", "nodata"), [("uint16", None), ("float32", None), ("float32", -9999), ("uint16", 0)])
def test_percentiles_are_those_of_numpy(tmp_path: Path, dtype: str, nodata: float | None, text: str) -> None:
    values = np.concatenate(dataset(tmp_path, dtype, nodata=nodata))
    data = DataConfig(input_channels=1, output_channels=2, range_b=text)
    found = find_percentiles(find_splits(tmp_path)["train"], wanted_percentiles(data))
    assert found.keys() == {"b"}
    shares = [float(part.strip(" %")) / 100 for part in text.split(",")]
    expected = np.quantile(values, shares, axis=0, method="inverted_cdf").T
    assert np.array_equal(np.array(found["b"]), expected)
    _, levels = levels_of_run(with_numbers(data, found))
    assert (levels.low, levels.high) == (tuple(expected[:, 0]), tuple(expected[:, 1]))
    kept = Levels(dtype, levels.low, levels.high)  # type: ignore[arg-type]
    inside = values[((values >= expected[:, 0]) & (values <= expected[:, 1])).all(axis=1)][None]
    back = kept.from_floats(kept.to_floats(inside))
    quantum = 1 if dtype == "uint16" else 1e-6 * (expected[:, 1] - expected[:, 0])
    assert (np.abs(back.astype(float) - inside) <= np.multiply(quantum, 0.5) + 1e-9).all()


def test_numbers_are_remembered(tmp_path: Path) -> None:
    dataset(tmp_path / "data", "uint16")
    wanted = wanted_percentiles(DataConfig(input_channels=1, output_channels=2, range_b="1%,99%"))
    split, seen = find_splits(tmp_path / "data")["train"], []
    found = find_percentiles(split, wanted, cache=tmp_path, on_progress=lambda *one: seen.append(one))
    assert seen == [(index + 1, 14) for index in range(14)]
    assert find_percentiles(split, wanted, cache=tmp_path, on_progress=lambda *_: pytest.fail("read again")) == found
    (file,) = tmp_path.glob("percentiles-*.json")
    kept = json.loads(file.read_text())
    kept["ranges"]["b"][0] = [1, 2]
    file.write_text(json.dumps(kept))
    assert find_percentiles(split, wanted, cache=tmp_path)["b"][0] == (1, 2)
    other = wanted_percentiles(DataConfig(input_channels=1, output_channels=2, range_b="2%,99%"))
    assert find_percentiles(split, other, cache=tmp_path) != found


@pytest.mark.parametrize(
    "damage",
    [
        lambda text: text[:20],
        lambda _: "[]",
        lambda text: json.dumps(json.loads(text) | {"ranges": {}}),
        lambda text: json.dumps(json.loads(text) | {"ranges": {"b": [[1, 2]]}}),
        lambda text: json.dumps(json.loads(text) | {"ranges": {"b": [[2, 1], [1, 2]]}}),
        lambda text: json.dumps(json.loads(text) | {"ranges": {"b": [[float("nan"), 2], [1, 2]]}}),
    ],
)
def test_a_damaged_memory_is_measured_anew(tmp_path: Path, damage: Callable[[str], str]) -> None:
    dataset(tmp_path / "data", "uint16")
    wanted = wanted_percentiles(DataConfig(input_channels=1, output_channels=2, range_b="1%,99%"))
    split = find_splits(tmp_path / "data")["train"]
    found = find_percentiles(split, wanted, cache=tmp_path)
    (file,) = tmp_path.glob("percentiles-*.json")
    whole = file.read_text()
    file.write_text(damage(whole))
    assert find_percentiles(split, wanted, cache=tmp_path) == found
    assert file.read_text() == whole


@pytest.mark.parametrize("text", ["5%", "99%,1%", "1%,101%", "1%,1%", "a%,b%", "1%,50", "1%,2%;3%,4%"])
def test_percentiles_that_are_none(text: str) -> None:
    with pytest.raises(ConfigError, match=r"--range-a with percentiles is two of them from 0 to 100 %") as raised:
        wanted_percentiles(DataConfig(range_a=text))
    assert raised.value.option == "--range-a"


def test_a_channel_of_one_value_is_named(tmp_path: Path) -> None:
    for side in "AB":
        (tmp_path / f"train{side}").mkdir()
        tandem.write_image(tmp_path / f"train{side}" / "x.npy", np.full((4, 4, 2), [1, 7], np.int16))
    data = DataConfig(input_channels=2, output_channels=2, range_a="1%,99%")
    with pytest.raises(ConfigError, match=r"--range-a 1 %, 99 %: both are 1 in channel 1"):
        find_percentiles(find_splits(tmp_path)["train"], wanted_percentiles(data))


def test_percentiles_need_their_images() -> None:
    with pytest.raises(ConfigError, match="whose values have not been read here"):
        levels_of_run(DataConfig(range_a="1%,99%"))
