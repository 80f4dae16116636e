"""Runs with ``--lambda-features``: resumed to the bit, with the same file alone, which no model needs."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support import assert_same_run, files_of, log_of, sample, state_of, tandem, tiny, train

from plain_backbones import mobilenet_arrays
from tandem.networks.backbones.tensor_files import sha256_of

WIDTHS = (2, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 6, 6)
RUNS: dict[str, dict[str, Any]] = {
    "tandem": {"method": "tandem", "batch_size": 2, "discriminator_layers": 2, "gan_from": 0.0, "precision": "bf16"}
    | {"lr_schedule": "constant"},
    "pix2pix": {"method": "pix2pix", "encoder_filters": None, "latent_dim": None, "dropout": False},
}


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("weights") / "mobilenet.npz"
    np.savez(file, **mobilenet_arrays(WIDTHS))  # type: ignore[arg-type]
    return file


@pytest.mark.parametrize("name", RUNS)
def test_half_and_half_is_whole(data: Path, weights: Path, tmp_path: Path, name: str) -> None:
    options = RUNS[name] | {"lambda_features": 0.5, "snapshot_every": 4, "log_every": 1}
    whole, halves = tmp_path / "whole", tmp_path / "halves"
    train(data, whole, steps=4, feature_weights=weights, **options)
    train(data, halves, steps=2, feature_weights=weights, **options)
    train(data, halves, steps=4, feature_weights=weights, **options)
    assert_same_run(whole, halves)
    assert all("features" in line["losses"] for line in log_of(whole) if line["kind"] == "train")
    assert state_of(whole)[1]["feature_weights"] == sha256_of(weights)

    moved = Path(shutil.copy(weights, tmp_path / "moved.npz"))
    train(data, halves, steps=5, feature_weights=moved, **options)
    np.savez(moved, **{key: array * np.float32(1.5) for key, array in mobilenet_arrays(WIDTHS).items()})  # type: ignore[arg-type]
    refused = tandem("train", data, "--out", halves, *tiny(steps=6, feature_weights=moved, **options))
    assert refused.status == 1
    assert f"the file of --feature-weights: its SHA-256 was {sha256_of(weights)}, is {sha256_of(moved)}" in refused.err

    moved.unlink()
    model = tmp_path / "model"
    shutil.copytree(whole / "model", model)
    assert list(json.loads((model / "model.json").read_text())["networks"]) == (
        ["generator", "encoder"] if name == "tandem" else ["generator"]
    )
    image = next((data / "val").iterdir())
    sample(model, image, "--pairs", out=tmp_path / "out")
    assert files_of(tmp_path / "out")


def test_a_file_that_is_missing_is_named(data: Path, tmp_path: Path) -> None:
    options = RUNS["pix2pix"] | {"lambda_features": 1.0, "feature_weights": tmp_path / "none.npz", "steps": 1}
    finished = tandem("train", data, "--out", tmp_path / "run", *tiny(**options))
    assert finished.status == 1
    assert f"{tmp_path / 'none.npz'} cannot be read" in finished.err
