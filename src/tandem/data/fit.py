"""How an image of any size meets a network that was trained on one size: one rule for all who bring them together.

``auto`` does to whole images what training (``--preprocess``) did to its own, without a draw:

- ``resize_and_crop``: resized to the training size, whatever the aspect. Where training cropped that size out of a load
  size of 1.5 times its sides or more, resized to the load size instead: what the network knows has that scale.
- ``scale_width``: scaled to the width of training with the aspect kept, to a height not below the training size, and
  both sides to the nearest multiple of what the generator takes, exactly as in training.
- ``scale_width_and_crop``: scaled to the width of the training size (or to the load width, where that is 1.5 times as
  wide or more), aspect kept, to a height not below the training size.
- ``crop``, ``none``: the resolution is kept.

``resize`` brings images to the training size whatever training did, with the aspect kept where training kept it by
scaling to a width. ``pad`` keeps the resolution whatever training did. Whatever comes out is padded, with its mirror
image at the right and lower edge, up to the next size that the network takes; of the output the padding is cut off, and
it gets the size of the image again. Sizes are ``(height, width)``.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from tandem.config.data import DataConfig, Preprocess
from tandem.data.augment import nearest_multiple
from tandem.data.check_report import SizeRange
from tandem.data.images import MAX_PIXELS
from tandem.data.pixels import ResizeMethod, resize
from tandem.errors import ConfigError, DataError

Size = tuple[int, int]
Fit = Literal["auto", "pad", "resize"]

OFF_SCALE = 1.5
"""How many times larger or smaller than in training an image must be for a warning, or a load size for `auto`."""
MAX_PADDED_PIXELS = 2 * MAX_PIXELS
"""More are not translated: a generator pads a line of a few pixels to hundreds."""


@dataclass(frozen=True, kw_only=True)
class FitPlan:
    """What is done to an image: resized from its own size to the target, then padded.

    Attributes:
        own: The image's size.
        target: The size that it is resized to, its own where its resolution is kept.
        padded: The size that the network gets.
    """

    own: Size
    target: Size
    padded: Size


@dataclass(frozen=True, kw_only=True)
class FitRule:
    """What training did to the sizes of images, and hence what is done to those that meet the model.

    Attributes:
        size: Height and width of the training images; with ``none`` and ``scale_width``, which do not crop, the least.
        preprocess: How they came to size.
        load_size: Height and width to which ``resize_and_crop`` resized them before the crop; None with other modes.
        load_width: Width to which ``scale_width`` and ``scale_width_and_crop`` scaled them; None with other modes.
    """

    size: Size
    preprocess: Preprocess
    load_size: Size | None = None
    load_width: int | None = None

    @staticmethod
    def of(data: DataConfig) -> "FitRule":
        """The rule of a run with these options."""
        return FitRule(
            size=data.crop_size,
            preprocess=data.preprocess,
            load_size=data.resize_size,
            load_width=data.scaled_width,
        )

    @property
    def keeps_resolution(self) -> bool:
        """Whether training took images at their own resolution."""
        return self.preprocess in {"crop", "none"}

    def target(self, height: int, width: int, fit: Fit, *, multiple: int = 1) -> Size:
        """The size to which an image of `height` x `width` is resized, before any padding.

        Args:
            height: In pixels.
            width: Likewise.
            fit: See this file's head.
            multiple: What the generator takes multiples of.

        Raises:
            ConfigError: There is no such `fit`.
        """
        if fit not in {"auto", "pad", "resize"}:
            raise ConfigError(f"fit must be auto, pad or resize, not {fit!r}.")
        if fit == "pad" or (fit == "auto" and self.keeps_resolution):
            return height, width
        if self.load_width is not None:
            return self._scaled(self.load_width, height, width, multiple)
        return self._whole if fit == "auto" else self.size

    def plan(self, height: int, width: int, fit: Fit, *, multiple: int = 1, smallest: int = 1) -> FitPlan:
        """What is done to an image of `height` x `width`.

        Args:
            height: In pixels.
            width: Likewise.
            fit: See this file's head.
            multiple: Sides must be multiples of this.
            smallest: Sides must be at least this, itself a multiple.

        Raises:
            ConfigError: There is no such `fit`.
            DataError: It is so thin that what the network gets would be much larger than any image.
        """
        target = self.target(height, width, fit, multiple=multiple)
        rows, columns = (max(side + -side % multiple, smallest) for side in target)
        if rows * columns > MAX_PADDED_PIXELS:
            raise DataError(
                f"the image is {width}×{height} px, and {columns}×{rows} px at the size that the generator takes; at "
                f"most {MAX_PADDED_PIXELS} pixels are translated. Cut it, or choose another --fit (auto, pad, resize)."
            )
        return FitPlan(own=(height, width), target=target, padded=(rows, columns))

    def fixed(self, image: np.ndarray, *, multiple: int = 1, method: ResizeMethod = "bicubic") -> np.ndarray:
        """Bring ``(H, W, C)`` to the training size without a draw, at the scale of `auto`: ``(height, width, C)``.

        Where `auto` gives another size than that of training, its middle is cut out, or it is padded.
        """
        height, width = image.shape[:2]
        scaled = resize(image, *self.target(height, width, "auto", multiple=multiple), method=method)
        missing = [max(0, side - own) for side, own in zip(self.size, scaled.shape[:2], strict=True)]
        padded = pad_mirrored(scaled, (0, 1), missing)
        top, left = ((own - side) // 2 for side, own in zip(self.size, padded.shape[:2], strict=True))
        return padded[top : top + self.size[0], left : left + self.size[1]]

    def describe(self, fit: Fit) -> str:
        """Say in one sentence what is done to inputs, and why."""
        given = f"--fit {fit}" if fit != "auto" else f"--fit auto, as the model was trained with {self._training()}"
        if fit == "pad" or (fit == "auto" and self.keeps_resolution):
            return f"inputs keep their resolution ({given})"
        if self.load_width is not None:
            width = self._width(self.load_width)
            return f"inputs are scaled to a width of {width} px, and outputs back to the size of the input ({given})"
        whole = self._whole if fit == "auto" else self.size
        what = "the training size" if whole == self.size else "the load size of training"
        return f"inputs are resized to {_text(whole)} px, {what}, and outputs back to the size of the input ({given})"

    def describe_fixed(self) -> str:
        """Say in one sentence what `fixed` does to images."""
        if self.load_width is None and self._whole == self.size and not self.keeps_resolution:
            return f"Images are resized to the training size, {_text(self.size)} px."
        return f"Of each image the middle {_text(self.size)} px are shown, at the scale of training."

    def key(self, fit: Fit) -> str:
        """Says what is done to inputs, and nothing else: two rules with one key do the same."""
        if fit == "pad" or (fit == "auto" and self.keeps_resolution):
            return "pad"
        if self.load_width is not None:
            return f"scale to the width {self._width(self.load_width)}, height at least {self.size[0]}"
        return f"resize to {_text(self._whole if fit == 'auto' else self.size)}"

    def warning(self, height: int, width: int, fit: Fit, trained: SizeRange) -> str | None:
        """Say whether an image of `height` x `width` meets the network at another scale than the training images did.

        Args:
            height: In pixels.
            width: Likewise.
            fit: What is done to it.
            trained: The sizes of the files that the model was trained on.

        Returns:
            A sentence, or None where the scale is less than `OFF_SCALE` times off.
        """
        target, wanted = self.target(height, width, fit), self.target(height, width, "auto")
        off = _farthest([got / want for got, want in zip(target, wanted, strict=True)])
        if _is_off(off):
            return (
                f"with --fit {fit} an image of {_text((height, width))} px reaches the network at {_text(target)} px, "
                f"{_times(off)} than at training ({_text(wanted)} px there): --fit auto brings it to that scale"
            )
        if target == (height, width) and self.keeps_resolution:
            off = _nearest_to_one(
                _beyond(height, trained.min_height, trained.max_height),
                _beyond(width, trained.min_width, trained.max_width),
            )
            if _is_off(off):
                return (
                    f"an image of {_text((height, width))} px is {_times(off)} than the images of training "
                    f"({_range(trained)}), and its resolution is kept: unless it is a part of such an image, bring it "
                    "to their size first"
                )
            return None
        off = self._distortion(height, width, target, trained)
        if _is_off(off):
            return (
                f"an image of {_text((height, width))} px is resized to {_text(target)} px, which makes it "
                f"{_times(off, 'narrower', 'wider')} than the images of training ({_range(trained)}) came out: cut it "
                "to their shape first"
            )
        return None

    def _distortion(self, height: int, width: int, target: Size, trained: SizeRange) -> float:
        """How much more than in training the resize stretches an image upright; 1 where it does not."""
        aspects = (trained.min_aspect, trained.max_aspect)
        stretch = (width / height) * (target[0] / target[1])
        if self.load_size is not None:
            low, high = (aspect * self.load_size[0] / self.load_size[1] for aspect in aspects)
        else:
            low, high = 1.0, 1.0
        # Where the aspect is kept, rounding to whole pixels and a least height remain, and are those of training too.
        return 1.0 if self.load_width is not None else _beyond(stretch, low, high)

    @property
    def _whole(self) -> Size:
        """To which `auto` resizes images, whatever their aspect."""
        if self.load_size is None or not any(
            load >= OFF_SCALE * side for load, side in zip(self.load_size, self.size, strict=True)
        ):
            return self.size
        return self.load_size

    def _width(self, load_width: int) -> int:
        crops_little = self.preprocess == "scale_width_and_crop" and load_width < OFF_SCALE * self.size[1]
        return self.size[1] if crops_little else load_width

    def _scaled(self, load_width: int, height: int, width: int, multiple: int) -> Size:
        wanted = self._width(load_width)
        if self.preprocess == "scale_width":
            scaled = max(wanted / (width / height), self.size[0])
            return nearest_multiple(scaled, multiple), nearest_multiple(wanted, multiple)
        return max(wanted * height // width, self.size[0]), wanted

    def _training(self) -> str:
        load = self.load_width if self.load_size is None else _text(self.load_size)
        loaded = "" if load is None else f", --load-size {load}"
        return f"--preprocess {self.preprocess}{loaded}, --size {_text(self.size)}"


def pad_mirrored(values: np.ndarray, axes: tuple[int, int], missing: list[int]) -> np.ndarray:
    """Add the mirror image of an array at its lower and right edge, `missing` rows and columns of two `axes`."""
    widths = [(0, 0)] * values.ndim
    for axis, extra in zip(axes, missing, strict=True):
        widths[axis] = (0, extra)
    # NumPy's reflection repeats as often as needed, so that images smaller than the padding work too.
    return np.pad(values, widths, mode="symmetric") if any(missing) else values


def _beyond(value: float, low: float, high: float) -> float:
    """How many times `value` is above `high` or, below 1, of `low`; 1 between them."""
    return value / high if value > high else value / low if value < low else 1.0


def _farthest(ratios: list[float]) -> float:
    return max(ratios, key=lambda ratio: max(ratio, 1 / ratio))


def _nearest_to_one(one: float, other: float) -> float:
    """The smaller deviation; 1 where one is larger and the other smaller: that is another shape, not another scale."""
    if (one - 1) * (other - 1) <= 0:
        return 1.0
    return min(one, other, key=lambda ratio: max(ratio, 1 / ratio))


def _is_off(ratio: float) -> bool:
    return max(ratio, 1 / ratio) >= OFF_SCALE


def _times(ratio: float, more: str = "larger", less: str = "smaller") -> str:
    return f"{max(ratio, 1 / ratio):.2g} times {more if ratio > 1 else less}"


def _text(size: Size) -> str:
    return f"{size[0]}x{size[1]}"


def _range(sizes: SizeRange) -> str:
    least, most = (sizes.min_height, sizes.min_width), (sizes.max_height, sizes.max_width)
    return f"{_text(least)} px" if least == most else f"{_text(least)} to {_text(most)} px"
