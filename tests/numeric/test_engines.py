"""Other ways to run the same networks, held against PyTorch's own: ONNX Runtime, compiled code, CUDA."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from cyclegan_bundle import make_cyclegan
from tandem.config.specifications import ResidualUNetSpec
from tandem.errors import ConfigError
from tandem.inference.compiling import Compiled
from tandem.inference.translator import load
from tandem.networks.build import build_network
from tandem.networks.layers import initialise
from tandem_bundle import make_tandem

MakeBundle = Callable[..., Path]
CLOSE: dict[str, Any] = {"rtol": 0, "atol": 1e-4}


def picture(height: int, width: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)


def test_onnx_runtime_gives_the_same_samples(make_bundle: MakeBundle) -> None:
    """Of any number and size, also where the example of the export had another one; and the same codes."""
    folder = make_bundle()
    reference, exported = (load(folder, device="cpu", engine=engine) for engine in ("torch", "onnx"))
    for height, width, number in ((16, 16, 1), (40, 30, 5), (64, 130, 2)):
        image = picture(height, width)
        expected = reference(image, number, output="tensor")
        torch.testing.assert_close(exported(image, number, output="tensor"), expected, **CLOSE)
    for one, other in zip(reference.encode(picture(30, 20)), exported.encode(picture(30, 20)), strict=True):
        np.testing.assert_allclose(other, one, rtol=0, atol=1e-5)
    with pytest.raises(ConfigError, match="tile is 32, but the engine onnx does not translate in tiles"):
        exported(picture(64, 64), 1, tile=32)
    assert load(folder, device="cpu", engine="onnx", memory_gb=1e-6)(picture(16, 16), 1, output="array").shape[0] == 1


@pytest.mark.parametrize("sees_input", [True, pytest.param(False, marks=pytest.mark.slow)])
def test_onnx_runtime_runs_tandem(tmp_path: Path, *, sees_input: bool) -> None:
    """Of other sizes and numbers than the example of the export, with the input of the output and without."""
    folder = make_tandem(tmp_path / "model", sees_input=sees_input, channels=(1, 3), depth=2)
    reference, exported = (load(folder, device="cpu", engine=engine) for engine in ("torch", "onnx"))
    for height, width, number in ((16, 16, 1), (40, 30, 5)):
        expected = reference(picture(height, width), number, output="tensor")
        torch.testing.assert_close(exported(picture(height, width), number, output="tensor"), expected, **CLOSE)
    style, drawing = picture(30, 21), picture(30, 21)[::-1]
    codes = []
    for given in (drawing, None):
        for one, other in zip(
            *(engine.encode(style, input_image=given) for engine in (reference, exported)), strict=True
        ):
            np.testing.assert_allclose(other, one, rtol=0, atol=1e-5)
            codes.append(other)
    assert np.array_equal(codes[0], codes[2]) == (not sees_input)


def test_the_residual_unet_without_a_latent_in_both_directions(tmp_path: Path) -> None:
    """As CycleGAN has it: ONNX Runtime gives the same images, and tiles are refused."""
    spec = ResidualUNetSpec(in_channels=3, out_channels=3, latent_dim=0, depth=2, filters=8)
    make_cyclegan(tmp_path / "model", spec=spec)
    reference, exported = (load(tmp_path / "model", device="cpu", engine=engine) for engine in ("torch", "onnx"))
    for direction in ("AtoB", "BtoA"):
        expected = reference(picture(30, 41), direction=direction, output="tensor")
        torch.testing.assert_close(exported(picture(30, 41), direction=direction, output="tensor"), expected, **CLOSE)
        assert expected.shape == (1, 3, 30, 41)
    with pytest.raises(ConfigError, match=r"\(a residual U-Net\) does not translate in tiles"):
        reference(picture(32, 32), tile=16)


@pytest.mark.slow
def test_onnx_runtime_gives_the_same_cycle(tmp_path: Path) -> None:
    make_cyclegan(tmp_path / "model")
    reference, exported = (load(tmp_path / "model", device="cpu", engine=engine) for engine in ("torch", "onnx"))
    for one, other in zip(
        reference.cycle(picture(33, 50), output="tensor"), exported.cycle(picture(33, 50), output="tensor"), strict=True
    ):
        torch.testing.assert_close(other, one, **CLOSE)


def test_what_onnx_runtime_does_not_have(make_bundle: MakeBundle) -> None:
    with pytest.raises(ConfigError, match=r"--device mps: ONNX Runtime does not have it here. Available: auto, cpu"):
        load(make_bundle(), device="mps", engine="onnx")


def test_compiled_samples_are_the_same(make_bundle: MakeBundle) -> None:
    folder = make_bundle(generator={"latent_dim": 2, "depth": 2, "filters": 4})
    reference, compiled = (load(folder, device="cpu", compile=compiled) for compiled in (False, True))
    expected = reference(picture(16, 16), 2, output="tensor")
    torch.testing.assert_close(compiled(picture(16, 16), 2, output="tensor"), expected, **CLOSE)
    forward = compiled._engine._forwards["generator"]  # pyright: ignore[reportAttributeAccessIssue]
    assert isinstance(forward, Compiled)
    assert not forward.failed


@pytest.mark.slow
def test_compiled_samples_of_tandem_are_the_same(tmp_path: Path) -> None:
    folder = make_tandem(tmp_path / "model")
    reference, compiled = (load(folder, device="cpu", compile=compiled) for compiled in (False, True))
    expected = reference(picture(16, 16), 2, output="tensor")
    torch.testing.assert_close(compiled(picture(16, 16), 2, output="tensor"), expected, **CLOSE)
    forward = compiled._engine._forwards["generator"]  # pyright: ignore[reportAttributeAccessIssue]
    assert isinstance(forward, Compiled)
    assert not forward.failed


@pytest.mark.slow
def test_compiled_gradients_of_tandem_are_the_same() -> None:
    """Of all weights of its generator; nearest upsampling as PyTorch compiles it had wrong ones."""
    gradients = []
    a, wanted = (torch.rand(2, 3, 16, 16, generator=torch.Generator().manual_seed(n)).double() for n in (1, 2))
    for compiled in (False, True):
        network = build_network(ResidualUNetSpec(in_channels=3, out_channels=3, latent_dim=2, depth=2, filters=4))
        initialise(network, "fan_in", gain=1.0, generator=torch.Generator().manual_seed(0))
        network.double()
        if compiled:
            network.compile()
        (network(a, torch.ones(2, 2).double()) - wanted).abs().mean().backward()
        gradients.append([parameter.grad for parameter in network.parameters()])
    torch.testing.assert_close(gradients[1], gradients[0], rtol=1e-9, atol=1e-12)


def test_tandem_in_half_precision_is_near(tmp_path: Path) -> None:
    """And encodes in float32."""
    folder = make_tandem(tmp_path / "model")
    reference, near = (load(folder, device="cpu", precision=precision) for precision in ("fp32", "bf16"))
    expected = reference(picture(16, 16), 2, output="tensor")
    found = near(picture(16, 16), 2, output="tensor")
    assert found.dtype == torch.float32
    assert 0 < (found - expected).abs().mean() < 0.03
    codes = [one.encode(picture(16, 16), input_image=picture(16, 16))[0] for one in (near, reference)]
    assert np.array_equal(*codes)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("options", [{}, {"compile": True}], ids=["batched", "compiled"])
def test_cuda_gives_the_samples_of_the_cpu_with_tandem(tmp_path: Path, options: dict[str, Any]) -> None:
    folder = make_tandem(tmp_path / "model")
    expected = load(folder, device="cpu")(picture(64, 96), 3, output="tensor")
    found = load(folder, device="cuda", **options)(picture(64, 96), 3, output="tensor")
    assert (found - expected).abs().mean() < 1e-3  # TF32
    near = load(folder, device="cuda", precision="bf16", **options)(picture(64, 96), 3, output="tensor")
    assert (near - expected).abs().mean() < 0.03


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("options", [{}, {"compile": True}, {"tile": 32}], ids=["batched", "compiled", "tiled"])
def test_cuda_gives_the_samples_of_the_cpu(make_bundle: MakeBundle, options: dict[str, Any]) -> None:
    folder = make_bundle(size=(64, 64), generator={"latent_dim": 8, "depth": 5, "filters": 16})
    expected = load(folder, device="cpu")(picture(64, 96), 3, output="tensor")
    found = load(folder, device="cuda", **options)(picture(64, 96), 3, output="tensor")
    assert (found - expected).abs().mean() < 1e-3  # TF32
    near = load(folder, device="cuda", precision="bf16", **options)(picture(64, 96), 3, output="tensor")
    assert (near - expected).abs().mean() < 0.03


def test_samples_run_at_once_where_that_pays(make_bundle: MakeBundle) -> None:
    """A thread of ONNX Runtime gains nothing from several samples of 256 px; PyTorch does from four of any size."""
    folder = make_bundle()
    one_thread, four_threads = (load(folder, device="cpu", engine="onnx", threads=threads) for threads in (1, 4))
    sizes = ((64, 64), (128, 128), (128, 256), (256, 256), (512, 512))
    assert [one_thread.frames_at_once(*size, fit="pad") for size in sizes] == [4, 4, 2, 1, 1]
    assert [four_threads.frames_at_once(*size, fit="pad") for size in sizes] == [4, 4, 4, 4, 1]
    assert [load(folder, device="cpu").frames_at_once(*size, fit="pad") for size in sizes] == [4] * len(sizes)
    image = picture(256, 256)
    several = one_thread(image, 3, seed=1, fit="pad", output="tensor")
    alone = load(folder, device="cpu", engine="onnx", threads=1, max_batch=1)
    assert np.array_equal(several, alone(image, 3, seed=1, fit="pad", output="tensor"))
