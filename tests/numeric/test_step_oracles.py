"""The training step against two independent implementations, in float64 over several steps."""

import pytest
import torch
from plain import (
    BETAS,
    LR,
    Gradients,
    PlainStep,
    TandemStep,
    assert_same_gradients,
    assert_same_state,
    record_gradients,
    tiny_batch,
    tiny_config,
    tiny_objective,
    twin,
)

from tandem.bench.baselines.bicyclegan import PublishedBicycleGANStep

STEPS = 3
PUBLISHED = {
    "defaults": {},
    "instance_affine": {"norm": "instance_affine"},
    "batch": {"norm": "batch"},
    "batch-bce-conditional": {"norm": "batch", "gan_loss": "bce", "conditional": True},
    "no-norm": {"norm": "none"},
    "no-norm-cnn-input": {"norm": "none", "encoder": "cnn", "injection": "input"},
    "conditional": {"conditional": True},
    "bce": {"gan_loss": "bce"},
    "hinge": {"gan_loss": "hinge"},
    "wgan-without-penalty": {"gan_loss": "wgangp", "lambda_gp": 0.0},
    "bilinear": {"upsampling": "bilinear"},
    "elu": {"activation": "elu"},
    "lrelu-input": {"activation": "lrelu", "injection": "input"},
    "one-discriminator": {"discriminator_scales": 1},
    "three-discriminators": {"discriminator_scales": 3},
    "batch-norm-discriminators": {"discriminator_norm": "batch"},
    "batch-norm-but-not-in-discriminators": {"norm": "batch", "discriminator_norm": "instance"},
    "cnn-encoder": {"encoder": "cnn"},
    "other-weights": {"lambda_gan": 0.7, "lambda_gan2": 1.3, "lambda_l1": 3.0, "lambda_z": 2.0, "lambda_kl": 0.1},
}


@pytest.mark.parametrize("batch_size", [2, 4])
@pytest.mark.parametrize("name", PUBLISHED)
def test_equals_the_published_order(name: str, batch_size: int) -> None:
    config = tiny_config(**PUBLISHED[name])
    objective = tiny_objective(config)
    networks = twin(objective)
    ours, theirs = TandemStep(objective), PublishedBicycleGANStep(networks, config, lr=LR, betas=BETAS)
    expected_gradients: Gradients = {}
    record_gradients(expected_gradients, networks, theirs.optimizers)
    for step in range(STEPS):
        batch = tiny_batch(config, batch_size=batch_size, seed=step)
        terms, gradients = ours(batch)
        expected = theirs(batch)
        assert terms.keys() == expected.keys()
        for key, value in expected.items():
            torch.testing.assert_close(terms[key], value, rtol=1e-8, atol=1e-10, msg=lambda m, k=key: f"{k}: {m}")
        assert_same_gradients(gradients, expected_gradients)
    assert_same_state(objective.networks, networks)
    buffers = list(objective.networks.named_buffers())
    assert bool(buffers) == ("batch" in {config.norm, config.discriminator_norm})


PLAIN = {
    "defaults": {},
    "shared": {"shared_discriminator": True},
    "shared-conditional-batch-norm": {"shared_discriminator": True, "conditional": True, "norm": "batch"},
    "discriminator-first": {"update_order": "discriminator_first"},
    "discriminator-first-shared": {"update_order": "discriminator_first", "shared_discriminator": True},
    "mean-kl-and-l1-random": {"kl_reduction": "mean", "lambda_l1_random": 2.5, "lambda_kl": 0.3},
    "latent-trains-encoder": {"latent_trains_encoder": True},
    "hinge": {"gan_loss": "hinge"},
    "bce": {"gan_loss": "bce"},
    "wgangp": {"gan_loss": "wgangp"},
    "wgangp-conditional-shared": {"gan_loss": "wgangp", "conditional": True, "shared_discriminator": True},
    "wgangp-affine-one-discriminator": {"gan_loss": "wgangp", "norm": "instance_affine", "discriminator_scales": 1},
    "wgangp-no-norm": {"gan_loss": "wgangp", "norm": "none", "lambda_gp": 3.0},
}


@pytest.mark.parametrize("name", PLAIN)
def test_equals_the_equations(name: str) -> None:
    config = tiny_config(**PLAIN[name])
    objective = tiny_objective(config)
    networks = twin(objective)
    ours, theirs = TandemStep(objective), PlainStep(networks, config)
    for step in range(STEPS):
        batch = tiny_batch(config, batch_size=4, seed=step)
        terms, gradients = ours(batch)
        expected, expected_gradients = theirs(batch)
        for key in expected.keys() | terms.keys():
            value = terms.get(key, torch.zeros((), dtype=torch.float64))
            torch.testing.assert_close(value, expected[key], rtol=1e-8, atol=1e-10, msg=lambda m, k=key: f"{k}: {m}")
        assert_same_gradients(gradients, expected_gradients)
    assert_same_state(objective.networks, networks)


def test_latent_regression_reaches_the_generator_only() -> None:
    """The gradient of the one term λ_z |mu(E(G(A, z))) − z|, by the difference of two runs."""
    gradients = {}
    for lambda_z in (0.0, 4.0):
        objective = tiny_objective(tiny_config(lambda_z=lambda_z))
        _, found = TandemStep(objective)(tiny_batch(objective.config, batch_size=4))
        gradients[lambda_z] = found
    for key, gradient in gradients[4.0]["encoder"].items():
        torch.testing.assert_close(gradient, gradients[0.0]["encoder"][key], rtol=0, atol=1e-12)
    changed = [
        (gradient - gradients[0.0]["generator"][key]).abs().max().item()
        for key, gradient in gradients[4.0]["generator"].items()
    ]
    assert max(changed) > 1e-4


def test_order_of_updates_matters() -> None:
    """So that the two orders above are not compared with themselves."""
    found = {}
    for order in ("generator_first", "discriminator_first"):
        objective = tiny_objective(tiny_config(update_order=order))
        found[order], _ = TandemStep(objective)(tiny_batch(objective.config))
    assert found["generator_first"]["gan_encoded"] != found["discriminator_first"]["gan_encoded"]
    assert found["generator_first"]["disc_encoded"] == found["discriminator_first"]["disc_encoded"]
