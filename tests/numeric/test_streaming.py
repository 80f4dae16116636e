"""Large images tile by tile: the oracle is the forward of the whole image."""

from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from tandem.config.specifications import GeneratorSpec, ResNetSpec, UNetSpec
from tandem.errors import ConfigError
from tandem.inference.streaming.nodes import Node, Stored, blurred, convolution, doubled, transposed_convolution
from tandem.inference.streaming.run import make_plan, run_plan
from tandem.inference.streaming.stores import Storage
from tandem.inference.streaming.streamer import MomentsMeter
from tandem.inference.streaming.window import Window, count_tiles, tiles
from tandem.networks.build import build_network
from tandem.networks.layers import Blur, initialise, sample_as_in_training

CPU = torch.device("cpu")
ATOL = 2e-5


def make_network(spec: GeneratorSpec, *, noise: bool = False) -> nn.Module:
    network = build_network(spec).eval().requires_grad_(False)
    initialise(network, "normal", gain=0.1, generator=torch.Generator().manual_seed(0))
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            assert module.running_mean is not None
            assert module.running_var is not None
            module.running_mean.uniform_(-0.1, 0.1, generator=torch.Generator().manual_seed(1))
            module.running_var.uniform_(0.5, 2, generator=torch.Generator().manual_seed(2))
    if noise:
        sample_as_in_training(network)
    return network


def inputs(spec: GeneratorSpec, height: int, width: int) -> tuple[Tensor, Tensor | None]:
    generator = torch.Generator().manual_seed(3)
    a = torch.rand(1, spec.in_channels, height, width, generator=generator) * 2 - 1
    return a, torch.randn(1, spec.latent_dim, generator=generator) if spec.latent_dim else None


def streamed(
    network: nn.Module,
    a: Tensor,
    z: Tensor | None,
    *,
    tile: int,
    budget_bytes: int = 2**30,
    dtype: torch.dtype = torch.float32,
) -> tuple[np.ndarray, list[tuple[int, int]]]:
    _, channels, height, width = a.shape
    plan = make_plan(network, (channels, height, width), tile=tile, budget_bytes=budget_bytes, dtype=dtype)
    seen: list[tuple[int, int]] = []
    with torch.inference_mode():
        result = run_plan(
            network,
            a[0].numpy(),
            z,
            plan,
            budget_bytes=budget_bytes,
            device=CPU,
            dtype=dtype,
            on_progress=lambda done, total: seen.append((done, total)),
        )
    assert seen == [(index + 1, plan.num_tiles) for index in range(plan.num_tiles)]
    return result, seen


UNETS: list[dict[str, Any]] = [
    {"injection": "all", "latent_dim": 3},
    {"injection": "all", "latent_dim": 3, "upsampling": "bilinear", "norm": "none", "skip_first": True},
    {"injection": "input", "latent_dim": 3, "norm": "instance_affine", "activation": "lrelu"},
    {"injection": "input", "latent_dim": 3, "norm": "batch", "upsampling": "bilinear"},
    {"injection": "none", "latent_dim": 0, "norm": "batch", "skip_first": True, "activation": "elu"},
    {"injection": "none", "latent_dim": 0, "norm": "none", "bias": False},
]
RESNETS: list[dict[str, Any]] = [
    {"antialias": antialias, "norm": norm} for antialias in (False, True) for norm in ("instance", "batch", "none")
]
SPECS: list[GeneratorSpec] = [
    *(UNetSpec(in_channels=3, out_channels=2, depth=4, filters=4, **options) for options in UNETS),
    *(ResNetSpec(in_channels=3, out_channels=3, filters=4, blocks=2, **options) for options in RESNETS),
]


@pytest.mark.parametrize("spec", SPECS, ids=repr)
def test_tiles_are_the_whole_image(spec: GeneratorSpec) -> None:
    """Every architecture, with tiles whose borders fall on odd and even places."""
    network = make_network(spec)
    a, z = inputs(spec, 64, 96)
    with torch.inference_mode():
        expected = network(a, z)[0].numpy()
    for tile in (17, 40):
        found, seen = streamed(network, a, z, tile=tile)
        assert len(seen) >= 13
        np.testing.assert_allclose(found, expected, rtol=0, atol=ATOL)


