"""One image in, many out: the Python interface to a trained model."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np

from tandem.checkpoint.manifest import Manifest
from tandem.config.data import Direction
from tandem.data.images import from_floats, pil_from_array
from tandem.errors import BundleError, ConfigError
from tandem.inference.engine import Engine, load_engine
from tandem.inference.inputs import Fit, Fitted, fit_image, is_batch, to_input
from tandem.inference.model import abilities_of
from tandem.rng import derive_seed, numpy_generator

Output = Literal["pil", "array", "tensor"]


def load(path: str | Path, *, device: str = "auto") -> "Translator":
    """Load a model.

    Args:
        path: The folder of a bundle (``runs/NAME/model``) or of the run (``runs/NAME``).
        device: ``auto``, ``cpu``, ``cuda``, ``cuda:N`` or ``mps``.

    Raises:
        BundleError: There is no model, or it is damaged or of another format.
        ConfigError: This machine does not have the device.
    """
    manifest, engine = load_engine(Path(path), device=device)
    return Translator(manifest, engine)


class Translator:
    """A trained model: ``translator(image, num_samples=5, seed=0)``.

    Attributes:
        manifest: What the model says of itself: architecture, preprocessing, training.
        abilities: What it can do.
        latent_dim: Length of the latent code; 0 without one.
        multiple: Sides of the network's input are multiples of this.
    """

    max_batch = 1
    """Samples that run through the generator at once. With more of them the last bits of a sample depend on its
    neighbours; one at a time, a picture follows from its input and its code alone, bit for bit."""

    def __init__(self, manifest: Manifest, engine: Engine) -> None:
        self.abilities = abilities_of(manifest)
        self.manifest = manifest
        self._engine = engine
        self.latent_dim = self.abilities.latent_dim
        self.multiple = max(generator.spec.size_multiple for generator in self.abilities.generators.values())
        self._smallest = max(generator.spec.smallest_side for generator in self.abilities.generators.values())

    @property
    def directions(self) -> tuple[Direction, ...]:
        """The directions of translation; one, or both for CycleGAN. A and B are the domains of the dataset."""
        return tuple(self.abilities.generators)

    @property
    def is_stochastic(self) -> bool:
        """Whether one input has several outputs: by a latent code, or by dropout."""
        return self.abilities.is_stochastic

    def __call__(
        self,
        image: Any,
        num_samples: int | None = None,
        *,
        seed: int = 0,
        z: np.ndarray | Sequence[Any] | None = None,
        fit: Fit = "pad",
        direction: Direction | None = None,
        output: Output = "pil",
    ) -> Any:
        """Translate one image, or several, each into several outputs.

        Args:
            image: A path, a PIL image, an array ``(H, W)`` or ``(H, W, C)``, a tensor ``(C, H, W)``; or several: a
                list, an array ``(N, H, W, C)``, a tensor ``(N, C, H, W)``. Integers fill the range of their type,
                floats are in [-1, 1].
            num_samples: Outputs per image; 5, or as many as there are codes in `z`; 1 for models without noise.
            seed: Decides the codes, or the dropout of pix2pix. The first m of n samples are the samples of
                ``num_samples=m``, and every image gets the same codes, so that a column of a grid is one style.
            z: Codes instead: ``(latent_dim,)`` or ``(M, latent_dim)``, or ``(N, M, latent_dim)`` for a batch.
            fit: ``pad`` keeps the image's resolution and pads it by mirroring up to the next size that the network
                takes (the padding is cut off again); ``resize`` translates at the training size and resizes back.
            direction: For CycleGAN ``AtoB`` (the default) or ``BtoA``; other models have one direction only.
            output: ``pil`` images, uint8 ``array`` ``(M, H, W, C)``, or float32 ``tensor`` ``(M, C, H, W)`` in [-1, 1].

        Returns:
            The outputs at the image's own size: for one image a list (`pil`), an array or a tensor; for a batch a
            list of these.

        Raises:
            DataError: An image cannot be read or used.
            ConfigError: `num_samples`, `z` or `direction` do not fit.
        """
        generator = self.abilities.generator(direction)
        images = list(image) if is_batch(image) else [image]
        codes = self._codes(num_samples, seed=seed, z=z, count=len(images))
        results = []
        for one, one_codes in zip(images, codes, strict=True):
            fitted = self._fit(to_input(one, channels=generator.spec.in_channels), fit)
            outputs = self._generate(generator.name, fitted.values, one_codes, seed=seed)
            results.append(_as_output(fitted.restore(outputs), output))
        return results if is_batch(image) else results[0]

    def cycle(
        self, image: Any, *, fit: Fit = "pad", direction: Direction | None = None, output: Output = "pil"
    ) -> tuple[Any, Any]:
        """Translate an image there and back again (CycleGAN).

        Args:
            image: One image, as for a call.
            fit: As for a call.
            direction: The way there.
            output: As for a call.

        Returns:
            The translation and what the other generator makes of it, each as one output of a call.

        Raises:
            DataError: The image cannot be read or used.
            ConfigError: The model translates one way only.
        """
        back = self.abilities.way_back(direction)
        there = self.abilities.generator(direction)
        fitted = self._fit(to_input(image, channels=there.spec.in_channels), fit)
        none = np.empty((1, 0), np.float32)
        fake = self._generate(there.name, fitted.values, none, seed=0)
        returned = self._generate(back.name, fake[0], none, seed=0)
        made, again = (_as_output(fitted.restore(values), output)[0] for values in (fake, returned))
        return made, again

    def translate_frames(
        self,
        frames: np.ndarray,
        z: np.ndarray,
        *,
        seed: int = 0,
        fit: Fit = "pad",
        direction: Direction | None = None,
    ) -> np.ndarray:
        """Translate several frames of one size, each into one output with a code of its own.

        They run through the generator at once, so memory grows with them, and the last bits of an output may depend on
        the other frames (see `max_batch`). Models that sample with dropout take them one by one, all with one mask.

        Args:
            frames: ``(N, H, W, C)``, uint8, C from 1 to 4.
            z: ``(N, latent_dim)``, float32.
            seed: Decides the dropout.
            fit: As for a call.
            direction: As for a call.

        Returns:
            ``(N, H, W, output channels)``, uint8.
        """
        generator = self.abilities.generator(direction)
        fitted = [self._fit(to_input(frame, channels=generator.spec.in_channels), fit) for frame in frames]
        noise = derive_seed(seed, "dropout") if self.abilities.has_dropout_noise else None
        together = 1 if self.manifest.samples_with_noise else len(frames)
        outputs = [
            self._engine.generate(
                generator.name,
                np.stack([one.values for one in fitted[start : start + together]]),
                z[start : start + together],
                noise,
            )
            for start in range(0, len(frames), together)
        ]
        restored = [one.restore(output[None]) for one, output in zip(fitted, np.concatenate(outputs), strict=True)]
        return from_floats(np.concatenate(restored))

    def encode(self, image: Any) -> tuple[np.ndarray, np.ndarray]:
        """Encode an image of the output domain: the latent code of its style.

        The image is resized (bicubic) to the training size first.

        Args:
            image: One image or several, as for a call.

        Returns:
            mu and logvar of the posterior, float32, ``(latent_dim,)`` or ``(N, latent_dim)``. ``z=mu`` translates
            another image into this style.

        Raises:
            DataError: An image cannot be read or used.
            BundleError: The model has no encoder.
        """
        self.require_encoder()
        images = list(image) if is_batch(image) else [image]
        channels = self.manifest.preprocessing.output_channels
        encoded = [
            self._engine.encode(self._fit(to_input(one, channels=channels), "resize").values[None]) for one in images
        ]
        none = np.empty((0, self.latent_dim), np.float32)
        mu, logvar = (np.concatenate([none, *(pair[part] for pair in encoded)]) for part in (0, 1))
        return (mu, logvar) if is_batch(image) else (mu[0], logvar[0])

    def require_encoder(self) -> None:
        """Raise `BundleError` if the model cannot encode images."""
        if not self.abilities.has_encoder:
            raise BundleError("this model has no encoder: it was trained without one, so images cannot be encoded.")

    def sample_z(self, num_samples: int, *, seed: int = 0) -> np.ndarray:
        """The codes of ``translator(image, num_samples, seed=seed)``: ``(num_samples, latent_dim)``, float32."""
        draws = [
            numpy_generator(seed, "sample", position=index).standard_normal(self.latent_dim)
            for index in range(num_samples)
        ]
        return np.stack(draws).astype(np.float32)

    def _fit(self, values: np.ndarray, fit: Fit) -> Fitted:
        size = self.manifest.preprocessing.size
        return fit_image(values, fit=fit, multiple=self.multiple, size=size, smallest=self._smallest)

    def _generate(self, name: str, values: np.ndarray, codes: np.ndarray, *, seed: int) -> np.ndarray:
        outputs = []
        for start in range(0, len(codes), self.max_batch):
            part = codes[start : start + self.max_batch]
            repeated = np.broadcast_to(values, (len(part), *values.shape))
            noise = derive_seed(seed, "dropout", position=start) if self.abilities.has_dropout_noise else None
            outputs.append(self._engine.generate(name, repeated, part, noise))
        return np.concatenate(outputs)

    def _codes(
        self, num_samples: int | None, *, seed: int, z: np.ndarray | Sequence[Any] | None, count: int
    ) -> list[np.ndarray]:
        if z is None:
            default = 5 if self.is_stochastic else 1
            number = default if num_samples is None else num_samples
            if number > 1 and not self.is_stochastic:
                raise ConfigError(
                    f"num_samples is {number}, but this model ({self.manifest.method}) gives one output for an input: "
                    "it has neither a latent code nor dropout."
                )
            if number < 1:
                raise ConfigError(f"num_samples must be at least 1, not {number}.")
            return [self.sample_z(number, seed=seed)] * count
        if not self.latent_dim:
            raise ConfigError(f"z has no effect: this model ({self.manifest.method}) has no latent code.")
        array = np.asarray(z, dtype=np.float32)
        array = array[None] if array.ndim == 1 else array
        if array.ndim == 2:
            array = np.broadcast_to(array, (count, *array.shape))
        if array.ndim != 3 or array.shape[0] != count or array.shape[2] != self.latent_dim or not array.shape[1]:
            raise ConfigError(
                f"z has the shape {np.shape(z)}; expected ({self.latent_dim},), (M, {self.latent_dim}) or "
                f"({count}, M, {self.latent_dim})."
            )
        if num_samples not in {None, array.shape[1]}:
            raise ConfigError(f"num_samples is {num_samples}, but z holds {array.shape[1]} codes: give one of them.")
        if not np.isfinite(array).all():
            raise ConfigError("z holds values that are not finite.")
        return list(array)


def _as_output(values: np.ndarray, output: Output) -> Any:
    match output:
        case "pil":
            return [pil_from_array(array) for array in from_floats(values)]
        case "array":
            return from_floats(values)
        case "tensor":
            import torch  # noqa: PLC0415  (only where a tensor is wanted)

            return torch.from_numpy(np.ascontiguousarray(values))
    raise ConfigError(f"output must be pil, array or tensor, not {output!r}.")
