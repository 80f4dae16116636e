"""What is measured on one image or one input at a time: rows of numbers, computed in batches and kept in a cache."""

import json
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from tandem.data.pixels import convert_channels
from tandem.evaluation.cases import Loaded

_ROW_VERSION = 2


class Measurement(ABC):
    """Gives each case a row.

    Args:
        name: What is measured.
        num_samples: How many samples of a case it looks at.
        depends_on: What a row depends on beside the images; paths are left out, for the content of files counts.
        device: The kind of device that computes it.

    Attributes:
        spec: All that a row depends on beside the images, as text.
        num_samples: See above.
    """

    is_of_model = False
    """Whether the rows of real images depend on the model, so that they change while it trains."""

    def __init__(self, name: str, *, num_samples: int = 1, depends_on: Any = None, device: str = "cpu") -> None:
        self.num_samples = num_samples
        described = {
            "measurement": name,
            "version": _ROW_VERSION,
            "depends_on": depends_on,
            "torch": torch.__version__,
            "device": device,
        }
        self.spec = json.dumps(_without_paths(described), sort_keys=True, default=str)

    @abstractmethod
    def __call__(self, loaded: Sequence[Loaded]) -> Sequence[np.ndarray]:
        """One row for each, all of one shape and type."""


class EachCase(Measurement):
    """A measurement that looks at one case after the other."""

    def __call__(self, loaded: Sequence[Loaded]) -> list[np.ndarray]:
        """See `Measurement`."""
        return [self.row(one) for one in loaded]

    @abstractmethod
    def row(self, loaded: Loaded) -> np.ndarray:
        """The row of one case."""


def to_batch(images: np.ndarray) -> Tensor:
    """Images ``(N, H, W, C)`` as a batch ``(N, C, H, W)``, uint8."""
    return torch.from_numpy(np.ascontiguousarray(np.moveaxis(images, -1, 1)))


def to_rgb_batch(images: np.ndarray) -> Tensor:
    """Likewise, with three channels: grey is repeated, transparency laid over white."""
    return to_batch(images if images.shape[-1] == 3 else np.stack([convert_channels(image, 3) for image in images]))


def _without_paths(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_paths(one) for key, one in value.items() if key != "path"}
    return value
