"""PatchNCE on numbers worked out by hand, and where its gradient goes and does not."""

import math
from typing import Any

import pytest
import torch
from torch import Tensor

from tandem.config.cut import CUTConfig
from tandem.config.data import DataConfig
from tandem.objectives.cut import CUT
from tandem.objectives.losses import patch_nce


def test_two_places_by_hand() -> None:
    """q₁ = (1, 0), q₂ = (0, 1), k₁ = (.6, .8), k₂ = (.8, −.6), τ = ½.

    The products over τ are 1.2 and 1.6 for q₁, 1.6 and −1.2 for q₂; so the losses are ln(1 + e^0.4) = 0.91301525 and
    ln(1 + e^2.8) = 2.85902985. In the second image all vectors are alike: ln 2. The mean over all four locations is
    (0.91301525 + 2.85902985 + 2 · 0.69314718) / 4 = 1.28958487.
    """
    query = torch.tensor([[[1.0, 0.0], [0.0, 1.0]], [[0.6, 0.8], [0.6, 0.8]]], dtype=torch.float64)
    target = torch.tensor([[[0.6, 0.8], [0.8, -0.6]], [[0.6, 0.8], [0.6, 0.8]]], dtype=torch.float64)
    assert math.log(1 + math.exp(0.4)) == pytest.approx(0.91301525, abs=1e-8)
    assert math.log(1 + math.exp(2.8)) == pytest.approx(2.85902985, abs=1e-5)
    expected = (math.log(1 + math.exp(0.4)) + math.log(1 + math.exp(2.8)) + 2 * math.log(2)) / 4
    assert patch_nce(query, target, temperature=0.5).item() == pytest.approx(expected, rel=1e-12)


def test_three_places_by_hand() -> None:
    """k₁ = (1, 0), k₂ = (0, 1), k₃ = (−1, 0), all q = k₁, τ = 1: the products are 1, 0, −1 everywhere."""
    target = torch.tensor([[[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0]]], dtype=torch.float64)
    query = target[:, :1].expand(1, 3, 2)
    total = math.log(math.e + 1 + 1 / math.e)
    expected = ((total - 1) + total + (total + 1)) / 3
    assert patch_nce(query, target, temperature=1.0).item() == pytest.approx(expected, rel=1e-12)


def test_the_gradient_by_hand() -> None:
    """Of q₁ above: (p₂ / τ) · (k₂ − k₁) with p₂ = σ(0.4), over the two locations."""
    query = torch.tensor([[[1.0, 0.0], [0.0, 1.0]]], dtype=torch.float64, requires_grad=True)
    target = torch.tensor([[[0.6, 0.8], [0.8, -0.6]]], dtype=torch.float64)
    patch_nce(query, target, temperature=0.5).backward()
    assert query.grad is not None
    share = 1 / (1 + math.exp(-0.4))
    assert query.grad[0, 0].tolist() == pytest.approx([share / 0.5 * 0.2 / 2, share / 0.5 * -1.4 / 2], rel=1e-12)


@pytest.mark.parametrize("locations", [2, 7])
def test_vectors_that_are_all_alike_say_nothing(locations: int) -> None:
    same = torch.full((2, locations, 4), 0.5)
    assert patch_nce(same, same, temperature=0.07).item() == pytest.approx(math.log(locations), rel=1e-6)


def test_it_is_computed_in_full_precision() -> None:
    vectors = torch.nn.functional.normalize(torch.randn(1, 6, 8, generator=torch.Generator().manual_seed(0)), dim=2)
    exact = patch_nce(vectors, vectors.flip(1), temperature=0.07)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(patch_nce(vectors, vectors.flip(1), temperature=0.07), exact)


