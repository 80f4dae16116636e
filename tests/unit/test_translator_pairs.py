"""Encoders that see an input beside an output, and a generator that needs whole maps: `tandem` from Python."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tandem.checkpoint.bundle import load_bundle
from tandem.data.pixels import to_floats
from tandem.errors import ConfigError, DataError
from tandem.inference.memory import GIB, forward_bytes
from tandem.inference.translator import Translator, load
from tandem_bundle import make_tandem


def picture(height: int, width: int, seed: int = 0, channels: int = 3) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, channels), dtype=np.uint8)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return make_tandem(tmp_path / "model")


@pytest.fixture
def translator(folder: Path) -> Translator:
    return load(folder, device="cpu")


def test_says_what_it_is(translator: Translator) -> None:
    assert repr(translator).startswith(
        "<Translator: tandem AtoB, trained at 16×16 px for 7 steps, 3 to 3 channels, latent of 2, encoder"
    )
    assert (translator.latent_dim, translator.multiple, translator.is_stochastic) == (2, 8, True)
    assert translator.abilities.encoder_sees_input


def test_equals_the_networks(folder: Path, translator: Translator) -> None:
    _, networks = load_bundle(folder)
    drawing, style = picture(16, 24, 1), picture(16, 24, 2)
    a, b = (torch.from_numpy(to_floats(one))[None] for one in (drawing, style))
    with torch.no_grad():
        for given, expected in ((drawing, networks["encoder"](b, a)), (None, networks["encoder"](b))):
            for found, one in zip(translator.encode(style, input_image=given), expected, strict=True):
                np.testing.assert_allclose(found, one[0], rtol=0, atol=1e-6)
        z = translator.sample_z(3, seed=4)
        made = networks["generator"](a.expand(3, -1, -1, -1), torch.from_numpy(z))
    torch.testing.assert_close(translator(drawing, 3, seed=4, output="tensor"), made, rtol=0, atol=1e-5)


def test_several_images_have_an_input_each(translator: Translator) -> None:
    styles, drawings = ([picture(16, 24, seed), picture(32, 16, seed)] for seed in (1, 2))
    mu, logvar = translator.encode(styles, input_image=drawings)
    assert mu.shape == logvar.shape == (2, 2)
    for index in range(2):
        alone = translator.encode(styles[index], input_image=drawings[index])
        assert np.array_equal(np.stack(alone), np.stack([mu[index], logvar[index]]))
    assert np.array_equal(translator.encode(styles[:1], input_image=drawings[0])[0], mu[:1])
    assert not np.array_equal(translator.encode(styles)[0], mu)


def test_an_input_and_its_output_are_fitted_alike(translator: Translator) -> None:
    """Of an odd size both are padded in the same way."""
    style, drawing = picture(15, 21, 1), picture(15, 21, 2)
    mirrored = [np.pad(one, ((0, 1), (0, 1), (0, 0)), mode="symmetric") for one in (style, drawing)]
    found, expected = (
        translator.encode(style, input_image=drawing),
        translator.encode(mirrored[0], input_image=mirrored[1]),
    )
    assert np.array_equal(found[0], expected[0])


@pytest.mark.parametrize(
    ("image", "its_input", "message"),
    [
        (picture(16, 24), picture(24, 16), "the input has 16 x 24 px, but its output 24 x 16: they must be equal"),
        ([picture(16, 16)] * 2, [picture(16, 16)], "2 images to encode have 1 inputs: give one for each"),
        ([picture(16, 16)] * 2, picture(16, 16), "2 images to encode have 1 inputs"),
        (picture(16, 16), [picture(16, 16)] * 3, "1 images to encode have 3 inputs"),
        (picture(16, 16), "nowhere.png", "nowhere.png"),
    ],
)
def test_inputs_that_do_not_fit(translator: Translator, image: Any, its_input: Any, message: str) -> None:
    with pytest.raises(DataError, match=message):
        translator.encode(image, input_image=its_input)


def test_an_encoder_of_outputs_alone_leaves_inputs_out(tmp_path: Path) -> None:
    translator = load(make_tandem(tmp_path / "model", sees_input=False), device="cpu")
    assert not translator.abilities.encoder_sees_input
    with_input = translator.encode(picture(16, 16), input_image=picture(64, 8, 1))
    assert np.array_equal(np.stack(with_input), np.stack(translator.encode(picture(16, 16))))


def test_channels_of_inputs_are_their_own(tmp_path: Path) -> None:
    translator = load(make_tandem(tmp_path / "model", channels=(1, 3)), device="cpu")
    style, drawing = picture(16, 16), picture(16, 16, 1, channels=1)
    mu, _ = translator.encode(style, input_image=drawing)
    assert np.array_equal(mu, translator.encode(style, input_image=np.repeat(drawing, 3, 2))[0])
    assert translator(drawing, z=mu, output="array").shape == (1, 16, 16, 3)


def test_tiles_are_refused_with_what_the_whole_image_takes(translator: Translator, folder: Path) -> None:
    says = r"\(a residual U-Net\) does not translate in tiles, since its norms need whole maps. 64 x 32 px at once"
    small = load(folder, device="cpu", memory_gb=1e-6)
    for one, options in ((small, {}), (translator, {"tile": 16})):
        with pytest.raises(ConfigError, match=says):
            one(picture(32, 64), 1, **options)
    assert len(small(picture(32, 64), 1, tile=0)) == 1
    spec = translator.abilities.generator(None).spec
    enough = load(folder, device="cpu", memory_gb=forward_bytes(spec, 32, 64) / GIB)
    one_by_one, together = (model(picture(32, 64), 2, output="tensor").numpy() for model in (enough, translator))
    np.testing.assert_allclose(one_by_one, together, atol=1e-4)


def test_frames_and_the_way_between_styles(translator: Translator) -> None:
    frames = np.stack([picture(13, 20, seed) for seed in range(3)])
    z = translator.sample_z(3, seed=1)
    together = translator.translate_frames(frames, z)
    for frame, one, made in zip(frames, z, together, strict=True):
        assert np.abs(translator(frame, z=one, output="array")[0].astype(int) - made).max() <= 1
    style, _ = translator.encode(picture(16, 16, 5), input_image=picture(16, 16, 6))
    way = translator.interpolate(frames[0], 3, end=style, output="array")
    assert np.array_equal(way[-1], translator(frames[0], z=style, output="array")[0])
