"""Bundles whose weights are stored small: what is read of them, and what is refused."""

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file, save_file

import tandem
from tandem.checkpoint.arrays import load_arrays
from tandem.checkpoint.bundle import load_bundle, save_bundle
from tandem.checkpoint.manifest import MANIFEST_NAME, read_manifest, sha256_of
from tandem.checkpoint.storage import SCALE, SMALL, Storage, in_full, rounded
from tandem.errors import BundleError, ConfigError
from tandem.training.start import read_source
from tandem_bundle import make_tandem


@pytest.fixture(scope="module")
def full(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_tandem(tmp_path_factory.mktemp("full") / "model", depth=3)


def small(full: Path, out: Path, storage: Storage) -> Path:
    save_bundle(out, *load_bundle(full), storage=storage)
    return out


def test_rounding_stays_within_half_a_step() -> None:
    """Half of a 127th of the largest number of a row, half of the last bit of float16; biases not at all."""
    drawn = np.random.default_rng(0)
    arrays = {
        "large": drawn.normal(size=(64, SMALL // 64)).astype(np.float32) * np.geomspace(1e-3, 1e3, 64)[:, None],
        "small": drawn.normal(size=(3, 5)).astype(np.float32),
        "bias": drawn.normal(size=SMALL).astype(np.float32),
        "zeros": np.zeros((2, SMALL), np.float32),
        "count": np.arange(2),
    }
    arrays["large"] = arrays["large"].astype(np.float32)
    eight, half = (in_full(rounded(arrays, storage)) for storage in ("int8", "fp16"))
    for given in (eight, half):
        assert {name: array.dtype for name, array in given.items()} == {name: a.dtype for name, a in arrays.items()}
        for name in ("bias", "zeros", "count"):
            np.testing.assert_array_equal(given[name], arrays[name])
    np.testing.assert_array_equal(eight["small"], arrays["small"])
    steps = np.abs(arrays["large"]).max(axis=1, keepdims=True) / 127
    assert (np.abs(eight["large"] - arrays["large"]) <= steps * 0.5001).all()
    assert (np.abs(eight["large"] - arrays["large"]) > steps * 0.4).any()
    np.testing.assert_allclose(half["large"], arrays["large"], rtol=2**-11, atol=2**-25)


@pytest.mark.parametrize(("storage", "share"), [("fp16", 0.56), ("int8", 0.6)])
def test_every_reader_reads_the_same_numbers(full: Path, tmp_path: Path, storage: Storage, share: float) -> None:
    folder = small(full, tmp_path / "model", storage)
    sizes = [read_manifest(one)[1].stat().st_size for one in (folder, full)]
    assert sizes[0] < share * sizes[1]
    _, networks = load_bundle(folder)
    _, arrays = load_arrays(folder)
    source = read_source(folder)
    for name, network in networks.items():
        for key, tensor in network.state_dict().items():
            np.testing.assert_array_equal(tensor.numpy(), arrays[f"{name}.{key}"])
            assert torch.equal(tensor, source.networks[name][key])
    image = np.random.default_rng(0).integers(0, 256, (16, 16, 3), dtype=np.uint8)
    exact = tandem.load(full, device="cpu")(image, 4, output="array").astype(int)
    outputs = [tandem.load(folder, device="cpu", engine=one)(image, 4, output="array") for one in ("torch", "onnx")]
    assert np.abs(outputs[0].astype(int) - outputs[1]).max() <= 1
    assert 0 < np.abs(outputs[0] - exact).mean() < 2


def test_a_bundle_in_full_says_nothing_of_its_storage(full: Path, tmp_path: Path) -> None:
    assert "stored" not in (full / MANIFEST_NAME).read_text()
    assert '"stored": "int8"' in (small(full, tmp_path / "model", "int8") / MANIFEST_NAME).read_text()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda _: None, "no scale of float32 for each of its"),
        (lambda scale: scale[:-1], "no scale of float32 for each of its"),
        (lambda scale: scale.astype(np.float64), "no scale of float32 for each of its|it holds torch.float64"),
        (lambda scale: scale * np.float32(np.inf), "not finite"),
    ],
)
def test_scales_that_do_not_belong_are_refused(
    full: Path, tmp_path: Path, change: Callable[[np.ndarray], Any], message: str
) -> None:
    folder = small(full, tmp_path / "model", "int8")
    manifest, weights = read_manifest(folder)
    tensors = load_file(weights)
    name = next(key for key in tensors if key.endswith(SCALE))
    changed = change(tensors.pop(name))
    save_file(tensors if changed is None else tensors | {name: changed}, weights)
    assert manifest.weights is not None
    renewed = dataclasses.replace(manifest.weights, sha256=sha256_of(weights))
    (folder / MANIFEST_NAME).write_text(dataclasses.replace(manifest, weights=renewed).to_json())
    with pytest.raises(BundleError, match=message):
        load_bundle(folder)


def test_float16_does_not_hold_every_weight() -> None:
    with pytest.raises(ConfigError, match="a has numbers that float16 does not hold"):
        rounded({"a": np.full((1, 1), 1e6, np.float32)}, "fp16")
