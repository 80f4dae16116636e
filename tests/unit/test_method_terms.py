"""Which networks and terms one step of every method and variant has: those of the papers, with their weights."""

import math
from typing import Any

import pytest
import torch
from torch import Tensor

from tandem.config.run import from_flat
from tandem.objectives.build import build_objective
from tandem.objectives.objective import phases_of
from tandem.training.optimizers import make_adam
from tandem.training.step import owned_once, train_step

SMALL: dict[str, Any] = {"size": 64, "generator_filters": 2, "discriminator_filters": 2}
BICYCLE = SMALL | {"encoder_filters": 2, "latent_dim": 2}
UNPAIRED = SMALL | {"generator_blocks": 5}
CUT = UNPAIRED | {"nce_filters": 4}

TERMS: dict[str, tuple[dict[str, Any], str, str]] = {
    # 1711.11586, section 4: each is the whole objective with terms off.
    "cvae-gan": (BICYCLE, "generator encoder disc_encoded", "gan_encoded kl l1 disc_encoded"),
    "cvae-gan++": (
        BICYCLE,
        "generator encoder disc_encoded disc_random",
        "gan_encoded gan_random kl l1 disc_encoded disc_random",
    ),
    "clr-gan": (BICYCLE, "generator encoder disc_random", "gan_random latent disc_random"),
    "cae-gan": (BICYCLE, "generator encoder disc_encoded", "gan_encoded l1 disc_encoded"),
    "pix2pix-noise": (BICYCLE, "generator disc_random", "gan_random l1_random disc_random"),
    "bicyclegan": (
        BICYCLE,
        "generator encoder disc_encoded disc_random",
        "gan_encoded gan_random kl l1 latent disc_encoded disc_random",
    ),
    "pix2pix": (SMALL, "generator disc", "gan l1 disc_real disc_fake"),
    "cyclegan": (
        UNPAIRED,
        "gen_ab gen_ba disc_a disc_b",
        "gan_ab gan_ba cycle_a cycle_b identity_a identity_b disc_a disc_b",
    ),
    "cut": (CUT, "generator projector disc", "gan nce nce_identity disc_real disc_fake"),
    "fastcut": (CUT, "generator projector disc", "gan nce disc_real disc_fake"),
    "tandem": (BICYCLE, "generator encoder disc", "l1 kl gan feature_matching latent disc_real disc_fake"),
}


def step(name: str, **options: Any) -> tuple[Any, dict[str, float], set[str]]:
    """One step: the objective, its terms, the networks that it changed."""
    config = from_flat({"method": name} | TERMS[name][0] | {"batch_size": 2} | options)
    objective = build_objective(config)
    owned_once(objective)
    objective.joined = True
    before = {key: value.clone() for key, value in objective.networks.state_dict().items() if key.endswith("weight")}
    optimizers = {n: make_adam(net.parameters(), lr=1e-3, betas=(0.5, 0.999)) for n, net in objective.networks.items()}
    generator = torch.Generator().manual_seed(0)
    batch: dict[str, Tensor] = {n: torch.rand((2, 3, 64, 64), generator=generator) * 2 - 1 for n in "ab"}
    terms = train_step(objective, optimizers, batch | objective.draw(0, [0, 1]))
    after = objective.networks.state_dict()
    changed = {key.partition(".")[0] for key, value in before.items() if not torch.equal(value, after[key])}
    return objective, {key: value.item() for key, value in terms.items()}, changed


@pytest.mark.parametrize("name", TERMS)
def test_networks_and_terms(name: str) -> None:
    _, networks, expected = TERMS[name]
    objective, terms, changed = step(name)
    assert list(objective.networks) == networks.split()
    assert sorted(terms) == sorted(expected.split())
    assert all(math.isfinite(value) for value in terms.values())
    assert changed == set(networks.split())
    assert ("encoder" in objective.inference_networks) == ("encoder" in networks.split())
    assert objective.samples_with_noise == (name == "pix2pix")


