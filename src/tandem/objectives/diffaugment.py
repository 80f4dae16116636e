"""DiffAugment (Zhao et al., 2020, 2006.10738): all that discriminators see is augmented, real images and fakes alike.

With few pairs discriminators learn the training images by heart. Augmenting the real images alone would teach the
generator to make augmented ones; here T goes over real images and fakes, D(T(x)) and D(T(G(A, z))), and gradients pass
through it to the generator. With u uniform in [0, 1) and the paper's ranges, in this order:

- ``color``: brightness x + u − ½; saturation m + 2u·(x − m), with m the mean over the channels; contrast
  m + (u + ½)·(x − m), with m the mean over the image. Of the output alone: an input's colours say what to make.
- ``translation``: by up to an eighth of each side, and 0 (grey) where nothing is left.
- ``cutout``: a rectangle of half of each side becomes 0. Its centre may be anywhere, some of it outside of the image.

Deviations: T is drawn once for each sample and step, where the authors draw it for every forward. So an input and its
output move together, the discriminator compares a real image and its fake under the same T, and logits of one phase
hold for the other. Images without three channels have no saturation.
"""

from collections.abc import Collection, Sequence

import torch
from torch import Tensor

from tandem import rng
from tandem.config.method import Augmentation
from tandem.objectives.masking import hidden

_BRIGHTNESS, _SATURATION, _CONTRAST, _DOWN, _RIGHT, _ROW, _COLUMN = range(7)
"""What each number of a draw is for; the same ones whatever is switched on."""


def draw_augmentation(seed: int, positions: Sequence[int]) -> Tensor:
    """Draw T for the samples at `positions`: ``(N, 7)``, float32, uniform in [0, 1)."""
    return rng.uniform(seed, "diffaugment", positions, (7,))


def augmented(
    kinds: Collection[Augmentation],
    image: Tensor,
    draws: Tensor | None,
    *,
    beside: Tensor | None = None,
    mask: Tensor | None = None,
    fill: float = -1.0,
) -> Tensor:
    """What a discriminator is shown.

    Args:
        kinds: What T consists of; nothing leaves the images as they are.
        image: An output, real or made, ``(N, C, H, W)``, float, [-1, 1].
        draws: ``(N, 7)``, those of `draw_augmentation`; None where `kinds` is empty.
        beside: Its input, ``(N, C', H, W)``, where the discriminator sees that too; the image comes behind it.
        mask: ``(N, 1, H, W)``, 0 where pixels of the image are masked, else 1; None where all are valid.
        fill: What masked pixels become, before and after a change of colours.

    Returns:
        ``(N, C' + C, H, W)``; with ``color`` values may lie outside of [-1, 1].
    """
    draws = None if draws is None else draws.to(image.dtype)
    image = hidden(image, mask, fill)
    if draws is not None and "color" in kinds:
        image = hidden(recoloured(image, draws), mask, fill)
    seen = image if beside is None else torch.cat([beside, image], 1)
    if draws is not None and "translation" in kinds:
        seen = translated(seen, draws)
    if draws is not None and "cutout" in kinds:
        seen = cut_out(seen, draws)
    return seen


def recoloured(images: Tensor, draws: Tensor) -> Tensor:
    """Change brightness, saturation (of three channels) and contrast of ``(N, C, H, W)`` by ``(N, 7)``."""
    brightness, saturation, contrast = (draws[:, k, None, None, None] for k in (_BRIGHTNESS, _SATURATION, _CONTRAST))
    images = images + (brightness - 0.5)
    if images.shape[1] == 3:
        grey = images.mean(1, keepdim=True)
        images = grey + 2 * saturation * (images - grey)
    mean = images.mean((1, 2, 3), keepdim=True)
    return mean + (contrast + 0.5) * (images - mean)


def translated(images: Tensor, draws: Tensor) -> Tensor:
    """Move ``(N, C, H, W)`` by whole pixels, up to an eighth of a side either way, with zeros behind."""
    _, channels, height, width = images.shape
    rows, has_row = _moved(height, draws[:, _DOWN])
    columns, has_column = _moved(width, draws[:, _RIGHT])
    moved = images.gather(2, rows[:, None, :, None].expand(-1, channels, -1, width))
    moved = moved.gather(3, columns[:, None, None, :].expand(-1, channels, height, -1))
    return moved.where((has_row[:, :, None] & has_column[:, None, :])[:, None], 0)


def cut_out(images: Tensor, draws: Tensor) -> Tensor:
    """Set a rectangle of ``(N, C, H, W)`` to zero that has half of each side."""
    rows, columns = (_hidden(images.shape[2 + k], draws[:, column]) for k, column in enumerate((_ROW, _COLUMN)))
    return images.where(~(rows[:, :, None] & columns[:, None, :])[:, None], 0)


def _moved(side: int, draws: Tensor) -> tuple[Tensor, Tensor]:
    """The index that each place of a side takes its value from, and whether there is such a place; ``(N, side)``."""
    most = _share(side, 8)
    shift = (draws * (2 * most + 1)).floor().long() - most
    sources = torch.arange(side, device=draws.device) - shift[:, None]
    return sources.clamp(0, side - 1), (sources >= 0) & (sources < side)


def _hidden(side: int, draws: Tensor) -> Tensor:
    """Which places of a side lie in the rectangle, ``(N, side)``."""
    size = _share(side, 2)
    centre = (draws * (side + 1 - size % 2)).floor().long()
    places = torch.arange(side, device=draws.device) - (centre[:, None] - size // 2)
    return (places >= 0) & (places < size)


def _share(side: int, part: int) -> int:
    """A half or an eighth of a side, in whole pixels, halves rounded up as the authors do."""
    return int(side / part + 0.5)
