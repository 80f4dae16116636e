"""Sampling to files: pictures, grids, animations, and the latent of every sample, so that any one can be made again.

Four modes. ``random``: latents from N(0, I). ``interpolate``: latents on the way between two random ones, linear and
spherical. ``encode``: the posterior of the input's own ground truth, its mean first. ``reference``: the posterior mean
of another image, whose style is transferred. Models without a latent have ``random`` alone: pix2pix draws its
dropout, CycleGAN and CUT give one output, CycleGAN also the way back (``cycle``).
"""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np

from tandem.config.data import Direction
from tandem.data.images import convert_channels
from tandem.errors import ConfigError, DataError
from tandem.inference.inputs import Fit
from tandem.inference.translator import Translator
from tandem.rng import numpy_generator

SamplingMode = Literal["random", "interpolate", "encode", "reference"]
DEFAULT_SAMPLES = 10


@dataclass(frozen=True)
class SamplingOptions:
    """How inputs are sampled.

    Attributes:
        mode: See the file's head.
        num_samples: Samples of each input; frames of an interpolation. None: 10, or 1 of models without noise.
        seed: Decides the latents, or the dropout of models that sample with it.
        fit: How images are brought to a size that the network takes; see `Translator`.
        references: Images whose style is taken, for mode ``reference``: one sample each.
        z: Latents ``(M, latent_dim)`` instead of random ones, for mode ``random``.
        image_format: Suffix of single pictures.
        cycle: Translate there and back again (CycleGAN), for mode ``random``.
    """

    mode: SamplingMode = "random"
    num_samples: int | None = None
    seed: int = 0
    fit: Fit = "pad"
    references: Sequence[Path] = ()
    z: np.ndarray | None = None
    image_format: Literal["png", "jpg", "webp"] = "png"
    cycle: bool = False

    def __post_init__(self) -> None:
        problems = []
        if self.num_samples is not None and self.num_samples < 1:
            problems.append(f"--num-samples must be at least 1, not {self.num_samples}")
        if self.mode == "interpolate" and self.num_samples == 1:
            problems.append("--mode interpolate needs --num-samples of at least 2: its frames")
        if (self.mode == "reference") != bool(self.references):
            problems.append("--mode reference and --reference IMAGE need each other")
        if self.z is not None and self.mode != "random":
            problems.append("--z gives the latents themselves: it goes with --mode random only")
        if self.cycle and self.mode != "random":
            problems.append(f"--cycle goes with --mode random only, not with {self.mode}")
        if problems:
            raise ConfigError("; ".join(problems) + ".")

    def for_model(self, translator: Translator) -> "SamplingOptions":
        """The same options with the number of samples decided.

        Raises:
            ConfigError: The model has no use for an option; all of them are named.
        """
        problems = []
        method = translator.manifest.method
        if not translator.latent_dim and (self.mode != "random" or self.z is not None):
            given = "--z" if self.z is not None else f"--mode {self.mode}"
            problems.append(f"{given} needs a latent, and this model ({method}) has none")
        elif self.mode in ("encode", "reference"):
            translator.require_encoder()
        if not translator.is_stochastic and (self.num_samples or 1) > 1:
            problems.append(
                f"--num-samples {self.num_samples}: this model ({method}) gives one output for an input, it has "
                "neither a latent nor dropout"
            )
        if self.cycle and len(translator.directions) == 1:
            problems.append(f"--cycle needs a model that translates both ways; this one ({method}) goes one way only")
        if problems:
            raise ConfigError("; ".join(problems) + ".")
        default = DEFAULT_SAMPLES if translator.is_stochastic else 1
        return dataclasses.replace(self, num_samples=self.num_samples or default)


@dataclass(frozen=True)
class SampleSeries:
    """Some samples of one input that belong together.

    Attributes:
        name: Part of the files' names, e.g. ``random`` or ``linear``.
        captions: One per sample.
        z: Latents, ``(M, latent_dim)``.
        images: Samples, ``(M, H, W, C)`` uint8.
        animated: Whether the samples are frames of a way from one to the other.
    """

    name: str
    captions: list[str]
    z: np.ndarray
    images: np.ndarray = field(repr=False)
    animated: bool = False


