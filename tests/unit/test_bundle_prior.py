"""A learned prior in a bundle: what models draw from it, and bundles that are damaged or hostile."""

import dataclasses
import json
from collections.abc import Callable, Mapping
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file
from test_prior import mixture

import tandem
from tandem.checkpoint.bundle import FittedPrior, load_bundle, load_prior, save_bundle
from tandem.checkpoint.manifest import LearnedPrior, read_manifest, sha256_of
from tandem.errors import BundleError
from tandem.inference.latents import between
from tandem.inference.video.latent_walk import VideoLatents
from tandem.prior.distributions import MixturePrior, NormalPrior
from tandem.rng import numpy_generator
from tandem.tensors import read_tensors, write_tensors

IMAGE = np.zeros((16, 16, 3), np.uint8)


@pytest.fixture
def with_prior(make_bundle: Callable[..., Path]) -> Callable[..., Path]:
    def make(prior: MixturePrior | None, *, images: int = 9) -> Path:
        folder = make_bundle()
        manifest, networks = load_bundle(folder)
        save_bundle(folder, manifest, networks, prior=None if prior is None else FittedPrior(prior, images))
        return folder

    return make


def test_a_model_draws_from_the_prior_of_its_bundle(with_prior: Callable[..., Path]) -> None:
    prior = mixture(3, 2)
    folder = with_prior(prior)
    translator = tandem.load(folder)
    z = translator.sample_z(4, seed=5)
    assert np.array_equal(z, prior.sample(4, seed=5))
    outputs = translator(IMAGE, 4, seed=5, output="array")
    assert np.array_equal(outputs, translator(IMAGE, z=z, output="array"))
    assert json.loads((folder / "model.json").read_text())["prior"] == {
        "family": "mixture",
        "components": 3,
        "images": 9,
    }
    (weights,) = folder.glob("weights-*.safetensors")
    stored = load_file(weights)
    for name in ("weights", "means", "factors"):
        assert np.array_equal(stored[f"prior.{name}"], getattr(prior, name))
    assert "latent of 2 from a mixture of 3 Gaussians" in repr(translator)


def test_a_bundle_without_one_is_as_before(make_bundle: Callable[..., Path]) -> None:
    folder = make_bundle()
    files = {path.name: path.read_bytes() for path in folder.iterdir()}
    assert "prior" not in json.loads(files["model.json"])
    manifest, networks = load_bundle(folder)
    assert manifest.prior is None
    assert load_prior(folder, manifest) is None
    save_bundle(folder, manifest, networks)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == files
    translator = tandem.load(folder)
    assert translator.prior == NormalPrior(2)
    before = [numpy_generator(3, "sample", position=index).standard_normal(2) for index in range(4)]
    assert np.array_equal(translator.sample_z(4, seed=3), np.stack(before).astype(np.float32))


def test_one_gaussian_is_called_so(with_prior: Callable[..., Path]) -> None:
    folder = with_prior(mixture(1, 2))
    manifest, _ = read_manifest(folder)
    assert manifest.prior == LearnedPrior(family="gaussian", components=1, images=9)
    assert "latent of 2 from a Gaussian" in repr(tandem.load(folder))


def test_other_networks_take_no_notice_of_its_tensors(with_prior: Callable[..., Path]) -> None:
    _, before = load_bundle(with_prior(None))
    _, after = load_bundle(with_prior(mixture(3, 2)))
    for name, network in before.items():
        for key, value in network.state_dict().items():
            assert torch.equal(value, after[name].state_dict()[key])


def rewrite(folder: Path, tensors: Mapping[str, Any], entry: Mapping[str, Any] | None) -> None:
    """Replace tensors of a bundle, with the hash that belongs to them, and its entry; None takes a tensor out."""
    manifest = json.loads((folder / "model.json").read_text())
    weights = folder / manifest["weights"]["file"]
    changed = read_tensors(weights) | dict(tensors)
    new = folder / "new.safetensors"
    write_tensors(new, {name: value for name, value in changed.items() if value is not None}, {})
    digest = sha256_of(new)
    weights.unlink()
    new.rename(folder / f"weights-{digest[:16]}.safetensors")
    manifest["weights"] = {"file": f"weights-{digest[:16]}.safetensors", "sha256": digest}
    manifest["prior"] = manifest["prior"] | dict(entry or {})
    (folder / "model.json").write_text(json.dumps(manifest))


