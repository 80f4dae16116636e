"""What each address answers."""

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import numpy as np
from starlette.requests import Request
from starlette.responses import Response

from tandem.evaluation.options import Palette
from tandem.report.spread_pictures import guessed_picture, mean_picture, width_picture
from tandem.serving.answers import json_bytes, json_response, outputs_json, outputs_response
from tandem.serving.events import MEDIA_TYPE, EventStream
from tandem.serving.limits import Limits
from tandem.serving.metrics import CONTENT_TYPE, Metrics
from tandem.serving.models import Loaded, ModelStore, palette_as_json
from tandem.serving.presence import while_there
from tandem.serving.refused import bad_value
from tandem.serving.requests import Asked, Format, from_values, read_request
from tandem.serving.samples import OnProgress
from tandem.serving.work import Made, Work, output_levels

T = TypeVar("T")


class Endpoints:
    """The functions behind the addresses.

    Args:
        store: The models.
        work: What computes.
        limits: How much a client may ask.
        metrics: What is counted.
        palette: Colours of labels that the page offers.
    """

    def __init__(
        self, store: ModelStore, work: Work, limits: Limits, metrics: Metrics, palette: Palette | None
    ) -> None:
        self._store, self._work, self._limits, self._metrics = store, work, limits, metrics
        self._palette = palette

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
        """One image, many outputs; as events where the client takes these."""
        asked, loaded = await self._read(request)
        if MEDIA_TYPE in request.headers.get("accept", ""):
            if asked.format not in (None, "json"):
                raise bad_value(f"events end with JSON, not with the format {asked.format}.")
            return EventStream(lambda on_progress: self._translate_as_json(asked, loaded, on_progress))
        return await while_there(request.receive, self._translate(asked, loaded, asked.format))

    async def predict(self, request: Request) -> Response:
        """As `translate`, in JSON by default."""
        asked, loaded = await self._read(request)
        return await while_there(request.receive, self._translate(asked, loaded, asked.format or "json"))

    async def encode(self, request: Request) -> Response:
        """The latent of an image of the output domain."""
        asked, loaded = await self._read(request)
        return await while_there(request.receive, self._encode(asked, loaded))

    async def spread(self, request: Request) -> Response:
        """How sure a model is of one image."""
        asked, loaded = await self._read(request)
        return await while_there(request.receive, self._spread(asked, loaded))

    async def _read(self, request: Request) -> tuple[Asked, Loaded]:
        asked = await read_request(request, self._limits)
        if asked.image is None:
            raise bad_value("there is no 'image': send the bytes of an image file.")
        return asked, await self._store.get(asked.model)

    async def _translate(self, asked: Asked, loaded: Loaded, kind: Format | None) -> Response:
        outputs, latents, facts = await self._made(asked, loaded, None)
        levels = output_levels(loaded, asked.direction)
        return await self._encoded(outputs, lambda: outputs_response(outputs, latents, kind, facts, levels=levels))

    async def _translate_as_json(self, asked: Asked, loaded: Loaded, on_progress: OnProgress) -> bytes:
        outputs, latents, facts = await self._made(asked, loaded, on_progress)
        levels = output_levels(loaded, asked.direction)
        return await self._encoded(outputs, lambda: json_bytes(outputs_json(outputs, latents, facts, levels=levels)))

    async def _made(self, asked: Asked, loaded: Loaded, on_progress: OnProgress | None) -> Made:
        frame = await self._work.frame(asked, loaded)
        return await self._work.translate(asked, loaded, frame, on_progress=on_progress)

    async def _encoded(self, outputs: Sequence[np.ndarray], encode: Callable[[], T]) -> T:
        return await self._work.aside(sum(output.shape[0] * output.shape[1] for output in outputs), encode)

    async def _encode(self, asked: Asked, loaded: Loaded) -> Response:
        assert asked.image is not None
        mu, logvar = await self._work.encode(asked.image, asked.input_image, asked, loaded)
        facts = {"model": loaded.name, "version": loaded.version}
        return json_response({**facts, "mu": mu.tolist(), "logvar": logvar.tolist()})

    async def _spread(self, asked: Asked, loaded: Loaded) -> Response:
        spread = await self._work.spread(asked, loaded)
        facts: dict[str, Any] = {
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
        shown = list(pictures.values())
        answer = facts | {"pictures": list(pictures)}
        return await self._encoded(shown, lambda: outputs_response(shown, None, "json", answer))
