"""Training images that live decoded on the device: batches are gathered, flipped and made floats there.

The draws are those of the dataset and stay on the host; what crosses over for a batch is a few numbers an image. The
pixels of a batch are those of the dataset bit for bit: the gather moves bytes, and the division is a true one (by a
tensor: by a number, CUDA would multiply with the inverse).
"""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

import torch
from torch import Tensor

from tandem.data.decoded import DecodedImages
from tandem.data.images import half_range
from tandem.data.loader import Batch, differing_sizes
from tandem.data.samples import Sample, SampleDataset
from tandem.errors import ConfigError
from tandem.threads import usable_cores


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
        self._half = torch.tensor(half_range(pixels.dtype), dtype=torch.float32, device=device)

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
        windows = []
        for position, own in zip(positions, slots, strict=True):
            sizes = [(int(height), int(width)) for _, _, height, width in self._places[list(own)]]
            windows.append(self._dataset.windows_at(position, sizes))
        sizes = [((own[0].height, own[0].width), (own[-1].height, own[-1].width)) for own in windows]
        if len(set(sizes)) > 1:
            raise differing_sizes(names, sizes)
        sides = []
        for side, (height, width) in enumerate(sizes[0][: len(slots[0])]):
            rows = [
                [*self._places[own[side]].tolist(), window[side].top, window[side].left, int(window[side].flipped)]
                for own, window in zip(slots, windows, strict=True)
            ]
            sides.append(self._gathered(rows, height, width))
        channels = self._dataset.channels_a
        a, b = sides if len(sides) == 2 else (sides[0][:, :channels], sides[0][:, channels:])
        return Batch(a=self._floats(a), b=self._floats(b), names=names, positions=list(positions))

    def _gathered(self, rows: Sequence[Sequence[int]], height: int, width: int) -> Tensor:
        """The bytes of windows, ``(N, C, height, width)``; see the unpacking for what a row is."""
        numbers = torch.tensor(rows, dtype=torch.int64)
        if self._device.type == "cuda":
            numbers = numbers.pin_memory()
        columns = numbers.to(self._device, non_blocking=True).T[:, :, None, None, None]
        start, _, heights, widths, top, left, flipped = columns
        plane, row, column = (
            torch.arange(count, device=self._device).view(shape)
            for count, shape in ((rows[0][1], (-1, 1, 1)), (height, (-1, 1)), (width, (-1,)))
        )
        column = torch.where(flipped.bool(), width - 1 - column, column)
        return self._pixels[start + (plane * heights + top + row) * widths + left + column]

    def _floats(self, values: Tensor) -> Tensor:
        return values.to(torch.float32, memory_format=torch.contiguous_format).div_(self._half).sub_(1)


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
    executor = ThreadPoolExecutor(num_threads or min(8, usable_cores()))
    try:
        for done, _ in enumerate(executor.map(dataset.loaded, missing), dataset.num_slots - len(missing) + 1):
            if on_progress is not None:
                on_progress(done, dataset.num_slots)
    finally:  # an interrupt must not wait for thousands of files
        executor.shutdown(cancel_futures=True)