def sample_input(
    translator: Translator,
    image: np.ndarray,
    ground_truth: np.ndarray | None,
    options: SamplingOptions,
    *,
    direction: Direction | None = None,
) -> list[SampleSeries]:
    """Sample one input.

    Args:
        translator: The model.
        image: The input, ``(H, W, C)`` uint8.
        ground_truth: Its true output likewise, for mode ``encode``.
        options: How.
        direction: The way of the translation; by default the model's own.

    Raises:
        DataError: Mode ``encode`` without a ground truth.
        ConfigError: The model has no use for an option.
    """
    options = options.for_model(translator)
    if not translator.latent_dim:
        return [_without_code(translator, image, options, direction)]
    series = []
    for name, captions, z in _latents(translator, ground_truth, options):
        images = translator(image, z=z, fit=options.fit, direction=direction, output="array")
        series.append(SampleSeries(name, captions, z, images, animated=options.mode == "interpolate"))
    return series


def _without_code(
    translator: Translator, image: np.ndarray, options: SamplingOptions, direction: Direction | None
) -> SampleSeries:
    if options.cycle:
        there, back = translator.cycle(image, fit=options.fit, direction=direction, output="array")
        channels = max(there.shape[2], back.shape[2])
        images = np.stack([convert_channels(one, channels) for one in (there, back)])
        return SampleSeries("cycle", ["translated", "and back"], np.empty((2, 0), np.float32), images)
    number = options.num_samples or 1
    images = translator(image, number, seed=options.seed, fit=options.fit, direction=direction, output="array")
    name = "random" if translator.is_stochastic else "output"
    captions = [f"sample {index + 1}" for index in range(number)] if translator.is_stochastic else ["output"]
    return SampleSeries(name, captions, np.empty((number, 0), np.float32), images)


def _latents(
    translator: Translator, ground_truth: np.ndarray | None, options: SamplingOptions
) -> list[tuple[str, list[str], np.ndarray]]:
    number = options.num_samples or DEFAULT_SAMPLES
    match options.mode:
        case "random":
            z = translator.sample_z(number, seed=options.seed) if options.z is None else options.z
            return [("random", [f"sample {index + 1}" for index in range(len(z))], z)]
        case "interpolate":
            start, end = translator.sample_z(2, seed=options.seed)
            shares = np.linspace(0, 1, number)
            captions = [f"{100 * share:.0f} %" for share in shares]
            return [
                ("linear", captions, interpolate_linear(start, end, shares)),
                ("spherical", captions, interpolate_spherical(start, end, shares)),
            ]
        case "encode":
            if ground_truth is None:
                raise DataError(
                    "--mode encode encodes each input's own ground truth, so it needs pairs: give a dataset folder, or "
                    "--pairs with side-by-side files (or --mode reference --reference IMAGE)."
                )
            mu, logvar = translator.encode(ground_truth)
            draws = [
                numpy_generator(options.seed, "posterior", position=index).standard_normal(len(mu))
                for index in range(number - 1)
            ]
            noise = np.stack([np.zeros_like(mu), *draws])
            captions = ["posterior mean", *(f"posterior {index + 1}" for index in range(number - 1))]
            return [("encoded", captions, (mu + noise * np.exp(0.5 * logvar)).astype(np.float32))]
        case "reference":
            mu, _ = translator.encode([str(path) for path in options.references])
            return [("reference", [f"style of {path.name}" for path in options.references], mu)]


def interpolate_linear(start: np.ndarray, end: np.ndarray, shares: np.ndarray) -> np.ndarray:
    """Latents on the straight line: (1 − t)·start + t·end, ``(len(shares), D)``, float32."""
    t = shares[:, None]
    return ((1 - t) * start + t * end).astype(np.float32)


def interpolate_spherical(start: np.ndarray, end: np.ndarray, shares: np.ndarray) -> np.ndarray:
    """Latents on the great circle (slerp), ``(len(shares), D)``, float32.

    With ω the angle between start and end: (sin((1 − t)ω)·start + sin(tω)·end) / sin ω. The length of the latent stays
    that of typical draws, where the straight line passes nearer to the origin. (Nearly) parallel latents fall back to
    the straight line, which is the limit.
    """
    cosine = np.dot(start, end) / max(float(np.linalg.norm(start) * np.linalg.norm(end)), 1e-12)
    omega = np.arccos(np.clip(cosine, -1, 1))
    if np.sin(omega) < 1e-4:
        return interpolate_linear(start, end, shares)
    t = shares[:, None]
    return ((np.sin((1 - t) * omega) * start + np.sin(t * omega) * end) / np.sin(omega)).astype(np.float32)
