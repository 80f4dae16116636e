"""The pool of earlier fakes that CycleGAN's discriminators are shown (Shrivastava et al., 2017, 1612.07828).

Until the pool is full every fake is stored and shown. Then, for each fake, with probability ½ a stored one is shown and
the new one takes its place; otherwise the new one is shown and not stored.

Processes that train together keep the same pool: each stores the fakes of all of them, so that the pool, and what the
discriminators are shown, are those of one process with the joined batch.
"""

from collections.abc import Callable, Mapping

import torch
from torch import Tensor


class ImagePool:
    """A pool of up to `size` images; its content is part of the training state.

    Attributes:
        images: The stored images, ``(size, C, H, W)``, the first `count` of them valid; None before the first.
        count: How many are stored.
    """

    def __init__(self, size: int) -> None:
        self.size = size
        self.count = 0
        self.images: Tensor | None = None
        self._gather_rows: Callable[[Tensor], Tensor] | None = None
        self._rank = 0

    def join(self, gather_rows: Callable[[Tensor], Tensor], *, rank: int) -> None:
        """Share this pool with other processes.

        Args:
            gather_rows: Puts the rows that each process gives below each other, in the order of the ranks.
            rank: The number of this process.
        """
        self._gather_rows, self._rank = gather_rows, rank

    @property
    def is_shared(self) -> bool:
        """Whether an exchange asks other processes."""
        return self._gather_rows is not None

    def exchange(self, fakes: Tensor, draws: Tensor) -> Tensor:
        """Store fakes and say what the discriminator is shown.

        Args:
            fakes: ``(N, C, H, W)``, detached, [-1, 1].
            draws: ``(N, 2)``, uniform in [0, 1), on the same device: whether to swap, and with which image.

        Returns:
            ``(N, C, H, W)``: the fakes, or stored images in their place.
        """
        if self._gather_rows is None:
            return self._exchange(fakes, draws)
        shown = self._exchange(self._gather_rows(fakes), self._gather_rows(draws))
        return shown[self._rank * len(fakes) : (self._rank + 1) * len(fakes)]

    def _exchange(self, fakes: Tensor, draws: Tensor) -> Tensor:
        if self.images is None:
            self.images = fakes.new_zeros((self.size, *fakes.shape[1:]))
        elif self.images.shape[1:] != fakes.shape[1:]:
            return fakes  # images of other sizes, as --preprocess none gives them, cannot be swapped
        room = min(self.size - self.count, len(fakes))
        if room:
            self.images[self.count : self.count + room] = fakes[:room]
            self.count += room
        if room == len(fakes):
            return fakes
        swapped = self._swap(fakes[room:], draws[room:])
        return torch.cat([fakes[:room], swapped]) if room else swapped

    def _swap(self, fakes: Tensor, draws: Tensor) -> Tensor:
        """Swap one fake after the other, all of them in a few operations and on the device, so that nothing waits."""
        assert self.images is not None
        place = (draws[:, 1] * self.size).long().clamp(max=self.size - 1)
        swaps = draws[:, 0] < 0.5
        number = torch.arange(len(fakes), device=fakes.device)
        # In what follows image i is what lies at the place of fake i before the exchange, and image N + i is fake i.
        images = torch.cat([self.images.index_select(0, place), fakes])
        as_fake = number + len(fakes)
        fills = (place[:, None] == place) & swaps  # (i, j): fake j fills the place of fake i
        before = torch.where(fills & (number < number[:, None]), as_fake, number[:, None]).amax(1)
        after = torch.where(fills, as_fake, number[:, None]).amax(1)
        # Fakes of the same place all write what the last of them leaves there, so their order is no matter.
        self.images.index_copy_(0, place, images.index_select(0, after))
        return images.index_select(0, torch.where(swaps, before, as_fake))

    def tensors(self) -> dict[str, Tensor]:
        """The stored images as part of a training state; empty while nothing is stored."""
        return {} if self.images is None else {"images": self.images[: self.count]}

    def load(self, tensors: Mapping[str, Tensor], *, device: torch.device) -> None:
        """Take over what `tensors` gave: at most `size` images."""
        self.images, self.count = None, 0
        if "images" in tensors:
            stored = tensors["images"].to(device)
            self.images, self.count = stored.new_zeros((self.size, *stored.shape[1:])), len(stored)
            self.images[: self.count] = stored