def cut(**options: Any) -> tuple[CUT, dict[str, Tensor]]:
    sizes = {"generator_filters": 2, "discriminator_filters": 2, "generator_blocks": 5, "nce_filters": 4}
    objective = CUT(CUTConfig(**(sizes | {"nce_patches": 6} | options)), DataConfig(size=32))
    objective.initialise(0)
    generator = torch.Generator().manual_seed(0)
    batch = {name: torch.rand((2, 3, 32, 32), generator=generator) * 2 - 1 for name in "ab"}
    return objective, batch | objective.draw(0, [5, 6])


def test_no_gradient_reaches_the_input() -> None:
    objective, batch = cut()
    source = batch["a"].clone().requires_grad_(True)
    output = (batch["a"] * 0.5).requires_grad_(True)
    loss = objective._contrast(batch, source, output, "nce")
    found = torch.autograd.grad(loss, [source, output], allow_unused=True)
    assert found[0] is None
    assert found[1] is not None
    assert found[1].any()
    generator, projector = objective.networks["generator"], objective.networks["projector"]
    reached = torch.autograd.grad(
        objective._contrast(batch, batch["a"], output, "nce"), list(projector.parameters()), retain_graph=True
    )
    assert any(bool(gradient.any()) for gradient in reached)
    # The decoder has no part in a comparison of given images.
    decoder = [p for name in ("up", "head") for p in getattr(generator, name).parameters()]
    again = objective._contrast(batch, batch["a"], output, "nce")
    assert all(g is None for g in torch.autograd.grad(again, decoder, allow_unused=True))


def test_a_vector_of_zeros_has_a_finite_gradient() -> None:
    """Black features with the initial biases of 0, or heads whose ReLUs are all dead."""
    projector = cut()[0].networks["projector"]
    features = [torch.zeros(1, c, 4, 4, requires_grad=True) for c in projector.spec.channels]  # type: ignore[union-attr]
    vectors = projector(features, [torch.tensor([[0, 3, 5]])] * len(features))
    assert not any(vector.any() for vector in vectors)
    loss = torch.stack([patch_nce(vector, vector.detach(), temperature=0.07) for vector in vectors]).sum()
    for gradient in torch.autograd.grad(loss, [*features, *projector.parameters()]):
        assert gradient.isfinite().all()


def maps(n: int) -> list[Tensor]:
    """Empty feature maps of two sizes."""
    return [torch.empty(n, 3, 6, 5), torch.empty(n, 2, 2, 2)]


def test_places_are_distinct_and_of_each_image() -> None:
    objective, _ = cut()
    batch = objective.draw(0, range(40))
    assert batch["patches"].dtype == torch.int64
    large, small = objective._locations(batch, maps(40), "nce")
    assert (large.shape, small.shape) == ((40, 6), (40, 4))
    assert all(len(set(row)) == len(row) for row in [*large.tolist(), *small.tolist()])
    assert (int(large.min()), int(large.max())) == (0, 29)
    assert [sorted(row) for row in small.tolist()] == [[0, 1, 2, 3]] * 40
    assert len({tuple(row) for row in large.tolist()}) == 40
    # All locations are as likely: 240 draws of 30 locations.
    assert torch.bincount(large.flatten(), minlength=30).min() >= 1
    alone = objective._locations(objective.draw(0, [7]), maps(1), "nce")
    assert torch.equal(alone[0], large[7:8])
    assert not torch.equal(objective._locations(batch, maps(40), "idt")[0], large)
    first, second = objective._locations(batch, [maps(40)[0]] * 2, "nce")
    assert not torch.equal(first, second)
    assert not torch.equal(objective._locations(objective.draw(1, range(40)), maps(40), "nce")[0], large)


def test_an_output_that_is_its_input_is_told_apart_best() -> None:
    """The right location is the nearest then: less than the ln 6 of a guess."""
    objective, batch = cut(nce_temperature=0.01)
    loss = objective._contrast(batch, batch["a"], batch["a"], "nce").item()
    other = objective._contrast(batch, batch["a"], batch["b"], "nce").item()
    assert loss < math.log(6)
    assert loss < other
