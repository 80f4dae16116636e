"""The residual generator: what it refuses, and what it works with."""

import pytest
import torch

from tandem.config.specifications import PatchProjectorSpec, ResNetSpec
from tandem.errors import DataError
from tandem.networks.build import build_network

SPEC = ResNetSpec(in_channels=3, out_channels=2, filters=2, blocks=5)


@pytest.mark.parametrize(
    ("a", "z", "message"),
    [
        ((1, 3, 18, 16), None, r"an image of 16×18 px, but it takes multiples of 4 px, at least 8\. Pad or resize"),
        ((1, 3, 16, 33), None, "an image of 33×16 px"),
        ((1, 3, 4, 16), None, "an image of 16×4 px"),
        ((1, 1, 16, 16), None, "given 1 channels, but it takes 3"),
        ((1, 3, 16, 16), (1, 2), r"given a latent of shape \(1, 2\), but it takes none"),
    ],
)
def test_it_says_what_it_needs(a: tuple[int, ...], z: tuple[int, ...] | None, message: str) -> None:
    network = build_network(SPEC)
    with pytest.raises(DataError, match=message):
        network(torch.zeros(a), None if z is None else torch.zeros(z))
    if z is None:
        with pytest.raises(DataError, match=message):
            network.features(torch.zeros(a))  # type: ignore[operator]


@pytest.mark.parametrize(("height", "width"), [(8, 8), (12, 40), (64, 20)])
def test_it_keeps_the_size_and_the_range(height: int, width: int) -> None:
    image = build_network(SPEC)(torch.randn(2, 3, height, width), torch.zeros(2, 0))
    assert image.shape == (2, 2, height, width)
    assert image.abs().max() <= 1


def test_outputs_and_features_are_widened_under_autocast() -> None:
    network, a = build_network(SPEC), torch.rand(1, 3, 16, 16)
    projector = build_network(PatchProjectorSpec(channels=(3, 4, 8, 8, 8), filters=3))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        features = network.features(a)  # type: ignore[operator]
        vectors = projector(features, [torch.zeros(1, 2, dtype=torch.int64)] * 5)
        assert {x.dtype for x in (network(a), *features, *vectors)} == {torch.float32}
