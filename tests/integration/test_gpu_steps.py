"""Captured steps on a CUDA device against ordinary ones; skipped where there is none."""

import logging
from typing import Any

import pytest
import torch

from tandem.config.run import from_flat
from tandem.data.loader import Batch
from tandem.training.device import configure_backends
from tandem.training.setup import make_state
from tandem.training.stepper import BadStepError, Stepper

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device"),
]
SIZE, BATCH = 64, 2
WIDTHS = {"size": SIZE, "batch_size": BATCH, "generator_filters": 8, "discriminator_filters": 8, "device": "cuda"}
CASES: dict[str, dict[str, Any]] = {
    "bicyclegan": {"method": "bicyclegan", "latent_dim": 2, "encoder_filters": 8},
    "wgangp": {"method": "bicyclegan", "latent_dim": 2, "encoder_filters": 8, "gan_loss": "wgangp"},
    "dropout": {"method": "bicyclegan", "latent_dim": 2, "encoder_filters": 8, "dropout": True},
    "clipping": {"method": "bicyclegan", "latent_dim": 2, "encoder_filters": 8, "clip_grad_norm": 1.0},
    "decay": {"method": "bicyclegan", "lr_schedule": "linear", "lr_constant_epochs": 1, "lr_decay_epochs": 20},
    "tandem": {"method": "tandem", "latent_dim": 2, "encoder_filters": 8, "gan_from": 0.1},
    "tandem_mode_seeking": {"method": "tandem", "latent_dim": 2, "encoder_filters": 8, "gan_from": 0, "lambda_ms": 1.0},
    "pix2pix": {"method": "pix2pix"},
    "cyclegan": {"method": "cyclegan", "generator_blocks": 2, "pool_size": 8},
}


def batch_at(step: int) -> Batch:
    generator = torch.Generator().manual_seed(step)
    a, b = (torch.rand((BATCH, 3, SIZE, SIZE), generator=generator) * 2 - 1 for _ in "ab")
    return Batch(a=a, b=b, names=["x"] * BATCH, positions=list(range(step * BATCH, (step + 1) * BATCH)))


def losses_of(steps: int, **options: Any) -> list[float]:
    device = torch.device("cuda")
    config = from_flat(WIDTHS | options)
    configure_backends(device, deterministic=True)
    state = make_state(config, device)
    stepper = Stepper(config, state, device=device, epoch_images=10, total_steps=100)
    values = []
    for step in range(steps):
        stepper.step([batch_at(step)])
        values += state.meter.means().values()
        state.meter.reset()
    stepper.settle()
    return values


@pytest.mark.parametrize("precision", ["fp32", "bf16", "fp16"])
@pytest.mark.parametrize("case", CASES)
def test_captured_steps_equal_ordinary_ones(case: str, precision: str, caplog: pytest.LogCaptureFixture) -> None:
    options = CASES[case] | {"precision": precision}
    with caplog.at_level(logging.WARNING):
        captured = losses_of(30, **options, acceleration="graphs")
    assert "not captured" not in caplog.text
    assert captured == pytest.approx(losses_of(30, **options, acceleration="none"), rel=1e-4, abs=1e-6)


def test_two_hundred_captured_steps(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        captured = losses_of(200, **CASES["bicyclegan"], acceleration="graphs")
    assert "not captured" not in caplog.text
    assert captured == pytest.approx(losses_of(200, **CASES["bicyclegan"], acceleration="none"), rel=1e-3, abs=1e-5)


def test_compiled_networks_inside_captured_steps() -> None:
    compiled = losses_of(20, **CASES["bicyclegan"], acceleration="compile")
    assert compiled == pytest.approx(losses_of(20, **CASES["bicyclegan"], acceleration="none"), rel=2e-2, abs=1e-3)


def test_what_cannot_be_captured_says_why_once(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        losses_of(6, method="cut", generator_blocks=6, nce_patches=8)
    assert caplog.text.count("steps are not captured as CUDA graphs: the method draws places") == 1


def test_a_bad_batch_among_captured_steps_is_found_later_and_has_changed_nothing() -> None:
    device = torch.device("cuda")
    config = from_flat(WIDTHS | CASES["bicyclegan"])
    state = make_state(config, device)
    stepper = Stepper(config, state, device=device, epoch_images=10, total_steps=100)
    for step in range(8):
        stepper.step([batch_at(step)])
    stepper.settle()
    before = {name: value.clone() for name, value in state.objective.networks.state_dict().items()}
    bad = batch_at(8)
    bad["b"][0, 0, 3, 3] = float("nan")
    stepper.step([bad])
    stepper.step([batch_at(9)])
    assert all(torch.equal(value, before[name]) for name, value in state.objective.networks.state_dict().items())
    with pytest.raises(BadStepError, match="phase 'generator'") as caught:
        stepper.settle()
    assert (caught.value.step, caught.value.positions) == (9, [16, 17])
