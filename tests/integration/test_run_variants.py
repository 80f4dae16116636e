"""Whole runs, from files to samples, with other images and other options; and the same from Python."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from support import (
    assert_page_is_whole,
    assert_same_run,
    log_of,
    pixels,
    state_of,
    tandem,
    tiny,
    tiny_config,
    train,
    write_pairs,
)

import tandem as package
from tandem.data.synthetic import write_dataset
from tandem.training.trainer import train as train_run


@pytest.mark.parametrize(
    ("mode", "size", "options", "channels"),
    [
        ("RGB", (40, 36), {"input_channels": 1, "output_channels": 4}, (1, 4)),
        ("L", (32, 64), {"size": "32x64", "output_channels": 1, "direction": "BtoA"}, (3, 1)),
        ("RGBA", (20, 50), {"size": "64x32", "load_size": "70x40", "input_channels": 4, "flip": False}, (4, 3)),
        ("P", (33, 35), {"norm": "instance_affine", "encoder": "cnn", "injection": "input", "num_workers": 1}, (3, 3)),
        ("RGB", (32, 32), {"upsampling": "bilinear", "activation": "lrelu", "lambda_gan": 0}, (3, 3)),
    ],
)
def test_end_to_end(tmp_path: Path, mode: str, size: Any, options: dict[str, Any], channels: tuple[int, int]) -> None:
    data, out = write_pairs(tmp_path / "data" / "train", 3, size=size, mode=mode).parent, tmp_path / "run"
    write_pairs(data / "test", 2, size=size, mode=mode, seed=1)
    train(data, out, steps=3, **options)
    assert_page_is_whole(out / "index.html", least=1)
    assert_page_is_whole(out / "samples" / "index.html", least=2 * (2 + 5))
    model = package.load(out)
    wanted = model.manifest.preprocessing
    assert (wanted.input_channels, wanted.output_channels) == channels
    record = json.loads((out / "samples" / "samples.jsonl").read_text().splitlines()[1])
    for sample in record["series"][0]["samples"]:
        assert pixels(out / "samples" / sample["file"]).shape == (*size, channels[1])
    assert model(pixels(data / "test" / "0.png"), num_samples=2, output="array").shape == (
        2,
        size[0],
        2 * size[1],
        channels[1],
    )


def test_the_direction_swaps_input_and_ground_truth(tmp_path: Path) -> None:
    data = write_dataset(tmp_path / "data", size=32, num_train=2, num_val=0, num_test=1)
    both = pixels(data / "test" / "00001.png")
    for direction, halves in (("AtoB", (both[:, :32], both[:, 32:])), ("BtoA", (both[:, 32:], both[:, :32]))):
        out = tmp_path / direction
        train(data, out, steps=1, direction=direction)
        for name, half in zip(("input", "ground_truth"), halves, strict=True):
            assert np.array_equal(pixels(out / "samples" / "images" / f"00001_{name}.png"), half)


def test_without_an_encoder(data: Path, tmp_path: Path) -> None:
    """The baseline of the demo: adversarial loss and L1 on a random latent; nothing can be encoded."""
    out = tmp_path / "run"
    options = {"lambda_gan": 0, "lambda_l1": 0, "lambda_kl": 0, "lambda_z": 0, "lambda_l1_random": 10}
    train(data, out, steps=4, **options)
    assert log_of(out)[-1]["kl_per_dimension"] == []
    refused = tandem("sample", out, data, "--out", tmp_path / "samples", "--mode", "encode")
    assert refused.status == 1
    assert "no encoder" in refused.err


@pytest.mark.parametrize(
    ("splits", "sampled"), [(("train",), None), (("train", "val"), "val"), (("train", "val", "test"), "test")]
)
def test_the_held_out_split_is_sampled(tmp_path: Path, splits: tuple[str, ...], sampled: str | None) -> None:
    for seed, split in enumerate(splits):
        write_pairs(tmp_path / "data" / split, 3 - seed, seed=seed)
    out = tmp_path / "run"
    finished = train(tmp_path / "data", out, steps=1)
    if sampled is None:
        assert "neither a test nor a val split" in finished.err
        assert not (out / "samples").exists()
        return
    assert f"sampling {sampled}" in finished.err
    names = [json.loads(line).get("name") for line in (out / "samples" / "samples.jsonl").read_text().splitlines()]
    assert names == [None, "0", "1"][: 2 + (sampled == "val")]


def test_new_samples_after_more_steps(data: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    train(data, out, steps=1)
    before = pixels(out / "samples" / "images" / "00001_random_01.png")
    train(data, out, steps=40, learning_rate=2e-4)
    assert json.loads((out / "samples" / "samples.jsonl").read_text().splitlines()[0])["steps"] == 40
    assert not np.array_equal(before, pixels(out / "samples" / "images" / "00001_random_01.png"))


def test_one_pair_is_enough(tmp_path: Path) -> None:
    write_pairs(tmp_path / "data", 1)
    train(tmp_path / "data", tmp_path / "run", steps=2)
    assert np.isfinite(log_of(tmp_path / "run")[-1]["diversity_ratio"])


def test_a_batch_larger_than_the_dataset(tmp_path: Path) -> None:
    write_pairs(tmp_path / "data", 3)
    train(tmp_path / "data", tmp_path / "run", epochs=1, batch_size=8)
    assert state_of(tmp_path / "run")[1]["step"] == 1


def test_training_from_python(data: Path, finished_run: Path, tmp_path: Path) -> None:
    """What the command line does, without the samples: the very same run."""
    result = train_run(tiny_config(steps=10), data, tmp_path / "run")
    assert (result.step, result.total_steps, result.stopped_by, result.already_done) == (10, 10, None, False)
    assert_same_run(finished_run, tmp_path / "run")
    assert train_run(tiny_config(steps=10), data, tmp_path / "run").already_done


def test_two_lines_of_python(data: Path, finished_run: Path) -> None:
    translator = package.load(finished_run)
    images = translator(data / "val" / "00001.png", num_samples=3, seed=1)
    assert [type(image) for image in images] == [Image.Image] * 3
    assert {image.size for image in images} == {(64, 32)}


def test_the_page_and_the_log_of_a_run(finished_run: Path) -> None:
    assert_page_is_whole(finished_run / "index.html", least=3)
    lines = log_of(finished_run)
    assert [line["step"] for line in lines] == [1, 3, 4, 6, 8, 9, 10]
    assert lines[0]["images"] == 2
    assert lines[0]["epoch"] == pytest.approx(2 / 7)
    expected = {"latent", "gan_encoded", "gan_random", "l1", "kl", "disc_encoded", "disc_random"}
    assert set(lines[0]["losses"]) == expected
    config = (finished_run / "config.yaml").read_text()
    printed = tandem("train", *tiny(steps=10), "--print-config")
    assert printed.out == config
