"""Masked pixels: no gradient reaches them, the terms are means over the others, and a mask of ones changes nothing."""

from typing import Any

import pytest
import torch
from torch import Tensor

from tandem.config.run import from_flat
from tandem.objectives.build import build_objective
from tandem.objectives.diffaugment import augmented
from tandem.objectives.losses import patch_nce
from tandem.objectives.masking import hidden, mean_distance, weights_of
from tandem.objectives.objective import Objective, phases_of

WIDTHS = {"generator_filters": 2, "discriminator_filters": 2}
BICYCLE = {"method": "bicyclegan", "latent_dim": 2, "encoder_filters": 2}
AUGMENT = ("color", "translation", "cutout")
CASES: dict[str, dict[str, Any]] = {
    "bicyclegan": BICYCLE | {"lambda_ms": 1.0, "conditional": True, "diffaugment": AUGMENT},
    "wgangp": BICYCLE | {"gan_loss": "wgangp"},
    "pix2pix": {"method": "pix2pix", "norm": "instance", "dropout": False, "diffaugment": AUGMENT},
    "cyclegan": {"method": "cyclegan", "generator_blocks": 1, "pool_size": 0},
    "cyclegan_batch": {"method": "cyclegan", "generator_blocks": 1, "norm": "batch"},
    "cut": {"method": "cut", "generator_blocks": 6, "nce_patches": 300},
    "fastcut": {"method": "fastcut", "generator_blocks": 6, "nce_patches": 8},
    "tandem": {"method": "tandem", "latent_dim": 2, "encoder_filters": 2, "generator_filters": 8, "lambda_ms": 1.0},
}
FILL = -0.25


def make(name: str) -> tuple[Objective, dict[str, Tensor]]:
    config = from_flat({"size": 32, "batch_size": 2, "mask": "nodata", "mask_fill": FILL} | WIDTHS | CASES[name])
    objective = build_objective(config)
    objective.networks.train()
    objective.joined = True
    draw = torch.Generator().manual_seed(1)
    a, b = (torch.rand(2, 3, 32, 32, generator=draw) * 2 - 1 for _ in "ab")
    return objective, {"a": a, "b": b} | objective.draw(3, [0, 1])


def masks(*, paired: bool) -> dict[str, Tensor]:
    mask_a = torch.ones(2, 1, 32, 32)
    mask_a[0, :, :, 20:] = 0
    mask_a[1, :, 5:9] = 0
    mask_b = mask_a.clone() if paired else torch.ones(2, 1, 32, 32)
    if not paired:
        mask_b[:, :, 3:17, 2:9] = 0
    return {"mask_a": mask_a, "mask_b": mask_b}


def step(objective: Objective, batch: dict[str, Tensor]) -> tuple[Any, dict[str, Tensor], dict[str, Tensor]]:
    """The fakes with their gradients, the terms, and the gradients of all weights."""
    torch.manual_seed(0)
    fakes = objective.fakes(batch)
    for value in vars(fakes).values():
        if isinstance(value, Tensor) and value.requires_grad:
            value.retain_grad()
    terms: dict[str, Tensor] = {}
    gradients: dict[str, Tensor] = {}
    for phase in phases_of(objective):
        own = phase.loss(batch, fakes)
        objective.networks.zero_grad()
        torch.stack(list(own.values())).sum().backward(retain_graph=True)
        terms |= {name: value.detach() for name, value in own.items()}
        for network in phase.networks:
            gradients |= {
                f"{network}.{name}": parameter.grad.clone()
                for name, parameter in objective.networks[network].named_parameters()
                if parameter.grad is not None
            }
    return fakes, terms, gradients


@pytest.mark.parametrize("name", CASES)
def test_a_mask_of_ones_changes_nothing(name: str) -> None:
    (plain, batch), (masked, _) = make(name), make(name)
    ones = {key: torch.ones(2, 1, 32, 32) for key in ("mask_a", "mask_b")}
    _, terms, gradients = step(plain, batch)
    _, terms_masked, gradients_masked = step(masked, batch | ones)
    assert terms.keys() == terms_masked.keys()
    assert all(torch.equal(terms[key], terms_masked[key]) for key in terms), (terms, terms_masked)
    for key, gradient in gradients.items():  # which are summed in another order
        assert torch.allclose(gradient, gradients_masked[key], rtol=1e-4, atol=1e-6 * float(gradient.abs().max() + 1))


