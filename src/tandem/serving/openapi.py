"""The service described for programs, as OpenAPI 3.1."""

from typing import Any, get_args

from tandem.config.data import Direction
from tandem.data.fit import Fit
from tandem.serving.limits import Limits
from tandem.serving.requests import Format, Mode
from tandem.version import __version__

_PICTURE = (
    "iVBORw0KGgoAAAANSUhEUgAAAAgAAAAICAAAAADhZOFXAAAAIklEQVR42jXGsQEAMAzCMMP/P9MhriZl"
    "nJKfxbjiiivuwnjrdwcPCnADEwAAAABJRU5ErkJggg=="
)
"""A drawing of 8 x 8 pixels."""
_IMAGES = frozenset({"image", "reference", "input_image"})
_ERRORS = (400, 401, 403, 404, 413, 415, 422, 429, 503, 504)
_REF = "#/components/schemas/"


def document(limits: Limits, *, needs_token: bool) -> dict[str, Any]:
    """The OpenAPI document of the service.

    Args:
        limits: Bounds that it names.
        needs_token: Whether clients must send a token.
    """
    paths: dict[str, Any] = {
        "/healthz": _get("The process answers.", "Status"),
        "/readyz": _get("The default model is in memory.", "Status", 503),
        "/metrics": {"get": {"summary": "Counters for Prometheus.", "responses": {"200": _content("text/plain", {})}}},
        "/v1/models": _get("Names of the models, and the limits of the service.", "Models"),
        "/v1/models/{name}": _get("What one model can do.", "Model", 404, 503, parameters=[_path_name()]),
        "/v1/latents": _get(
            "The latents that a seed stands for.",
            "Latents",
            *(404, 422),
            parameters=[_query(name, schema) for name, schema in _latent_values(limits).items()],
        ),
        "/v1/translate": _post("Translate one image into one or several outputs.", _values(limits), _outputs()),
        "/predict": _post("As /v1/translate, in JSON by default.", _values(limits), _outputs(events=False)),
        "/v1/encode": _post(
            "The latent of an image of the output domain: mu is a style for z.",
            {name: _values(limits)[name] for name in ("image", "input_image", "model", "fit", "size")},
            _json("Encoded"),
        ),
        "/v1/spread": _post(
            "How sure the model is of one image: pictures of the mean, the width of the intervals, what was guessed.",
            {
                name: _values(limits)[name]
                for name in ("image", "model", "num_samples", "seed", "fit", "size", "direction")
            },
            _json("Spread"),
        ),
    }
    paths |= _inference_protocol()
    described: dict[str, Any] = {
        "openapi": "3.1.0",
        "info": {
            "title": "Tandem",
            "version": __version__,
            "description": "One input image, many plausible outputs. What comes out follows from the model's version, "
            "the input, and z or the seed alone.",
        },
        "paths": paths,
        "components": {"schemas": _schemas()},
    }
    if needs_token:
        described["components"]["securitySchemes"] = {"token": {"type": "http", "scheme": "bearer"}}
        described["security"] = [{"token": []}]
        for path in ("/healthz", "/readyz"):
            paths[path]["get"]["security"] = []
    return described


def _inference_protocol() -> dict[str, Any]:
    """The Open Inference Protocol v2, whose binary form no schema describes."""
    tensor = {"name": "image", "datatype": "UINT8", "shape": [8, 8, 1], "data": [255] * 64}
    example = {"inputs": [tensor], "parameters": {"num_samples": 1, "seed": 7}}
    content = {
        "application/json": {"schema": {"$ref": _REF + "Inference"}, "example": example},
        "application/octet-stream": {"schema": {"type": "string", "format": "binary"}},
    }
    answers = {"200": _json("Inferred"), **{str(status): _json("TextError") for status in _ERRORS}}
    infer = {
        "summary": "Translate tensors; Inference-Header-Content-Length says where binary ones begin.",
        "parameters": [_path_name()],
        "requestBody": {"required": True, "content": content},
        "responses": answers,
    }
    return {
        "/v2": _get("What this is (Open Inference Protocol v2).", "Server"),
        "/v2/health/live": _get("The process answers.", "Live"),
        "/v2/health/ready": _get("The default model is in memory.", "Ready", 503, error="TextError"),
        "/v2/models/{name}": _get(
            "The tensors of a model.", "Tensors", 404, 503, parameters=[_path_name()], error="TextError"
        ),
        "/v2/models/{name}/ready": _get(
            "A model is in memory.", "Ready", 404, 503, parameters=[_path_name()], error="TextError"
        ),
        "/v2/models/{name}/infer": {"post": infer},
    }


def _values(limits: Limits) -> dict[str, Any]:
    file = {"type": "string", "format": "binary", "description": "An image file; in JSON as base64."}
    return {
        "image": file,
        "reference": {**file, "description": "The image whose style is taken, with mode reference."},
        "input_image": {**file, "description": "The input that the encoded image belongs to."},
        **_latent_values(limits),
        "z": {
            "description": "Latents, one row for each output; with mode interpolate the two ends.",
            "type": "array",
            "items": {"type": "array", "items": {"type": "number"}},
            "minItems": 1,
            "maxItems": limits.max_samples,
        },
        "mode": {"type": "string", "enum": list(get_args(Mode)), "default": "random"},
        "fit": {"type": "string", "enum": list(get_args(Fit)), "default": "auto"},
        "size": {
            "description": "Pixels, or HEIGHTxWIDTH, to which the input is resized first.",
            "type": "string",
            "pattern": "^[0-9]{1,5}(x[0-9]{1,5})?$",
        },
        "direction": {"type": "string", "enum": list(get_args(Direction))},
        "format": {
            "description": "Of the answer; by default png for one output and zip for several.",
            "type": "string",
            "enum": list(get_args(Format)),
        },
    }


