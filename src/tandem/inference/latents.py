"""The latents of a call: drawn from a seed, or checked where they were given."""

from collections.abc import Sequence
from typing import Any, Literal, get_args

import numpy as np

from tandem.errors import ConfigError
from tandem.prior.distributions import Prior

LatentWay = Literal["spherical", "linear"]
DEFAULT_SAMPLES = 5


def choose_number(num_samples: int | None, *, is_stochastic: bool, method: str) -> int:
    """How many samples an input has.

    Raises:
        ConfigError: None, or several of a model that gives one.
    """
    default = DEFAULT_SAMPLES if is_stochastic else 1
    number = default if num_samples is None else num_samples
    if number > 1 and not is_stochastic:
        raise ConfigError(
            f"num_samples is {number}, but this model ({method}) gives one output for an input: it has neither a "
            "latent nor dropout."
        )
    if number < 1:
        raise ConfigError(f"num_samples must be at least 1, not {number}.")
    return number


def given_latents(
    z: np.ndarray | Sequence[Any], *, latent_dim: int, num_images: int, num_samples: int | None
) -> list[np.ndarray]:
    """Latents that a caller gives.

    Args:
        z: ``(latent_dim,)`` or ``(M, latent_dim)``, or ``(num_images, M, latent_dim)``.
        latent_dim: Their length.
        num_images: How many images there are.
        num_samples: How many samples were asked for, if that was said.

    Returns:
        Of every image ``(M, latent_dim)``, float32.

    Raises:
        ConfigError: Shape or number do not fit, or they are not finite.
    """
    try:
        array = np.asarray(z, dtype=np.float32)
    except (ValueError, TypeError, OverflowError) as error:
        raise ConfigError(f"z must be numbers that a float32 holds, in rows of one length: {error}.") from error
    array = array[None] if array.ndim == 1 else array
    if array.ndim == 2:
        array = np.broadcast_to(array, (num_images, *array.shape))
    if array.ndim != 3 or array.shape[0] != num_images or array.shape[2] != latent_dim or not array.shape[1]:
        raise ConfigError(
            f"z has the shape {np.shape(z)}; expected ({latent_dim},), (M, {latent_dim}) or "
            f"({num_images}, M, {latent_dim})."
        )
    if num_samples not in {None, array.shape[1]}:
        raise ConfigError(f"num_samples is {num_samples}, but z holds {array.shape[1]} latents: give one of them.")
    if not np.isfinite(array).all():
        raise ConfigError("z holds values that are not finite.")
    return list(array)


def between(
    start: np.ndarray, end: np.ndarray, number: int, *, way: LatentWay, prior: Prior | None = None
) -> np.ndarray:
    """Latents at equal steps from `start` to `end`, both among them: ``(number, D)``, float32.

    Args:
        start: The first one.
        end: The last one.
        number: How many.
        way: Along the great circle, or on the straight line.
        prior: What latents are drawn from, which says what the circle is about; None: N(0, I).

    Raises:
        ConfigError: There are fewer than 2, or there is no such way.
    """
    if number < 2:
        raise ConfigError(f"an interpolation has at least 2 frames, its two ends, not {number}.")
    if way not in get_args(LatentWay):
        raise ConfigError(f"way must be {' or '.join(get_args(LatentWay))}, not {way!r}.")
    shares = np.linspace(0, 1, number)
    if way == "linear":
        return interpolate_linear(start, end, shares)
    return interpolate_spherical(start, end, shares, prior=prior)


def interpolate_linear(start: np.ndarray, end: np.ndarray, shares: np.ndarray) -> np.ndarray:
    """Latents on the straight line: (1 − t)·start + t·end, ``(len(shares), D)``, float32."""
    t = shares[:, None]
    return ((1 - t) * start + t * end).astype(np.float32)


def interpolate_spherical(
    start: np.ndarray, end: np.ndarray, shares: np.ndarray, *, prior: Prior | None = None
) -> np.ndarray:
    """Latents on the great circle (slerp), ``(len(shares), D)``, float32.

    With ω the angle between start and end: (sin((1 − t)ω)·start + sin(tω)·end) / sin ω. The length of the latent stays
    that of typical draws, where the straight line passes nearer to the origin. (Nearly) parallel latents fall back to
    the straight line, which is the limit.

    That holds about 0 for draws from N(0, I). Another prior is brought there first, by its own mean and covariance: of
    a Gaussian the latents between two draws then are as typical as these. A circle about 0 would mean nothing where the
    prior is not about 0, and the straight line leads through its mean, a style that no image has.
    """
    if prior is None:
        return _slerp(start, end, shares).astype(np.float32)
    return prior.unstandardise(_slerp(prior.standardise(start), prior.standardise(end), shares)).astype(np.float32)


def _slerp(start: np.ndarray, end: np.ndarray, shares: np.ndarray) -> np.ndarray:
    cosine = np.dot(start, end) / max(float(np.linalg.norm(start) * np.linalg.norm(end)), 1e-12)
    omega = np.arccos(np.clip(cosine, -1, 1))
    t = shares[:, None]
    if np.sin(omega) < 1e-4:
        return (1 - t) * start + t * end
    return (np.sin((1 - t) * omega) * start + np.sin(t * omega) * end) / np.sin(omega)
