"""Sampling to files: pictures, grids, animations, and the latent of every sample, so that any one can be made again.

Four modes. ``random``: latents from the model's prior. ``interpolate``: latents between two random ones, linear and
spherical. ``encode``: the posterior of the input's own ground truth, its mean first. ``reference``: the posterior mean
of another image, whose style is transferred. Models without a latent have ``random`` alone: pix2pix draws its
dropout, CycleGAN and CUT give one output, CycleGAN also the way back (``cycle``).
"""

import dataclasses
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np

from tandem.config.data import Direction
from tandem.config.options import Options, option, refuse
from tandem.config.values import MisfitError, checked
from tandem.data.fit import Fit
from tandem.data.formats import exr
from tandem.data.pixels import convert_channels
from tandem.errors import ConfigError, DataError
from tandem.foreign import load_json
from tandem.inference.latents import LatentWay, between, given_latents
from tandem.inference.runtime import OnTile
from tandem.inference.translator import Translator
from tandem.rng import numpy_generator

SamplingMode = Literal["random", "interpolate", "encode", "reference"]
Only = Literal["outputs"]
ImageFormat = Literal["png", "jpg", "webp", "tif", "npy", "nii", "nii.gz", "dcm", "exr", "ome.zarr"]
DEFAULT_SAMPLES = 10
MAX_Z_BYTES = 16 * 2**20


def read_latents(text: str) -> np.ndarray:
    """Latents from a JSON file, ``(M, latent_dim)``, float32.

    Args:
        text: The path of a file with a list of numbers, or a list of such lists.

    Raises:
        ConfigError: There is no such file, or it holds something else.
    """
    path = Path(text)
    if path.is_file() and path.stat().st_size > MAX_Z_BYTES:
        raise ConfigError(f"--z {text} is larger than {MAX_Z_BYTES} bytes.", option="--z")
    try:
        numbers = _numbers(load_json(path, MAX_Z_BYTES))
        with np.errstate(over="ignore"):  # what no float32 holds becomes infinite and is refused as that
            latents = np.asarray(numbers, dtype=np.float32)
    except (OSError, ValueError, TypeError, OverflowError, RecursionError) as error:
        reason = "they are numbers, all of one length" if isinstance(error, MisfitError) else error
        raise ConfigError(f"--z {text} is no JSON list of latents: {reason}.", option="--z") from error
    if latents.ndim not in {1, 2} or not latents.size:
        raise ConfigError(
            f"--z {text} must hold one latent or a list of latents, not an array of shape {latents.shape}.",
            option="--z",
        )
    return np.atleast_2d(latents)


def _numbers(value: Any) -> Any:
    """The same lists of numbers; text and truth values, which NumPy would take for numbers, are none."""
    if isinstance(value, list):
        return [_numbers(one) for one in value]
    return checked(float, value, finite=False)


