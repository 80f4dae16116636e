"""Mode seeking (MSGAN) in closed form, and as a term of BicycleGAN."""

import pytest
import torch

from tandem.config.bicyclegan import BicycleGANConfig
from tandem.config.data import DataConfig
from tandem.objectives.bicyclegan import BicycleGAN
from tandem.objectives.losses import mode_seeking


def test_closed_form() -> None:
    """Images 0.5 apart and latents 2 apart in the mean: 1 / (0.5 / 2 + 10⁻⁵)."""
    first, second = torch.zeros(1, 3, 2, 2), torch.full((1, 3, 2, 2), -0.5)
    latents = torch.zeros(1, 2), torch.tensor([[1.0, -3.0]])
    assert mode_seeking(first, second, *latents).item() == pytest.approx(1 / (0.25 + 1e-5), rel=1e-6)
    # Images that are the same give a large number, not infinity.
    assert mode_seeking(first, first, *latents).item() == pytest.approx(1e5, rel=1e-5)


def test_its_gradient_drives_the_images_apart() -> None:
    second = torch.full((1, 1, 1, 2), 0.25, dtype=torch.float64, requires_grad=True)
    zero, one = torch.zeros(1, 1, dtype=torch.float64), torch.ones(1, 1, dtype=torch.float64)
    mode_seeking(torch.zeros(1, 1, 1, 2, dtype=torch.float64), second, zero, one).backward()
    assert second.grad is not None
    assert second.grad.flatten().tolist() == pytest.approx([-0.5 / (0.25 + 1e-5) ** 2] * 2, rel=1e-9)


@pytest.mark.parametrize("norm", ["instance", "batch"])
def test_as_a_term(norm: str) -> None:
    sizes = {"latent_dim": 3, "generator_filters": 2, "encoder_filters": 2, "discriminator_filters": 2}
    config = BicycleGANConfig(**sizes, lambda_ms=2.0, norm=norm, discriminator_scales=1)  # type: ignore[arg-type]
    method = BicycleGAN(config, DataConfig(size=64))
    method.initialise(0)
    method.networks.double()
    generator = torch.Generator().manual_seed(0)
    batch = {name: torch.rand((4, 3, 64, 64), generator=generator).double() for name in "ab"}
    drawn = method.draw(0, range(4))
    assert drawn["z_other"].shape == (2, 3)
    assert not torch.equal(drawn["z_other"], drawn["z_random"])
    batch |= {name: value.double() for name, value in drawn.items()}
    terms = method.generator_terms(batch, method.fakes(batch))
    first, second = (method.networks["generator"](batch["a"][:2], batch[name]) for name in ("z_random", "z_other"))
    images, latents = (first - second).abs().mean((1, 2, 3)), (batch["z_random"] - batch["z_other"]).abs().mean(1)
    expected = (2 / (images[0] / latents[0] + 1e-5) + 2 / (images[1] / latents[1] + 1e-5)) / 2
    torch.testing.assert_close(terms["mode_seeking"], expected, rtol=1e-8, atol=0)
    parameters = list(method.networks["generator"].parameters())
    found = torch.autograd.grad(terms["mode_seeking"], parameters, retain_graph=True)
    for mine, other in zip(found, torch.autograd.grad(expected, parameters), strict=True):
        torch.testing.assert_close(mine, other, rtol=1e-6, atol=1e-6 * float(other.abs().max()) + 1e-9)
    encoder = torch.autograd.grad(
        terms["mode_seeking"], list(method.networks["encoder"].parameters()), allow_unused=True
    )
    assert all(gradient is None or not gradient.any() for gradient in encoder)


def test_without_weight_there_is_no_second_code() -> None:
    method = BicycleGAN(BicycleGANConfig(generator_filters=1, encoder_filters=1), DataConfig(size=64))
    assert "z_other" not in method.draw(0, range(2))
