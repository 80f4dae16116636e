import numpy as np
import pytest
from PIL import Image

from tandem.errors import ConfigError, DataError
from tandem.report.animation import save_gif
from tandem.report.grid import flatten, image_grid, save_image, to_image


def noise(seed: int, height: int, width: int, channels: int = 3) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, channels), dtype=np.uint8)


def test_grid_pixels_are_where_the_docstring_says():
    large, gray, small = noise(0, 10, 12), noise(1, 10, 12, 1), noise(2, 5, 7)
    padding = 3
    canvas = np.asarray(image_grid([[large, gray], [small]], padding=padding, background=200))
    assert canvas.shape == (3 * padding + 2 * 10, 3 * padding + 2 * 12, 3)

    expected = np.full_like(canvas, 200)
    expected[3:13, 3:15] = large
    expected[3:13, 18:30] = np.repeat(gray, 3, axis=2)
    top, left = 16 + (10 - 5) // 2, 3 + (12 - 7) // 2
    expected[top : top + 5, left : left + 7] = small
    np.testing.assert_array_equal(canvas, expected)


def test_grid_scales_by_whole_pixels():
    source = noise(3, 4, 5)
    canvas = np.asarray(image_grid([[source]], padding=0, scale=3))
    np.testing.assert_array_equal(canvas, source.repeat(3, axis=0).repeat(3, axis=1))


def test_grid_blends_transparent_pixels_with_the_background():
    picture = np.zeros((2, 2, 4), dtype=np.uint8)
    picture[..., 0] = 255
    picture[0, :, 3] = 255
    canvas = np.asarray(image_grid([[picture]], padding=0, background=40))
    np.testing.assert_array_equal(canvas[0, 0], [255, 0, 0])
    np.testing.assert_array_equal(canvas[1, 0], [40, 40, 40])


@pytest.mark.parametrize("suffix", [".png", ".webp", ".jpg"])
def test_grey_with_alpha_is_a_picture(tmp_path, suffix):
    """Of two channels the second is transparency: kept where the format has it, over white elsewhere."""
    picture = np.zeros((16, 16, 2), dtype=np.uint8)
    picture[:8, :, 1] = 255
    save_image(picture, tmp_path / f"x{suffix}")
    with Image.open(tmp_path / f"x{suffix}") as saved:
        alpha = np.asarray(saved.convert("RGBA"))[..., 3]
        shown = np.asarray(flatten(saved).convert("L"))
    assert (alpha[8:] == (255 if suffix == ".jpg" else 0)).all()
    assert (shown[:7] < 40).all()
    assert (shown[9:] > 215).all()
    canvas = np.asarray(image_grid([[picture]], padding=0))
    assert (canvas[:8] == 0).all()
    assert (canvas[8:] == 255).all()


@pytest.mark.parametrize("title", ["input", "a title that is far too long for so small a cell"])
def test_grid_titles_stay_outside_the_cells(title):
    source = noise(4, 40, 40)
    plain = image_grid([[source, source]], padding=2)
    titled = image_grid([[source, source]], padding=2, column_titles=[title, "z"], row_titles=["row"])
    left, top = titled.width - plain.width, titled.height - plain.height
    canvas = np.asarray(titled)
    np.testing.assert_array_equal(canvas[top:, left:], np.asarray(plain))
    for c in range(2):
        cell = canvas[:top, left + 2 + c * 42 : left + 2 + c * 42 + 40]
        assert (cell < 128).any(), "no letters above this column"
    assert (canvas[top + 2 : top + 42, :left] < 128).any(), "no letters beside the row"
    beyond = canvas[:top, : left + 2], canvas[:top, left + 42 : left + 44]
    assert all((part == 255).all() for part in beyond), "letters reach into the neighbour"


def test_grid_refuses_what_it_cannot_draw():
    good = noise(5, 4, 4)
    with pytest.raises(DataError, match="every cell is empty"):
        image_grid([[None]])
    with pytest.raises(DataError, match=r"float64 of shape \(4, 4, 3\)"):
        image_grid([[good / 255.0]])
    with pytest.raises(DataError, match="C from 1 to 4"):
        to_image(np.zeros((4, 4, 5), np.uint8))
    with pytest.raises(ConfigError, match="1 column titles were given for 2 columns"):
        image_grid([[good, good]], column_titles=["one"])
    with pytest.raises(ConfigError, match="scale must be at least 1"):
        image_grid([[good]], scale=0)


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_png_keeps_every_pixel_and_leaves_nothing_else(tmp_path, channels):
    picture = noise(6, 9, 7, channels)
    save_image(picture, tmp_path / "new" / "a.PNG")
    with Image.open(tmp_path / "new" / "a.PNG") as image:
        np.testing.assert_array_equal(np.asarray(image).reshape(9, 7, channels), picture)
    assert [file.name for file in (tmp_path / "new").iterdir()] == ["a.PNG"]


