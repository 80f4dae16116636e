"""One image in, many out: the Python interface to a trained model."""

import logging
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from tandem.checkpoint.hub import local_model
from tandem.checkpoint.manifest import Manifest
from tandem.config.data import Direction
from tandem.config.specifications import EncoderSpec, PairEncoderSpec
from tandem.data.check_report import SizeRange
from tandem.data.fit import Fit
from tandem.data.label_maps import palette_of
from tandem.data.levels import BY_TYPE, Levels
from tandem.data.pixels import convert_channels, from_floats, pil_from_array, pil_from_indices
from tandem.errors import BundleError, ConfigError, DataError
from tandem.inference.abilities import abilities_of
from tandem.inference.engine import Engine, load_model
from tandem.inference.inputs import Fitted, filled_input, fit_image, is_batch, to_input, to_mask
from tandem.inference.latents import LatentWay, between, choose_number, given_latents
from tandem.inference.runner import Runner
from tandem.inference.runtime import Auto, EngineName, InferencePrecision, OnTile, Runtime
from tandem.inference.spread import Spread, SpreadBuilder, SpreadPlan, plan_spread
from tandem.inference.streaming.source import MirroredSource, Source
from tandem.inference.streaming.window import Window
from tandem.prior.distributions import NormalPrior, Prior
from tandem.report.text import count

if TYPE_CHECKING:  # start-up time
    from PIL.Image import Image

Output = Literal["pil", "array", "values", "tensor"]
OnProgress = Callable[[int, int], None]
"""Called with (samples done, all samples of the call)."""

log = logging.getLogger(__name__)


def load(
    path: str | Path,
    *,
    device: str = "auto",
    precision: InferencePrecision = Runtime.precision,
    compile: bool = Runtime.compile,
    max_batch: Auto | int = Runtime.max_batch,
    tile: Auto | int = Runtime.tile,
    memory_gb: float = Runtime.memory_gb,
    engine: EngineName = Runtime.engine,
    threads: int | None = Runtime.threads,
) -> "Translator":
    """Load a model.

    Args:
        path: The folder of a bundle (``runs/NAME/model``) or of the run (``runs/NAME``), an ONNX file that
            ``tandem export --to onnx`` wrote (``shoes.onnx``), which runs without PyTorch, or a model on the Hugging
            Face Hub, ``hf://user/name`` or ``hf://user/name@revision`` (the extra ``hub``).
        device: ``auto``, ``cpu``, ``cuda``, ``cuda:N`` or ``mps``.
        precision: ``fp32``, or ``bf16`` for convolutions in bfloat16: faster, and less exact.
        compile: Compile the generators (`torch.compile`), which pays for many images of one size. Where that fails
            they run as they are, and the reason is logged once.
        max_batch: Samples of one input that run through the generator at once; ``auto``: as many as pay and fit. With 1
            a sample follows from its input and its latent alone, bit for bit.
        tile: Side of the tiles of large images, in pixels; 0: never in tiles; ``auto``: in tiles when the whole image
            would take more than `memory_gb`. In tiles or not, an output is the same but for rounding.
        memory_gb: What the maps of a generator may take, in GiB.
        engine: ``torch``, or ``onnx`` for ONNX Runtime; ``auto``: ONNX Runtime for ONNX files, and where PyTorch is
            not installed, else PyTorch.
        threads: Threads of the CPU that compute, in the whole process; by default one for each core that the process
            may use.

    Raises:
        BundleError: There is no model, or it is damaged or of another format.
        DownloadError: The Hub does not have it, or cannot be reached.
        ConfigError: This machine does not have the device, or an option is out of range or does not fit the others.
    """
    runtime = Runtime(
        engine=engine,
        threads=threads,
        precision=precision,
        compile=compile,
        max_batch=max_batch,
        tile=tile,
        memory_gb=memory_gb,
    )
    return load_with(path, runtime, device=device)


def load_with(path: str | Path, runtime: Runtime, *, device: str = "auto") -> "Translator":
    """Load a model to be run as `runtime` says; see `load`."""
    loaded = load_model(local_model(path), device=device, runtime=runtime)
    return Translator(loaded.manifest, loaded.engine, prior=loaded.prior, runtime=loaded.runtime)


