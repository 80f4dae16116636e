"""Augmentation beyond crop and flip: against SciPy, alike for both images of a pair, by position."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy import ndimage

from tandem.config.run import from_flat
from tandem.data.augment import CropWindow
from tandem.data.warp import Augmentation, Warp
from tandem.errors import ConfigError
from tandem.rng import numpy_generator
from tandem.training.inputs import find_data, make_dataset

ALL = {"augment_turns": True, "augment_rotate": 20.0, "augment_scale": 0.3, "augment_elastic": 2.0}


def noise(channels: int, height: int, width: int, dtype: type = np.uint8) -> np.ndarray:
    high = 1 if dtype == np.float32 else np.iinfo(dtype).max
    return (np.random.default_rng(0).random((channels, height, width)) * high).astype(dtype)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
@pytest.mark.parametrize("order", [0, 1])
def test_pixels_are_those_of_scipy(order: int, dtype: type) -> None:
    planes, window = noise(2, 30, 41, dtype), CropWindow(5, 7, 16, 24, flipped=True)
    warp = Augmentation(rotate=180, scale=0.5, elastic=3).draw(16, 24, np.random.default_rng(1))
    assert warp.offsets is not None
    places = np.stack(np.mgrid[5:21, 7:31]) + warp.offsets
    expected = [
        ndimage.map_coordinates(plane.astype(np.float64), places, order=order, mode="reflect")[:, ::-1]
        for plane in planes
    ]
    found = warp.cut(planes, window, nearest=order == 0)
    assert found.dtype == dtype
    np.testing.assert_allclose(found, expected, atol=1e-5 if dtype == np.float32 else 0.501)


def test_a_rotation_turns_by_its_angle_and_a_scale_enlarges() -> None:
    """By a quarter it is the quarter turn; halved offsets show the middle half at twice its size."""
    planes, window = noise(1, 15, 15), CropWindow(0, 0, 15, 15, flipped=False)
    plain = Augmentation(rotate=1e-9).draw(15, 15, np.random.default_rng(0))
    np.testing.assert_array_equal(plain.cut(planes, window, nearest=False), planes)
    down, right = np.mgrid[-7:8, -7:8].astype(float)
    quarter = Warp(0, np.stack([right - down, -down - right]))
    np.testing.assert_array_equal(quarter.cut(planes, window, nearest=False), np.rot90(planes, 1, (1, 2)))
    draws = [Augmentation(rotate=90).draw(15, 15, np.random.default_rng(seed)) for seed in range(300)]
    angles = [
        np.rad2deg(np.arctan2(-(w.offsets[0][7, 14]), 7 + w.offsets[1][7, 14])) for w in draws if w.offsets is not None
    ]
    assert -90 <= min(angles) < -80
    assert 80 < max(angles) <= 90
    sizes = [Augmentation(scale=0.5).draw(15, 15, np.random.default_rng(seed)).offsets for seed in range(300)]
    shown = [7 / (7 + one[1][7, 14]) for one in sizes if one is not None]
    assert min(shown) == pytest.approx(1 / 1.5, abs=0.01)
    assert max(shown) == pytest.approx(1.5, abs=0.01)


def test_bending_is_smooth_and_as_strong_as_asked() -> None:
    fields = [Augmentation(elastic=5).draw(64, 96, np.random.default_rng(seed)).offsets for seed in range(60)]
    found = np.stack([one for one in fields if one is not None])
    assert found.std() == pytest.approx(5, rel=0.08)
    for axis in (2, 3):  # a cell has 16 px: from one pixel to the next a small part of that
        assert np.abs(np.diff(found, axis=axis)).std() < 0.6


@pytest.mark.parametrize(("size", "allowed"), [((8, 8), {0, 1, 2, 3}), ((8, 12), {0, 2})])
def test_quarter_turns_keep_the_size(size: tuple[int, int], allowed: set[int]) -> None:
    planes, window = noise(3, *size), CropWindow(0, 0, *size, flipped=False)
    seen = set()
    for seed in range(40):
        warp = Augmentation(turns=True).draw(*size, np.random.default_rng(seed))
        seen.add(warp.quarters)
        np.testing.assert_array_equal(warp.cut(planes, window, nearest=False), np.rot90(planes, warp.quarters, (1, 2)))
    assert seen == allowed


def test_colours_move_within_their_bounds() -> None:
    values = np.linspace(-1, 1, 3 * 100, dtype=np.float32).reshape(3, 10, 10)
    augmentation = Augmentation(colour=0.2)
    for seed in range(50):
        generator = np.random.default_rng(seed)
        found = augmentation.recolour(values, generator)
        inner = np.abs(found) < 1
        slopes = [np.polyfit(v[i], f[i], 1) for v, f, i in zip(values, found, inner, strict=True) if i.sum() > 2]
        assert all(abs(gain - 1) <= 0.3001 and abs(shift) <= 0.3001 for gain, shift in slopes)
    assert not np.array_equal(found, values)


def write(root: Path, *, labels: bool = False) -> Path:
    for index in range(4):
        rng = np.random.default_rng(index)
        picture = rng.integers(0, 256, (40, 40), dtype=np.uint8)
        for side in "AB":
            image = 50 * (picture // 64) if labels and side == "B" else picture
            (root / f"train{side}").mkdir(parents=True, exist_ok=True)
            Image.fromarray(image).save(root / f"train{side}" / f"{index}.png")
    return root


def dataset(root: Path, *, paired: bool = True, **options: object):
    method = {"method": "bicyclegan"} if paired else {"method": "cyclegan"}
    flat = method | {"size": 32, "load_size": 40, "input_channels": 1, "output_channels": 1} | options
    return make_dataset(from_flat(flat), find_data(root, paired=paired)["train"])


def test_both_images_of_a_pair_move_alike(tmp_path: Path) -> None:
    """A and B are the same file here, so that they stay equal pixel by pixel."""
    samples = dataset(write(tmp_path / "data"), **ALL)
    for position in range(8):
        sample = samples[position]
        np.testing.assert_array_equal(sample["a"].numpy(), sample["b"].numpy())
    plain = dataset(tmp_path / "data")
    assert any(not np.array_equal(plain[p]["a"].numpy(), samples[p]["a"].numpy()) for p in range(8))


def test_domains_move_by_themselves(tmp_path: Path) -> None:
    options = {"flip": False, "preprocess": "resize_and_crop", "load_size": 32, "augment_turns": True}
    samples = dataset(write(tmp_path / "data"), paired=False, **options)
    turns = set()
    for position in range(40):
        sample, slots = samples[position], samples.slots_at(position)
        found = []
        for side, slot in zip("ab", slots, strict=True):
            whole = samples.loaded(slot)[0][0].astype(np.float32) / 127.5 - 1
            found.append(
                next(k for k in range(4) if np.allclose(np.rot90(whole, k), sample[side].numpy()[0], atol=1e-6))
            )
        turns.add(tuple(found))
    assert len(turns) > 8  # of sixteen; four if both turned alike


def test_labels_are_not_mixed(tmp_path: Path) -> None:
    root = write(tmp_path / "data", labels=True)
    plain = {"preprocess": "crop", "load_size": None, "augment_rotate": 30.0, "augment_elastic": 2.0}

    def values(**more: object) -> set[int]:
        found = np.concatenate([dataset(root, **plain, **more)[p]["b"].numpy().ravel() for p in range(4)])
        return {round((value + 1) * 127.5) for value in found.tolist()}

    assert values(augment_nearest="output") == {0, 50, 100, 150}
    assert len(values()) > 20


def test_colour_is_changed_on_one_side(tmp_path: Path) -> None:
    root = write(tmp_path / "data")
    for side in ("input", "output"):
        samples = dataset(root, augment_colour=0.3, augment_colour_of=side)
        plain = dataset(root)
        changed, kept = ("a", "b") if side == "input" else ("b", "a")
        for position in range(4):
            np.testing.assert_array_equal(samples[position][kept].numpy(), plain[position][kept].numpy())
        assert all(not np.array_equal(samples[p][changed].numpy(), plain[p][changed].numpy()) for p in range(4))


def test_a_sample_follows_from_its_position(tmp_path: Path) -> None:
    root = write(tmp_path / "data")
    first, second = (dataset(root, **ALL, augment_colour=0.2) for _ in range(2))
    forwards = {position: first[position] for position in range(12)}
    for position in reversed(range(12)):
        for side in ("a", "b"):
            np.testing.assert_array_equal(second[position][side].numpy(), forwards[position][side].numpy())


def test_crop_and_flip_are_drawn_as_without_augmentation(tmp_path: Path) -> None:
    """The draws of augmentation are streams of their own."""
    root = write(tmp_path / "data")
    augmented, plain = dataset(root, augment_turns=True), dataset(root)
    for position in range(8):
        size = [(40, 40)]
        assert augmented.windows_at(position, size) == plain.windows_at(position, size)
    generator = numpy_generator(0, "augment", position=3)
    assert plain.windows_at(3, [(40, 40)]) == [plain.transform.draw(40, 40, generator)]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"augment_nearest": "both"}, "--augment-nearest has no effect"),
        ({"augment_colour_of": "output"}, "--augment-colour-of has no effect"),
        ({"augment_turns": True, "decoded_place": "device"}, "--decoded-place device does not augment"),
        ({"augment_rotate": 200.0}, "--augment-rotate must be from 0 to 180"),
    ],
)
def test_options_without_effect_are_refused(options: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        from_flat({"method": "bicyclegan", "size": 32} | options)