@pytest.mark.parametrize(("suffix", "form"), [("jpg", "JPEG"), ("jpeg", "JPEG"), ("webp", "WEBP")])
def test_suffix_chooses_the_format(tmp_path, suffix, form):
    y, x = np.mgrid[0:64, 0:64]
    picture = np.stack([x * 3, y * 3, 255 - x - y], axis=2).astype(np.uint8)
    save_image(picture, tmp_path / f"a.{suffix}")
    with Image.open(tmp_path / f"a.{suffix}") as image:
        assert image.format == form
        error = np.abs(np.asarray(image.convert("RGB")).astype(int) - picture).mean()
    assert error < 3


def test_jpeg_shows_transparency_as_white(tmp_path):
    picture = np.zeros((16, 16, 4), dtype=np.uint8)
    save_image(picture, tmp_path / "a.jpg")
    with Image.open(tmp_path / "a.jpg") as image:
        assert np.asarray(image.convert("RGB")).min() >= 253


def test_lower_quality_makes_a_smaller_file(tmp_path):
    for quality in (20, 95):
        save_image(noise(7, 64, 64), tmp_path / f"{quality}.jpg", quality=quality)
    assert (tmp_path / "20.jpg").stat().st_size < (tmp_path / "95.jpg").stat().st_size / 2


def test_save_refuses_what_the_format_cannot_hold(tmp_path):
    with pytest.raises(ConfigError, match=r"\.png, \.jpg, \.jpeg, \.webp"):
        save_image(noise(0, 4, 4), tmp_path / "a.bmp")
    with pytest.raises(DataError, match="8 bits"):
        save_image(Image.new("I;16", (4, 4)), tmp_path / "a.jpg")
    with pytest.raises(DataError, match="16383 pixels"):
        save_image(Image.new("L", (16_384, 1)), tmp_path / "a.webp")
    with pytest.raises(ConfigError, match="quality"):
        save_image(noise(0, 4, 4), tmp_path / "a.jpg", quality=0)
    assert list(tmp_path.iterdir()) == []


def gradient_frames(count: int) -> list[np.ndarray]:
    y, x = np.mgrid[0:24, 0:32]
    return [np.stack([x * 7, y * 9, np.full_like(x, 255 * i // count)], axis=2).astype(np.uint8) for i in range(count)]


def read_gif(path) -> tuple[list[np.ndarray], list[int], int | None]:
    frames, durations = [], []
    with Image.open(path) as image:
        for index in range(getattr(image, "n_frames", 1)):
            image.seek(index)
            frames.append(np.asarray(image.convert("RGB")).astype(int))
            durations.append(image.info["duration"])
        return frames, durations, image.info.get("loop")


@pytest.mark.parametrize(("boomerang", "order"), [(False, [0, 1, 2, 3, 4]), (True, [0, 1, 2, 3, 4, 3, 2, 1])])
def test_gif_plays_the_frames_in_order(tmp_path, boomerang, order):
    frames = gradient_frames(5)
    save_gif(frames, tmp_path / "a.gif", duration_ms=120, boomerang=boomerang)
    read, durations, loop = read_gif(tmp_path / "a.gif")
    assert durations == [120] * len(order)
    assert loop == 0
    for shown, index in zip(read, order, strict=True):
        assert np.abs(shown - frames[index]).mean() < 6
        others = [np.abs(shown - frames[i]).mean() for i in range(5) if i != index]
        assert min(others) > 12


def test_gif_can_play_once(tmp_path):
    save_gif(gradient_frames(3), tmp_path / "a.gif", loop=False)
    assert read_gif(tmp_path / "a.gif")[2] is None


def test_gif_of_few_colours_is_exact(tmp_path):
    frames = [np.kron(noise(i, 4, 4), np.ones((8, 8, 1), dtype=np.uint8)) for i in range(4)]
    save_gif(frames, tmp_path / "a.gif")
    for shown, frame in zip(read_gif(tmp_path / "a.gif")[0], frames, strict=True):
        np.testing.assert_array_equal(shown, frame)


def test_gif_refuses_what_it_cannot_show(tmp_path):
    frames = gradient_frames(2)
    with pytest.raises(DataError, match="no frames at all"):
        save_gif([], tmp_path / "a.gif")
    with pytest.raises(DataError, match="32×24, 32×25"):
        save_gif([frames[0], noise(0, 25, 32)], tmp_path / "a.gif")
    with pytest.raises(ConfigError, match=r"end in \.gif"):
        save_gif(frames, tmp_path / "a.png")
    for wrong in (10, 85):
        with pytest.raises(ConfigError, match=f"not {wrong}"):
            save_gif(frames, tmp_path / "a.gif", duration_ms=wrong)