@dataclass(frozen=True, kw_only=True)
class SamplingOptions(Options):
    """How inputs are sampled; the modes are explained in this file's head."""

    mode: SamplingMode = option("random", "where the latents come from")
    num_samples: int | None = option(
        None,
        "samples of each input, frames of an interpolation; by default 10, or 1 without a latent or where only outputs "
        "are written",
        at_least=1,
    )
    seed: int = option(0, "decides the latents (or the dropout): the same seed gives the same pixels")
    fit: Fit = option(
        "auto",
        "auto: follow the training, which resized images or kept their resolution; resize: translate at the training "
        "size, resize back; pad: keep the resolution, pad and cut off again",
    )
    references: Sequence[Path] = option((), "images whose style is taken, for --mode reference", name="reference")
    z: np.ndarray | None = option(
        None,
        "JSON file with latents (a list of lists), e.g. from samples.jsonl",
        metavar="FILE",
        read=read_latents,
    )
    image_format: ImageFormat = option(
        "png",
        "format of single pictures; tif, npy, nii, nii.gz and ome.zarr hold any type and number of channels, dcm (of "
        "DICOM inputs) one or three channels, exr floating point",
        name="format",
    )
    cycle: bool = option(False, "add the way back: input, translation, cycle", one_way=True)
    only: Only | None = option(
        None, "outputs: the output pictures alone, NAME.png for each input, with no page, grids or copies of inputs"
    )
    spread: bool = option(
        False,
        "add how sure the model is: mean, width of the intervals, what was guessed; NAME_spread.tif",
        one_way=True,
    )

    def problems(self) -> Iterator[str]:
        """Say what does not fit together."""
        if self.mode == "interpolate" and self.num_samples == 1:
            yield "--mode interpolate needs --num-samples of at least 2: its frames"
        if (self.mode == "reference") != bool(self.references):
            yield "--mode reference and --reference IMAGE need each other"
        if self.z is not None and self.mode != "random":
            yield "--z gives the latents itself: it goes with --mode random only"
        if self.cycle and self.mode != "random":
            yield f"--cycle goes with --mode random only, not with {self.mode}"
        if self.spread and (self.mode != "random" or self.z is not None):
            given = "--z" if self.z is not None else f"--mode {self.mode}"
            yield f"--spread is about samples that are drawn: it goes with --mode random only, not with {given}"
        if self.spread and self.only is not None:
            yield "--spread goes to a folder with a page: leave --only outputs out, and give a folder as --out"

    def for_model(self, translator: Translator) -> "SamplingOptions":
        """The same options with the number of samples decided.

        Raises:
            ConfigError: The model has no use for an option; all of them are named.
        """
        problems: list[str] = []
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
        made = translator.manifest.calibration
        if self.spread and not translator.is_stochastic:
            problems.append(f"--spread: this model ({method}) gives one output for an input, so there is no spread")
        elif self.spread and made is not None and made.fit != self.fit:
            problems.append(
                f"--spread with --fit {self.fit}: the model was calibrated with --fit {made.fit}, and its intervals "
                "hold for that alone; leave --fit out, or calibrate it again"
            )
        labels = any(translator.levels(direction)[1].classes is not None for direction in translator.directions)
        if self.spread and labels:
            problems.append("--spread is about brightness, and the outputs of this model are label maps: leave it out")
        if self.cycle and len(translator.directions) == 1:
            problems.append(
                f"--cycle needs a model that translates in both directions; this one ({method}) goes one way only"
            )
        written = {translator.levels(direction)[1].type for direction in translator.directions}
        if self.image_format == "exr" and not written <= set(exr.SAMPLE_TYPES):
            problems.append(
                f"--format exr holds {', '.join(exr.SAMPLE_TYPES)}, and the outputs of this model are "
                f"{', '.join(sorted(written))}: take --format tif or npy"
            )
        wrong = {one.spec.out_channels for one in translator.abilities.generators.values()} - {1, 3}
        if self.image_format == "dcm" and (labels or wrong):
            what = "label maps (which DICOM keeps as segmentations)" if labels else f"images of {max(wrong)} channels"
            problems.append(
                f"--format dcm holds grey and colours, and the outputs of this model are {what}: take --format nii.gz"
            )
        refuse(problems)
        if self.z is not None:
            given_latents(self.z, latent_dim=translator.latent_dim, num_images=1, num_samples=None)
        single = not translator.latent_dim or (self.only is not None and self.mode != "interpolate")
        default = 1 if single else DEFAULT_SAMPLES
        return dataclasses.replace(self, num_samples=self.num_samples or default)


@dataclass(frozen=True)
class SampleSeries:
    """Some samples of one input that belong together.

    Attributes:
        name: Part of the files' names, e.g. ``random`` or ``linear``.
        captions: One per sample.
        z: Latents, ``(M, latent_dim)``.
        images: Samples, ``(M, H, W, C)`` uint8.
        values: The same in the type and range of the files of training, ``(M, H, W, C)``; None where that is uint8.
        animated: Whether the samples are frames of a way from one to the other.
    """

    name: str
    captions: list[str]
    z: np.ndarray
    images: np.ndarray = field(repr=False)
    animated: bool = False
    values: np.ndarray | None = field(default=None, repr=False)


