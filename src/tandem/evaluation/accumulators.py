"""What metrics gather while images stream by; mergeable, so that several processes can share the work.

Each has ``state()``, plain arrays that can be stored or sent, ``from_state`` and ``merge``.
"""

from collections.abc import Mapping, Sequence
from typing import Self

import numpy as np
import torch
from torch import Tensor

from tandem.errors import DataError

_BLOCK = 256
"""Rows that are added at once: blocks are filled first, so that the sums do not depend on the batch size."""


class MeanCovariance:
    """Mean and covariance of feature vectors, in float64 and constant memory.

    Blocks of rows are centred on their own mean and merged by the parallel form of Welford's update, which does not
    cancel when the mean is large.

    Args:
        num_features: Length of a feature vector.
        device: Where to add up; the CPU for devices without float64.
    """

    def __init__(self, num_features: int, *, device: torch.device | str = "cpu") -> None:
        device = torch.device(device)
        self.device = torch.device("cpu") if device.type == "mps" else device
        self.num_features = num_features
        self._count = 0
        self._mean = torch.zeros(num_features, dtype=torch.float64, device=self.device)
        self._scatter = torch.zeros(num_features, num_features, dtype=torch.float64, device=self.device)
        self._block: list[Tensor] = []
        self._pending = 0

    @property
    def count(self) -> int:
        """How many vectors were added."""
        return self._count + self._pending

    def add(self, features: Tensor | np.ndarray) -> None:
        """Add ``(N, num_features)``, any floating type.

        Raises:
            DataError: Another shape, or values that are not finite.
        """
        rows = torch.as_tensor(features)
        if rows.ndim != 2 or rows.shape[1] != self.num_features:
            raise DataError(f"the features have the shape {tuple(rows.shape)}; expected (N, {self.num_features}).")
        while len(rows):
            part, rows = rows[: _BLOCK - self._pending], rows[_BLOCK - self._pending :]
            self._block.append(part.to(self.device, torch.float64, copy=True))
            self._pending += len(part)
            if self._pending == _BLOCK:
                self._flush()

    def _flush(self) -> None:
        if not self._pending:
            return
        block = torch.cat(self._block)
        self._block, self._pending = [], 0
        if not block.isfinite().all():
            raise DataError("features are not finite: is an image damaged, or are the weights?")
        mean = block.mean(0)
        centred = block - mean
        self._combine(len(block), mean, centred.T @ centred)

    def _combine(self, count: int, mean: Tensor, scatter: Tensor) -> None:
        total = self._count + count
        delta = mean - self._mean
        self._scatter += scatter
        self._scatter.addr_(delta, delta, alpha=self._count * count / total)
        self._mean += delta * (count / total)
        self._count = total

    def result(self) -> tuple[np.ndarray, np.ndarray]:
        """Mean ``(D,)`` and covariance ``(D, D)`` with N - 1, float64.

        Raises:
            DataError: Fewer than two vectors were added.
        """
        self._flush()
        if self._count < 2:
            raise DataError(f"a covariance needs at least 2 images, not {self._count}.")
        return self._mean.cpu().numpy().copy(), (self._scatter / (self._count - 1)).cpu().numpy()

    def state(self) -> dict[str, np.ndarray]:
        """Arrays ``count``, ``mean`` and ``scatter``."""
        self._flush()
        arrays = {"mean": self._mean.cpu().numpy().copy(), "scatter": self._scatter.cpu().numpy().copy()}
        return {"count": np.array(self._count), **arrays}

    @classmethod
    def from_state(cls, state: Mapping[str, np.ndarray], *, device: torch.device | str = "cpu") -> Self:
        """What `state` was taken from."""
        new = cls(len(state["mean"]), device=device)
        new.merge_state(state)
        return new

    def merge(self, other: "MeanCovariance") -> None:
        """Add all that another one holds."""
        self.merge_state(other.state())

    def merge_state(self, state: Mapping[str, np.ndarray]) -> None:
        """Add all that the one of `state` holds.

        Raises:
            DataError: It is of vectors of another length.
        """
        self._flush()
        mean, scatter = (torch.as_tensor(state[key]).to(self.device, torch.float64) for key in ("mean", "scatter"))
        if mean.shape != self._mean.shape or scatter.shape != self._scatter.shape:
            raise DataError(f"cannot merge statistics of {len(mean)} features with those of {self.num_features}.")
        if count := int(state["count"]):
            self._combine(count, mean, scatter)


class RowBank:
    """Rows by the index of their image: features for KID and coverage, or one row of metrics per image.

    The index, not the order of arrival, decides the order of the result, so that it is the same for any number of
    processes.
    """

    def __init__(self) -> None:
        self._indices: list[np.ndarray] = []
        self._rows: list[np.ndarray] = []

    @property
    def count(self) -> int:
        """How many rows there are."""
        return sum(map(len, self._indices))

    def add(self, indices: Sequence[int] | np.ndarray, rows: Tensor | np.ndarray) -> None:
        """Add rows ``(N, D)``, in their own floating type, of the images with these indices.

        Raises:
            DataError: Another shape, or not as many indices.
        """
        array = rows.detach().cpu().numpy() if isinstance(rows, Tensor) else np.asarray(rows)
        index = np.asarray(indices, dtype=np.int64)
        width = self._rows[0].shape[1] if self._rows else array.shape[-1] if array.ndim else 0
        if array.ndim != 2 or index.shape != (len(array),) or array.shape[1] != width:
            raise DataError(
                f"rows of the shape {array.shape} for {index.shape} indices; expected (N, {width}) and (N,)."
            )
        self._indices.append(index)
        self._rows.append(np.array(array))

    def result(self) -> np.ndarray:
        """All rows, ``(N, D)``, in the order of their indices.

        Raises:
            DataError: There are none, or two have one index.
        """
        if not self.count:
            raise DataError("there are no rows: no image was added.")
        index = np.concatenate(self._indices)
        order = np.argsort(index, kind="stable")
        if (np.diff(index[order]) == 0).any():
            raise DataError("two rows have the same index: an image was added twice.")
        return np.concatenate(self._rows)[order]

    def state(self) -> dict[str, np.ndarray]:
        """Arrays ``indices`` and ``rows``."""
        if not self.count:
            return {"indices": np.zeros(0, np.int64), "rows": np.zeros((0, 0), np.float32)}
        return {"indices": np.concatenate(self._indices), "rows": np.concatenate(self._rows)}

    @classmethod
    def from_state(cls, state: Mapping[str, np.ndarray]) -> Self:
        """What `state` was taken from."""
        new = cls()
        new.merge_state(state)
        return new

    def merge(self, other: "RowBank") -> None:
        """Add all rows of another one."""
        self.merge_state(other.state())

    def merge_state(self, state: Mapping[str, np.ndarray]) -> None:
        """Add all rows of the one of `state`."""
        if len(state["indices"]):
            self.add(state["indices"], state["rows"])
