"""DiffAugment: against plain loops, its gradients, and what the discriminators of each method are shown."""

import itertools
import math
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from tandem.config.method import Augmentation
from tandem.config.run import from_flat
from tandem.errors import ConfigError
from tandem.objectives.bicyclegan import BicycleGAN
from tandem.objectives.build import build_objective
from tandem.objectives.diffaugment import augmented, cut_out, draw_augmentation, translated
from tandem.training.step import train_step

ALL: tuple[Augmentation, ...] = ("color", "translation", "cutout")
ALMOST_ONE = 1 - 2.0**-24
WIDTHS = {"size": 32, "generator_filters": 2, "discriminator_filters": 2}
LATENT = WIDTHS | {"latent_dim": 2, "encoder_filters": 2, "batch_size": 4}
METHODS: dict[str, dict[str, Any]] = {
    "tandem": LATENT | {"method": "tandem", "discriminator_layers": 2},
    "pix2pix": WIDTHS | {"method": "pix2pix", "norm": "instance", "dropout": False, "batch_size": 4},
    "bicyclegan": LATENT | {"method": "bicyclegan"},
    "bicyclegan, conditional": LATENT | {"method": "bicyclegan", "conditional": True},
    "bicyclegan, one discriminator": LATENT | {"method": "bicyclegan", "shared_discriminator": True},
    "wgan-gp": LATENT | {"method": "bicyclegan", "gan_loss": "wgangp"},
}