def sample_input(
    translator: Translator,
    image: np.ndarray,
    ground_truth: np.ndarray | None,
    options: SamplingOptions,
    *,
    direction: Direction | None = None,
    on_tile: OnTile | None = None,
) -> list[SampleSeries]:
    """Sample one input.

    Args:
        translator: The model.
        image: The input, ``(H, W, C)``, uint8, or float32 in [-1, 1].
        ground_truth: Its true output likewise, for mode ``encode``.
        options: How.
        direction: Of the translation; by default the model's own.
        on_tile: Called with the tiles done and those in all while an image is translated in tiles.

    Raises:
        DataError: Mode ``encode`` without a ground truth.
        ConfigError: The model has no use for an option.
    """
    options = options.for_model(translator)
    if not translator.latent_dim:
        return [_without_code(translator, image, options, direction, on_tile)]
    series = []
    for name, captions, z in _latents(translator, image, ground_truth, options):
        images, values = _both(
            translator,
            direction,
            translator(
                image,
                z=z,
                fit=options.fit,
                direction=direction,
                output="values",
                value_range=_range_of(image),
                on_tile=on_tile,
            ),
        )
        series.append(SampleSeries(name, captions, z, images, options.mode == "interpolate", values))
    return series


def _without_code(
    translator: Translator,
    image: np.ndarray,
    options: SamplingOptions,
    direction: Direction | None,
    on_tile: OnTile | None,
) -> SampleSeries:
    if options.cycle:
        there, back = translator.cycle(
            image, fit=options.fit, direction=direction, output="array", value_range=_range_of(image)
        )
        channels = max(there.shape[2], back.shape[2])
        images = np.stack([convert_channels(one, channels) for one in (there, back)])
        return SampleSeries("cycle", ["translated", "and back"], np.empty((2, 0), np.float32), images)
    number = options.num_samples or 1
    images, values = _both(
        translator,
        direction,
        translator(
            image,
            number,
            seed=options.seed,
            fit=options.fit,
            direction=direction,
            output="values",
            value_range=_range_of(image),
            on_tile=on_tile,
        ),
    )
    name = "random" if translator.is_stochastic else "output"
    captions = [f"sample {index + 1}" for index in range(number)] if translator.is_stochastic else ["output"]
    return SampleSeries(name, captions, np.empty((number, 0), np.float32), images, values=values)


def _both(
    translator: Translator, direction: Direction | None, outputs: np.ndarray
) -> tuple[np.ndarray, np.ndarray | None]:
    """Outputs to look at, and in the type and range of the files of training where that is another one."""
    _, levels = translator.levels(direction)
    if levels.is_eight_bit:
        return outputs, None
    return np.stack([levels.picture(output) for output in outputs]), outputs


def _range_of(image: np.ndarray) -> tuple[float, float] | None:
    return (-1, 1) if image.dtype.kind == "f" else None


def _latents(
    translator: Translator, image: np.ndarray, ground_truth: np.ndarray | None, options: SamplingOptions
) -> list[tuple[str, list[str], np.ndarray]]:
    number = options.num_samples or DEFAULT_SAMPLES
    match options.mode:
        case "random":
            z = translator.sample_z(number, seed=options.seed) if options.z is None else options.z
            return [("random", [f"sample {index + 1}" for index in range(len(z))], z)]
        case "interpolate":
            start, end = translator.sample_z(2, seed=options.seed)
            captions = [f"{100 * share:.0f} %" for share in np.linspace(0, 1, number)]
            ways: Sequence[LatentWay] = ("linear", "spherical")
            return [(way, captions, between(start, end, number, way=way, prior=translator.prior)) for way in ways]
        case "encode":
            if ground_truth is None:
                raise DataError(
                    "--mode encode encodes each input's own ground truth, so it needs pairs: give a dataset folder, or "
                    "--pairs with side-by-side files (or --mode reference --reference IMAGE)."
                )
            mu, logvar = translator.encode(
                ground_truth, input_image=image, fit=options.fit, value_range=_range_of(image)
            )
            draws = [
                numpy_generator(options.seed, "posterior", position=index).standard_normal(len(mu))
                for index in range(number - 1)
            ]
            noise = np.stack([np.zeros_like(mu), *draws])
            captions = ["posterior mean", *(f"posterior {index + 1}" for index in range(number - 1))]
            return [("encoded", captions, (mu + noise * np.exp(0.5 * logvar)).astype(np.float32))]
        case "reference":
            mu, _ = translator.encode([str(path) for path in options.references], fit=options.fit)
            return [("reference", [f"style of {path.name}" for path in options.references], mu)]
