"""LPIPS against a plain NumPy computation, for all backbones and both versions, with filled weights."""

import numpy as np
import pytest
import torch

from plain_backbones import NETWORKS, Array, weights_of
from tandem.config.specifications import BackboneName
from tandem.errors import DataError, WeightsError
from tandem.evaluation.networks.lpips import LPIPS, LPIPSVersion, consecutive
from tandem.networks.backbones.classifiers import TAP_CHANNELS
from tandem.rng import numpy_generator


def heads_of(name: BackboneName) -> dict[str, torch.Tensor]:
    rng = numpy_generator(4, name)
    return {
        f"lin{k}.model.1.weight": torch.from_numpy(rng.random((1, c, 1, 1))) for k, c in enumerate(TAP_CHANNELS[name])
    }


def plain_lpips(name: BackboneName, version: LPIPSVersion, a: Array, b: Array) -> list[float]:
    """The part of each tap, of two images ``(3, H, W)`` in [-1, 1]."""
    if version == "v0.1":
        shift, scale = (np.float32(v)[:, None, None] for v in ([-0.030, -0.088, -0.188], [0.458, 0.448, 0.450]))
        a, b = ((x - shift.astype(np.float64)) / scale.astype(np.float64) for x in (a, b))
    state, heads = weights_of(name), heads_of(name)
    parts = []
    for k, taps in enumerate(zip(NETWORKS[name](a, state), NETWORKS[name](b, state), strict=True)):
        x, y = (tap / (np.sqrt((tap * tap).sum(0)) + 1e-10) for tap in taps)
        weight = heads[f"lin{k}.model.1.weight"].numpy().reshape(-1)
        parts.append(float((weight[:, None, None] * (x - y) ** 2).sum(0).mean()))
    return parts


@pytest.mark.parametrize("version", ["v0.0", "v0.1"])
@pytest.mark.parametrize("name", ["alex", "vgg", "squeeze"])
def test_every_layer_equals_the_plain_computation(name: BackboneName, version: LPIPSVersion) -> None:
    rng = numpy_generator(0, "images")
    images = rng.uniform(-1, 1, (2, 3, 44, 38))
    distance = LPIPS(name, version, backbone=weights_of(name), heads=heads_of(name)).double()
    a, b = (torch.from_numpy(image[None]) for image in images)
    expected = plain_lpips(name, version, *images)
    # The network's own weights are float32 until it is converted.
    np.testing.assert_allclose(distance.per_layer(a, b)[0].numpy(), expected, rtol=2e-6)
    np.testing.assert_allclose(float(distance(a, b)), sum(expected), rtol=1e-6)


@pytest.fixture(scope="module")
def small() -> LPIPS:
    return LPIPS("squeeze", "v0.1", backbone=weights_of("squeeze"), heads=heads_of("squeeze"))


def test_bytes_and_floats_are_the_same_image(small: LPIPS) -> None:
    bytes_ = torch.from_numpy(numpy_generator(0, "bytes").integers(0, 256, (2, 3, 40, 40), dtype=np.uint8))
    floats = bytes_.double() / 127.5 - 1
    other = torch.zeros(2, 3, 40, 40)
    torch.testing.assert_close(small(bytes_, other), small(floats, other))


def test_embeddings_give_the_same_distances(small: LPIPS) -> None:
    images = torch.from_numpy(numpy_generator(1, "images").uniform(-1, 1, (4, 3, 40, 40)).astype(np.float32))
    pairs = small(images[:-1], images[1:])
    torch.testing.assert_close(small.between(*consecutive(small.embed(images))).sum(1), pairs)
    one = small.between(small.embed(images[:1]), small.embed(images)).sum(1)
    torch.testing.assert_close(one[1], pairs[0])
    assert one[0] < 1e-9
    assert not pairs.requires_grad


def test_weights_must_be_those_of_the_network() -> None:
    heads, backbone = heads_of("alex"), weights_of("alex")
    with pytest.raises(WeightsError, match=r"(?s)heads of LPIPS v0\.0: these are not the weights.*lin4 is missing"):
        LPIPS("alex", "v0.0", backbone=backbone, heads={k: v for k, v in heads.items() if not k.startswith("lin4")})
    with pytest.raises(WeightsError, match=r"features\.0\.weight is \(64, 3, 3, 3\) instead of \(64, 3, 11, 11\)"):
        LPIPS("alex", "v0.0", backbone=backbone | {"features.0.weight": torch.zeros(64, 3, 3, 3)}, heads=heads)
    with_classifier = backbone | {"classifier.1.weight": torch.zeros(3, 3)}
    LPIPS("alex", "v0.0", backbone=with_classifier, heads=heads)
    backbone["features.0.bias"][3] = torch.nan
    with pytest.raises(WeightsError, match=r"features\.0\.bias holds values that are not finite"):
        LPIPS("alex", "v0.0", backbone=backbone, heads=heads)


@pytest.mark.parametrize(
    ("a", "b", "message"),
    [
        (torch.zeros(1, 3, 40, 40), torch.zeros(1, 3, 40, 48), "images of one size"),
        (torch.zeros(1, 1, 40, 40), torch.zeros(1, 1, 40, 40), r"expected \(N, 3, H, W\)"),
        (torch.zeros(1, 3, 40, 24), torch.zeros(1, 3, 40, 24), "at least 32 px"),
        (torch.full((1, 3, 40, 40), 200.0), torch.zeros(1, 3, 40, 40), r"floats must be in \[-1, 1\]"),
    ],
)
def test_what_is_no_pair_is_refused(small: LPIPS, a: torch.Tensor, b: torch.Tensor, message: str) -> None:
    with pytest.raises(DataError, match=message):
        small(a, b)
