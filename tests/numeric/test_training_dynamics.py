"""A few dozen steps of a tiny model on generated images: losses stay finite and the reconstruction improves."""

import contextlib
from typing import Any

import pytest
import torch

from tandem.config.bicyclegan import BicycleGANConfig, GanLoss
from tandem.config.data import DataConfig
from tandem.objectives.bicyclegan import BicycleGAN
from tandem.training.optimizers import make_adam
from tandem.training.step import StepOptions, train_step

STEPS = 40


def images(positions: range) -> dict[str, torch.Tensor]:
    """A: a black square somewhere on white; B: the same in one of two colours on light grey."""
    a, b = torch.ones(len(positions), 1, 32, 32), torch.full((len(positions), 3, 32, 32), 0.7)
    for index, position in enumerate(positions):
        top, left = 4 + 5 * position % 13, 4 + 7 * position % 13
        a[index, :, top : top + 10, left : left + 10] = -1
        colour = torch.tensor([0.9, -0.8, -0.6]) if position % 2 else torch.tensor([-0.9, -0.2, 0.8])
        b[index, :, top : top + 10, left : left + 10] = colour[:, None, None]
    return {"a": a, "b": b}


def tiny_method(**options: Any) -> tuple[BicycleGAN, dict[str, torch.optim.Optimizer]]:
    filters = {"generator_filters": 8, "encoder_filters": 8, "discriminator_filters": 8}
    config = BicycleGANConfig(latent_dim=2, discriminator_scales=1, **filters, **options)
    method = BicycleGAN(config, DataConfig(size=32, input_channels=1))
    method.initialise(0)
    optimizers = {name: make_adam(n.parameters(), lr=1e-3, betas=(0.5, 0.999)) for name, n in method.networks.items()}
    return method, optimizers  # type: ignore[return-value]


@pytest.mark.parametrize(
    "options",
    [
        {"gan_loss": "lsgan"},
        {"gan_loss": "hinge"},
        {"gan_loss": "wgangp"},
        {"gan_loss": "bce", "norm": "batch", "upsampling": "bilinear", "conditional": True},
    ],
    ids=lambda options: options["gan_loss"],
)
def test_reconstruction_improves(options: dict[str, Any]) -> None:
    method, optimizers = tiny_method(**options)
    history = []
    for step in range(STEPS):
        positions = range(8 * step, 8 * step + 8)
        terms = train_step(method, optimizers, images(positions) | method.draw(0, positions))
        assert all(bool(torch.isfinite(term)) for term in terms.values())
        history.append(terms["l1"].item())
    start, end = sum(history[:5]) / 5, sum(history[-5:]) / 5
    assert end < 0.6 * start, f"{start:.3f} → {end:.3f}"
    assert all(bool(torch.isfinite(parameter).all()) for parameter in method.networks.parameters())


@pytest.mark.parametrize("gan_loss", ["lsgan", "wgangp"])
def test_bf16_follows_fp32(gan_loss: GanLoss) -> None:
    """Forwards in bfloat16, losses and weights in float32, and nearly the same numbers."""
    found = {}
    for autocast in (contextlib.nullcontext, lambda: torch.autocast("cpu", dtype=torch.bfloat16)):
        method, optimizers = tiny_method(gan_loss=gan_loss)
        history = []
        for step in range(2):
            positions = range(8 * step, 8 * step + 8)
            batch = images(positions) | method.draw(0, positions)
            terms = train_step(method, optimizers, batch, options=StepOptions(autocast=autocast))  # type: ignore[arg-type]
            assert {term.dtype for term in terms.values()} == {torch.float32}
            history.append({name: term.item() for name, term in terms.items()})
        assert {parameter.dtype for parameter in method.networks.parameters()} == {torch.float32}
        found[autocast is contextlib.nullcontext] = history
    for exact, rounded in zip(found[True], found[False], strict=True):
        assert rounded == pytest.approx(exact, rel=0.05, abs=0.02)
    assert found[True] != found[False]
