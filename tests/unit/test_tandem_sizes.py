"""Sizes of `tandem`: whatever its options allow goes through every network, once its discriminators have joined."""

import itertools
from typing import Any

import pytest
import torch

from tandem.config.run import from_flat
from tandem.config.tandem import TandemConfig
from tandem.errors import ConfigError
from tandem.objectives.build import build_objective
from tandem.objectives.objective import phases_of

TINY: dict[str, Any] = {"method": "tandem", "latent_dim": 2}
TINY |= {"generator_filters": 1, "encoder_filters": 1, "discriminator_filters": 1}


@pytest.mark.parametrize("size", [16, 18, 20, 22, 24, 34, 36, 40, "24x48", "36x40"])
def test_what_is_allowed_works(size: int | str) -> None:
    allowed = refused = 0
    for depth, scales, layers in itertools.product((None, 1, 2, 3), (1, 2, 3), (1, 2, 3)):
        options = {"size": size, "generator_depth": depth, "discriminator_scales": scales}
        try:
            config = from_flat(TINY | options | {"discriminator_layers": layers})
        except ConfigError:
            refused += 1
            continue
        allowed += 1
        objective, (height, width) = build_objective(config), config.data.crop_size
        batch = {name: torch.zeros(2, 3, height, width) for name in "ab"} | objective.draw(0, [0, 1])
        objective.joined = True
        with torch.no_grad():
            fakes = objective.fakes(batch)
            terms = [value for phase in phases_of(objective) for value in phase.loss(batch, fakes).values()]
        assert fakes.b.shape == (2, 3, height, width)
        assert len(terms) == 7
    assert allowed > 0
    assert refused > 0


@pytest.mark.parametrize(
    ("size", "depth"),
    [
        (16, 2),
        (32, 3),
        (64, 4),
        (128, 5),
        (256, 6),
        (512, 7),
        (96, 4),
        (160, 5),
        (192, 5),
        (72, 3),
        ("64x256", 4),
        (2048, 8),
    ],
)
def test_levels_that_a_size_has(size: int | str, depth: int) -> None:
    """Down to maps of 4 to 15 px."""
    config = from_flat(TINY | {"size": size, "discriminator_layers": 2})
    assert isinstance(config.objective, TandemConfig)
    assert config.objective.generator_spec(config.data).depth == depth
    assert 4 <= min(config.data.crop_size) // 2**depth <= 15
