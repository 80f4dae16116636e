"""The doctor finds what is wrong with a run in runs that are wrong so, and not in a sound one."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from support import TINY_OPTIONS

import tandem
from tandem.cli import main

SMALL = TINY_OPTIONS | {"num_previews": 4, "snapshot_every": 40, "log_every": 10, "batch_size": 4}


def write(root: Path, *, train_inverted: bool = False, side: int = 32, number: int = 12) -> Path:
    """Soft blobs: A is grey, B the same in colour."""
    rows, columns = np.mgrid[:side, :side] / side
    for split, first in (("train", 0), ("val", 100)):
        (root / split).mkdir(parents=True)
        for index in range(number):
            rng = np.random.default_rng(first + index)
            y, x, width = rng.uniform(0.2, 0.8), rng.uniform(0.2, 0.8), rng.uniform(0.1, 0.3)
            blob = np.exp(-(np.square(rows - y) + np.square(columns - x)) / width**2)[:, :, None]
            a, b = np.repeat(255 * blob, 3, 2), blob * (250, 120, 60) + 5
            b = 255 - b if train_inverted and split == "train" else b
            pair = np.concatenate([a, b], axis=1).astype(np.uint8)
            Image.fromarray(pair).save(root / split / f"{index}.png")
    return root


@pytest.fixture
def diagnose(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Callable[..., dict[str, Any]]:
    def train_and_ask(data: Path, **options: Any) -> dict[str, Any]:
        run = tmp_path / f"run{len(list(tmp_path.glob('run*')))}"
        tandem.train(data, run, quiet=True, **(SMALL | options))
        capsys.readouterr()
        status = main(["doctor", str(run), "--json", "--out", str(run / "doctor")])
        found = {one["name"]: one for one in json.loads(capsys.readouterr().out)["findings"]}
        assert status == (3 if found else 0)
        page = (run / "doctor" / "index.html").read_text()
        assert ("Nothing to mend was found" in page) is (not found)
        return found

    return train_and_ask


def test_a_sound_run_has_no_findings(tmp_path: Path, diagnose: Callable[..., dict[str, Any]]) -> None:
    data = write(tmp_path / "data")
    sound = {"upsampling": "bilinear", "lambda_ms": 5.0, "diffaugment": "color,translation,cutout"}
    assert diagnose(data, steps=160, learning_rate=2e-3, **sound) == {}


def test_z_that_is_ignored(tmp_path: Path, diagnose: Callable[..., dict[str, Any]]) -> None:
    data = write(tmp_path / "data")
    ignoring = {"lambda_z": 0.0, "latent_trains_encoder": False, "lambda_kl": 10.0, "lambda_l1_random": 50.0}
    found = diagnose(data, steps=160, learning_rate=2e-3, **ignoring)
    assert "z-ignored" in found
    assert "--lambda-z" in found["z-ignored"]["advice"]


def test_a_discriminator_that_has_won(tmp_path: Path, diagnose: Callable[..., dict[str, Any]]) -> None:
    data = write(tmp_path / "data")
    found = diagnose(data, steps=120, freeze="generator", learning_rate=2e-3, discriminator_filters=8)
    assert "discriminator-won" in found
    assert "--diffaugment" in found["discriminator-won"]["advice"]


def test_inverted_colours_and_a_best_checkpoint_that_is_the_first(
    tmp_path: Path, diagnose: Callable[..., dict[str, Any]]
) -> None:
    """What is learnt of inverted files makes held-out images worse from step to step."""
    data = write(tmp_path / "data", train_inverted=True)
    found = diagnose(data, steps=120, learning_rate=2e-3)
    assert "colours-inverted" in found
    assert "tandem data preview" in found["colours-inverted"]["advice"]
    assert found["best-is-first"]["items"] == ["step 40"]
    assert "--learning-rate" in found["best-is-first"]["advice"]


def test_a_checkerboard(tmp_path: Path, diagnose: Callable[..., dict[str, Any]]) -> None:
    """Transposed convolutions that have hardly learnt; bilinear upsampling at the same step has none."""
    data = write(tmp_path / "data", side=64)
    short = {"steps": 2, "size": 64, "snapshot_every": 2, "ema_halflife_images": 0}
    found = diagnose(data, **short)
    assert "checkerboard" in found
    assert "--upsampling bilinear" in found["checkerboard"]["advice"]
    assert "checkerboard" not in diagnose(data, upsampling="bilinear", **short)


def test_a_loader_that_keeps_steps_waiting(tmp_path: Path, diagnose: Callable[..., dict[str, Any]]) -> None:
    data = write(tmp_path / "data", side=900, number=4)
    found = diagnose(data, steps=12, log_every=2, decoded_gb=0.0)
    assert "loader-waits" in found
    assert "--num-workers" in found["loader-waits"]["advice"]


def test_a_run_has_its_own_options(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = write(tmp_path / "data", number=4)
    tandem.train(data, tmp_path / "run", quiet=True, **(SMALL | {"steps": 1}))
    assert main(["doctor", str(tmp_path / "run"), "--method", "cyclegan"]) == 2
    assert "beside a run, which has its own options" in capsys.readouterr().err
