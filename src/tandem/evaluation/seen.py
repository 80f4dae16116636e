"""Images that a model may have been trained on: looked at to warn of copies, so that a damaged one stops nothing."""

from dataclasses import dataclass

import numpy as np

from tandem.errors import DataError
from tandem.evaluation.cache import hash_of
from tandem.evaluation.sources import FileCase


@dataclass(frozen=True)
class SeenCase(FileCase):
    """An image of the training split; if it cannot be read, an image without pixels."""

    def key(self, num_samples: int) -> str:
        """See `Case`."""
        try:
            return super().key(num_samples)
        except DataError:
            return hash_of("unreadable", self.name)

    def _generate(self, count: int) -> np.ndarray:
        try:
            return super()._generate(count)
        except DataError:
            return np.zeros((count, 0, 0, self.channels), np.uint8)