def test_statistics_of_tiles_would_not_do() -> None:
    """The measure of what global statistics are for: the same network, tile by tile on its own, is far off."""
    spec = SPECS[-6]
    network = make_network(spec)
    a, z = inputs(spec, 64, 96)
    a[:, :, :, 48:] = a[:, :, :, 48:] * 0.1 + 0.7
    with torch.inference_mode():
        expected = network(a, z)[0]
        alone = torch.cat([network(part, z)[0] for part in a.split(48, 3)], 2)
    found, _ = streamed(network, a, z, tile=32)
    assert (alone - expected).abs().mean() > 0.05
    np.testing.assert_allclose(found, expected, rtol=0, atol=ATOL)


@pytest.mark.parametrize(
    "spec",
    [
        UNetSpec(
            in_channels=3,
            out_channels=3,
            latent_dim=0,
            depth=6,
            filters=4,
            norm="batch",
            injection="none",
            dropout=True,
        ),
        ResNetSpec(in_channels=3, out_channels=3, filters=4, blocks=2, dropout=True),
    ],
    ids=lambda spec: spec.kind,
)
def test_models_that_sample_with_dropout(spec: GeneratorSpec) -> None:
    """The same seed draws the same masks, and batch norm takes the statistics of the whole image."""
    network = make_network(spec, noise=True)
    a, z = inputs(spec, 64, 128)
    with torch.random.fork_rng([]), torch.inference_mode():
        torch.manual_seed(5)
        expected = network(a, z)[0].numpy()
        torch.manual_seed(5)
        found, _ = streamed(network, a, z, tile=30)
        torch.manual_seed(6)
        other, _ = streamed(network, a, z, tile=30)
    np.testing.assert_allclose(found, expected, rtol=0, atol=ATOL)
    assert np.abs(other - expected).max() > 0.01


@pytest.mark.parametrize("spec", [SPECS[0], SPECS[6]], ids=lambda spec: spec.kind)
def test_maps_in_files_are_the_same(spec: GeneratorSpec) -> None:
    network = make_network(spec)
    a, z = inputs(spec, 64, 64)
    in_memory, _ = streamed(network, a, z, tile=24)
    in_files, _ = streamed(network, a, z, tile=24, budget_bytes=0)
    assert np.array_equal(in_files, in_memory)


@pytest.mark.parametrize(("height", "width"), [(16, 16), (16, 400), (400, 16)])
def test_thin_and_tiny_images(height: int, width: int) -> None:
    for spec in (SPECS[0], SPECS[6]):
        network = make_network(spec)
        a, z = inputs(spec, height, width)
        with torch.inference_mode():
            expected = network(a, z)[0].numpy()
        found, _ = streamed(network, a, z, tile=16)
        np.testing.assert_allclose(found, expected, rtol=0, atol=ATOL)


def test_bfloat16_halves_what_is_kept() -> None:
    network = make_network(SPECS[6])
    a, z = inputs(SPECS[6], 64, 64)
    with torch.inference_mode(), torch.autocast("cpu", dtype=torch.bfloat16):
        expected = network(a, z)[0].numpy()
        found, _ = streamed(network, a, z, tile=24, dtype=torch.bfloat16)
    assert np.abs(found - expected).mean() < 0.02
    sizes = [
        make_plan(network, (3, 64, 64), tile=24, budget_bytes=0, dtype=dtype).store_bytes
        for dtype in (torch.float32, torch.bfloat16)
    ]
    assert sizes[0] == 2 * sizes[1]


def test_plans_follow_the_budget() -> None:
    network = make_network(UNetSpec(in_channels=3, out_channels=3, latent_dim=2, depth=4, filters=64))
    sides = [
        make_plan(network, (3, 512, 512), tile=None, budget_bytes=budget, dtype=torch.float32).tile
        for budget in (2**26, 2**29, 2**34)
    ]
    assert sides == sorted(sides)
    assert sides[0] < sides[2]
    with pytest.raises(ConfigError, match=r"memory_gb is 0\.000977.*--memory-gb"):
        make_plan(network, (3, 512, 512), tile=None, budget_bytes=2**20, dtype=torch.float32)