@pytest.mark.parametrize(
    ("name", "option", "value", "factors"),
    [
        ("pix2pix", "lambda_l1", 50.0, {"l1": 0.5}),
        ("pix2pix", "lambda_gan", 3.0, {"gan": 3}),
        ("cyclegan", "lambda_cycle_a", 5.0, {"cycle_a": 0.5, "identity_a": 0.5}),
        ("cyclegan", "lambda_cycle_b", 30.0, {"cycle_b": 3, "identity_b": 3}),
        ("cyclegan", "lambda_identity", 1.0, {"identity_a": 2, "identity_b": 2}),
        ("cut", "lambda_nce", 2.0, {"nce": 2, "nce_identity": 2}),
        ("cut", "nce_identity", False, {"nce": 2, "nce_identity": None}),
        ("fastcut", "lambda_gan", 0.5, {"gan": 0.5}),
        ("pix2pix-noise", "lambda_l1_random", 5.0, {"l1_random": 0.5}),
        ("clr-gan", "lambda_z", 1.0, {"latent": 2}),
        ("cae-gan", "lambda_l1", 1.0, {"l1": 0.1}),
        ("tandem", "lambda_l1", 1.0, {"l1": 0.1}),
        ("tandem", "lambda_kl", 0.01, {"kl": 10}),
        ("tandem", "lambda_gan", 3.0, {"gan": 3, "feature_matching": 3}),
        ("tandem", "lambda_fm", 5.0, {"feature_matching": 0.5}),
        ("tandem", "lambda_fm", 0.0, {"feature_matching": None}),
        ("tandem", "lambda_z", 0.25, {"latent": 0.5}),
    ],
)
def test_a_weight_is_of_its_terms_alone(name: str, option: str, value: Any, factors: dict[str, Any]) -> None:
    torch.manual_seed(0)
    _, plain, _ = step(name)
    torch.manual_seed(0)
    _, changed, _ = step(name, **{option: value})
    expected = {key: term * (factors.get(key, 1) or 0) for key, term in plain.items()}
    kept = {key: term for key, term in expected.items() if key in changed}
    assert set(plain) - set(changed) == {key for key, factor in factors.items() if factor is None}
    judged_later = {
        "disc_a",
        "disc_b",
        "disc_encoded",
        "disc_random",
        "disc_real",
        "disc_fake",
    }  # fakes are those before the update
    assert {k: v for k, v in changed.items() if k not in judged_later} == pytest.approx(
        {k: v for k, v in kept.items() if k not in judged_later}, rel=1e-5
    )
    assert {k: changed[k] for k in judged_later & set(changed)} == pytest.approx(
        {k: plain[k] for k in judged_later & set(plain)}, rel=1e-5
    )


def test_a_term_without_weight_is_left_out() -> None:
    assert set(step("pix2pix", lambda_gan=0.0)[1]) == {"l1"}
    assert set(step("cut", lambda_gan=0.0)[1]) == {"nce", "nce_identity"}
    assert "gan" in step("pix2pix", lambda_l1=0.0)[1]
    without = step("cyclegan", lambda_cycle_a=0.0)[1]
    assert {"cycle_a", "identity_a"} & set(without) == set()


def test_terms_of_tandem_before_and_after_its_discriminators_join() -> None:
    config = from_flat({"method": "tandem"} | BICYCLE | {"lambda_ms": 1.0})
    objective = build_objective(config)
    found = {}
    for joined in (False, True):
        objective.joined = joined
        batch = {n: torch.rand(4, 3, 64, 64) * 2 - 1 for n in "ab"} | objective.draw(0, range(4))
        fakes = objective.fakes(batch)
        found[joined] = {key for phase in phases_of(objective) for key in phase.loss(batch, fakes)}
    assert found[False] == {"l1", "kl"}
    late = {"gan", "feature_matching", "latent", "mode_seeking", "disc_real", "disc_fake"}
    assert found[True] == {"l1", "kl"} | late


@pytest.mark.parametrize("name", ["cyclegan", "cut", "pix2pix", "tandem"])
def test_draws_belong_to_positions(name: str) -> None:
    """What is drawn for a sample does not depend on the batch around it."""
    objective = build_objective(from_flat({"method": name} | TERMS[name][0]))
    whole, alone = objective.draw(7, [10, 11]), objective.draw(7, [11])
    assert whole.keys() == alone.keys()
    assert all(torch.equal(value[1:], alone[key]) for key, value in whole.items())
    assert bool(whole) == (name != "pix2pix")
