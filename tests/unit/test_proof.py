"""When a deviation says something of an exported file, and when it is PyTorch's own rounding, multiplied."""

from collections.abc import Sequence

import numpy as np
import pytest

from tandem.config.specifications import UNetSpec
from tandem.errors import BundleError
from tandem.inference.proof import Proof, prove

SPEC = UNetSpec(in_channels=1, out_channels=1, latent_dim=2, depth=2, filters=2)
STEEP = 100
"""The gain on a canvas of ones: a last bit of it, 6e-8, becomes 6e-6."""


class Network:
    """Steep, and off by a number on a canvas of ones or on noise; the engine of a proof as far as it asks."""

    def __init__(self, off: float = 0.0, *, elsewhere: float = 0.0) -> None:
        self.off, self.elsewhere = off, elsewhere

    def generate(self, name: str, images: np.ndarray, z: np.ndarray, seed: int | None) -> np.ndarray:
        del name, seed
        near = np.abs(images - 1) < 1e-5
        gain = np.where(near.all(), STEEP * (images - 1), STEEP / 5 * images)
        off = self.off if near.all() else self.elsewhere if np.ptp(images) > 1 else 0
        return (gain + 0.1 * z.mean(1)[:, None, None, None] + off).astype(np.float32)

    def encode(self, *images: np.ndarray) -> Sequence[np.ndarray]:
        raise AssertionError(images)


def proven(off: float, *, elsewhere: float = 0.0) -> Proof:
    good, other = Network(), Network(off, elsewhere=elsewhere)
    return prove("generator", SPEC, other, good, good, storage="fp32", size=(16, 16))  # pyright: ignore[reportArgumentType]


def test_a_deviation_of_some_dozen_times_its_own_rounding_decides_nothing() -> None:
    proof = proven(0.0003)
    assert proof.undecided == ["a blank canvas"]
    assert proof.largest == 0


def test_a_larger_one_is_a_fault() -> None:
    with pytest.raises(BundleError, match=r"differs from PyTorch by 0.0015 \(a blank canvas\), more than the 0.0001"):
        proven(0.0015)


def test_on_other_images_less_is_a_fault() -> None:
    """PyTorch's own change is 1.2e-6 there."""
    with pytest.raises(BundleError, match=r"differs from PyTorch by 0.00011 \(16×16 px\)"):
        proven(0.0, elsewhere=0.00011)