@pytest.mark.parametrize("name", CASES)
def test_no_gradient_reaches_masked_pixels_of_outputs(name: str) -> None:
    objective, batch = make(name)
    paired = name in ("bicyclegan", "wgangp", "pix2pix", "tandem")
    batch |= masks(paired=paired)
    fakes, _, _ = step(objective, batch)
    own = {"encoded", "random", "other", "b", "a", "rec_a", "rec_b", "idt_a", "idt_b"}
    seen = 0
    for field, value in vars(fakes).items():
        if field not in own or not isinstance(value, Tensor) or value.grad is None:
            continue
        # A translation is masked where its input is, and so is what comes back to it.
        of_a = field in ("b", "rec_a", "idt_a")
        mask = batch["mask_a" if of_a and not paired else "mask_b"][: len(value)]
        if "flip" in batch:
            mask = torch.where(batch["flip"] > 0.5, mask.flip(3), mask)
        inside = value.grad[(mask == 0).expand_as(value)]
        assert inside.numel(), field
        assert not inside.any(), field
        assert value.grad.any(), field
        seen += 1
    assert seen


@pytest.mark.parametrize("name", ["pix2pix", "tandem", "cyclegan"])
def test_what_lies_under_the_mask_says_nothing(name: str) -> None:
    """Other real values in masked pixels of the output's domain give the same terms."""
    _, batch = make(name)
    batch |= masks(paired=True)
    other = dict(batch)
    other["b"] = torch.where(batch["mask_b"] > 0, batch["b"], 0.9)
    if name == "cyclegan":  # whose inputs are filled by whoever reads them
        batch["b"] = torch.where(batch["mask_b"] > 0, batch["b"], FILL)
        other["b"] = batch["b"].clone()
        other["a"] = batch["a"]
    _, terms, _ = step(make(name)[0], batch)
    _, again, _ = step(make(name)[0], other)
    assert all(torch.equal(terms[key], again[key]) for key in terms)


def test_the_distance_is_the_masked_mean() -> None:
    draw = torch.Generator().manual_seed(0)
    made, real = (torch.randn(3, 2, 5, 7, generator=draw, dtype=torch.float64) for _ in range(2))
    mask = (torch.rand(3, 1, 5, 7, generator=draw) < 0.5).double()
    mask[2] = 0  # an image without a valid pixel counts as 0
    by_hand = [(m - r).abs()[:, k[0] > 0].mean() for m, r, k in zip(made[:2], real, mask, strict=False)]
    assert torch.allclose(mean_distance(made, real, mask), torch.stack([*by_hand, torch.zeros(())]).mean(), rtol=1e-14)
    assert torch.allclose(weights_of(mask)[:2].mean((1, 2, 3)), torch.ones(2, dtype=torch.float64))
    assert torch.equal(mean_distance(made, real, None), (made - real).abs().mean())
    halves = [mean_distance(made[k], real[k], mask[k]) for k in (slice(0, 1), slice(1, 2), slice(2, 3))]
    assert torch.allclose(torch.stack(halves).mean(), mean_distance(made, real, mask), rtol=1e-14)


def test_hidden_pixels_are_the_fill() -> None:
    images, mask = torch.randn(1, 2, 4, 4), torch.ones(1, 1, 4, 4)
    mask[0, 0, 1, 2] = 0
    shown = hidden(images, mask, FILL)
    assert (shown[0, :, 1, 2] == FILL).all()
    assert torch.equal(shown * mask, images * mask)


def test_patch_nce_of_valid_locations_is_that_of_these_alone() -> None:
    draw = torch.Generator().manual_seed(0)
    query, target = (torch.randn(1, 6, 4, generator=draw) for _ in range(2))
    valid = torch.tensor([[True, True, False, True, False, False]])
    few = patch_nce(query[:, valid[0]], target[:, valid[0]], temperature=0.07)
    assert torch.allclose(patch_nce(query, target, temperature=0.07, valid=valid), few)
    assert patch_nce(query, target, temperature=0.07, valid=torch.zeros_like(valid)) == 0


def test_a_change_of_colours_leaves_the_fill() -> None:
    image, mask = torch.rand(1, 3, 8, 8), torch.ones(1, 1, 8, 8)
    mask[0, 0, 2:5] = 0
    draws = torch.full((1, 7), 0.9)
    shown = augmented(("color",), image, draws, mask=mask, fill=FILL)
    assert (shown[:, :, 2:5] == FILL).all()
    other = image.where(mask > 0, 0.7)  # nor do masked pixels move the mean that contrast goes about
    assert torch.equal(shown, augmented(("color",), other, draws, mask=mask, fill=FILL))