class Translator:
    """A trained model: ``translator(image, num_samples=5, seed=0)``.

    Several threads may use one translator at once: calls keep nothing of each other, and models that draw dropout, for
    which there is one random generator in a process, take turns.

    Attributes:
        manifest: What the model says of itself: architecture, preprocessing, training.
        abilities: What it can do.
        latent_dim: Length of the latent; 0 without one.
        multiple: Sides of the network's input are multiples of this.
        runtime: How it is run.
        prior: What latents are drawn from: N(0, I), or what was fitted to the latents of training images.
    """

    def __init__(
        self, manifest: Manifest, engine: Engine, *, prior: Prior | None = None, runtime: Runtime | None = None
    ) -> None:
        self.abilities = abilities_of(manifest)
        self.manifest = manifest
        self.runtime = runtime or Runtime()
        self._engine = engine
        self._runner = Runner(
            engine,
            self.runtime,
            one_by_one=manifest.samples_with_noise,
            has_dropout_noise=self.abilities.has_dropout_noise,
        )
        self.latent_dim = self.abilities.latent_dim
        self.prior: Prior = NormalPrior(self.latent_dim) if prior is None else prior
        if self.prior.latent_dim != self.latent_dim:
            raise BundleError(
                f"this model's prior is one of latents of {self.prior.latent_dim}, but its generator takes latents of "
                f"{self.latent_dim}."
            )
        self.multiple = max(generator.spec.size_multiple for generator in self.abilities.generators.values())
        encoder = manifest.networks.get("encoder")
        encodes = isinstance(encoder, EncoderSpec | PairEncoderSpec)
        self._smallest_encoded = encoder.smallest_side if encodes else 1
        self._encoded_multiple = encoder.size_multiple if encodes else 1
        self._has_warned = False
        self._smallest = max(generator.spec.smallest_side for generator in self.abilities.generators.values())

    @property
    def directions(self) -> tuple[Direction, ...]:
        """The directions of translation; one, or both for CycleGAN. A and B are the domains of the dataset."""
        return tuple(self.abilities.generators)

    def parts(self, direction: Direction | None = None) -> Mapping[str, int]:
        """Channels of each of the images that are stacked into an input, by their names; empty where it is one."""
        turned = len(self.directions) == 2 and direction == "BtoA"
        return {} if turned else self.manifest.preprocessing.input_parts

    @property
    def device(self) -> str:
        """The kind of device that computes: ``cpu``, ``cuda`` or ``mps``."""
        return self._engine.device

    @property
    def run_by(self) -> str:
        """What runs its networks, in words: the engine that was chosen, and its device."""
        return repr(self._engine)

    @property
    def is_stochastic(self) -> bool:
        """Whether one input has several outputs: by a latent, or by dropout."""
        return self.abilities.is_stochastic

    def __repr__(self) -> str:
        images, steps = self.manifest.preprocessing, self.manifest.training.get("steps")
        height, width = images.size
        learned = "" if isinstance(self.prior, NormalPrior) else f" from {self.prior.describe()}"
        latent = f"latent of {self.latent_dim}{learned}" if self.latent_dim else ""
        parts = [
            f"{self.manifest.method} {' and '.join(self.directions)}",
            f"trained at {width}×{height} px" + (f" for {count(steps)} steps" if isinstance(steps, int) else ""),
            f"{images.input_channels} to {images.output_channels} channels",
            latent or ("samples by dropout" if self.is_stochastic else "one output per input"),
            "encoder" if self.abilities.has_encoder else "",
            f"run by {self.run_by}",
        ]
        return f"<Translator: {', '.join(filter(None, parts))}>"

    def prepare(self) -> None:
        """Bring into memory what the first image would wait for: sessions of ONNX Runtime.

        Raises:
            BundleError: ONNX Runtime cannot read a network.
        """
        self._engine.prepare()

    def input_sizes(self, direction: Direction | None) -> SizeRange:
        """The sizes of the files that the inputs of training came from, in a direction."""
        preprocessing = self.manifest.preprocessing
        turned = len(self.directions) == 2 and direction == "BtoA"
        return preprocessing.output_sizes if turned else preprocessing.input_sizes

    def __call__(
        self,
        image: Any,
        num_samples: int | None = None,
        *,
        seed: int = 0,
        z: np.ndarray | Sequence[Any] | None = None,
        fit: Fit = "auto",
        direction: Direction | None = None,
        tile: int | Auto | None = None,
        output: Output = "pil",
        value_range: Sequence[float] | None = None,
        mask: Any = None,
        on_progress: OnProgress | None = None,
        on_tile: OnTile | None = None,
    ) -> Any:
        """Translate one image, or several, each into several outputs.

        Args:
            image: A path, the bytes of an image file or an open one, a PIL image, an array ``(H, W)`` or ``(H, W, C)``,
                a tensor ``(C, H, W)``; or several: a list, an array ``(N, H, W, C)``, a tensor ``(N, C, H, W)``. Where
                inputs are stacked of several images (`parts`), a tuple of these is one input.
            num_samples: Outputs per image; 5, or as many as there are latents in `z`; 1 for models without noise.
            seed: Decides the latents, or the dropout of pix2pix. The first m of n samples are the samples of
                ``num_samples=m``, and every image gets the same codes, so that a column of a grid is one style.
            z: Latents instead: ``(latent_dim,)`` or ``(M, latent_dim)``, or ``(N, M, latent_dim)`` for a batch.
            fit: ``auto`` does what training did: where that resized images, they are translated at the training size
                and resized back; where it cropped them at their own resolution, they keep it. ``pad`` keeps the
                resolution, ``resize`` translates at the training size, whatever training did. Up to the next size that
                the network takes an image is padded by reflection, and the padding is cut off again. See
                `tandem.data.fit`. A warning is logged, once, where the scale is off that of training by 1.5 or more.
            direction: For CycleGAN ``AtoB`` (the default) or ``BtoA``; other models have one direction only.
            tile: Side of the tiles of a large image, 0 or ``auto``; None: as the model was loaded. See `load`.
            output: ``pil`` images, uint8 ``array`` ``(M, H, W, C)``, ``values`` of the type and range of the files that
                the model was trained on ``(M, H, W, C)``, or float32 ``tensor`` ``(M, C, H, W)`` in [-1, 1]. Of label
                maps ``pil`` images with a palette, as ``array`` their colours, as ``values`` their indices
                ``(M, H, W, 1)``, as ``tensor`` a plane for each class.
            value_range: The values of black and white in an array or tensor, e.g. ``(0, 1)``. Without it uint8 and
                uint16 fill the range of their type, wider integers are read from 0 to 255 and floats in [-1, 1] where
                no other meaning is possible, and anything else is refused. Of a label map it says that the array holds
                the planes of the classes, not indices or colours.
            mask: Zero where pixels of the image do not count, for a model that was trained with ``--mask``: a path, the
                bytes of an image file or an open one, a PIL image, an array ``(H, W)``, a tensor ``(H, W)``; of several
                images a list, with None for one that is whole. The network sees the fill there; outputs have values
                everywhere, and those there say nothing.
            on_progress: Called with the samples done and those of the whole call.
            on_tile: Called with the tiles done and those of an image while one is translated in tiles.

        Returns:
            The outputs at the image's own size: for one image a list (`pil`), an array or a tensor; for a batch a
            list of these.

        Raises:
            DataError: An image cannot be read or used, or its numbers don't say what they mean.
            ConfigError: `num_samples`, `z`, `direction`, `tile`, `value_range` or `mask` do not fit.
        """
        generator = self.abilities.generator(direction)
        several = self._is_batch(image, direction)
        images = list(image) if several else [image]
        masks = self._masks(mask, len(images), several=several, direction=direction)
        latents = self._latents(num_samples, seed=seed, z=z, count=len(images))
        levels = self.levels(direction)
        results = []
        done, total = 0, sum(map(len, latents))
        for one, one_latents, its_mask in zip(images, latents, masks, strict=True):
            values = self._read(one, direction, value_range)
            if its_mask is not None:
                values = filled_input(values, to_mask(its_mask, values.shape[1:]), levels[0])
            fitted = self._fit(values, fit, direction)
            parts = []
            for outputs in self._runner.samples(
                generator, fitted.values, one_latents, seed=seed, tile=tile, on_tile=on_tile
            ):
                parts.append(_as_output(fitted.restore(outputs), output, levels[1]))
                done += len(outputs)
                if on_progress is not None:
                    on_progress(done, total)
            results.append(_joined(parts, output))
        return results if several else results[0]

    def stream(
        self,
        image: Source,
        latent: np.ndarray,
        take: Callable[[Window, np.ndarray], None],
        *,
        seed: int = 0,
        fit: Fit = "auto",
        direction: Direction | None = None,
        on_tile: OnTile | None = None,
    ) -> None:
        """Translate one image that is nowhere whole, at its own resolution, in tiles.

        Args:
            image: The input.
            latent: ``(latent_dim,)``.
            take: Called with the windows of the output, row by row, and their values ``(C, h, w)``, float32, [-1, 1].
            seed: Decides the dropout.
            fit: As for a call; it must keep the resolution.
            direction: As for a call.
            on_tile: As for a call.

        Raises:
            ConfigError: The resolution would not be kept, or the model does not translate in tiles.
            DataError: There is no room for a temporary file.
        """
        _, height, width = image.shape
        rule = self.manifest.preprocessing
        if rule.target(height, width, fit, multiple=self.multiple) != (height, width):
            raise ConfigError(
                f"an image of {width}x{height} px is translated part by part, at its own resolution: "
                f"{rule.describe(fit)}. Add --fit pad.",
                option="--fit",
            )
        padded = [max(side + -side % self.multiple, self._smallest) for side in (height, width)]

        def within(window: Window, values: np.ndarray) -> None:
            rows, columns = (
                (first, min(last, side))
                for (first, last), side in zip((window.rows, window.columns), (height, width), strict=True)
            )
            if rows[0] < rows[1] and columns[0] < columns[1]:
                take(Window(rows, columns), values[:, : rows[1] - rows[0], : columns[1] - columns[0]])

        generator = self.abilities.generator(direction)
        mirrored = MirroredSource(image, (padded[0], padded[1]))
        self._runner.stream(generator, mirrored, latent, within, seed=seed, on_tile=on_tile)

    def interpolate(
        self,
        image: Any,
        num_frames: int = 10,
        *,
        seed: int = 0,
        start: np.ndarray | Sequence[float] | None = None,
        end: np.ndarray | Sequence[float] | None = None,
        way: LatentWay = "spherical",
        fit: Fit = "auto",
        direction: Direction | None = None,
        tile: int | Auto | None = None,
        output: Output = "pil",
        value_range: Sequence[float] | None = None,
        on_progress: OnProgress | None = None,
    ) -> Any:
        """Translate one image with latents on the way from one to another.

        Args:
            image: One image, as for a call.
            num_frames: Outputs, both ends among them; at least 2.
            seed: Decides the ends that are not given: they are the first two samples of a call.
            start: The latent of the first output, ``(latent_dim,)``; that of a style is `encode`'s mu.
            end: That of the last one.
            way: ``spherical`` along the great circle about the prior's mean, or ``linear``.
            fit: As for a call.
            direction: As for a call.
            tile: As for a call.
            output: As for a call.
            value_range: As for a call.
            on_progress: As for a call.

        Returns:
            The outputs in their order, as those of a call.

        Raises:
            DataError: The image cannot be read or used.
            ConfigError: The model has no latent, or an argument does not fit.
        """
        if not self.latent_dim:
            raise ConfigError(f"interpolation needs a latent, and this model ({self.manifest.method}) has none.")
        if self._is_batch(image, direction):
            raise ConfigError("interpolate takes one image: call it for each of several.")
        drawn = self.sample_z(2, seed=seed)
        ends = [drawn[index] if one is None else one for index, one in enumerate((start, end))]
        first, last = (
            given_latents(one, latent_dim=self.latent_dim, num_images=1, num_samples=1)[0][0] for one in ends
        )
        return self(
            image,
            z=between(first, last, num_frames, way=way, prior=self.prior),
            fit=fit,
            direction=direction,
            tile=tile,
            output=output,
            value_range=value_range,
            on_progress=on_progress,
        )

    def grid(
        self,
        images: Any,
        num_samples: int | None = None,
        *,
        seed: int = 0,
        z: np.ndarray | Sequence[Any] | None = None,
        fit: Fit = "auto",
        direction: Direction | None = None,
        tile: int | Auto | None = None,
        titles: bool = True,
        value_range: Sequence[float] | None = None,
        on_progress: OnProgress | None = None,
    ) -> "Image":
        """One picture of inputs and their samples: a row for each input, a column for each latent.

        Args:
            images: One image or several, as for a call.
            num_samples: As for a call.
            seed: As for a call.
            z: As for a call.
            fit: As for a call.
            direction: As for a call.
            tile: As for a call.
            titles: Whether the columns are named.
            value_range: As for a call.
            on_progress: As for a call.

        Returns:
            An RGB picture; cells have the size of the largest input, transparent parts are white.

        Raises:
            DataError: An image cannot be read or used, or there is none.
            ConfigError: An argument does not fit.
        """
        from tandem.report.grid import image_grid  # noqa: PLC0415  (start-up time)

        several = list(images) if self._is_batch(images, direction) else [images]
        if not several:
            raise DataError("a grid needs at least one image.")
        levels, _ = self.levels(direction)
        inputs = [self._read(image, direction, value_range) for image in several]
        samples = self(
            [np.moveaxis(one, 0, -1) for one in inputs],
            num_samples,
            seed=seed,
            z=z,
            fit=fit,
            direction=direction,
            tile=tile,
            output="array",
            value_range=(-1, 1),
            on_progress=on_progress,
        )
        rows = [[levels.pictures(one), *outputs] for one, outputs in zip(inputs, samples, strict=True)]
        shown = [[convert_channels(cell, 4 if cell.shape[2] == 2 else cell.shape[2]) for cell in row] for row in rows]
        names = ["input", *(f"sample {index + 1}" for index in range(len(rows[0]) - 1))]
        names = names if self.is_stochastic else ["input", "output"]
        return image_grid(shown, column_titles=names if titles else None)

    def cycle(
        self,
        image: Any,
        *,
        fit: Fit = "auto",
        direction: Direction | None = None,
        output: Output = "pil",
        value_range: Sequence[float] | None = None,
    ) -> tuple[Any, Any]:
        """Translate an image there and back again (CycleGAN).

        Args:
            image: One image, as for a call.
            fit: As for a call.
            direction: Of the way there.
            output: As for a call.
            value_range: As for a call.

        Returns:
            The translation and what the other generator makes of it, each as one output of a call.

        Raises:
            DataError: The image cannot be read or used.
            ConfigError: The model translates one way only.
        """
        back = self.abilities.way_back(direction)
        there = self.abilities.generator(direction)
        levels = self.levels(direction)
        fitted = self._fit(self._read(image, direction, value_range), fit, direction)
        none = np.empty((1, 0), np.float32)
        (fake,) = self._runner.samples(there, fitted.values, none, seed=0)
        (returned,) = self._runner.samples(back, fake[0], none, seed=0)
        made = _as_output(fitted.restore(fake), output, levels[1])[0]
        restored = fitted.restore(returned, method=levels[0].resampling)
        return made, _as_output(restored, output, levels[0])[0]

    def translate_frames(
        self,
        frames: np.ndarray,
        z: np.ndarray,
        *,
        seed: int = 0,
        fit: Fit = "auto",
        direction: Direction | None = None,
        output: Literal["array", "values"] = "array",
        on_tile: OnTile | None = None,
    ) -> np.ndarray:
        """Translate several frames of one size, each into one output with a latent of its own.

        They run through the generator at once, so memory grows with them, and the last bits of an output may depend on
        the other frames. Models that sample with dropout take them one by one, all with one mask.

        Args:
            frames: ``(N, H, W, C)``, uint8, C from 1 to 4, of label maps their colours; with `values` in the type and
                range of the files that the model was trained on, with its channels (`Levels.values_of`).
            z: ``(N, latent_dim)``, float32.
            seed: Decides the dropout.
            fit: As for a call.
            direction: As for a call.
            output: uint8 ``array``, or ``values`` as for a call.
            on_tile: As for a call.

        Returns:
            ``(N, H, W, output channels)``.
        """
        generator = self.abilities.generator(direction)
        levels, channels = self.levels(direction), generator.spec.in_channels
        as_labels = levels[0] if levels[0].classes is not None else BY_TYPE
        as_pictures = partial(to_input, channels=channels, levels=as_labels)
        as_floats = levels[0].to_floats if output == "values" else as_pictures
        fitted = [self._fit(as_floats(frame), fit, direction) for frame in frames]
        outputs = self._runner.frames(generator, [one.values for one in fitted], z, seed=seed, on_tile=on_tile)
        restored = [one.restore(output[None]) for one, output in zip(fitted, outputs, strict=True)]
        return _as_output(np.concatenate(restored), output, levels[1])

    def frames_at_once(self, height: int, width: int, *, fit: Fit = "auto", direction: Direction | None = None) -> int:
        """How many frames of a size `translate_frames` should be given: as many as pay and fit, see `Runtime`."""
        rule = self.manifest.preprocessing
        plan = rule.plan(height, width, fit, multiple=self.multiple, smallest=self._smallest)
        return self._runner.together(self.abilities.generator(direction), *plan.padded)

    def spread(
        self,
        image: Any,
        *,
        num_samples: int | None = None,
        level: float | None = None,
        seed: int = 0,
        plain: bool = False,
        fit: Fit = "auto",
        direction: Direction | None = None,
        tile: int | Auto | None = None,
        value_range: Sequence[float] | None = None,
        on_progress: OnProgress | None = None,
        on_tile: OnTile | None = None,
    ) -> Spread:
        """Say how sure the model is of one image: the mean of samples, an interval for each value, what was guessed.

        Samples are drawn some at a time and not kept: the memory does not grow with their number, but for plain
        quantiles of very many.

        Args:
            image: One image, as for a call.
            num_samples: At least 2; by default those that the model was calibrated with, else 10.
            level: Of the intervals; by default that of the calibration, else 0.9.
            seed: As for a call.
            plain: Take quantiles of the samples, though the model is calibrated.
            fit: As for a call.
            direction: As for a call.
            tile: As for a call.
            value_range: As for a call.
            on_progress: As for a call.
            on_tile: As for a call.

        Returns:
            The spread, at the image's own size. Its `calibrated` says whether its intervals are those of a calibration
            (``tandem calibrate``) or plain quantiles of the samples, which promise nothing.

        Raises:
            DataError: The image cannot be read or used.
            ConfigError: The model gives one output for an input, its calibration was made with other arguments, or one
                does not fit.
        """
        if self._is_batch(image, direction):
            raise ConfigError("spread takes one image: call it for each of several.")
        generator = self.abilities.generator(direction)
        plan = self.plan_spread(num_samples=num_samples, level=level, plain=plain, fit=fit, direction=direction)
        fitted = self._fit(self._read(image, direction, value_range), fit, direction)
        (latents,) = self._latents(plan.num_samples, seed=seed, z=None, count=1)
        builder = SpreadBuilder(plan)
        done = 0
        for outputs in self._runner.samples(generator, fitted.values, latents, seed=seed, tile=tile, on_tile=on_tile):
            builder.add(from_floats(fitted.restore(outputs)))
            done += len(outputs)
            if on_progress is not None:
                on_progress(done, plan.num_samples)
        return builder.finish()

    def plan_spread(
        self,
        *,
        num_samples: int | None = None,
        level: float | None = None,
        plain: bool = False,
        fit: Fit = "auto",
        direction: Direction | None = None,
    ) -> SpreadPlan:
        """How `spread` goes about it; see there.

        Raises:
            ConfigError: As for `spread`.
        """
        if not self.is_stochastic:
            raise ConfigError(
                f"this model ({self.manifest.method}) gives one output for an input, it has neither a latent nor "
                "dropout: there is no spread."
            )
        if self.levels(direction)[1].classes is not None:
            raise ConfigError("the spread is one of brightness, and the outputs of this model are label maps.")
        calibration = None if plain else self.manifest.calibration
        return plan_spread(calibration, num_samples, level, fit, direction or self.directions[0])

    def encode(
        self,
        image: Any,
        *,
        input_image: Any = None,
        fit: Fit = "auto",
        value_range: Sequence[float] | None = None,
    ) -> tuple[np.ndarray, np.ndarray]:
        """Encode an image of the output domain: the latent of its style.

        Args:
            image: One image or several, as for a call.
            input_image: The input that it belongs to, or one for each of several, of the same size. An encoder that
                sees inputs (`Abilities.encoder_sees_input`) finds the style better with it; others leave it out.
            fit: As for a call.
            value_range: As for a call.

        Returns:
            mu and logvar of the posterior, float32, ``(latent_dim,)`` or ``(N, latent_dim)``. ``z=mu`` translates
            another image into this style.

        Raises:
            DataError: An image cannot be read or used.
            BundleError: The model has no encoder.
        """
        self.require_encoder()
        images = list(image) if is_batch(image) else [image]
        preprocessing = self.manifest.preprocessing
        sizes, channels = preprocessing.output_sizes, (preprocessing.output_channels, preprocessing.input_channels)
        levels = (preprocessing.output_levels, preprocessing.input_levels)
        encoded = []
        for one, its_input in zip(images, self._inputs_of(images, input_image), strict=True):
            both: list[np.ndarray] = []
            given = (one,) if its_input is None else (one, its_input)
            for part, number, own, parts in zip(given, channels, levels, ({}, self.parts()), strict=False):
                values = to_input(part, channels=number, value_range=value_range, levels=own, parts=parts)
                if both and values.shape[1:] != both[0].shape[1:]:
                    (h, w), (height, width) = values.shape[1:], both[0].shape[1:]
                    raise DataError(
                        f"the input has {w} x {h} px, but its output {width} x {height}: they must be equal."
                    )
                both.append(values)
            fitted = [
                self._fit_to(
                    values,
                    fit,
                    sizes,
                    multiple=self._encoded_multiple,
                    smallest=self._smallest_encoded,
                    levels=(own, own),
                )
                for values, own in zip(both, levels, strict=False)
            ]
            encoded.append(self._engine.encode(*(part.values[None] for part in fitted)))
        none = np.empty((0, self.latent_dim), np.float32)
        mu, logvar = (np.concatenate([none, *(pair[part] for pair in encoded)]) for part in (0, 1))
        return (mu, logvar) if is_batch(image) else (mu[0], logvar[0])

    def _inputs_of(self, images: list[Any], input_image: Any) -> list[Any]:
        """The input of each image that the encoder is to see, or None."""
        if input_image is None or not self.abilities.encoder_sees_input:
            return [None] * len(images)
        inputs = list(input_image) if self._is_batch(input_image) else [input_image]
        if len(inputs) != len(images):
            raise DataError(f"{len(images)} images to encode have {len(inputs)} inputs: give one for each.")
        return inputs

    def require_encoder(self) -> None:
        """Raise `BundleError` if the model cannot encode images."""
        if not self.abilities.has_encoder:
            raise BundleError("this model has no encoder: it was trained without one, so images cannot be encoded.")

    def sample_z(self, num_samples: int, *, seed: int = 0) -> np.ndarray:
        """The latents of ``translator(image, num_samples, seed=seed)``: ``(num_samples, latent_dim)``, float32.

        They are drawn from `prior`, each by its position.
        """
        return self.prior.sample(num_samples, seed=seed)

    def levels(self, direction: Direction | None = None) -> tuple[Levels, Levels]:
        """Which values of files are black and white in a direction: those of inputs and those of outputs."""
        own = self.manifest.preprocessing
        both = own.input_levels, own.output_levels
        return (both[1], both[0]) if len(self.directions) == 2 and direction == "BtoA" else both

    def _is_batch(self, given: Any, direction: Direction | None = None) -> bool:
        """Whether it is several inputs; a tuple is one, where inputs are stacked of several images."""
        return is_batch(given, stacked=bool(self.parts(direction)))

    def _read(self, image: Any, direction: Direction | None, value_range: Sequence[float] | None) -> np.ndarray:
        """One input of a call: ``(C, H, W)``, float32, [-1, 1]; see `to_input`."""
        levels, _ = self.levels(direction)
        channels = self.abilities.generator(direction).spec.in_channels
        parts = self.parts(direction)
        return to_input(image, channels=channels, value_range=value_range, levels=levels, parts=parts)

    def _masks(self, mask: Any, number: int, *, several: bool, direction: Direction | None) -> list[Any]:
        """The mask of each image of a call, or None."""
        masks = list(mask) if several and mask is not None else [mask] * number
        if len(masks) != number:
            raise ConfigError(f"mask must be a list of {number}, one for each image, not of {len(masks)}.")
        if mask is not None and self.levels(direction)[0].fill is None:
            raise ConfigError(
                "mask: this model was trained without --mask, and knows nothing to put in the place of masked pixels."
            )
        return masks

    def _fit(self, values: np.ndarray, fit: Fit, direction: Direction | None) -> Fitted:
        return self._fit_to(
            values,
            fit,
            self.input_sizes(direction),
            multiple=self.multiple,
            smallest=self._smallest,
            levels=self.levels(direction),
        )

    def _fit_to(
        self,
        values: np.ndarray,
        fit: Fit,
        trained: SizeRange,
        *,
        multiple: int,
        smallest: int,
        levels: tuple[Levels, Levels],
    ) -> Fitted:
        _, height, width = values.shape
        rule = self.manifest.preprocessing
        plan = rule.plan(height, width, fit, multiple=multiple, smallest=smallest)
        warning = rule.warning(height, width, fit, trained)
        if warning is not None and not self._has_warned:
            self._has_warned = True
            log.warning("the scale is not that of training: %s", warning)
        return fit_image(
            values,
            plan,
            rounded=(levels[0].is_eight_bit, levels[1].is_eight_bit),
            methods=(levels[0].resampling, levels[1].resampling),
        )

    def _latents(
        self, num_samples: int | None, *, seed: int, z: np.ndarray | Sequence[Any] | None, count: int
    ) -> list[np.ndarray]:
        if z is None:
            number = choose_number(num_samples, is_stochastic=self.is_stochastic, method=self.manifest.method)
            return [self.sample_z(number, seed=seed)] * count
        if not self.latent_dim:
            raise ConfigError(f"z has no effect: this model ({self.manifest.method}) has no latent.")
        return given_latents(z, latent_dim=self.latent_dim, num_images=count, num_samples=num_samples)


def _as_output(values: np.ndarray, output: Output, levels: Levels) -> Any:
    match output:
        case "pil" if levels.classes is not None:
            indices, palette = levels.from_floats(values), palette_of(levels.classes)
            return [pil_from_indices(one, palette) if one.dtype == np.uint8 else pil_from_array(one) for one in indices]
        case "pil":
            return [pil_from_array(array) for array in from_floats(values)]
        case "array":
            return levels.pictures(values)
        case "values":
            return levels.from_floats(values)
        case "tensor":
            import torch  # noqa: PLC0415  (only where a tensor is wanted)

            return torch.from_numpy(np.ascontiguousarray(values))
    raise ConfigError(f"output must be pil, array, values or tensor, not {output!r}.")


def _joined(parts: list[Any], output: Output) -> Any:
    match output:
        case "pil":
            return [image for part in parts for image in part]
        case "array" | "values":
            return np.concatenate(parts)
        case "tensor":
            import torch  # noqa: PLC0415  (only where a tensor is wanted)

            return torch.cat(parts)
