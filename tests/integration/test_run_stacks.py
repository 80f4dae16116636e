"""Inputs stacked from several files, from training to outputs: folders, single files and Python give the same."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support import sample, state_of, tandem, train

from tandem.data.array_files import read_image, write_image
from tandem.errors import DataError
from tandem.inference.translator import load

OPTIONS: dict[str, Any] = {
    "method": "pix2pix",
    "norm": "instance",
    "dropout": False,
    "preprocess": "crop",
    "batch_size": 2,
    "steps": 2,
    "snapshot_every": 100,
    "input_channels": 4,
    **dict.fromkeys(("encoder_filters", "latent_dim", "num_preview_samples")),
}


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Grey of 16 bits and colour of 8 bits as A."""
    root, draw = tmp_path_factory.mktemp("stacks"), np.random.default_rng(0)
    for split, count in (("train", 3), ("test", 2)):
        for index in range(count):
            for side, kind, channels in (("A1", np.uint16, 1), ("A2", np.uint8, 3), ("B", np.uint8, 3)):
                noise = draw.integers(0, np.iinfo(kind).max, (40, 40, channels), kind)
                write_image(root / f"{split}{side}" / f"{index}.png", noise)
    return root


@pytest.fixture(scope="module")
def run(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("stacked") / "run"
    train(data, out, **OPTIONS)
    return out


def test_the_model_knows_its_parts(run: Path) -> None:
    assert json.loads((run / "model" / "model.json").read_text())["preprocessing"]["input_parts"] == {"A1": 1, "A2": 3}


def test_a_table_and_shards_train_to_the_same_weights(data: Path, run: Path, tmp_path: Path) -> None:
    rows = [f"{s}A1/{i}.png,{s}A2/{i}.png,{s}B/{i}.png,{s}" for s, n in (("train", 3), ("test", 2)) for i in range(n)]
    table = data / "pairs.csv"
    table.write_text("\n".join(["a1,a2,b,split", *rows]))
    assert tandem("data", "pack", data, tmp_path / "packed").status == 0
    weights, _ = state_of(run)
    for number, source in enumerate((table, tmp_path / "packed")):
        train(source, tmp_path / f"run{number}", **OPTIONS)
        found, _ = state_of(tmp_path / f"run{number}")
        assert all((weights[name] == found[name]).all() for name in weights)


def test_folders_files_and_python_give_the_same(data: Path, run: Path, tmp_path: Path) -> None:
    sample(run, data, "--split", "test", "--only", "outputs", out=tmp_path / "dataset")
    parts = [data / "testA1", data / "testA2"]
    sample(run, "--stack", *parts, "--only", "outputs", out=tmp_path / "folders")
    sample(run, "--stack", *(folder / "1.png" for folder in parts), out=tmp_path / "one.png")
    wanted = read_image(tmp_path / "dataset" / "1.png")
    assert np.array_equal(wanted, read_image(tmp_path / "folders" / "1.png"))
    assert np.array_equal(wanted, read_image(tmp_path / "one.png"))
    translator = load(run, device="cpu")
    paths = tuple(folder / "1.png" for folder in parts)
    assert np.array_equal(translator(paths, 1, output="array")[0], wanted)
    arrays = tuple(map(read_image, paths))
    (first, second) = translator([arrays, arrays], 1, output="array")
    assert np.array_equal(first, second)
    assert np.abs(first[0].astype(int) - wanted).max() <= 1  # 8 bits are not spread over 16 first
    with pytest.raises(DataError, match=r"an input of this model is 2 images \(A1, A2\), not 3"):
        translator((arrays[0], *arrays))
    with pytest.raises(DataError, match="must have one size, not 40 x 40, 40 x 39"):
        translator((arrays[0], arrays[1][1:]))


def test_what_is_no_stack_is_refused(data: Path, run: Path, tmp_path: Path) -> None:
    for words, reason in (
        ([data / "testA1"], "--stack takes two files or more"),
        ([data / "testA1", data / "testA2" / "1.png"], "--stack takes two files or more"),
        ([data / "testA1", data / "testA2", "--split", "test"], "which --pairs and --split say nothing of"),
        ([data / "testA2", data / "testA1"], "an input of this model is A1 with 1, A2 with 3 (channels)"),
    ):
        refused = tandem("sample", run, "--stack", *words, "--out", tmp_path / "out", "--device", "cpu")
        assert refused.status != 0
        assert reason in refused.err, refused.err


def test_every_command_knows_stacks(data: Path, run: Path, tmp_path: Path) -> None:
    for words in (
        ["data", "check", data, "--input-channels", "4"],
        ["doctor", data, "--input-channels", "4", "--method", "bicyclegan", "--size", "32"],
        ["data", "preview", data, "--input-channels", "4", "--size", "32", "--out", tmp_path / "preview.png"],
        ["evaluate", run, data, "--metrics", "l1", "--out", tmp_path / "report", "--device", "cpu"],
    ):
        finished = tandem(*map(str, words))
        assert finished.status in ((0, 3) if words[0] == "doctor" else (0,)), finished.err
        assert "stacked on A" in finished.err
