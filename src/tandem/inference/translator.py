"""One image in, many out: the Python interface to a trained model."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np

from tandem.checkpoint.manifest import Manifest
from tandem.config.architecture import EncoderSpec, UNetSpec
from tandem.data.images import from_floats, pil_from_array
from tandem.errors import BundleError, ConfigError
from tandem.inference.engine import Engine, load_engine
from tandem.inference.inputs import Fit, Fitted, fit_image, is_batch, to_input
from tandem.rng import numpy_generator

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
        latent_dim: Length of the latent code.
        multiple: Sides of the network's input are multiples of this.
    """

    max_batch = 1
    """Samples that run through the generator at once. With more of them the last bits of a sample depend on its
    neighbours; one at a time, a picture follows from its input and its code alone, bit for bit."""

    def __init__(self, manifest: Manifest, engine: Engine) -> None:
        generator = manifest.networks.get("generator")
        if not isinstance(generator, UNetSpec):
            raise BundleError("this model has no generator that this version of Tandem can run.")
        _check_belong_together(manifest, generator)
        self.manifest = manifest
        self._engine = engine
        self.latent_dim = generator.latent_dim
        self.multiple = 2**generator.depth

    def __call__(
        self,
        image: Any,
        num_samples: int | None = None,
        *,
        seed: int = 0,
        z: np.ndarray | Sequence[Any] | None = None,
        fit: Fit = "pad",
        output: Output = "pil",
    ) -> Any:
        """Translate one image, or several, each into several outputs.

        Args:
            image: A path, a PIL image, an array ``(H, W)`` or ``(H, W, C)``, a tensor ``(C, H, W)``; or several: a
                list, an array ``(N, H, W, C)``, a tensor ``(N, C, H, W)``. Integers fill the range of their type,
                floats are in [-1, 1].
            num_samples: Outputs per image; 5, or as many as there are codes in `z`.
            seed: Decides the codes. The first m of n samples are the samples of ``num_samples=m``, and every image gets
                the same codes, so that a column of a grid is one style.
            z: Codes instead: ``(latent_dim,)`` or ``(M, latent_dim)``, or ``(N, M, latent_dim)`` for a batch.
            fit: ``pad`` keeps the image's resolution and pads it by mirroring up to the next size that the network
                takes (the padding is cut off again); ``resize`` translates at the training size and resizes back.
            output: ``pil`` images, uint8 ``array`` ``(M, H, W, C)``, or float32 ``tensor`` ``(M, C, H, W)`` in [-1, 1].

        Returns:
            The outputs at the image's own size: for one image a list (`pil`), an array or a tensor; for a batch a
            list of these.

        Raises:
            DataError: An image cannot be read or used.
            ConfigError: `num_samples` or `z` do not fit.
        """
        images = list(image) if is_batch(image) else [image]
        codes = self._codes(num_samples, seed=seed, z=z, count=len(images))
        channels = self.manifest.preprocessing.input_channels
        results = []
        for one, one_codes in zip(images, codes, strict=True):
            fitted = self._fit(to_input(one, channels=channels), fit)
            results.append(_as_output(fitted.restore(self._generate(fitted, one_codes)), output))
        return results if is_batch(image) else results[0]

    def translate_frames(self, frames: np.ndarray, z: np.ndarray, *, fit: Fit = "pad") -> np.ndarray:
        """Translate several frames of one size together, each into one output with a code of its own.

        They run through the generator at once, so memory grows with them, and the last bits of an output may depend on
        the other frames (see `max_batch`).

        Args:
            frames: ``(N, H, W, C)``, uint8, C from 1 to 4.
            z: ``(N, latent_dim)``, float32.
            fit: As for a call.

        Returns:
            ``(N, H, W, output channels)``, uint8.
        """
        channels = self.manifest.preprocessing.input_channels
        fitted = [self._fit(to_input(frame, channels=channels), fit) for frame in frames]
        outputs = self._engine.generate(np.stack([one.values for one in fitted]), z)
        restored = [one.restore(output[None]) for one, output in zip(fitted, outputs, strict=True)]
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
        if not isinstance(self.manifest.networks.get("encoder"), EncoderSpec):
            raise BundleError("this model has no encoder: it was trained without one, so images cannot be encoded.")
        images = list(image) if is_batch(image) else [image]
        channels = self.manifest.preprocessing.output_channels
        encoded = [
            self._engine.encode(self._fit(to_input(one, channels=channels), "resize").values[None]) for one in images
        ]
        none = np.empty((0, self.latent_dim), np.float32)
        mu, logvar = (np.concatenate([none, *(pair[part] for pair in encoded)]) for part in (0, 1))
        return (mu, logvar) if is_batch(image) else (mu[0], logvar[0])

    def sample_z(self, num_samples: int, *, seed: int = 0) -> np.ndarray:
        """The codes of ``translator(image, num_samples, seed=seed)``: ``(num_samples, latent_dim)``, float32."""
        draws = [
            numpy_generator(seed, "sample", position=index).standard_normal(self.latent_dim)
            for index in range(num_samples)
        ]
        return np.stack(draws).astype(np.float32)

    def _fit(self, values: np.ndarray, fit: Fit) -> Fitted:
        return fit_image(values, fit=fit, multiple=self.multiple, size=self.manifest.preprocessing.size)

    def _generate(self, fitted: Fitted, codes: np.ndarray) -> np.ndarray:
        parts = [codes[start : start + self.max_batch] for start in range(0, len(codes), self.max_batch)]
        return np.concatenate(
            [self._engine.generate(np.broadcast_to(fitted.values, (len(p), *fitted.values.shape)), p) for p in parts]
        )

    def _codes(
        self, num_samples: int | None, *, seed: int, z: np.ndarray | Sequence[Any] | None, count: int
    ) -> list[np.ndarray]:
        if z is None:
            number = 5 if num_samples is None else num_samples
            if number < 1:
                raise ConfigError(f"num_samples must be at least 1, not {number}.")
            return [self.sample_z(number, seed=seed)] * count
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


def _check_belong_together(manifest: Manifest, generator: UNetSpec) -> None:
    images = (manifest.preprocessing.input_channels, manifest.preprocessing.output_channels)
    if images != (generator.in_channels, generator.out_channels):
        raise BundleError(
            f"this model's images have {images[0]} and {images[1]} channels, but its generator takes and gives "
            f"{generator.in_channels} and {generator.out_channels}."
        )
    encoder = manifest.networks.get("encoder")
    expected = (generator.out_channels, generator.latent_dim)
    if isinstance(encoder, EncoderSpec) and (encoder.in_channels, encoder.latent_dim) != expected:
        raise BundleError(
            f"this model's encoder takes {encoder.in_channels} channels and gives codes of {encoder.latent_dim}, but "
            f"its generator gives {expected[0]} channels and takes codes of {expected[1]}."
        )


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
