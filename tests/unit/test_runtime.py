"""How a model is run: limits on batches and memory, tiles, bfloat16; and what is refused."""

import logging
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from cyclegan_bundle import make_cyclegan
from tandem.config.specifications import ResidualUNetSpec, ResNetSpec, UNetSpec
from tandem.errors import ConfigError, DataError
from tandem.inference.memory import GIB, batch_within, forward_bytes
from tandem.inference.torch_engine import TorchEngine
from tandem.inference.translator import load

MakeBundle = Callable[..., Path]
WIDE = {"latent_dim": 8, "depth": 5, "filters": 24, "upsampling": "bilinear"}


def picture(height: int, width: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"precision": "fp16"}, "--precision must be one of fp32, bf16, not 'fp16'"),
        ({"engine": "tvm"}, "--engine must be one of auto, torch, onnx, not 'tvm'"),
        ({"max_batch": 0}, "--max-batch must be at least 1, not 0"),
        ({"tile": 15}, r"--tile must be auto, 0 \(never in tiles\) or at least 16 px, not 15"),
        ({"tile": "large"}, "--tile must be auto or a whole number, not 'large'"),
        ({"memory_gb": 0}, "--memory-gb must be above 0, not 0"),
        ({"memory_gb": float("nan")}, "--memory-gb must be a number above 0, not nan"),
        (
            {"engine": "onnx", "compile": True, "precision": "bf16", "tile": 64},
            "(?s)--precision bf16 has no effect with --engine onnx.*--compile has .*--tile 64 has",
        ),
    ],
)
def test_wrong_options(make_bundle: MakeBundle, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        load(make_bundle(), device="cpu", **options)


def test_batches_differ_by_one_level_at_most(make_bundle: MakeBundle) -> None:
    """Of a network that is wide enough for convolutions to take other ways for several images than for one."""
    folder = make_bundle(size=(64, 64), generator=WIDE)
    image = picture(128, 128)
    alone = load(folder, device="cpu", max_batch=1)(image, 6, seed=1, output="array")
    for limit in ("auto", 2, 6):
        together = load(folder, device="cpu", max_batch=limit)(image, 6, seed=1, output="array")
        difference = np.abs(together.astype(int) - alone)
        assert difference.max() <= 1
        assert (difference > 0).mean() < 0.01


def test_how_many_run_at_once(make_bundle: MakeBundle, monkeypatch: pytest.MonkeyPatch) -> None:
    sizes: list[int] = []
    generate = TorchEngine.generate

    def counting(self: TorchEngine, name: str, a: np.ndarray, *rest: Any) -> np.ndarray:
        sizes.append(len(a))
        return generate(self, name, a, *rest)

    monkeypatch.setattr(TorchEngine, "generate", counting)
    folder = make_bundle()
    for options, expected in [
        ({}, [4, 4, 1]),
        ({"max_batch": 1}, [1] * 9),
        ({"max_batch": 5}, [5, 4]),
        (
            {
                "memory_gb": 2
                * forward_bytes(UNetSpec(in_channels=3, out_channels=3, latent_dim=2, depth=3, filters=4), 16, 16)
                / GIB
            },
            [2, 2, 2, 2, 1],
        ),
    ]:
        sizes.clear()
        load(folder, device="cpu", **options)(picture(16, 16), 9)
        assert sizes == expected


@pytest.mark.parametrize("filters", [16, 64])
def test_batches_shrink_with_the_image(filters: int) -> None:
    spec = UNetSpec(in_channels=3, out_channels=3, latent_dim=8, depth=8, filters=filters)
    counts = [batch_within(spec, side, side, budget_bytes=4 * GIB, limit=64) for side in (256, 512, 1024, 2048, 4096)]
    assert counts == sorted(counts, reverse=True)
    assert counts[0] == 64
    assert all(
        count * forward_bytes(spec, side, side) <= 4 * GIB
        for count, side in zip(counts, (256, 512, 1024), strict=False)
    )
    assert batch_within(spec, 30000, 30000, budget_bytes=4 * GIB, limit=64) == 1


def test_large_images_run_in_tiles(make_bundle: MakeBundle) -> None:
    """By themselves where the memory is too little, and with the numbers of the whole image."""
    folder = make_bundle(generator={"latent_dim": 2, "depth": 3, "filters": 8})
    image = picture(150, 203)
    expected = load(folder, device="cpu", tile=0, max_batch=1)(image, 2, output="tensor")
    seen: list[tuple[int, int]] = []
    little = load(folder, device="cpu", memory_gb=0.0025)
    made = little(image, 2, output="tensor", on_tile=lambda done, total: seen.append((done, total)))
    torch.testing.assert_close(made, expected, rtol=0, atol=1e-4)
    assert seen[-1][0] == seen[-1][1] == len(seen) / 2
    seen.clear()
    whole = little(image, 2, tile=0, output="tensor", on_tile=lambda done, total: seen.append((done, total)))
    assert np.abs(whole - expected).max() < 1e-4
    assert not seen
    for tile in (16, 100):
        torch.testing.assert_close(little(image, 2, tile=tile, output="tensor"), expected, rtol=0, atol=1e-4)
    frames = little.translate_frames(image[None], little.sample_z(1), on_tile=lambda *tiles: seen.append(tiles))
    assert seen[-1][0] == seen[-1][1] > 1
    assert np.abs(frames[0].astype(int) - little(image, 1, tile=0, output="array")[0]).max() <= 1


def test_a_cycle_in_tiles(tmp_path: Path) -> None:
    make_cyclegan(tmp_path / "model")
    whole, tiled = (load(tmp_path / "model", device="cpu", tile=tile) for tile in (0, 16))
    for one, other in zip(
        whole.cycle(picture(64, 50), output="tensor"), tiled.cycle(picture(64, 50), output="tensor"), strict=True
    ):
        torch.testing.assert_close(one, other, rtol=0, atol=1e-4)


def test_tiles_in_bfloat16_are_near(make_bundle: MakeBundle) -> None:
    folder = make_bundle(size=(64, 64), generator=WIDE)
    exact = load(folder, device="cpu")(picture(64, 96), 2, output="tensor")
    for options in ({}, {"tile": 32}):
        near = load(folder, device="cpu", precision="bf16", **options)(picture(64, 96), 2, output="tensor")
        assert near.dtype == torch.float32
        assert 0 < (near - exact).abs().mean() < 0.03


def test_latents_are_float32_always(make_bundle: MakeBundle) -> None:
    folder = make_bundle()
    one, other = (
        load(folder, device="cpu", precision=precision).encode(picture(16, 16)) for precision in ("fp32", "bf16")
    )
    assert np.array_equal(one, other)


def test_thin_images_are_refused_before_they_are_padded(make_bundle: MakeBundle) -> None:
    translator = load(make_bundle(generator={"latent_dim": 2, "depth": 10, "filters": 1}), device="cpu")
    padded = "the image is 300000×1 px, and 300032×1024 px at the size that the generator takes"
    with pytest.raises(DataError, match=re.escape(padded)):
        translator(np.zeros((1, 300_000, 3), np.uint8), 1)


def test_specifications_say_what_a_forward_takes() -> None:
    """Measured peaks of whole forwards in MiB, at 1024 × 1024 px with 64 filters on a CPU (docs/experiments.md)."""
    measured = [
        (UNetSpec(in_channels=3, out_channels=3, latent_dim=8, depth=8, filters=64), 400),
        (ResNetSpec(in_channels=3, out_channels=3, filters=64, blocks=9), 900),
        (ResNetSpec(in_channels=3, out_channels=3, filters=64, blocks=9, antialias=True), 1890),
    ]
    for spec, mebibytes in measured:
        assert mebibytes <= forward_bytes(spec, 1024, 1024) / 2**20 <= 1.5 * mebibytes


FORWARDS = [
    *[(64, 6, 1024, 689), (64, 6, 512, 141), (32, 6, 1024, 420), (16, 6, 1024, 283), (8, 6, 1024, 165)],
    *[(96, 5, 768, 547), (24, 4, 1536, 741)],
]


@pytest.mark.parametrize(("filters", "depth", "side", "mebibytes"), FORWARDS)
def test_what_a_forward_of_the_residual_unet_takes(filters: int, depth: int, side: int, mebibytes: int) -> None:
    """Measured in the same way, over widths, depths and sizes."""
    spec = ResidualUNetSpec(in_channels=3, out_channels=3, latent_dim=8, depth=depth, filters=filters)
    assert mebibytes <= forward_bytes(spec, side, side) / 2**20 <= 1.5 * mebibytes


def test_compile_falls_back_and_says_why_once(make_bundle: MakeBundle, caplog: pytest.LogCaptureFixture) -> None:
    """With a compiler that is not there."""
    from torch._inductor import config  # noqa: PLC0415  (slow to import)

    torch._dynamo.reset()
    folder = make_bundle()
    compiled = load(folder, device="cpu", compile=True, max_batch=1)
    with caplog.at_level(logging.WARNING), config.patch({"cpp.cxx": ("no-such-compiler",)}):
        found = compiled(picture(16, 16), 3, output="tensor")
    assert torch.equal(found, load(folder, device="cpu", max_batch=1)(picture(16, 16), 3, output="tensor"))
    reasons = [record.message for record in caplog.records if record.message.startswith("compile:")]
    assert len(reasons) == 1
    assert "no-such-compiler" in reasons[0] or "C++" in reasons[0] or "compiler" in reasons[0].lower()
