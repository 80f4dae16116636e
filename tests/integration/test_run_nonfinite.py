"""A loss or gradient that is not finite ends the run before the update, and says where and on what."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from support import log_of, state_of, tandem, tiny, train

import tandem as package
from tandem.data.synthetic import write_dataset


@pytest.mark.parametrize(
    ("options", "phase", "term"),
    [
        ({"learning_rate": 1e30, "snapshot_every": 100}, "generator", "gan_encoded"),
        ({"lambda_l1": 1e39}, "generator", "the loss term l1 is not finite"),
        ({"lambda_gan2": 1e39}, "generator", "the loss term gan_random is not finite"),
        ({"lambda_z": 1e38, "snapshot_every": 100}, "generator", "the gradient's norm overflows"),
        ({"gan_loss": "wgangp", "lambda_gp": 1e39}, "discriminator", "disc_encoded_gp, disc_random_gp are not finite"),
    ],
)
def test_it_stops_and_says_where(data: Path, tmp_path: Path, options: dict[str, Any], phase: str, term: str) -> None:
    out = tmp_path / "run"
    failed = tandem("train", data, "--out", out, *tiny(**{"steps": 10, "snapshot_every": 1} | options))
    assert failed.status == 1
    message = failed.err[failed.err.index("tandem train: step ") :]
    step = int(message.split()[3].rstrip(","))
    assert f"phase '{phase}'" in message
    assert term in message
    files = [path for path in (data / "train").glob("*.png") if str(path) in message]
    assert len(files) == 2, message
    assert_stopped(out, message, before=step)


def test_diverged_weights_are_not_saved(data: Path, tmp_path: Path) -> None:
    """Finite weights that give no finite image are found when they are measured."""
    out = tmp_path / "run"
    failed = tandem("train", data, "--out", out, *tiny(steps=10, snapshot_every=1, learning_rate=1e30))
    assert failed.status == 1
    message = failed.err[failed.err.index("tandem train: after step 1: ") :]
    assert "the weights have diverged" in message
    assert_stopped(out, message, before=2)


def assert_stopped(out: Path, message: str, *, before: int) -> None:
    """The last good state is on the disk and its model works; the page says what happened."""
    tensors, metadata = state_of(out)
    good = metadata["step"]
    assert good < before
    assert f"The last good state is step {good} in {out / 'checkpoints'}" in message
    assert all(bool(torch.isfinite(tensor).all()) for tensor in tensors.values())
    page = (out / "index.html").read_text()
    assert "Failed" in page
    assert "NonFiniteError" in page
    lines = log_of(out)
    assert all(line["step"] < before for line in lines)
    assert "NaN" not in json.dumps(lines)
    assert package.load(out).manifest.training["steps"] == good
    assert len(package.load(out)(np.zeros((32, 32, 3), np.uint8), num_samples=1)) == 1


def test_it_names_both_files_of_a_pair(data: Path, tmp_path: Path) -> None:
    folders = write_dataset(tmp_path / "folders", size=32, num_train=2, num_val=0, num_test=0, layout="folders")
    failed = tandem("train", folders, "--out", tmp_path / "run", *tiny(steps=2, lambda_l1=1e39))
    assert failed.status == 1
    assert all(
        str(folders / side / f"{name}.png") in failed.err
        for side in ("trainA", "trainB")
        for name in ("00001", "00002")
    )


def test_the_same_command_fails_the_same_way(data: Path, tmp_path: Path) -> None:
    """It does not go on from a broken state."""
    out = tmp_path / "run"
    options = tiny(steps=10, snapshot_every=1, learning_rate=1e30)
    first, second = (tandem("train", data, "--out", out, *options) for _ in range(2))
    assert second.status == 1
    assert first.err.splitlines()[-1] == second.err.splitlines()[-1]


def test_a_run_with_the_advice_goes_through(data: Path, tmp_path: Path) -> None:
    train(data, tmp_path / "run", steps=3, learning_rate=1e-4, clip_grad_norm=1.0)
