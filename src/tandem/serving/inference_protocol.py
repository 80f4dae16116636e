"""The Open Inference Protocol, version 2, which the clients of Triton, KServe and others speak: in JSON and in binary.

In its binary form a request begins with a JSON object of as many bytes as the header `HEADER` says, and the numbers of
its tensors follow as raw bytes. The clients send it by default, one of them without a type of content, so the body is
read by hand. Errors are ``{"error": "text"}``.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, get_args

import numpy as np
from starlette.requests import Request
from starlette.responses import Response

from tandem.data.label_maps import class_numbers
from tandem.data.levels import SampleType
from tandem.data.pixels import convert_channels
from tandem.serving.answers import json_bytes, json_response
from tandem.serving.frames import FrameRule, require_finite
from tandem.serving.limits import PICTURE_CHANNELS, Limits
from tandem.serving.models import Loaded, ModelStore
from tandem.serving.presence import while_there
from tandem.serving.refused import RefusedError, bad_value
from tandem.serving.requests import Asked, from_values
from tandem.serving.work import Work
from tandem.version import __version__

HEADER = "Inference-Header-Content-Length"
_WORDS = {"u": "UINT", "i": "INT", "f": "FP"}
_PARAMETERS = frozenset({"num_samples", "seed", "fit", "direction"})


@dataclass(frozen=True)
class _Call:
    """A request of the protocol.

    Attributes:
        head: Its JSON object.
        tensors: Its inputs by name.
    """

    head: Mapping[str, Any]
    tensors: Mapping[str, np.ndarray]

    @property
    def parameters(self) -> Mapping[str, Any]:
        """Of the whole request."""
        found = self.head.get("parameters", {})
        return found if isinstance(found, Mapping) else {}


class InferenceProtocol:
    """What the addresses below ``/v2`` answer.

    Args:
        work: What computes.
        store: The models.
        limits: How much a client may ask.
    """

    def __init__(self, work: Work, store: ModelStore, limits: Limits) -> None:
        self._work, self._store, self._limits = work, store, limits

    async def server(self, request: Request) -> Response:
        """What this is."""
        del request
        return json_response({"name": "tandem", "version": __version__, "extensions": ["binary_tensor_data"]})

    async def live(self, request: Request) -> Response:
        """The process answers."""
        del request
        return json_response({"live": True})

    async def ready(self, request: Request) -> Response:
        """A model, by default the first one, can be asked."""
        loaded = await self._store.get(request.path_params.get("name"))
        return json_response({"name": loaded.name, "ready": True})

    async def model(self, request: Request) -> Response:
        """The tensors of a model."""
        loaded = await self._store.get(request.path_params["name"])
        generator = loaded.translator.abilities.generator(None)
        latent_dim = loaded.translator.latent_dim
        channels = generator.spec.in_channels, generator.spec.out_channels
        images = [
            {
                "name": name,
                "datatype": _datatype(np.dtype(levels.type)),
                "shape": [-1, -1, -1, number if levels.classes is None else 1],
            }
            for name, number, levels in zip(("image", "outputs"), channels, loaded.translator.levels(), strict=True)
        ]
        latents = [{"name": "z", "datatype": "FP32", "shape": [-1, latent_dim]}] if latent_dim else []
        return json_response(
            {
                "name": loaded.name,
                "versions": [loaded.version],
                "platform": "tandem",
                "inputs": [images[0], *latents],
                "outputs": [images[1], *latents],
            }
        )

    async def infer(self, request: Request) -> Response:
        """Translate: ``image``, and ``z`` or the parameters seed and num_samples, into ``outputs`` and their ``z``."""
        loaded = await self._store.get(request.path_params["name"])
        call = _read(await request.body(), request.headers.get(HEADER))
        given = {name: value for name, value in call.parameters.items() if name in _PARAMETERS}
        if "z" in call.tensors:
            given["z"] = call.tensors["z"].tolist()
        asked = from_values(given, self._limits)
        return await while_there(request.receive, self._infer(call, asked, loaded))

    async def _infer(self, call: _Call, asked: Asked, loaded: Loaded) -> Response:
        generator = loaded.translator.abilities.generator(asked.direction)
        levels, _ = loaded.translator.levels(asked.direction)
        frame = _frame(call, FrameRule(generator.spec.in_channels, levels, None, self._limits.max_pixels))
        outputs, latents, _ = await self._work.translate(asked, loaded, frame)
        tensors = {"outputs": np.stack(outputs)} | ({} if latents is None else {"z": latents})
        return await self._work.aside(tensors["outputs"].size, lambda: _answer(call, loaded, tensors))


def _datatype(dtype: np.dtype) -> str:
    """How the protocol calls a type: ``UINT8``, ``FP32`` and so on."""
    return f"{_WORDS[dtype.kind]}{8 * dtype.itemsize}"


_DTYPES: Mapping[str, np.dtype] = {_datatype(np.dtype(name)): np.dtype(name) for name in get_args(SampleType)}


def _read(body: bytes, length: str | None) -> _Call:
    if length is not None and not (length.isascii() and length.isdigit() and int(length[:12]) <= len(body)):
        raise RefusedError(400, "bad-length", f"{HEADER} must be the bytes of the JSON object in front of the tensors.")
    end = len(body) if length is None else int(length)
    try:
        head = json.loads(body[:end])
        inputs = {one["name"]: one for one in head["inputs"]}
    except (ValueError, RecursionError, TypeError, KeyError) as error:
        raise RefusedError(400, "bad-json", "the body is no request of the Open Inference Protocol v2.") from error
    unknown = next((name for name in inputs if name not in ("image", "z")), None)
    if unknown is not None:
        raise bad_value(f"there is no input '{unknown!s:.40}': there are image and z.")
    tensors, at = {}, end
    for name, one in inputs.items():
        tensors[name], at = _tensor(name, one, body, at)
    return _Call(head, tensors)


def _tensor(name: str, one: Mapping[str, Any], body: bytes, at: int) -> tuple[np.ndarray, int]:
    """An input, and where the next one begins in the body."""
    datatype, shape, parameters = one.get("datatype"), one.get("shape"), one.get("parameters", {})
    kind = _DTYPES.get(datatype) if isinstance(datatype, str) else None
    size = parameters.get("binary_data_size") if isinstance(parameters, Mapping) else None
    if kind is None or (name == "z" and kind != np.float32):
        raise bad_value(f"'{name}' must be {'FP32' if name == 'z' else 'one of ' + ', '.join(_DTYPES)}.")
    expected = bad_value(f"'{name}' must be {datatype} of the shape and with as many numbers as it says.")
    if not isinstance(shape, list) or len(shape) > 4:
        raise expected
    if not all(type(side) is int and 0 < side <= 2**31 for side in shape):
        raise expected
    number = int(np.prod(shape, dtype=np.float64))
    if size is not None:
        if type(size) is not int or size != number * kind.itemsize or at + size > len(body):
            raise expected
        return np.frombuffer(body, kind, number, at).reshape(shape), at + size
    try:
        values = np.asarray(one.get("data"), np.float64).reshape(-1)
    except (ValueError, TypeError, OverflowError) as error:
        raise expected from error
    if len(values) != number or not _holds(kind, values):
        raise expected
    return values.astype(kind).reshape(shape), at


def _holds(kind: np.dtype, values: np.ndarray) -> bool:
    """Whether a type holds all of the numbers."""
    if kind.kind == "f":
        return bool((np.abs(values) <= np.finfo(kind).max).all())
    ends = np.iinfo(kind)
    return bool(((values >= ends.min) & (values <= ends.max) & (values == np.floor(values))).all())


def _frame(call: _Call, rule: FrameRule) -> np.ndarray:
    """The input, with the channels and of the values that the model takes."""
    taken = (rule.levels.type, *(["uint8"] if rule.levels.is_by_type else []))
    kinds = " or ".join(dict.fromkeys(_datatype(np.dtype(one)) for one in taken))
    if "image" not in call.tensors:
        raise bad_value(f"there is no input 'image': send {kinds} of the shape [height, width, channels].")
    array = call.tensors["image"]
    array = array[0] if array.ndim == 4 and len(array) == 1 else array
    if array.dtype not in taken:
        raise bad_value(f"'image' must be {kinds}, not {_datatype(array.dtype)}.")
    if array.ndim != 3:
        raise bad_value(f"'image' must be one image, [height, width, channels], not of the shape {list(array.shape)}.")
    height, width, channels = array.shape
    if height * width > rule.most_pixels:
        raise RefusedError(413, "too-large", f"'image' is too large: at most {rule.most_pixels} pixels are taken.")
    require_finite(array)
    if rule.levels.classes is not None:
        if channels != 1:
            raise bad_value(f"'image' must have one channel, the indices of a label map, not {channels}.")
        class_numbers(rule.levels.classes, array)  # refuses what is no class
        return array
    if channels == rule.channels:
        return array
    if not rule.levels.is_by_type or max(channels, rule.channels) > PICTURE_CHANNELS:
        raise bad_value(f"'image' must have {rule.channels} channels, not {channels}.")
    return convert_channels(array, rule.channels)


def _answer(call: _Call, loaded: Loaded, tensors: Mapping[str, np.ndarray]) -> Response:
    wanted = call.head.get("outputs")
    asked = {
        one.get("name"): one.get("parameters", {})
        for one in (wanted if isinstance(wanted, Sequence) else ())
        if isinstance(one, Mapping)
    }
    told, raw = [], b""
    for name, array in tensors.items():
        if asked and name not in asked:
            continue
        described: dict[str, Any] = {"name": name, "datatype": _datatype(array.dtype), "shape": list(array.shape)}
        parameters = asked.get(name)
        is_binary = parameters.get("binary_data") if isinstance(parameters, Mapping) else None
        if call.parameters.get("binary_data_output") if is_binary is None else is_binary:
            data = np.ascontiguousarray(array).tobytes()
            described["parameters"] = {"binary_data_size": len(data)}
            raw += data
        else:
            described["data"] = array.reshape(-1).tolist()
        told.append(described)
    head = {"model_name": loaded.name, "model_version": loaded.version, "outputs": told}
    if isinstance(call.head.get("id"), str):
        head["id"] = call.head["id"]
    if not raw:
        return json_response(head)
    text = json_bytes(head)
    return Response(text + raw, media_type="application/octet-stream", headers={HEADER: str(len(text))})
