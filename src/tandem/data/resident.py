"""Training images that live decoded on the device: batches are gathered, flipped and made floats there.

The draws are those of the dataset and stay on the host; what crosses over for a batch is a few numbers an image. The
pixels of a batch are those of the dataset bit for bit: the gather moves bytes, and the division is a true one (by a
tensor: by a number, CUDA would multiply with the inverse).
"""

from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor

from tandem.data.augment import CropWindow
from tandem.data.decoded import DecodedImages, Place
from tandem.data.in_parallel import in_parallel
from tandem.data.loader import Batch, differing_sizes
from tandem.data.pixels import half_range
from tandem.data.samples import Sample, SampleDataset
from tandem.errors import ConfigError


class ResidentDataset:
    """A dataset whose decoded images have been copied to a device; its loader runs without workers.

    Args:
        dataset: Samples by position; all of its slots must be decoded, see `fill`.
        device: Where the images, and so the batches, are.

    Raises:
        ConfigError: The dataset keeps nothing decoded, or not all of it.
    """

    def __init__(self, dataset: SampleDataset, device: torch.device) -> None:
        if dataset.decoded is None:
            raise ConfigError("The dataset keeps no decoded images: there is nothing to copy to the device.")
        pixels, self._places = dataset.decoded.dense()
        self._dataset, self._device = dataset, device
        self._pixels = torch.from_numpy(pixels).to(device, copy=True)
        types = {place.dtype for places in self._places for place in places}
        by_type = {np.dtype(np.uint8), np.dtype(np.uint16)}
        if not (all(levels.is_by_type for levels in dataset.levels) and types <= by_type):
            raise ConfigError(
                "images with a value range and label maps stay in memory, not on the device: leave out "
                "--decoded-place device."
            )
        self._halves = {dtype: torch.tensor(half_range(dtype), dtype=torch.float32, device=device) for dtype in types}

    def __len__(self) -> int:
        """The number of positions in an epoch."""
        return len(self._dataset)

    def __getitem__(self, position: int) -> Sample:
        """The sample at a position, on the CPU and by the way of the dataset."""
        return self._dataset[position]

    def files_at(self, position: int) -> list[str]:
        """The files that the sample at a position was read from."""
        return self._dataset.files_at(position)

    def batch_at(self, positions: Sequence[int]) -> Batch:
        """The samples at these positions: `a` and `b` are ``(N, C, H, W)``, float32, [-1, 1], on the device.

        Raises:
            DataError: They differ in size.
        """
        slots = [self._dataset.slots_at(position) for position in positions]
        names = [self._dataset.name_of(own) for own in slots]
        parts: list[list[tuple[Place, CropWindow]]] = []
        for position, own in zip(positions, slots, strict=True):
            images = [self._places[slot] for slot in own]
            windows = self._dataset.windows_at(position, [places[0].shape[1:] for places in images])
            parts.append([(place, cut) for places, cut in zip(images, windows, strict=True) for place in places])
        sizes = [((a.height, a.width), (b.height, b.width)) for (_, a), (_, b) in parts]
        if len(set(sizes)) > 1:
            raise differing_sizes(names, sizes)
        a, b = (self._batch_of([own[side] for own in parts]) for side in (0, 1))
        return Batch(a=a, b=b, names=names, positions=list(positions))

    def _batch_of(self, parts: Sequence[tuple[Place, CropWindow]]) -> Tensor:
        """Windows of one size of images, ``(N, C, height, width)``, float32, [-1, 1]."""
        kinds = {place.dtype for place, _ in parts}
        if len(kinds) == 1:
            return self._gathered(parts, *kinds)
        # Files of 8 and of 16 bits beside each other: one by one.
        return torch.cat([self._gathered([part], part[0].dtype) for part in parts])

    def _gathered(self, parts: Sequence[tuple[Place, CropWindow]], dtype: np.dtype) -> Tensor:
        """Those of images of one type."""
        (channels, *_), first = parts[0][0].shape, parts[0][1]
        rows = [
            [place.start // dtype.itemsize, *place.shape[1:], window.top, window.left, int(window.flipped)]
            for place, window in parts
        ]
        numbers = torch.tensor(rows, dtype=torch.int64)
        if self._device.type == "cuda":
            numbers = numbers.pin_memory()
        columns = numbers.to(self._device, non_blocking=True).T[:, :, None, None, None]
        start, heights, widths, top, left, flipped = columns
        plane, row, column = (
            torch.arange(count, device=self._device).view(shape)
            for count, shape in ((channels, (-1, 1, 1)), (first.height, (-1, 1)), (first.width, (-1,)))
        )
        column = torch.where(flipped.bool(), first.width - 1 - column, column)
        index = start + (plane * heights + top + row) * widths + left + column
        return self._values(dtype, index).div_(self._halves[dtype]).sub_(1)

    def _values(self, dtype: np.dtype, index: Tensor) -> Tensor:
        """The values of a type at some places, float32."""
        pixels = self._pixels
        if dtype == np.uint16:  # which few devices gather: as signed ones, of which the upper half is negative
            whole = pixels[: len(pixels) // 2 * 2].view(torch.int16)[index].to(torch.int32)
            found = whole.bitwise_and_(0xFFFF)
        else:
            found = pixels[index]
        return found.to(torch.float32, memory_format=torch.contiguous_format)


def fill(
    dataset: SampleDataset,
    decoded: DecodedImages,
    *,
    on_progress: Callable[[int, int], None] | None = None,
    num_threads: int | None = None,
) -> None:
    """Decode all images of a dataset that are not decoded yet.

    Args:
        dataset: What is decoded, into its `decoded`.
        decoded: That memory.
        on_progress: Called with (done, all) slots in the caller's thread.
        num_threads: Threads that decode; by default one per core, at most 8.

    Raises:
        DataError: A file cannot be read or is too small for the crop.
    """
    missing = [slot for slot in range(dataset.num_slots) if slot not in decoded]
    done = dataset.num_slots - len(missing)
    for _ in in_parallel(dataset.loaded, missing, num_threads=num_threads):
        done += 1
        if on_progress is not None:
            on_progress(done, dataset.num_slots)
