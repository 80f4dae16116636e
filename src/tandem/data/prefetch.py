"""Batches on their way to a device, one ahead of the step that uses them."""

from collections.abc import Iterator

import torch

from tandem.data.loader import Batch, BatchLoader, Closing, images_in


class DevicePrefetcher(Closing):
    """Hands out a batch when the copy of the next one has been started, on a stream of its own.

    So the copy of a batch runs beside the step before. The host must not wait for the device within a step, and batches
    should lie in page-locked memory; otherwise the copies are no less right, but wait. Where the device is not CUDA
    there are no streams, and this is a loader that reads one batch ahead.

    Args:
        loader: Where batches come from; closed by `close`.
        device: Where they go.
    """

    def __init__(self, loader: BatchLoader, device: torch.device) -> None:
        self._loader, self._device = loader, device
        self._stream = torch.cuda.Stream(device) if device.type == "cuda" else None
        if self._stream is not None:  # what the batches are made of may still be on its way
            self._stream.wait_stream(torch.cuda.current_stream(device))
        self._next: Batch | Exception | None = None

    def __iter__(self) -> Iterator[Batch]:
        return self

    def __next__(self) -> Batch:
        """The next batch, on the device; what the loader raises is raised when its batch is asked for."""
        ready = self._started() if self._next is None else self._next
        self._next = None
        if isinstance(ready, Exception):
            raise ready
        if self._stream is not None:
            current = torch.cuda.current_stream(self._device)
            current.wait_stream(self._stream)
            for tensor in images_in(ready).values():  # their memory is not used anew before this stream is done
                tensor.record_stream(current)
        self._next = self._started()
        return ready

    def _started(self) -> Batch | Exception:
        try:
            with torch.cuda.stream(self._stream):
                batch = next(self._loader)
                images = {name: image.to(self._device, non_blocking=True) for name, image in images_in(batch).items()}
                return Batch(**images, names=batch["names"], positions=batch["positions"])  # type: ignore[typeddict-item]
        except Exception as error:
            return error

    def close(self) -> None:
        """Close the loader."""
        self._loader.close()
