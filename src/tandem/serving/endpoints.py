"""What each address answers."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from typing import Any, TypeVar

import numpy as np
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from tandem.data.images import read_image, require_pixels, resize
from tandem.errors import BundleError, ConfigError, DataError
from tandem.evaluation.options import Palette
from tandem.inference.latents import between, choose_number, given_latents
from tandem.report.spread_pictures import guessed_picture, mean_picture, width_picture
from tandem.serving.answers import json_response, outputs_response
from tandem.serving.limits import Limits
from tandem.serving.metrics import CONTENT_TYPE, Metrics
from tandem.serving.models import Loaded, ModelStore, palette_as_json
from tandem.serving.refused import RefusedError, bad_value
from tandem.serving.requests import Asked, from_values, read_request
from tandem.serving.scheduler import Samples, Scheduler

T = TypeVar("T")
Endpoint = Callable[[Request], Awaitable[Response]]

DECODERS = 2
"""Images that are decoded at once."""

log = logging.getLogger(__name__)


class Endpoints:
    """The functions behind the addresses.

    Args:
        store: The models.
        scheduler: What runs them.
        limits: How much a client may ask.
        metrics: What is counted.
        palette: Colours of labels that the page offers.
    """

    def __init__(
        self, store: ModelStore, scheduler: Scheduler, limits: Limits, metrics: Metrics, palette: Palette | None
    ) -> None:
        self._store, self._scheduler, self._limits, self._metrics = store, scheduler, limits, metrics
        self._palette = palette
        self._decoding = asyncio.Semaphore(DECODERS)

    async def health(self, request: Request) -> Response:
        """The process answers."""
        del request
        return json_response({"status": "ok"})

    async def ready(self, request: Request) -> Response:
        """The default model is in memory, or can be brought there."""
        del request
        await self._store.get(None)
        return json_response({"status": "ready"})

    async def numbers(self, request: Request) -> Response:
        """Counters for Prometheus."""
        del request
        return Response(self._metrics.text(), headers={"Content-Type": CONTENT_TYPE})

    async def models(self, request: Request) -> Response:
        """Which models there are, and what may be asked of them."""
        del request
        limits = self._limits
        return json_response(
            {
                "models": self._store.names,
                "default": self._store.default,
                "palette": palette_as_json(self._palette),
                "limits": {
                    "bytes": limits.max_bytes,
                    "pixels": limits.max_pixels,
                    "samples": limits.max_samples,
                    "seconds": limits.time_limit,
                },
            }
        )

    async def model(self, request: Request) -> Response:
        """What one model can do."""
        loaded = await self._store.get(request.path_params["name"])
        return json_response(loaded.describe())

    async def latents(self, request: Request) -> Response:
        """The latents that a seed stands for."""
        asked = from_values(request.query_params, self._limits)
        loaded = await self._store.get(asked.model)
        if not loaded.translator.latent_dim:
            raise bad_value("this model has no latent.")
        z = loaded.translator.sample_z(asked.num_samples or 1, seed=asked.seed)
        return json_response({"model": loaded.name, "version": loaded.version, "seed": asked.seed, "z": z.tolist()})

    async def translate(self, request: Request) -> Response:
        """One image, many outputs."""
        asked, loaded = await self._read(request)
        return await while_there(request, self._translate(asked, loaded))

    async def encode(self, request: Request) -> Response:
        """The latent of an image of the output domain."""
        asked, loaded = await self._read(request)
        return await while_there(request, self._encode(asked, loaded))

    async def spread(self, request: Request) -> Response:
        """How sure a model is of one image."""
        asked, loaded = await self._read(request)
        return await while_there(request, self._spread(asked, loaded))

    async def _read(self, request: Request) -> tuple[Asked, Loaded]:
        asked = await read_request(request, self._limits)
        if asked.image is None:
            raise bad_value("there is no 'image': send the bytes of an image file.")
        return asked, await self._store.get(asked.model)

    async def _translate(self, asked: Asked, loaded: Loaded) -> Response:
        generator = loaded.translator.abilities.generator(asked.direction)
        assert asked.image is not None
        frame = await self._decode(asked.image, generator.spec.in_channels, asked)
        outputs, latents, facts = await self.outputs(asked, loaded, frame)
        return await asyncio.to_thread(outputs_response, outputs, latents, asked.format, facts)

    async def outputs(
        self, asked: Asked, loaded: Loaded, frame: np.ndarray
    ) -> tuple[Sequence[np.ndarray], np.ndarray | None, dict[str, Any]]:
        """Translate an input that has been decoded.

        Args:
            asked: What is asked for.
            loaded: The model.
            frame: ``(H, W, C)``, uint8, with the channels that it takes.

        Returns:
            The outputs, ``(H, W, C)`` each, uint8; their latents ``(M, latent_dim)``, None where there are none; and
            what else is said of them.

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
            # One random generator draws the dropout of a whole call, so such a model takes no part in batches.
            made = await self._scheduler.call(
                lambda: translator(
                    frame,
                    number,
                    seed=asked.seed,
                    fit=asked.fit,
                    direction=asked.direction,
                    output="array",
                    z=asked.z,
                )
            )
            self._metrics.samples.add(len(made), loaded.name)
            return list(made), None, facts
        latents = await self._latents(asked, loaded, number)
        work = Samples(translator, loaded.name, frame, latents, asked.fit, asked.direction)
        return await self._scheduler.samples(work), latents if translator.latent_dim else None, facts

    def _number(self, asked: Asked, loaded: Loaded, frame: np.ndarray) -> int:
        given = len(asked.z) if asked.z is not None and asked.mode == "random" else None
        translator = loaded.translator
        number = choose_number(
            asked.num_samples or given, is_stochastic=translator.is_stochastic, method=translator.manifest.method
        )
        height, width, _ = frame.shape
        if number * height * width > self._limits.max_output_pixels:
            raise RefusedError(
                413,
                "too-large",
                f"{number} outputs of {width} x {height} pixels are more than the {self._limits.max_output_pixels} "
                "pixels of one answer: ask for fewer samples, or a smaller size.",
            )
        return number

    async def _latents(self, asked: Asked, loaded: Loaded, number: int) -> np.ndarray:
        """What the outputs are made with: ``(number, latent_dim)``, float32."""
        translator = loaded.translator
        if not translator.latent_dim and (asked.mode != "random" or asked.z is not None):
            raise bad_value(f"mode '{asked.mode}' and 'z' need a latent, and this model has none.")
        if asked.mode == "reference":
            if asked.reference is None or asked.z is not None:
                raise bad_value("mode 'reference' needs a 'reference' image, and no 'z'.")
            mu, _ = await self._encoded(asked.reference, None, asked, loaded)
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

    async def _encode(self, asked: Asked, loaded: Loaded) -> Response:
        assert asked.image is not None
        mu, logvar = await self._encoded(asked.image, asked.input_image, asked, loaded)
        facts = {"model": loaded.name, "version": loaded.version}
        return json_response({**facts, "mu": mu.tolist(), "logvar": logvar.tolist()})

    async def _encoded(
        self, image: bytes, input_image: bytes | None, asked: Asked, loaded: Loaded
    ) -> tuple[np.ndarray, np.ndarray]:
        translator = loaded.translator
        translator.require_encoder()
        preprocessing = translator.manifest.preprocessing
        frame = await self._decode(image, preprocessing.output_channels, asked)
        its_input = None
        if input_image is not None:
            its_input = await self._decode(input_image, preprocessing.input_channels, asked)
        return await self._scheduler.call(lambda: translator.encode(frame, input_image=its_input, fit=asked.fit))

    async def _spread(self, asked: Asked, loaded: Loaded) -> Response:
        translator = loaded.translator
        generator = translator.abilities.generator(asked.direction)
        assert asked.image is not None
        frame = await self._decode(asked.image, generator.spec.in_channels, asked)
        plan = translator.plan_spread(num_samples=asked.num_samples, fit=asked.fit, direction=asked.direction)
        if plan.num_samples > self._limits.max_samples:
            raise bad_value(
                f"the spread takes {plan.num_samples} samples, and this service makes at most "
                f"{self._limits.max_samples} for a request."
            )
        spread = await self._scheduler.call(
            lambda: translator.spread(
                frame,
                num_samples=asked.num_samples,
                seed=asked.seed,
                fit=asked.fit,
                direction=asked.direction,
            )
        )
        facts = {
            "model": loaded.name,
            "version": loaded.version,
            "seed": asked.seed,
            "level": spread.level,
            "calibrated": spread.calibrated,
            "num_samples": spread.num_samples,
            "flagged_share": float(spread.flagged.mean()),
        }
        pictures = {
            "mean": mean_picture(spread.mean),
            "width": width_picture(spread.guessed),
            "guessed": guessed_picture(spread.mean, spread.flagged),
        }
        return outputs_response(list(pictures.values()), None, "json", {**facts, "pictures": list(pictures)})

    async def _decode(self, data: bytes, channels: int, asked: Asked) -> np.ndarray:
        async with self._decoding:
            return await asyncio.to_thread(_decode, data, channels, asked.size, self._limits.max_pixels)

    def answering(self, endpoint: Endpoint) -> Endpoint:
        """An endpoint whose errors become answers, with a time limit."""

        async def answered(request: Request) -> Response:
            try:
                async with asyncio.timeout(self._limits.time_limit):
                    return await endpoint(request)
            except RefusedError as refusal:
                answer = refusal
            except TimeoutError:
                text = f"the request took longer than {self._limits.time_limit:g} s and was given up."
                answer = RefusedError(504, "time", text)
            except ClientDisconnect:
                answer = RefusedError(499, "gone", "the client has left.")
            except (DataError, ConfigError, BundleError) as error:
                answer = bad_value(str(error))
            except Exception:
                log.exception("request %s failed", request.state.request_id)
                text = f"something went wrong in the service; its log says more under {request.state.request_id}."
                answer = RefusedError(500, "internal", text)
            self._metrics.refused.add(1, answer.code)
            return json_response(answer.body(request.url.path), status=answer.status, headers=answer.headers)

        return answered

    def placed(self, endpoint: Endpoint) -> Endpoint:
        """An endpoint that computes: only so many requests are taken, before anything of them is read."""

        async def held(request: Request) -> Response:
            with self._scheduler.place():
                return await endpoint(request)

        return self.answering(held)


def _rows(asked: Asked, loaded: Loaded) -> np.ndarray:
    assert asked.z is not None
    number = asked.num_samples if asked.mode == "random" else None
    (rows,) = given_latents(asked.z, latent_dim=loaded.translator.latent_dim, num_images=1, num_samples=number)
    return np.array(rows)


def _decode(data: bytes, channels: int, size: tuple[int, int] | None, max_pixels: int) -> np.ndarray:
    require_pixels(data, max_pixels)
    array = read_image(data, channels=channels)
    return array if size is None else resize(array, *size)


async def while_there(request: Request, work: Coroutine[Any, Any, T]) -> T:
    """Do something as long as the client waits for it.

    Raises:
        ClientDisconnect: It has left.
    """
    computing = asyncio.ensure_future(work)
    leaving = asyncio.ensure_future(_until_gone(request))
    try:
        await asyncio.wait({computing, leaving}, return_when=asyncio.FIRST_COMPLETED)
        if not computing.done():
            raise ClientDisconnect
        return computing.result()
    finally:
        for task in (computing, leaving):
            task.cancel()
        await asyncio.gather(computing, leaving, return_exceptions=True)


async def _until_gone(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