def test_stores_give_back_what_they_held() -> None:
    storage = Storage(1000, device=CPU, dtype=torch.float32)
    first = storage.make((1, 10, 10))
    second = storage.make((1, 10, 20))
    assert storage.peak_bytes == 1200
    values = torch.arange(200.0).view(1, 1, 10, 20)
    second.write(Window((0, 10), (0, 20)), values)
    assert torch.equal(second.read(Window((2, 5), (3, 9))), values[:, :, 2:5, 3:9])
    del first, second
    third = storage.make((1, 10, 25))
    assert storage.peak_bytes == 1200
    assert [type(store).__name__ for store in (third, storage.make((1, 1, 1)))] == ["_InMemory", "_InFile"]


CONV7, CONV4 = nn.Conv2d(2, 3, 7), nn.Conv2d(2, 3, 4, stride=2, padding=1)
UP4 = nn.ConvTranspose2d(2, 3, 4, stride=2, padding=1)
UP3 = nn.ConvTranspose2d(2, 3, 3, stride=2, padding=1, output_padding=1)
LAYERS = {
    "conv7": (lambda x: convolution(x, CONV7, reflected=3), lambda x: CONV7(F.pad(x, (3, 3, 3, 3), mode="reflect"))),
    "conv4s2": (lambda x: convolution(x, CONV4), CONV4),
    "up4": (lambda x: transposed_convolution(x, UP4), UP4),
    "up3": (lambda x: transposed_convolution(x, UP3), UP3),
    "doubled": (doubled, lambda x: F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)),
    "blurred": (blurred, Blur()),
}


@pytest.mark.parametrize("name", LAYERS)
@given(data=st.data())
def test_any_window_of_any_layer(name: str, data: st.DataObject) -> None:
    """A window is that part of the layer's output, wherever it lies."""
    make, layer = LAYERS[name]
    height, width = (2 * data.draw(st.integers(4, 9)) for _ in range(2))
    x = torch.randn(1, 2, height, width, generator=torch.Generator().manual_seed(height * width))
    storage = Storage(10**6, device=CPU, dtype=torch.float32)
    store = storage.make((2, height, width))
    store.write(Window((0, height), (0, width)), x)
    with torch.inference_mode():
        node: Node = make(Stored(store))
        expected = layer(x)
        assert node.shape == tuple(expected.shape[1:])
        spans = []
        for side in node.shape[1:]:
            first = data.draw(st.integers(0, side - 1))
            spans.append((first, data.draw(st.integers(first + 1, side))))
        window = Window(*spans)
        rows, columns = window.slices()
        torch.testing.assert_close(node.compute(window), expected[:, :, rows, columns], rtol=0, atol=1e-5)


@given(height=st.integers(1, 50), width=st.integers(1, 50), side=st.integers(1, 20))
def test_tiles_cover_every_pixel_once(height: int, width: int, side: int) -> None:
    covered = np.zeros((height, width), int)
    windows = list(tiles(height, width, side))
    for window in windows:
        covered[window.slices()] += 1
        assert max(window.shape) <= side
    assert (covered == 1).all()
    assert len(windows) == count_tiles(height, width, side)


def test_moments_of_tiles_are_those_of_the_whole() -> None:
    """Against float64 over all pixels, far from zero, where sums of squares in float32 would lose everything."""
    x = torch.randn(1, 3, 37, 53, generator=torch.Generator().manual_seed(0)) + 1000
    meter = MomentsMeter()
    for window in tiles(37, 53, 11):
        rows, columns = window.slices()
        meter.add(x[:, :, rows, columns])
    moments = meter.result()
    variance, mean = torch.var_mean(x.double(), dim=(0, 2, 3), correction=0)
    torch.testing.assert_close(moments.mean.flatten().double(), mean, rtol=1e-6, atol=0)
    torch.testing.assert_close(moments.variance.flatten().double(), variance, rtol=1e-5, atol=0)