ONE = torch.ones(1)


@pytest.mark.parametrize(
    ("tensors", "entry", "message"),
    [
        ({"prior.means": None}, None, "prior.means is missing"),
        ({"prior.weights": torch.ones(3)}, None, "the sum 1"),
        ({"prior.weights": torch.ones(3, dtype=torch.float64) / 3}, None, "must be float32, not torch.float64"),
        ({"prior.weights": (torch.ones(3) / 3).bfloat16()}, None, "must be float32, not torch.bfloat16"),
        ({"prior.means": torch.full((3, 2), float("inf"))}, None, "not finite"),
        ({"prior.factors": -torch.eye(2).expand(3, 2, 2)}, None, "positive on the diagonal"),
        ({"prior.factors": torch.eye(3).expand(3, 3, 3)}, None, "do not fit"),
        (
            {"prior.weights": ONE, "prior.means": torch.zeros(1, 5000), "prior.factors": torch.zeros(1, 1, 1)},
            None,
            "from 1 to 4096",
        ),
        ({}, {"components": 4}, "the tensors are those of"),
        ({}, {"family": "gaussian"}, "the tensors are those of"),
        ({}, {"images": 0}, "the manifest has"),
        ({}, {"family": "uniform"}, "prior.family must be one of gaussian, mixture"),
        ({}, {"extra": 1}, "prior has unknown entries: extra"),
        ({}, {"components": "3"}, "prior.components must be int"),
        (
            {"prior.means": torch.zeros(3, 5), "prior.factors": torch.eye(5).expand(3, 5, 5)},
            None,
            "prior is one of latents of 5, but its generator takes latents of 2",
        ),
    ],
)
def test_hostile_priors_are_refused(
    with_prior: Callable[..., Path], tensors: Mapping[str, Any], entry: Mapping[str, Any] | None, message: str
) -> None:
    folder = with_prior(mixture(3, 2))
    rewrite(folder, tensors, entry)
    with pytest.raises(BundleError, match=message):
        tandem.load(folder)


def test_a_bundle_that_is_renewed_meanwhile_is_refused(with_prior: Callable[..., Path]) -> None:
    folder = with_prior(mixture(3, 2))
    manifest, networks = load_bundle(folder)
    save_bundle(folder, manifest, networks, prior=FittedPrior(mixture(2, 2), 9))
    with pytest.raises(BundleError, match=r"the prior of .* cannot be read"):
        load_prior(folder, manifest)


def test_the_great_circle_of_a_gaussian_is_that_of_standard_draws() -> None:
    """Of z = m + L·n the latents between two are m + L·(those between the two n), and so is a walk of a video."""
    prior = mixture(1, 2)
    mean, factor = prior.means[0].astype(np.float64), prior.factors[0].astype(np.float64)
    normal = np.array([[1.0, 0.3], [-0.5, 2.0]], np.float32)
    start, end = mean + normal @ factor.T
    way = between(start, end, 7, way="spherical", prior=prior)
    assert way.dtype == np.float32
    assert way == pytest.approx(mean + between(*normal, 7, way="spherical") @ factor.T, abs=1e-5)
    assert way[[0, -1]] == pytest.approx(np.stack([start, end]), abs=1e-5)
    walk = VideoLatents(np.stack([start, end]).astype(np.float32), Fraction(12), prior)
    assert walk.at(Fraction(2)) == pytest.approx(way[2], abs=1e-5)  # a third of the way from the first to the second


def test_interpolation_goes_round_the_mean_of_the_prior(with_prior: Callable[..., Path]) -> None:
    prior = dataclasses.replace(mixture(2, 2), means=np.array([[100, 100], [104, 100]], np.float32))
    translator = tandem.load(with_prior(prior))
    start, end = translator.sample_z(2, seed=0)
    way = between(start, end, 5, way="spherical", prior=prior)
    frames = translator.interpolate(IMAGE, 5, seed=0, output="array")
    assert np.array_equal(frames, translator(IMAGE, z=way, output="array"))
    standard = [prior.standardise(z) for z in way]
    lengths = np.linalg.norm(standard, axis=1)
    assert lengths.min() > 0.95 * lengths[[0, -1]].min()
