"""The feature loss: against plain networks, through steps of every method that has it, and across a checkpoint."""

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from plain_backbones import NETWORKS, mobilenet_arrays, plain_mobilenet, weights_of
from tandem.config.run import from_flat
from tandem.config.specifications import BackboneName
from tandem.data.micro_batches import MicroBatches
from tandem.errors import CheckpointError, ConfigError, DataError, WeightsError
from tandem.networks.backbones.read import read_backbone
from tandem.networks.backbones.tensor_files import sha256_of
from tandem.objectives.feature_loss import FeatureLoss
from tandem.training.setup import make_state
from tandem.training.state import TrainingState
from tandem.training.step import train_step

CPU = torch.device("cpu")
WIDTHS = (2, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 6, 6)
SMALL: dict[str, Any] = {"size": 32, "generator_filters": 2, "discriminator_filters": 2, "batch_size": 4}
LATENT = SMALL | {"latent_dim": 2, "encoder_filters": 2}
METHODS: dict[str, dict[str, Any]] = {
    "tandem": LATENT | {"method": "tandem", "discriminator_layers": 2},
    "bicyclegan": LATENT | {"method": "bicyclegan"},
    "pix2pix": SMALL | {"method": "pix2pix", "norm": "instance", "dropout": False},
}


def write_mobilenet(path: Path, *, seed: int = 0) -> Path:
    arrays = {key: array + np.float32(seed / 100) for key, array in mobilenet_arrays(WIDTHS).items()}
    np.savez(path, **arrays)  # type: ignore[arg-type]
    return path


