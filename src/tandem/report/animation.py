"""Writing moving pictures."""

import io
from collections.abc import Sequence
from pathlib import Path

from PIL import Image

from tandem.errors import ConfigError, DataError
from tandem.files import atomic_write_bytes
from tandem.report.grid import Picture, flatten, to_image


def save_gif(
    frames: Sequence[Picture],
    path: Path,
    *,
    duration_ms: int = 80,
    loop: bool = True,
    boomerang: bool = False,
) -> None:
    """Write an animated GIF atomically.

    Every frame shows the 256 colours that suit it best, without dithering.

    Args:
        frames: At least one picture as in `tandem.report.grid.to_image`, all of one size. Equal neighbours
            become one frame that is shown longer.
        path: Ends in .gif.
        duration_ms: Time of each frame in ms, at least 20 (viewers slow faster ones down), a multiple of 10
            (the format counts hundredths of a second).
        loop: Repeat for ever, otherwise play once.
        boomerang: Play the frames back again after the last, without repeating both ends.

    Raises:
        DataError: no frames, or frames of different sizes.
        ConfigError: a wrong suffix or duration.
    """
    if path.suffix.lower() != ".gif":
        raise ConfigError(f"Cannot write '{path.name}': an animation's name must end in .gif.")
    if duration_ms < 20 or duration_ms % 10:
        raise ConfigError(f"duration_ms must be at least 20 and a multiple of 10, not {duration_ms}.")
    images = [flatten(to_image(frame)).convert("RGB") for frame in frames]
    sizes = sorted({image.size for image in images})
    if len(sizes) != 1:
        found = ", ".join(f"{width}×{height}" for width, height in sizes) or "no frames at all"
        raise DataError(f"An animation needs frames of one size, but was given {found}.")

    # A palette for each frame and no dithering: measured on interpolations, one palette for all frames loses
    # 6 to 20 dB, and dithering makes still areas flicker.
    indexed = [image.quantize(256, dither=Image.Dither.NONE) for image in images]
    if boomerang:
        indexed += indexed[-2:0:-1]
    buffer = io.BytesIO()
    options = {"loop": 0} if loop else {}
    indexed[0].save(
        buffer,
        "GIF",
        save_all=True,
        append_images=indexed[1:],
        duration=duration_ms,
        optimize=False,
        **options,
    )
    atomic_write_bytes(path, buffer.getvalue())