def looped(kinds: Any, image: np.ndarray, u: np.ndarray, beside: np.ndarray | None = None) -> np.ndarray:
    """One sample, ``(C, H, W)``, pixel by pixel from the paper's equations."""
    image = image.copy()
    channels, height, width = image.shape
    if "color" in kinds:
        image += u[0] - 0.5
        if channels == 3:
            for y, x in itertools.product(range(height), range(width)):
                grey = sum(image[:, y, x]) / 3
                image[:, y, x] = [grey + 2 * u[1] * (value - grey) for value in image[:, y, x]]
        mean = sum(image.flat) / image.size
        image = mean + (u[2] + 0.5) * (image - mean)
    seen = image if beside is None else np.concatenate([beside, image])
    if "translation" in kinds:
        down, right = (
            math.floor(u[k] * (2 * most + 1)) - most for k, most in ((3, (height + 4) // 8), (4, (width + 4) // 8))
        )
        moved = np.zeros_like(seen)
        for y, x in itertools.product(range(height), range(width)):
            if 0 <= y + down < height and 0 <= x + right < width:
                moved[:, y + down, x + right] = seen[:, y, x]
        seen = moved
    if "cutout" in kinds:
        rows, columns = (height + 1) // 2, (width + 1) // 2
        top = math.floor(u[5] * (height + 1 - rows % 2)) - rows // 2
        left = math.floor(u[6] * (width + 1 - columns % 2)) - columns // 2
        for y, x in itertools.product(range(rows), range(columns)):
            if 0 <= top + y < height and 0 <= left + x < width:
                seen[:, top + y, left + x] = 0
    return seen


def images_at(seed: int, *shape: int) -> Tensor:
    return 2 * torch.rand(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64) - 1


@pytest.mark.parametrize("channels", [1, 3, 4])
@pytest.mark.parametrize("side", [(9, 14), (8, 5)])
def test_equals_plain_loops(channels: int, side: tuple[int, int]) -> None:
    image, beside = images_at(0, 6, channels, *side), images_at(1, 6, 2, *side)
    draws = draw_augmentation(3, range(6)).double()
    draws[0], draws[1] = 0, ALMOST_ONE
    for count in range(4):
        for kinds in itertools.combinations(ALL, count):
            for given in (None, beside):
                found = augmented(kinds, image, draws, beside=given)
                parts = [None] * 6 if given is None else [one.numpy() for one in given]
                expected = [
                    looped(kinds, one.numpy(), u.numpy(), part)
                    for one, u, part in zip(image, draws, parts, strict=True)
                ]
                np.testing.assert_allclose(found.numpy(), np.stack(expected), rtol=0, atol=1e-12)


def test_every_shift_and_every_centre_comes_up_alike() -> None:
    """Of 16 px: shifts from -2 to 2, and centres from 0 to 16 of a square of 8."""
    draws = draw_augmentation(0, range(4000))
    ramp = torch.arange(1.0, 17).view(1, 1, 16, 1).expand(4000, 1, 16, 16)
    middle = translated(ramp, draws)[:, 0, 8].amax(1)
    shifts, counts = (9 - middle).unique(return_counts=True)
    assert shifts.tolist() == [-2, -1, 0, 1, 2]
    assert counts.min() > 800 - 5 * math.sqrt(800 * 0.8)
    hidden = (cut_out(torch.ones(4000, 1, 16, 16), draws) == 0)[:, 0]
    assert set(hidden.sum((1, 2)).tolist()) == {a * b for a in range(4, 9) for b in range(4, 9)}
    assert hidden.any(2).float().argmax(1).unique().tolist() == list(range(13))


def test_gradients() -> None:
    draws = draw_augmentation(5, range(2)).double()
    image, beside = (images_at(k, 2, c, 6, 5).requires_grad_(True) for k, c in ((0, 3), (1, 1)))
    assert torch.autograd.gradcheck(lambda i, a: augmented(ALL, i, draws, beside=a), (image, beside))


def stepped(options: dict[str, Any], **changes: Any) -> tuple[Any, Any, dict[str, Tensor], list[Tensor], Any]:
    """One step in float64: objective, fakes, batch, what discriminators were shown, terms."""
    objective = build_objective(from_flat(options | changes))
    objective.networks.double().train()
    objective.joined = True
    optimizers = {name: torch.optim.SGD(net.parameters(), lr=0.1) for name, net in objective.networks.items()}
    batch = {"a": images_at(0, 4, 3, 32, 32), "b": images_at(1, 4, 3, 32, 32)}
    batch |= {name: value.double() for name, value in objective.draw(0, range(4)).items()}
    fakes = objective.fakes(batch)
    shown: list[Tensor] = []
    hooks = [
        network.register_forward_pre_hook(lambda _, given: shown.append(given[0].detach()))
        for name, network in objective.networks.items()
        if name.startswith("disc")
    ]
    terms = train_step(objective, optimizers, batch)
    for hook in hooks:
        hook.remove()
    return objective, fakes, batch, shown, terms


@pytest.mark.parametrize("name", [name for name in METHODS if name != "wgan-gp"])
def test_what_discriminators_are_shown(name: str) -> None:
    """Of every real image and fake of a sample the same T, in both phases, and nothing else."""
    _, fakes, batch, shown, _ = stepped(METHODS[name], diffaugment=ALL)
    half = {"bicyclegan": 2}.get(METHODS[name]["method"], 4)
    made = [fakes.encoded, fakes.random] if half == 2 else [fakes.b]
    beside = METHODS[name]["method"] != "bicyclegan" or METHODS[name].get("conditional", False)
    expected = [
        looped(ALL, image.detach().numpy(), batch["augment"][k].numpy(), batch["a"][k].numpy() if beside else None)
        for images in (batch["b"], *made)
        for k, image in enumerate(images)
    ]
    seen = torch.cat(shown).numpy()
    nearest = [min(range(len(expected)), key=lambda k, one=one: np.abs(expected[k] - one).max()) for one in seen]
    assert max(np.abs(expected[k] - one).max() for k, one in zip(nearest, seen, strict=True)) < 1e-9
    assert set(nearest) == set(range(len(expected)))  # each of them, and no other image


@pytest.mark.parametrize("name", [name for name in METHODS if METHODS[name]["method"] == "bicyclegan"])
def test_shared_forwards_are_those_of_each_phase(name: str) -> None:
    """Logits that one phase takes from the other are those that it would compute."""
    found = []
    for share in (True, False):
        objective = build_objective(from_flat(METHODS[name] | {"diffaugment": ALL}))
        objective.networks.double().train()
        assert isinstance(objective, BicycleGAN)
        objective._share_discriminators = share
        optimizers = {n: torch.optim.SGD(net.parameters(), lr=0.1) for n, net in objective.networks.items()}
        batch = {"a": images_at(0, 4, 3, 32, 32), "b": images_at(1, 4, 3, 32, 32)}
        batch |= {key: value.double() for key, value in objective.draw(0, range(4)).items()}
        found.append((train_step(objective, optimizers, batch), objective.networks.state_dict()))
    (terms, weights), (other_terms, other_weights) = found
    for key, value in (terms | weights).items():
        torch.testing.assert_close((other_terms | other_weights)[key], value, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("name", METHODS)
def test_off_nothing_is_drawn_and_no_part_of_it_is_without_effect(name: str) -> None:
    objective, _, batch, _, plain = stepped(METHODS[name])
    assert "augment" not in objective.draw(0, range(4))
    assert "augment" not in batch
    found = [stepped(METHODS[name], diffaugment=(kind,))[-1] for kind in ALL]
    for terms in found:
        assert terms.keys() == plain.keys()
        adversarial = [key for key in terms if key.startswith(("gan", "disc", "feature_matching"))]
        assert adversarial
        assert all(not torch.equal(terms[key], plain[key]) for key in adversarial if not key.endswith("_gp"))
        unseen = set(terms) - set(adversarial)
        assert all(torch.equal(terms[key], plain[key]) for key in unseen)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"method": "tandem", "lambda_gan": 0.0}, "--diffaugment color has no effect with --lambda-gan 0"),
        ({"method": "pix2pix", "lambda_gan": 0.0}, "--diffaugment color has no effect with --lambda-gan 0"),
        (
            {"method": "bicyclegan", "lambda_gan": 0.0, "lambda_gan2": 0.0},
            "--diffaugment color has no effect without --lambda-gan and --lambda-gan2",
        ),
        ({"method": "cyclegan"}, "unknown options: diffaugment"),
        ({"method": "tandem", "diffaugment": ("colour",)}, "--diffaugment must be one or more, each one of color"),
    ],
)
def test_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        from_flat({"diffaugment": ("color",), "size": 64, "batch_size": 2} | options)
