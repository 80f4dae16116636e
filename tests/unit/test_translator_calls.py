"""What a call of a translator gives beside samples: progress, the way between latents, a grid; what it says it is."""

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from cyclegan_bundle import make_cyclegan
from tandem.config.classes import LabelClass, LabelClasses
from tandem.data.levels import Levels, levels_of_classes
from tandem.data.pixels import to_floats
from tandem.errors import ConfigError, DataError
from tandem.inference.latents import interpolate_linear, interpolate_spherical
from tandem.inference.translator import Translator, load
from tandem.report.grid import grid_layout

MakeBundle = Callable[..., Path]


@pytest.fixture
def translator(make_bundle: MakeBundle) -> Translator:
    return load(make_bundle(), device="cpu", max_batch=2)


def picture(height: int, width: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def test_progress_belongs_to_a_call(translator: Translator) -> None:
    seen: list[tuple[int, int]] = []
    expected = translator([picture(8, 8), picture(8, 16)], 3, output="array")
    found = translator([picture(8, 8), picture(8, 16)], 3, output="array", on_progress=lambda *at: seen.append(at))
    assert seen == [(2, 6), (3, 6), (5, 6), (6, 6)]
    assert all(np.array_equal(*pair) for pair in zip(found, expected, strict=True))

    def failing(done: int, total: int) -> None:
        raise KeyError(done)

    with pytest.raises(KeyError):
        translator(picture(8, 8), 3, on_progress=failing)


@pytest.mark.parametrize(("way", "oracle"), [("spherical", interpolate_spherical), ("linear", interpolate_linear)])
def test_the_way_between_two_latents(translator: Translator, way: Any, oracle: Any) -> None:
    image, drawn = picture(8, 16), translator.sample_z(2, seed=3)
    frames = translator.interpolate(image, 5, seed=3, way=way, output="array")
    z = oracle(drawn[0], drawn[1], np.linspace(0, 1, 5))
    assert np.array_equal(frames, translator(image, z=z, output="array"))
    assert len(translator.interpolate(Image.fromarray(image))) == 10
    style, _ = translator.encode(picture(16, 16, seed=2))
    to_style = translator.interpolate(image, 4, seed=3, end=style, output="array")
    assert np.array_equal(to_style[0], translator(image, 1, seed=3, output="array")[0])
    assert np.array_equal(to_style[-1], translator(image, z=style, output="array")[0])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"num_frames": 1}, "at least 2 frames"),
        ({"way": "circular"}, "way must be spherical or linear, not 'circular'"),
        ({"start": [1, 2, 3]}, r"z has the shape \(3,\)"),
        ({"end": np.zeros((2, 2))}, "num_samples is 1, but z holds 2"),
    ],
)
def test_a_way_that_is_none(translator: Translator, arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        translator.interpolate(picture(8, 8), **arguments)
    with pytest.raises(ConfigError, match="takes one image"):
        translator.interpolate([picture(8, 8)])


def test_a_grid_of_inputs_and_samples(translator: Translator) -> None:
    images = [picture(16, 24, seed=1), picture(16, 24, seed=2)]
    grid = np.asarray(translator.grid(images, 3, seed=4))
    cells = [[image, *translator(image, 3, seed=4, output="array")] for image in images]
    layout = grid_layout(cells, column_titles=["input", "sample 1", "sample 2", "sample 3"])
    for r, row in enumerate(cells):
        for c, cell in enumerate(row):
            x, y = layout.corner(r, c)
            assert np.array_equal(grid[y : y + 16, x : x + 24], cell), (r, c)
    assert translator.grid(images[0], 3, titles=False).size == (2 + 4 * 26, 2 + 18)
    unit = np.moveaxis(to_floats(images[0]), 0, -1) / 2 + 0.5
    assert np.array_equal(translator.grid(unit, 1, value_range=(0, 1)), translator.grid(images[0], 1))
    with pytest.raises(DataError, match="at least one image"):
        translator.grid([])


@pytest.mark.parametrize("channels", [(1, 3), (2, 4), (4, 2)])
def test_grids_of_other_channels(make_bundle: MakeBundle, channels: tuple[int, int]) -> None:
    grid = load(make_bundle(channels=channels), device="cpu").grid(picture(8, 8), 2)
    assert grid.mode == "RGB"


def test_models_say_what_they_are(translator: Translator, make_bundle: MakeBundle, tmp_path: Path) -> None:
    assert repr(translator) == (
        "<Translator: bicyclegan AtoB, trained at 16×16 px for 7 steps, 3 to 3 channels, latent of 2, encoder, "
        "run by PyTorch on cpu>"
    )
    plain = load(
        make_bundle("plain", with_encoder=False, generator={"latent_dim": 0, "injection": "none"}), device="cpu"
    )
    assert "one output per input, run by" in repr(plain)
    with pytest.raises(ConfigError, match="interpolation needs a latent"):
        plain.interpolate(picture(8, 8))
    make_cyclegan(tmp_path / "horses")
    horses = load(tmp_path / "horses", device="cpu")
    assert repr(horses).startswith("<Translator: cyclegan AtoB and BtoA, trained at")


def test_threads_share_a_model_that_draws_dropout(make_bundle: MakeBundle) -> None:
    """Dropout has one random generator in a process; each thread gets the samples of its own seed all the same."""
    options = {"latent_dim": 0, "injection": "none", "depth": 6, "dropout": True}
    folder = make_bundle(with_encoder=False, generator=options, size=(64, 64))
    manifest = json.loads((folder / "model.json").read_text())
    (folder / "model.json").write_text(json.dumps(manifest | {"samples_with_noise": True}))
    shared, other = load(folder, device="cpu"), load(folder, device="cpu")
    image = picture(64, 64)
    expected = [shared(image, 2, seed=seed, output="array") for seed in range(4)]
    assert not np.array_equal(expected[0], expected[1])
    with ThreadPoolExecutor(4) as threads:
        jobs = [
            threads.submit((shared, other)[turn % 2], image, 2, seed=turn % 4, output="array") for turn in range(24)
        ]
        found = [job.result() for job in jobs]
    for turn, samples in enumerate(found):
        assert np.array_equal(samples, expected[turn % 4]), turn


def test_masked_pixels_are_the_fill(make_bundle: MakeBundle) -> None:
    """As a file has it: of 8 bits -0.5 is 64; of a label map the class that is ignored, where there is one."""
    mask = np.arange(64).reshape(8, 8) % 3 > 0
    translator = load(make_bundle("grey", input_levels=Levels(fill=-0.5)), device="cpu")
    image = picture(8, 8)
    filled = np.where(mask[:, :, None], image, np.uint8(64))
    assert np.array_equal(translator(image, 1, mask=mask, output="tensor"), translator(filled, 1, output="tensor"))
    for ignored in (None, 255):
        each = tuple(LabelClass(str(one), (one,)) for one in range(3))
        classes = LabelClasses(each, ignored_values=() if ignored is None else (ignored,))
        levels = replace(levels_of_classes(classes), fill=-1.0)
        translator = load(make_bundle(f"labels{ignored}", input_levels=levels), device="cpu")
        labels = np.arange(64, dtype=np.uint8).reshape(8, 8) % 3
        found = translator(labels, 1, mask=mask, output="array")
        expected = labels if ignored is None else np.where(mask, labels, np.uint8(255))
        assert np.array_equal(found, translator(expected, 1, output="array"))
