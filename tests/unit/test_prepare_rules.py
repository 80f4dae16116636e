"""Rules that make inputs of photos: each against a second computation or a picture whose answer is known."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy import ndimage

from tandem.data.prepare.edges import WEAK, canny
from tandem.data.prepare.rules import RuleOptions, apply_rule, blurred, low_resolution, with_holes
from tandem.data.prepare.smoothing import gaussian
from tandem.errors import ConfigError, DataError


def noise(height: int, width: int, channels: int = 3) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (height, width, channels), dtype=np.uint8)


@pytest.mark.parametrize(("size", "sigma"), [((31, 17), 1.0), ((9, 40), 3.3), ((3, 2), 2.0)])
def test_smoothing_is_a_gaussian(size: tuple[int, int], sigma: float) -> None:
    values = noise(*size).astype(np.float32)
    expected = ndimage.gaussian_filter(values.astype(np.float64), (sigma, sigma, 0), mode="reflect", truncate=4.0)
    np.testing.assert_allclose(gaussian(values, sigma), expected, atol=2e-3)


def test_edges_of_a_disc_lie_on_its_border_and_are_thin() -> None:
    rows, columns = np.mgrid[:96, :96]
    distance = np.hypot(rows - 47.3, columns - 48.6)
    lines = canny(np.where(distance < 30, 255.0, 0.0), sigma=1.0, threshold=10)
    assert np.abs(distance[lines] - 30).max() < 1.5
    angles = np.arctan2(rows - 47.3, columns - 48.6)[lines]
    assert np.diff(np.sort(angles)).max() < 0.06  # all around: 188 pixels of border
    # No more pixels than a path of steps along rows and columns, and no block of 2 x 2.
    assert lines.sum() < 8 * 30
    assert not (lines[1:, 1:] & lines[:-1, 1:] & lines[1:, :-1] & lines[:-1, :-1]).any()


def test_a_flat_image_has_no_edges() -> None:
    assert not canny(np.full((20, 30), 77.0), sigma=1.0, threshold=1).any()


def test_weak_lines_stay_where_they_hang_together_with_a_strong_one() -> None:
    """The same lines by the labels of SciPy: of each connected weak line all of it, if it is strong somewhere."""
    image = ndimage.gaussian_filter(np.random.default_rng(1).normal(0, 200, (80, 80)), 1)
    everything = canny(image, sigma=1.0, threshold=1e-3)
    strong = everything & canny(image, sigma=1.0, threshold=12) & _above(image, 12)
    weak = everything & _above(image, WEAK * 12)
    labels = np.zeros(weak.shape, np.int32)
    ndimage.label(weak, np.ones((3, 3)), output=labels)
    expected = np.isin(labels, np.unique(labels[strong])) & weak
    found = canny(image, sigma=1.0, threshold=12)
    assert 0 < strong.sum() < found.sum() < weak.sum()
    np.testing.assert_array_equal(found, expected)


def _above(image: np.ndarray, threshold: float) -> np.ndarray:
    smooth = ndimage.gaussian_filter(image.astype(np.float32), 1.0, mode="reflect", truncate=4.0)
    sobel = [ndimage.sobel(smooth, axis, mode="nearest") / 8 for axis in (0, 1)]
    return np.hypot(*sobel) >= threshold


def test_low_resolution_is_what_pillow_gives() -> None:
    image = noise(40, 64)
    small = Image.fromarray(image).resize((16, 10), Image.Resampling.BICUBIC)
    expected = np.array(small.resize((64, 40), Image.Resampling.BICUBIC))
    np.testing.assert_array_equal(low_resolution(image, factor=4), expected)


def test_blur_rounds_the_gaussian() -> None:
    image = noise(24, 24)
    expected = ndimage.gaussian_filter(image.astype(np.float64), (3, 3, 0), mode="reflect", truncate=4.0)
    assert np.abs(blurred(image, sigma=3.0) - expected).max() <= 0.51


@pytest.mark.parametrize("share", [0.1, 0.5])
def test_holes_take_their_share_and_leave_nothing_behind(share: float) -> None:
    image = noise(60, 90)
    result = with_holes(image, np.random.default_rng(3), share=share)
    gone = result[:, :, 3] == 0
    assert share <= gone.mean() < share + 0.35**2
    assert (result[gone] == (255, 255, 255, 0)).all()
    np.testing.assert_array_equal(result[~gone][:, :3], image[~gone])
    assert (result[~gone][:, 3] == 255).all()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"rule": "edge"}, "--rule must be edges, grey, .* not 'edge'. Did you mean edges?"),
        ({"rule": "grey", "sigma": 2.0}, "--sigma has no effect with --rule grey"),
        ({"rule": "blur", "factor": 2}, "--factor has no effect with --rule blur"),
    ],
)
def test_settings_without_effect_are_refused(options: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        RuleOptions(**options)  # pyright: ignore[reportArgumentType]


def test_a_function_of_ones_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "rules_of_a_user.py").write_text(
        "def negative(photo, generator):\n    return 255 - photo\n"
        "def both(photo, generator):\n    return photo[::2, ::2, 0], photo[::2, ::2]\n"
        "def wrong(photo, generator):\n    return photo / 255\n"
        "def small(photo, generator):\n    return photo[1:]\n"
        "def broken(photo, generator):\n    return 1 / 0\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    photo, generator = noise(6, 8), np.random.default_rng(0)

    def made(name: str) -> tuple[np.ndarray, np.ndarray | None]:
        return apply_rule(RuleOptions(rule=f"rules_of_a_user:{name}").load(), photo, generator)

    a, b = made("negative")
    np.testing.assert_array_equal(a, 255 - photo)
    assert b is None
    a, b = made("both")
    assert b is not None
    assert (a.shape, b.shape) == ((3, 4, 1), (3, 4, 3))
    for name, message in {
        "wrong": "the rule gave float64 of shape",
        "small": "an input of 8 x 5 pixels for an output of 8 x 6",
        "broken": "failed with ZeroDivisionError",
    }.items():
        with pytest.raises(DataError, match=message):
            made(name)
    with pytest.raises(ConfigError, match="there is no 'missing' in rules_of_a_user"):
        made("missing")
    with pytest.raises(ConfigError, match="No module named"):
        RuleOptions(rule="no_such_module_here:f").load()