@pytest.fixture(scope="module")
def mobilenet(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_mobilenet(tmp_path_factory.mktemp("features") / "m.npz")


def images_at(seed: int, *shape: int) -> Tensor:
    return 2 * torch.rand(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64) - 1


def plain_distance(maps: Sequence[np.ndarray], others: Sequence[np.ndarray], *, axis: int) -> float:
    def normed(x: np.ndarray) -> np.ndarray:
        return x / np.sqrt((x**2).mean(axis, keepdims=True) + 1e-6)

    return float(np.mean([np.abs(normed(x) - normed(y)).mean() for x, y in zip(maps, others, strict=True)]))


def plain_mobile_distance(made: Tensor, real: Tensor) -> float:
    arrays = mobilenet_arrays(WIDTHS)
    both = [[plain_mobilenet(one.numpy().transpose(1, 2, 0), arrays) for one in images] for images in (made, real)]
    return float(np.mean([plain_distance(x, y, axis=2) for x, y in zip(*both, strict=True)]))


@pytest.mark.parametrize("sides", [(32, 32), (37, 50)])
def test_mobilenet_equals_the_plain_computation(mobilenet: Path, sides: tuple[int, int]) -> None:
    loss = FeatureLoss.of_file(mobilenet).double()
    made, real = images_at(0, 2, 3, *sides), images_at(1, 2, 3, *sides)
    np.testing.assert_allclose(float(loss(made, real)), plain_mobile_distance(made, real), rtol=1e-6)
    grey = [one[:, :1] for one in (made, real)]
    np.testing.assert_allclose(
        float(loss(*grey)), plain_mobile_distance(*(one.expand(-1, 3, -1, -1) for one in grey)), rtol=1e-6
    )


@pytest.mark.parametrize(("name", "suffix"), [("alex", "pth"), ("vgg", "pth"), ("squeeze", "safetensors")])
def test_classifiers_equal_the_plain_computation(tmp_path: Path, name: BackboneName, suffix: str) -> None:
    """As published, with a classifier beside the features."""
    state = {key: value.float() for key, value in weights_of(name).items()}
    file, whole = tmp_path / f"weights.{suffix}", state | {"classifier.1.weight": torch.zeros(2, 2)}
    save_file(whole, file) if suffix == "safetensors" else torch.save(whole, file)
    loss = FeatureLoss.of_file(file).double()
    made, real = images_at(0, 1, 3, 32, 38), images_at(1, 1, 3, 32, 38)
    shift, scale = (np.array(v)[:, None, None] for v in ([-0.030, -0.088, -0.188], [0.458, 0.448, 0.450]))
    maps = [NETWORKS[name]((images[0].numpy() - shift) / scale, state) for images in (made, real)]
    np.testing.assert_allclose(float(loss(made, real)), plain_distance(*maps, axis=0), rtol=1e-5)
    assert loss.sha256 == sha256_of(file)


def test_gradients_reach_what_was_made_alone(mobilenet: Path) -> None:
    loss = FeatureLoss.of_file(mobilenet).double()
    made, real = images_at(0, 1, 3, 32, 32).requires_grad_(True), images_at(1, 1, 3, 32, 32).requires_grad_(True)
    loss(made, real).backward()
    assert made.grad is not None
    assert real.grad is None
    assert all(parameter.grad is None for parameter in loss.parameters())
    towards = images_at(2, 1, 3, 32, 32)
    with torch.no_grad():
        slope = (loss(made + 1e-6 * towards, real) - loss(made - 1e-6 * towards, real)) / 2e-6
    torch.testing.assert_close((made.grad * towards).sum(), slope, rtol=1e-4, atol=1e-9)


def test_maps_of_zeros_have_finite_gradients(tmp_path: Path) -> None:
    state = {key: torch.zeros_like(value, dtype=torch.float32) for key, value in weights_of("squeeze").items()}
    torch.save(state, tmp_path / "s.pth")
    made = torch.zeros(1, 3, 32, 32, requires_grad=True)
    FeatureLoss.of_file(tmp_path / "s.pth")(made, torch.ones(1, 3, 32, 32)).backward()
    assert made.grad is not None
    assert made.grad.isfinite().all()


def test_half_precision_around_it_changes_nothing(mobilenet: Path) -> None:
    loss = FeatureLoss.of_file(mobilenet)
    made, real = (images_at(seed, 1, 3, 32, 32).float() for seed in (0, 1))
    with torch.autocast("cpu", torch.bfloat16):
        inside = loss(made, real)
    assert torch.equal(inside, loss(made, real))


def made_state(options: dict[str, Any], *, micro_batches: int = 1, **changes: Any) -> TrainingState:
    config = from_flat(options | changes | {"device": "cpu", "ema_halflife_images": 0})
    state = make_state(config, CPU, micro_batches=micro_batches)
    state.objective.networks.double()
    if state.objective.features is not None:
        state.objective.features.double()
    state.objective.joined = True
    return state


def batch_at(state: TrainingState, positions: Sequence[int]) -> dict[str, Tensor]:
    images = {
        name: torch.cat([images_at(2 * p + k, 1, 3, 32, 32) for p in positions]) for k, name in enumerate(("a", "b"))
    }
    return images | {name: value.double() for name, value in state.objective.draw(0, positions).items()}


@pytest.mark.parametrize("name", METHODS)
def test_the_term_is_the_weighted_distance_of_what_belongs_together(mobilenet: Path, name: str) -> None:
    plain, state = (
        made_state(METHODS[name], **given)
        for given in ({}, {"lambda_features": 0.5, "feature_weights": str(mobilenet)})
    )
    batch = batch_at(state, range(4))
    with torch.no_grad():
        fakes: Any = state.objective.fakes(batch)
    made = (fakes.encoded if name == "bicyclegan" else fakes.b)[: 4 if name == "pix2pix" else 2]
    terms = train_step(state.objective, state.optimizers, batch)
    expected = 0.5 * plain_mobile_distance(made, batch["b"][: len(made)])
    np.testing.assert_allclose(float(terms["features"]), expected, rtol=1e-6)
    without = train_step(plain.objective, plain.optimizers, batch)
    assert terms.keys() - without.keys() == {"features"}
    changed = {key for key, value in without.items() if not torch.equal(value, terms[key])}
    assert changed <= {key for key in without if key.startswith(("disc", "gan"))}  # what follows the update
    generators = [one.objective.networks["generator"].state_dict() for one in (plain, state)]
    assert any(not torch.equal(value, generators[1][key]) for key, value in generators[0].items())
    assert not any("features" in key for key in state.tensors())


@pytest.mark.parametrize("name", METHODS)
def test_micro_batches_equal_one_batch(mobilenet: Path, name: str) -> None:
    options = METHODS[name] | {"lambda_features": 2.0, "feature_weights": str(mobilenet)}
    parts = from_flat(options).objective.parts
    whole, split = (made_state(options, micro_batches=count) for count in (1, 2))
    expected = train_step(whole.objective, whole.optimizers, batch_at(whole, range(4)))
    pieces = MicroBatches.of_process(0, 1, per_process=2, parts=parts).positions(0, 4)
    found = train_step(split.objective, split.optimizers, *(batch_at(split, next(pieces)) for _ in range(2)))
    for key, value in expected.items():
        torch.testing.assert_close(found[key], value, rtol=1e-9, atol=1e-12)


def test_a_checkpoint_goes_on_with_the_file_that_it_was_trained_with(mobilenet: Path, tmp_path: Path) -> None:
    options = METHODS["pix2pix"] | {"lambda_features": 1.0}
    moved, other = shutil.copy(mobilenet, tmp_path / "moved.npz"), write_mobilenet(tmp_path / "other.npz", seed=1)
    state = made_state(options, feature_weights=str(mobilenet))
    assert state.metadata()["feature_weights"] == sha256_of(mobilenet)
    made_state(options, feature_weights=str(moved)).load(state.tensors(), state.metadata())
    with pytest.raises(CheckpointError, match=r"--feature-weights: its SHA-256 was \w{64}, is \w{64}; give the file"):
        made_state(options, feature_weights=str(other)).load(state.tensors(), state.metadata())
    with pytest.raises(CheckpointError, match="SHA-256 was None"):
        made_state(options, feature_weights=str(other)).load(
            state.tensors(), {key: value for key, value in state.metadata().items() if key != "feature_weights"}
        )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"lambda_features": 1.0}, "--lambda-features 1 needs --feature-weights FILE"),
        ({"feature_weights": "x.npz"}, "--feature-weights x.npz has no effect without --lambda-features"),
        (
            {"lambda_features": 1.0, "feature_weights": "x.npz", "output_channels": 4},
            "1 or 3 channels, not of --output-channels 4",
        ),
        (
            {"lambda_features": 1.0, "feature_weights": "x.npz", "size": 16, "discriminator_layers": 1},
            "--size 16 is too small for --lambda-features: at least 32 px",
        ),
    ],
)
@pytest.mark.parametrize("method", METHODS)
def test_options_that_do_not_fit(method: str, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        from_flat({"method": method, "size": 64, "batch_size": 2} | options)


def test_features_alone_train_an_encoder() -> None:
    options = {"lambda_gan": 0.0, "lambda_l1": 0.0, "lambda_features": 1.0, "feature_weights": "x.npz"}
    config = from_flat(METHODS["bicyclegan"] | options)
    assert config.objective.has_encoder  # type: ignore[attr-defined]
    from_flat(METHODS["pix2pix"] | options)


def test_small_images_and_other_files_are_refused(mobilenet: Path, tmp_path: Path) -> None:
    loss = FeatureLoss.of_file(mobilenet)
    with pytest.raises(DataError, match="at least 32 px a side, not 40×24 px"):
        loss(torch.zeros(1, 3, 24, 40), torch.zeros(1, 3, 24, 40))
    state = {key: value.float() for key, value in weights_of("squeeze").items()}
    files: dict[str, Any] = {
        "nothing": ({"conv.weight": torch.zeros(1)}, r"holds no features.0.weight; expected the weights of VGG16"),
        "cut": ({k: v for k, v in state.items() if "12" not in k}, r"not the weights of Backbone.*features.12"),
        "nan": (state | {"features.0.bias": torch.full((64,), torch.nan)}, "features.0.bias holds values that are not"),
    }
    for name, (tensors, message) in files.items():
        torch.save(tensors, tmp_path / f"{name}.pth")
        with pytest.raises(WeightsError, match=rf"(?s){message}"):
            read_backbone(tmp_path / f"{name}.pth")
    with pytest.raises(WeightsError, match=r"cannot be read"):
        read_backbone(tmp_path / "missing.npz")