def _latent_values(limits: Limits) -> dict[str, Any]:
    return {
        "model": {"type": "string", "description": "By default the first model of the service."},
        "num_samples": {"type": "integer", "minimum": 1, "maximum": limits.max_samples},
        "seed": {"type": "integer", "minimum": -(2**53), "maximum": 2**53, "default": 0},
    }


def _post(summary: str, values: dict[str, Any], answer: dict[str, Any]) -> dict[str, Any]:
    schema = {"type": "object", "properties": values, "required": ["image"], "additionalProperties": False}
    example = {"image": _PICTURE, "num_samples": 2, "seed": 7, "format": "json"}
    content = {
        "multipart/form-data": {"schema": schema},
        "application/json": {
            "schema": schema,
            "example": {name: value for name, value in example.items() if name in values},
        },
        "image/png": {"schema": {"type": "string", "format": "binary"}},
    }
    errors = {str(status): _json("Error") for status in _ERRORS}
    return {
        "post": {
            "summary": summary,
            "parameters": [
                _query(name, value)
                for name, value in values.items()
                if name not in {"image", "reference", "input_image"}
            ],
            "requestBody": {"required": True, "content": content},
            "responses": {"200": answer, **errors},
        }
    }


def _get(summary: str, schema: str, *errors: int, parameters: Any = (), error: str = "Error") -> dict[str, Any]:
    responses = {"200": _json(schema), **{str(status): _json(error) for status in errors}}
    return {"get": {"summary": summary, "parameters": list(parameters), "responses": responses}}


def _query(name: str, schema: dict[str, Any]) -> dict[str, Any]:
    if name == "z":
        return {"name": name, "in": "query", "content": {"application/json": {"schema": schema}}}
    return {"name": name, "in": "query", "schema": schema}


def _path_name() -> dict[str, Any]:
    return {"name": "name", "in": "path", "required": True, "schema": {"type": "string"}}


def _content(kind: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"description": "The answer.", "content": {kind: {"schema": schema}}}


def _json(schema: str) -> dict[str, Any]:
    return _content("application/json", {"$ref": _REF + schema})


def _outputs(*, events: bool = True) -> dict[str, Any]:
    binary = {"schema": {"type": "string", "format": "binary"}}
    types = ("image/png", "image/tiff", "application/x-npy", "application/zip", "application/x-npz")
    content = {**dict.fromkeys(types, binary), "application/json": {"schema": {"$ref": _REF + "Outputs"}}}
    if events:
        content["text/event-stream"] = {"schema": {"type": "string"}}
    return {
        "description": "The outputs, at the size of the input; events where 'Accept' names them.",
        "content": content,
    }


def _schemas() -> dict[str, Any]:
    text, number = {"type": "string"}, {"type": "number"}
    numbers = {"type": "array", "items": number}
    latents = {"type": ["array", "null"], "items": numbers}
    facts = {"model": text, "version": text}
    pictures = {"type": "array", "items": {"type": "string", "contentEncoding": "base64"}}
    return {
        "Status": _object({"status": text}),
        "Models": _object(
            {
                "models": {"type": "array", "items": text},
                "default": text,
                "palette": {"type": "array", "items": text},
                "limits": {"type": "object"},
            }
        ),
        "Model": _object({"name": text, "version": text, "latent_dim": {"type": "integer"}}),
        "Latents": _object({**facts, "seed": {"type": "integer"}, "z": latents}),
        "Outputs": _object(
            {**facts, "seed": {"type": "integer"}, "direction": text, "z": latents, "outputs": pictures}
        ),
        "Encoded": _object({**facts, "mu": numbers, "logvar": numbers}),
        "Spread": _object(
            {
                **facts,
                "level": number,
                "calibrated": {"type": "boolean"},
                "num_samples": {"type": "integer"},
                "flagged_share": number,
                "pictures": {"type": "array", "items": text},
                "outputs": pictures,
            }
        ),
        **_protocol_schemas(),
        "Error": _object({"error": _object({"code": text, "message": text})}),
    }


def _protocol_schemas() -> dict[str, Any]:
    text, objects = {"type": "string"}, {"type": "array", "items": {"type": "object"}}
    tensor = {"name": text, "datatype": text, "shape": {"type": "array", "items": {"type": "integer"}}}
    tensors = {"type": "array", "items": _object(tensor)}
    return {
        "Server": _object({"name": text, "version": text, "extensions": {"type": "array", "items": text}}),
        "Live": _object({"live": {"type": "boolean"}}),
        "Ready": _object({"name": text, "ready": {"type": "boolean"}}),
        "Tensors": _object(
            {"name": text, "versions": {"type": "array", "items": text}, "inputs": tensors, "outputs": tensors}
        ),
        "Inference": {"type": "object", "properties": {"inputs": tensors, "outputs": objects}, "required": ["inputs"]},
        "Inferred": _object({"model_name": text, "model_version": text, "outputs": tensors}),
        "TextError": _object({"error": text}),
    }


def _object(properties: dict[str, Any]) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": list(properties)}
