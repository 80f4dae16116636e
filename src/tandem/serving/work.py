"""What the addresses have in common: from bytes to frames, from what is asked for to outputs."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import numpy as np

from tandem.config.data import Direction
from tandem.data.levels import Levels
from tandem.inference.latents import between, choose_number, given_latents
from tandem.inference.spread import Spread
from tandem.serving.frames import FrameRule, as_signed
from tandem.serving.limits import Limits
from tandem.serving.metrics import Metrics
from tandem.serving.models import Loaded
from tandem.serving.refused import RefusedError, bad_value
from tandem.serving.requests import Asked
from tandem.serving.samples import OnProgress, Samples
from tandem.serving.scheduler import Scheduler

T = TypeVar("T")
DECODERS = 2
"""Large images that are decoded or encoded at once."""
SMALL_PIXELS = 2**15
"""Up to so many pixels decoding and encoding take less than handing them to another thread may cost."""
SMALL_BYTES = 2**16

Made = tuple[Sequence[np.ndarray], np.ndarray | None, dict[str, Any]]
"""Outputs, ``(H, W, C)`` each, of the model's own values; their latents; what else is said of them."""


class Work:
    """Computes what clients ask for.

    Args:
        scheduler: What runs the networks.
        limits: How much a client may ask.
        metrics: What is counted.
    """

    def __init__(self, scheduler: Scheduler, limits: Limits, metrics: Metrics) -> None:
        self._scheduler, self._limits, self._metrics = scheduler, limits, metrics
        self._aside = asyncio.Semaphore(DECODERS)

    async def frame(self, asked: Asked, loaded: Loaded) -> np.ndarray:
        """The input of a translation: ``(H, W, C)``, of the values that the model takes.

        Raises:
            ImageReadError: It is too large, damaged, no image, or not one that the model takes.
        """
        generator = loaded.translator.abilities.generator(asked.direction)
        assert asked.image is not None
        return await self._decode(
            asked.image, generator.spec.in_channels, loaded.translator.levels(asked.direction)[0], asked
        )

    async def translate(
        self, asked: Asked, loaded: Loaded, frame: np.ndarray, *, on_progress: OnProgress | None = None
    ) -> Made:
        """Translate an input.

        Args:
            asked: What is asked for.
            loaded: The model.
            frame: The input; see `frame`.
            on_progress: Told how far it is.

        Returns:
            The outputs, their latents ``(M, latent_dim)``, None where there are none, and what else is said of them.

        Raises:
            RefusedError: It asks for too much, or for what the model cannot do.
            ConfigError: Likewise.
        """
        translator = loaded.translator
        number = self._number(asked, loaded, frame)
        facts = {
            "model": loaded.name,
            "version": loaded.version,
            "seed": asked.seed,
            "direction": asked.direction or translator.directions[0],
        }
        if translator.abilities.has_dropout_noise:
            made = await self._with_dropout(asked, loaded, frame, number)
            return list(made), None, facts
        latents = await self._latents(asked, loaded, number)
        work = Samples(translator, loaded.name, frame, latents, asked.fit, asked.direction, on_progress)
        return await self._scheduler.samples(work), latents if translator.latent_dim else None, facts

    async def encode(
        self, image: bytes, input_image: bytes | None, asked: Asked, loaded: Loaded
    ) -> tuple[np.ndarray, np.ndarray]:
        """The latent of an image of the output domain: mu and logvar."""
        translator = loaded.translator
        translator.require_encoder()
        own = translator.manifest.preprocessing
        signed = as_signed(await self._decode(image, own.output_channels, own.output_levels, asked), own.output_levels)
        its_input = None
        if input_image is not None:
            frame = await self._decode(input_image, own.input_channels, own.input_levels, asked)
            its_input = as_signed(frame, own.input_levels)
        return await self._scheduler.call(
            lambda: translator.encode(signed, input_image=its_input, fit=asked.fit, value_range=(-1, 1))
        )

    async def spread(self, asked: Asked, loaded: Loaded) -> Spread:
        """How sure the model is of an image."""
        translator, limit = loaded.translator, self._limits.max_samples
        signed = as_signed(await self.frame(asked, loaded), translator.levels(asked.direction)[0])
        plan = translator.plan_spread(num_samples=asked.num_samples, fit=asked.fit, direction=asked.direction)
        if plan.num_samples > limit:
            raise bad_value(
                f"the spread takes {plan.num_samples} samples, and this service makes at most {limit} for a request."
            )
        return await self._scheduler.call(
            lambda: translator.spread(
                signed,
                num_samples=asked.num_samples,
                seed=asked.seed,
                fit=asked.fit,
                direction=asked.direction,
                value_range=(-1, 1),
            )
        )

    async def aside(self, pixels: int, function: Callable[[], T]) -> T:
        """Decode or encode so many pixels: few at once, many in a thread, so that others are answered meanwhile."""
        if pixels <= SMALL_PIXELS:
            return function()
        async with self._aside:
            return await asyncio.to_thread(function)

    async def _decode(self, data: bytes, channels: int, levels: Levels, asked: Asked) -> np.ndarray:
        rule = FrameRule(channels, levels, asked.size, self._limits.max_pixels)
        if len(data) > SMALL_BYTES:
            return await self.aside(self._limits.max_pixels + SMALL_PIXELS, lambda: rule.checked(data))
        return await self.aside(rule.require(data), lambda: rule.decode(data))

    async def _with_dropout(self, asked: Asked, loaded: Loaded, frame: np.ndarray, number: int) -> np.ndarray:
        """One random generator draws the dropout of a whole call, so such a model takes no part in batches."""
        translator = loaded.translator
        if asked.mode != "random" or asked.z is not None:
            raise _no_latent(asked)
        signed = as_signed(frame, translator.levels(asked.direction)[0])
        made = await self._scheduler.call(
            lambda: translator(
                signed,
                number,
                seed=asked.seed,
                fit=asked.fit,
                direction=asked.direction,
                output="values",
                value_range=(-1, 1),
            )
        )
        self._metrics.samples.add(len(made), loaded.name)
        return made

    def _number(self, asked: Asked, loaded: Loaded, frame: np.ndarray) -> int:
        given = len(asked.z) if asked.z is not None and asked.mode == "random" else None
        translator, limits = loaded.translator, self._limits
        number = choose_number(
            asked.num_samples or given, is_stochastic=translator.is_stochastic, method=translator.manifest.method
        )
        height, width, _ = frame.shape
        channels = translator.abilities.generator(asked.direction).spec.out_channels
        if number * height * width > limits.max_output_pixels:
            raise RefusedError(
                413,
                "too-large",
                f"{number} outputs of {width} x {height} pixels are more than the {limits.max_output_pixels} pixels of "
                "one answer: ask for fewer samples, or a smaller size.",
            )
        if number * height * width * channels > limits.max_output_values:
            raise RefusedError(
                413,
                "too-large",
                f"{number} outputs of {width} x {height} pixels and {channels} channels are more than the "
                f"{limits.max_output_values} values of one answer: ask for fewer samples, or a smaller size.",
            )
        return number

    async def _latents(self, asked: Asked, loaded: Loaded, number: int) -> np.ndarray:
        """What the outputs are made with: ``(number, latent_dim)``, float32."""
        translator = loaded.translator
        if not translator.latent_dim and (asked.mode != "random" or asked.z is not None):
            raise _no_latent(asked)
        if asked.mode == "reference":
            if asked.reference is None or asked.z is not None:
                raise bad_value("mode 'reference' needs a 'reference' image, and no 'z'.")
            mu, _ = await self.encode(asked.reference, None, asked, loaded)
            return np.broadcast_to(mu, (number, translator.latent_dim)).copy()
        if asked.reference is not None:
            raise bad_value("'reference' goes with mode 'reference' only.")
        if asked.mode == "interpolate":
            ends = translator.sample_z(2, seed=asked.seed) if asked.z is None else _rows(asked, loaded)
            if len(ends) != 2 or number < 2:
                raise bad_value("mode 'interpolate' goes between two rows of 'z', with at least 2 samples.")
            return between(ends[0], ends[1], number, way="spherical", prior=translator.prior)
        if asked.z is None:
            return translator.sample_z(number, seed=asked.seed)
        return _rows(asked, loaded)


def output_levels(loaded: Loaded, direction: Direction | None) -> Levels:
    """Which values of outputs are black and white."""
    return loaded.translator.levels(direction)[1]


def _no_latent(asked: Asked) -> RefusedError:
    return bad_value(f"mode '{asked.mode}' and 'z' need a latent, and this model has none.")


def _rows(asked: Asked, loaded: Loaded) -> np.ndarray:
    assert asked.z is not None
    number = asked.num_samples if asked.mode == "random" else None
    (rows,) = given_latents(asked.z, latent_dim=loaded.translator.latent_dim, num_images=1, num_samples=number)
    return np.array(rows)
