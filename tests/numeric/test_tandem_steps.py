"""`train_step` of `tandem`, before and after its discriminators join, against a plain one, in float64."""

from typing import Any

import pytest
import torch
from plain import LR, TandemStep, assert_same_gradients
from plain_tandem import PlainTandem
from torch import Tensor

from tandem.config.data import DataConfig
from tandem.config.tandem import TandemConfig
from tandem.objectives.tandem import Tandem

SIZES: dict[str, Any] = {"latent_dim": 3, "generator_filters": 8, "generator_depth": 3}
SIZES |= {"encoder_filters": 3, "discriminator_filters": 3, "discriminator_layers": 2, "input_dropout": 0.5}
OPTIONS: dict[str, dict[str, Any]] = {
    "defaults": {},
    "mode seeking": {"lambda_ms": 0.7},
    "mode seeking alone": {"lambda_ms": 0.7, "lambda_z": 0.0},
    "free bits": {"free_bits": 0.4, "lambda_kl": 0.3},
    "kl above its bound": {"kl_bound": 0.5, "lambda_kl": 0.3},
    "no kl": {"lambda_kl": 0.0},
    "encoder without A": {"encoder_sees_input": False, "input_dropout": 0.1},
    "without the latent term": {"lambda_z": 0.0},
    "without feature matching": {"lambda_fm": 0.0},
    "without discriminators": {"lambda_gan": 0.0},
    "other weights, one scale": {
        "lambda_gan": 1.3,
        "lambda_z": 2.0,
        "lambda_l1": 3.0,
        "lambda_fm": 0.6,
        "discriminator_scales": 1,
        "discriminator_detail": 0.7,
    },
}


def prepared(**options: Any) -> Tandem:
    """In float64, with weights and biases large enough that every term matters."""
    config, data = TandemConfig(**(SIZES | options)), DataConfig(size=32, input_channels=1)
    assert list(config.problems(data, 4)) == []
    objective = Tandem(config, data)
    objective.initialise(0)
    objective.networks.double().train()
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in objective.networks.parameters():
            noise = torch.randn(parameter.shape, generator=generator, dtype=torch.float64)
            parameter.add_(noise / parameter[0].numel() ** 0.5)
    return objective


def batch_at(objective: Tandem, step: int, *, n: int = 4) -> dict[str, Tensor]:
    """Of 32×16 px; the encoder sees the inputs of some."""
    generator = torch.Generator().manual_seed(step)
    images = {
        name: 2 * torch.rand((n, channels, 32, 16), generator=generator, dtype=torch.float64) - 1
        for name, channels in (("a", 1), ("b", 3))
    }
    return images | {name: value.double() for name, value in objective.draw(0, range(n * step, n * step + n)).items()}


@pytest.mark.parametrize("name", OPTIONS)
def test_equals_the_equations(name: str) -> None:
    """Two steps before the discriminators join, two after; terms, gradients and weights."""
    objective = prepared(**OPTIONS[name])
    ours, theirs = TandemStep(objective), PlainTandem(objective)
    for step in range(4):
        batch = batch_at(objective, step)
        objective.joined = step >= 2
        ours.gradients.clear()
        terms, gradients = ours(batch)
        expected, expected_gradients = theirs(batch, joined=objective.joined)
        assert terms.keys() == expected.keys()
        for key, value in expected.items():
            torch.testing.assert_close(terms[key], value, rtol=1e-8, atol=1e-10, msg=lambda m, k=key: f"{k}: {m}")
        assert_same_gradients(gradients, expected_gradients)
    for network, weights in theirs.weights.items():
        for key, value in weights.items():
            found = objective.networks[network].get_parameter(key)
            # As in `plain.assert_same_state`: a bias without effect wanders with rounding, which Adam magnifies.
            torch.testing.assert_close(found, value, rtol=0, atol=1e-3 * LR, msg=lambda m, k=key: f"{k}: {m}")


def test_the_cases_have_what_they_are_about() -> None:
    """Inputs that are seen and hidden, KL on both sides of the bound and of the free bits."""
    objective = prepared()
    known = [batch_at(objective, step)["known"] for step in range(4)]
    assert all(0 < one.sum() < 4 for one in known[2:])
    losses = {
        name: TandemStep(prepared(**OPTIONS[name]))(batch_at(objective, 0))[0]["kl"].item()
        for name in ("free bits", "kl above its bound")
    }
    plain = TandemStep(prepared(lambda_kl=0.3))(batch_at(objective, 0))[0]["kl"].item()
    assert losses["free bits"] < plain < losses["kl above its bound"] / 2
