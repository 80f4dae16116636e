"""How visible tiles are: `python tools/measure_seams.py MODEL IMAGE [--tile 256] [--overlap 64]`.

Translates an image whole, in tiles of their own (each with its own norm statistics), in such tiles that overlap and are
blended, and in Tandem's tiles. Prints for each the mean step of neighbouring pixels across borders of tiles, as a
multiple of that everywhere, and the mean and largest difference from the image translated whole, in [-1, 1].
"""

import argparse
from collections.abc import Callable
from pathlib import Path

import numpy as np

from tandem.data.images import read_image
from tandem.data.pixels import to_floats
from tandem.inference.translator import Translator, load

Translate = Callable[[np.ndarray], np.ndarray]


def starts(length: int, tile: int, overlap: int) -> list[int]:
    """Where tiles begin, so that the last one ends with the image."""
    step = tile - overlap
    count = max(1, -(-(length - overlap) // step))
    return [round(index * max(0, length - tile) / max(1, count - 1)) for index in range(count)]


def naive(image: np.ndarray, translate: Translate, *, tile: int, overlap: int) -> np.ndarray:
    """Translate `(C, H, W)` tile by tile, with weights that fall linearly over the overlap."""
    _, height, width = image.shape
    ramp = np.minimum(1, (np.minimum(np.arange(tile), np.arange(tile)[::-1]) + 1) / (overlap + 1))
    total, weights = np.zeros(image.shape), np.zeros((height, width))
    for top in starts(height, tile, overlap):
        for left in starts(width, tile, overlap):
            part = (slice(top, top + tile), slice(left, left + tile))
            made = translate(image[:, *part])
            weight = np.outer(ramp, ramp)[: made.shape[1], : made.shape[2]]
            total[:, *part] += made * weight
            weights[part] += weight
    return (total / weights).astype(np.float32)


def seam(made: np.ndarray, *, tile: int) -> float:
    """The mean step across multiples of `tile`, as a multiple of the mean step everywhere."""
    ratios = []
    for axis in (1, 2):
        steps = np.abs(np.diff(made, axis=axis))
        at = np.arange(tile - 1, steps.shape[axis], tile)
        ratios.append(np.take(steps, at, axis).mean() / steps.mean())
    return float(np.mean(ratios))


def translate_with(translator: Translator, tile: int) -> Translate:
    """One sample with the code of seed 0."""
    return lambda values: translator(np.moveaxis(values, 0, -1), 1, fit="pad", tile=tile, output="tensor")[0].numpy()


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("model", type=Path)
    parser.add_argument("image", type=Path)
    parser.add_argument("--tile", type=int, default=256)
    parser.add_argument("--overlap", type=int, default=64)
    args = parser.parse_args()
    translator = load(args.model)
    image = to_floats(read_image(args.image, channels=translator.manifest.preprocessing.input_channels))
    alone = translate_with(translator, 0)
    whole = alone(image)
    rows = {
        "whole": whole,
        "tiles on their own": naive(image, alone, tile=args.tile, overlap=0),
        f"blended over {args.overlap} px": naive(image, alone, tile=args.tile, overlap=args.overlap),
        "Tandem's tiles": translate_with(translator, args.tile)(image),
    }
    for name, made in rows.items():
        difference = np.abs(made - whole)
        print(
            f"{name:<22} step at borders {seam(made, tile=args.tile):.3f}, difference mean {difference.mean():.2g}, "
            f"largest {difference.max():.2g}"
        )


if __name__ == "__main__":
    main()
