"""Pixels that do not count: how they are kept out of losses and out of what discriminators see.

With m ``(N, 1, H, W)``, 1 where a pixel is valid and 0 elsewhere, a distance of images is the mean over the images of
the batch of

    Σ m·|x − y| / (C·Σ m),

the mean over the valid pixels of each; an image without any counts as 0. Each image weighs the same, so that the mean
over micro-batches and processes is that of the whole batch.

Networks that compare or encode (discriminators, encoders, those of features, the way back of a cycle) see one constant
in the place of masked pixels, in real images and fakes alike: by these nobody can tell them apart. So the gradient of
every loss is zero, exactly, in masked pixels of an output. A batch without masked pixels has no masks, and is computed
as if nothing were ever masked.
"""

from torch import Tensor


def mean_distance(made: Tensor, real: Tensor, mask: Tensor | None) -> Tensor:
    """The mean absolute difference of images ``(N, C, H, W)``, of valid pixels where there is a mask: a scalar."""
    distance = (made - real).abs()
    return distance.mean() if mask is None else (distance * weights_of(mask)).mean()


def weights_of(mask: Tensor) -> Tensor:
    """What pixels weigh, so that a mean over all of them is one over those that are valid: as `mask`."""
    valid = mask.sum((1, 2, 3), keepdim=True)
    return mask * (mask[0].numel() / valid.clamp_min(1))


def hidden(images: Tensor, mask: Tensor | None, fill: float) -> Tensor:
    """Images ``(N, C, H, W)`` with a constant in the place of masked pixels; themselves without a mask."""
    return images if mask is None else images.where(mask > 0, fill)


def both_valid(first: Tensor | None, second: Tensor | None) -> Tensor | None:
    """The pixels that are valid in two masks; None without masks."""
    return None if first is None or second is None else first * second
