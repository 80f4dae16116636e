"""The Python interface to a model: sizes, latents, batches, kinds of images, errors."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from tandem.checkpoint.bundle import load_bundle
from tandem.data.fit import FitRule
from tandem.data.pixels import from_floats, to_floats
from tandem.errors import BundleError, ConfigError, DataError
from tandem.inference.inputs import fit_image, is_batch, to_input
from tandem.inference.translator import Translator, load

MakeBundle = Callable[..., Path]
RULE = FitRule(size=(16, 16), preprocess="crop")
CLOSE = {"rtol": 0, "atol": 1e-5}


@pytest.fixture
def translator(make_bundle: MakeBundle) -> Translator:
    return load(make_bundle(), device="cpu")


def picture(height: int, width: int, channels: int = 3, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, channels), dtype=np.uint8)


def test_says_what_it_is(translator: Translator) -> None:
    assert (translator.latent_dim, translator.multiple) == (2, 8)
    assert translator.manifest.training == {"steps": 7}


def test_equals_the_network(make_bundle: MakeBundle) -> None:
    """A size that the network takes needs no padding: the samples are G(A, z)."""
    folder = make_bundle()
    image, z = picture(16, 24), np.random.default_rng(1).standard_normal((3, 2)).astype(np.float32)
    _, networks = load_bundle(folder)
    a = torch.from_numpy(image).permute(2, 0, 1)[None] / 127.5 - 1
    expected = networks["generator"](a.expand(3, -1, -1, -1), torch.from_numpy(z))
    found = load(folder, device="cpu")(image, z=z, output="tensor")
    assert found.dtype == torch.float32
    torch.testing.assert_close(found, expected, **CLOSE)
    array = load(folder, device="cpu")(image, z=z, output="array")
    assert array.dtype == np.uint8
    rounded = ((expected + 1) * 127.5).round().permute(0, 2, 3, 1).numpy()
    assert np.abs(array.astype(int) - rounded).max() <= 1
    pictures = load(folder, device="cpu")(image, z=z)
    assert all(np.array_equal(np.asarray(one), other) for one, other in zip(pictures, array, strict=True))


@pytest.mark.parametrize("fit", ["pad", "resize"])
@pytest.mark.parametrize("channels", [(3, 3), (1, 3), (4, 2)])
def test_frames_together_are_the_images_one_by_one(
    make_bundle: MakeBundle, fit: Any, channels: tuple[int, int]
) -> None:
    """Each frame with its own code, at its own size, whatever channels they have."""
    translator = load(make_bundle(channels=channels), device="cpu")
    frames = np.stack([picture(13, 22, seed=seed) for seed in range(4)])
    z = translator.sample_z(4, seed=1)
    together = translator.translate_frames(frames, z, fit=fit)
    assert together.shape == (4, 13, 22, channels[1])
    alone = [translator(frame, z=latent, fit=fit, output="array")[0] for frame, latent in zip(frames, z, strict=True)]
    assert np.abs(together.astype(int) - np.stack(alone)).max() <= 1
    single = translator.translate_frames(frames[2:3], z[2:3], fit=fit)
    assert np.array_equal(single[0], alone[2])


def test_a_model_without_a_code(make_bundle: MakeBundle) -> None:
    translator = load(make_bundle(with_encoder=False, generator={"latent_dim": 0, "injection": "none"}), device="cpu")
    image = picture(16, 16)
    (one,) = translator(image, output="array")
    assert np.array_equal(translator.translate_frames(image[None], np.empty((1, 0), np.float32))[0], one)
    with pytest.raises(ConfigError, match="gives one output for an input"):
        translator(image, 2)


@pytest.mark.parametrize("fit", ["auto", "pad", "resize"])
@pytest.mark.parametrize(("height", "width"), [(1, 1), (5, 3), (8, 8), (16, 16), (17, 40), (33, 9), (64, 1)])
def test_any_size_comes_back(translator: Translator, fit: Any, height: int, width: int) -> None:
    assert translator(picture(height, width), 2, fit=fit, output="array").shape == (2, height, width, 3)
    assert translator(picture(height, width), 2, fit=fit, output="tensor").shape == (2, 3, height, width)
    assert [image.size for image in translator(picture(height, width), 2, fit=fit)] == [(width, height)] * 2


@given(height=st.integers(1, 40), width=st.integers(1, 40), multiple=st.sampled_from([1, 4, 32]))
def test_padding_mirrors_at_the_right_and_lower_edge(height: int, width: int, multiple: int) -> None:
    values = to_floats(picture(height, width))
    fitted = fit_image(values, RULE.plan(height, width, "pad", multiple=multiple))
    _, h, w = fitted.values.shape
    assert h % multiple == w % multiple == 0
    assert 0 <= h - height < multiple
    assert 0 <= w - width < multiple

    def reflected(index: int, length: int) -> int:
        index %= 2 * length
        return index if index < length else 2 * length - 1 - index

    rows, columns = [reflected(i, height) for i in range(h)], [reflected(i, width) for i in range(w)]
    assert np.array_equal(fitted.values, values[:, rows][:, :, columns])
    assert np.array_equal(fitted.restore(fitted.values[None])[0], values)


def test_padded_translation_is_that_of_the_mirrored_image(translator: Translator) -> None:
    image = picture(13, 16)
    reflected = np.concatenate([image, image[:-4:-1]])
    whole = translator(reflected, 2, output="tensor")
    torch.testing.assert_close(translator(image, 2, output="tensor"), whole[:, :, :13], **CLOSE)


def test_resize_translates_at_the_training_size(translator: Translator) -> None:
    image = picture(40, 30)
    small = np.asarray(Image.fromarray(image).resize((16, 16), Image.Resampling.BICUBIC))
    expected = [one.resize((30, 40), Image.Resampling.BICUBIC) for one in translator(small, 2, fit="resize")]
    found = translator(image, 2, fit="resize")
    assert all(np.array_equal(np.asarray(x), np.asarray(y)) for x, y in zip(found, expected, strict=True))
    native = picture(16, 16)
    assert np.array_equal(translator(native, 2, fit="resize", output="array"), translator(native, 2, output="array"))


def test_the_seed_decides(translator: Translator) -> None:
    image = picture(16, 16)
    first, same, other = (translator(image, 3, seed=seed, output="array") for seed in (4, 4, 5))
    assert np.array_equal(first, same)
    assert not np.array_equal(first, other)
    assert not np.array_equal(first[0], first[1])


def test_first_samples_do_not_depend_on_their_number(translator: Translator) -> None:
    image = picture(16, 16)
    many = translator(image, 9, seed=2, output="tensor")
    for number in (1, 4, 8):
        torch.testing.assert_close(translator(image, number, seed=2, output="tensor"), many[:number], **CLOSE)
        assert np.array_equal(translator.sample_z(number, seed=2), translator.sample_z(30, seed=2)[:number])


def test_latents_reproduce_samples(translator: Translator) -> None:
    image, z = picture(16, 16), translator.sample_z(4, seed=9)
    assert z.shape == (4, 2)
    assert z.dtype == np.float32
    expected = translator(image, 4, seed=9, output="array")
    assert np.array_equal(translator(image, z=z, output="array"), expected)
    assert np.array_equal(translator(image, 4, z=z.tolist(), output="array"), expected)
    assert np.array_equal(translator(image, z=z[None], output="array"), expected)
    one = translator(image, z=z[2], output="tensor")
    assert one.shape == (1, 3, 16, 16)
    torch.testing.assert_close(one, translator(image, 4, seed=9, output="tensor")[2:3], **CLOSE)
    assert len(translator(image)) == 5


def test_a_batch_equals_its_images(translator: Translator) -> None:
    images = [picture(16, 16, seed=1), picture(9, 30, seed=2), picture(8, 8, seed=3)]
    found = translator(images, 3, seed=1, output="array")
    assert isinstance(found, list)
    for image, samples in zip(images, found, strict=True):
        assert np.array_equal(samples, translator(image, 3, seed=1, output="array"))
    z = np.random.default_rng(0).standard_normal((3, 2, 2)).astype(np.float32)
    for image, latents, samples in zip(images, z, translator(images, z=z, output="array"), strict=True):
        assert np.array_equal(samples, translator(image, z=latents, output="array"))
    stacked = np.stack([picture(16, 16, seed=seed) for seed in range(2)])
    as_tensor = torch.from_numpy(stacked).permute(0, 3, 1, 2)
    for one, other in zip(
        translator(stacked, 2, output="array"), translator(as_tensor, 2, output="array"), strict=True
    ):
        assert np.array_equal(one, other)
    assert translator([], 2) == []


def test_every_kind_of_image_is_the_same_image(translator: Translator, tmp_path: Path) -> None:
    image = picture(12, 16)
    Image.fromarray(image).save(tmp_path / "x.png")
    floats = to_floats(image)
    expected = translator(image, 2, output="array")
    for other in (
        tmp_path / "x.png",
        str(tmp_path / "x.png"),
        Image.fromarray(image),
        Image.open(tmp_path / "x.png"),
        torch.from_numpy(image).permute(2, 0, 1),
        torch.from_numpy(floats),
        torch.from_numpy(floats).double().requires_grad_(True),
        np.moveaxis(floats, 0, -1),
        np.moveaxis(floats, 0, -1).astype(np.float64),
        image.astype(np.uint16) * 257,
        image[::-1].copy()[::-1],
    ):
        assert np.array_equal(translator(other, 2, output="array"), expected)


def test_encode(translator: Translator, make_bundle: MakeBundle) -> None:
    images = [picture(16, 16, seed=1), picture(40, 20, seed=2)]
    mu, logvar = translator.encode(images, fit="resize")
    assert mu.shape == logvar.shape == (2, 2)
    assert mu.dtype == np.float32
    for index, image in enumerate(images):
        single = translator.encode(image, fit="resize")
        assert single[0].shape == (2,)
        np.testing.assert_array_equal(single[0], mu[index])
        np.testing.assert_array_equal(single[1], logvar[index])
    _, networks = load_bundle(make_bundle("other"))
    small = Image.fromarray(images[1]).resize((16, 16), Image.Resampling.BICUBIC)
    expected, _ = networks["encoder"](torch.from_numpy(to_floats(np.asarray(small)))[None])
    np.testing.assert_allclose(mu[1], expected[0], atol=1e-5)
    assert [part.shape for part in translator.encode([])] == [(0, 2), (0, 2)]
    styled = translator(images[0], z=translator.encode(images[1])[0], output="array")
    assert styled.shape == (1, 16, 16, 3)


@pytest.mark.parametrize(("channels", "mode"), [((1, 3), "RGB"), ((3, 1), "L"), ((1, 4), "RGBA"), ((4, 2), "LA")])
def test_models_of_other_channels(make_bundle: MakeBundle, channels: tuple[int, int], mode: str) -> None:
    translator = load(make_bundle(channels=channels), device="cpu")
    image = picture(10, 12)
    found = translator(image, 2)
    assert [one.mode for one in found] == [mode] * 2
    assert translator(image, 2, output="array").shape == (2, 10, 12, channels[1])
    assert translator(image, 2, fit="resize", output="tensor").shape == (2, channels[1], 10, 12)
    mu, _ = translator.encode(picture(20, 20))
    assert np.isfinite(mu).all()
    if channels[0] == 1:
        grey = np.asarray(Image.fromarray(image).convert("L"))
        for same in (grey, grey[:, :, None], Image.fromarray(grey), torch.from_numpy(grey.copy())[None]):
            assert np.array_equal(translator(same, 2, output="array"), translator(image, 2, output="array"))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"num_samples": 0}, "num_samples must be at least 1, not 0"),
        ({"z": np.zeros((2, 3))}, r"z has the shape \(2, 3\); expected \(2,\), \(M, 2\) or \(1, M, 2\)"),
        ({"z": np.zeros((2, 1, 2))}, "z has the shape"),
        ({"z": np.zeros((0, 2))}, "z has the shape"),
        ({"z": np.float32(1)}, "z has the shape"),
        ({"z": np.zeros((2, 2)), "num_samples": 3}, "num_samples is 3, but z holds 2 latents"),
        ({"z": np.array([[np.nan, 0]])}, "z holds values that are not finite"),
        ({"output": "jpeg"}, "output must be pil, array, values or tensor, not 'jpeg'"),
        ({"fit": "crop"}, "fit must be auto, pad or resize, not 'crop'"),
    ],
)
def test_wrong_arguments(translator: Translator, arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        translator(picture(8, 8), **arguments)


@pytest.mark.parametrize(
    ("image", "message"),
    [
        (np.zeros((8, 8, 5), np.uint8), "has 5 channels"),
        (np.zeros((3, 8, 8), np.uint8), "arrays are .H, W, C., tensors .C, H, W."),
        (np.zeros(8, np.uint8), "an array must be"),
        (np.zeros((0, 8, 3), np.uint8), "an array must be"),
        (torch.zeros(8, 8), "a tensor must be"),
        ("nothing.png", "nothing.png"),
        (b"bytes", "image data: not an image"),
        (None, "not a NoneType"),
    ],
)
def test_wrong_images(translator: Translator, image: Any, message: str) -> None:
    with pytest.raises(DataError, match=message):
        translator(image)


def test_a_model_without_an_encoder(make_bundle: MakeBundle) -> None:
    translator = load(make_bundle(with_encoder=False), device="cpu")
    assert len(translator(picture(8, 8), 2)) == 2
    with pytest.raises(BundleError, match="this model has no encoder"):
        translator.encode(picture(8, 8))


def test_an_unknown_device(make_bundle: MakeBundle) -> None:
    with pytest.raises(ConfigError, match="--device tpu"):
        load(make_bundle(), device="tpu")


def test_what_counts_as_several_images() -> None:
    several = [[], (), [picture(2, 2)], np.zeros((1, 2, 2, 3)), torch.zeros(1, 3, 2, 2)]
    assert [is_batch(images) for images in several] == [True] * 5
    assert not any(is_batch(one) for one in ("x.png", picture(2, 2), torch.zeros(3, 2, 2), Path("x")))


def test_floats_survive_unrounded() -> None:
    values = np.random.default_rng(0).uniform(-1, 1, (4, 5, 3)).astype(np.float32)
    assert np.array_equal(to_input(values, channels=3), np.moveaxis(values, -1, 0))
    luma = to_input(values, channels=1)
    expected = np.asarray(Image.fromarray(from_floats(np.moveaxis(values, -1, 0))).convert("L"))
    assert np.array_equal(luma[0], to_floats(expected[:, :, None])[0])
