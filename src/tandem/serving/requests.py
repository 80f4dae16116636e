"""From an HTTP request to what is asked for: JSON, a form, or an image alone with the rest in the address."""

import base64
import binascii
import json
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Literal, get_args

from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException
from starlette.formparsers import MultiPartException
from starlette.requests import Request

from tandem.config.data import Direction
from tandem.config.values import MAX_INTEGER
from tandem.data.fit import Fit
from tandem.errors import nearest
from tandem.serving.limits import Limits
from tandem.serving.refused import RefusedError, bad_value

Mode = Literal["random", "interpolate", "reference"]
Format = Literal["png", "tif", "npy", "zip", "npz", "json"]

MAX_FIELD_BYTES = 2**20
MAX_NUMBERS = 100_000
"""Of all latents of a request together."""
_IMAGES = ("image", "reference", "input_image")


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What a client asks for; which of it an endpoint takes is its own business.

    Attributes:
        image: The bytes of an image file.
        reference: Those of the image whose style is taken.
        input_image: Those of the input that an encoded image belongs to.
        model: Which one; the first of the service by default.
        num_samples: Outputs.
        seed: Decides the latents, or the dropout.
        z: Latents instead, in rows.
        mode: Where the latents come from.
        fit: How the input comes to the size that the network takes.
        size: (height, width) to which the input is resized first.
        direction: Of the translation.
        format: Of the answer; by default PNG (or TIFF, see `tandem.serving.answers`) for one output, ZIP for several.
    """

    image: bytes | None = None
    reference: bytes | None = None
    input_image: bytes | None = None
    model: str | None = None
    num_samples: int | None = None
    seed: int = 0
    z: list[list[float]] | None = None
    mode: Mode = "random"
    fit: Fit = "auto"
    size: tuple[int, int] | None = None
    direction: Direction | None = None
    format: Format | None = None


NAMES = tuple(field.name for field in fields(Asked))


async def read_request(request: Request, limits: Limits) -> Asked:
    """Read a request.

    Raises:
        RefusedError: It is too large (413), of another type (415), no JSON or form (400), or a value is not one (422).
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    values: dict[str, Any] = dict(request.query_params)
    if kind == "application/json":
        values |= _from_json(await request.body())
    elif kind == "multipart/form-data":
        values |= await _from_form(request)
    elif kind.startswith("image/"):
        values["image"] = await request.body()
    else:
        raise RefusedError(
            415,
            "media-type",
            f"the body is of the type '{kind:.60}': send application/json, multipart/form-data, or an image (image/…) "
            "with the other values in the address.",
        )
    return from_values(values, limits)


def from_values(values: Mapping[str, Any], limits: Limits) -> Asked:
    """Check values, of which those of forms and addresses are texts.

    Raises:
        RefusedError: There is no such value, or it is not of its type (422).
    """
    unknown = next((name for name in values if name not in NAMES), None)
    if unknown is not None:
        raise bad_value(f"there is no value '{unknown:.60}'.{nearest(unknown[:60], NAMES)}")
    given = {name: value for name, value in values.items() if value not in (None, "")}
    return Asked(**{name: _READERS[name](name, value, limits) for name, value in given.items()})


def _from_json(body: bytes) -> dict[str, Any]:
    try:
        values = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise RefusedError(400, "bad-json", "the body is no JSON.") from error
    if not isinstance(values, dict):
        raise RefusedError(400, "bad-json", "the body must be a JSON object.")
    return {name: _decoded(name, value) if name in _IMAGES else value for name, value in values.items()}


async def _from_form(request: Request) -> dict[str, Any]:
    values: dict[str, Any] = {}
    try:
        async with request.form(max_files=len(_IMAGES), max_fields=len(NAMES), max_part_size=MAX_FIELD_BYTES) as form:
            for name, value in form.multi_items():
                if isinstance(value, UploadFile) != (name in _IMAGES) and name in NAMES:
                    what = "a file (with a file name)" if name in _IMAGES else "a text"
                    raise bad_value(f"'{name}' must be {what}.")
                values[name] = await value.read() if isinstance(value, UploadFile) else value
    except (HTTPException, MultiPartException, UnicodeDecodeError, ValueError) as error:
        raise RefusedError(
            400, "bad-form", f"the form cannot be read, or has a text of more than {MAX_FIELD_BYTES} bytes."
        ) from error
    return values


def _decoded(name: str, value: Any) -> bytes | None:
    """An image in JSON: base64, or a data URL."""
    if value is None:
        return None
    if not isinstance(value, str):
        raise bad_value(f"'{name}' must be the image as base64.")
    text = value.partition(",")[2] if value.startswith("data:") else value
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise bad_value(f"'{name}' is not base64.") from error


def _bytes(name: str, value: Any, limits: Limits) -> bytes:
    del limits
    if not isinstance(value, bytes):
        raise bad_value(f"'{name}' must be a file in the body.")
    return value


def _text(name: str, value: Any, limits: Limits) -> str:
    del limits
    if not isinstance(value, str):
        raise bad_value(f"'{name}' must be a text.")
    return value


def _integer(name: str, value: Any) -> int:
    try:
        number = int(value[:24]) if isinstance(value, str) else value
    except ValueError:
        number = None
    if not isinstance(number, int) or isinstance(number, bool) or not abs(number) <= MAX_INTEGER:
        raise bad_value(f"'{name}' must be an integer of at most {MAX_INTEGER} in magnitude.")
    return number


def _seed(name: str, value: Any, limits: Limits) -> int:
    del limits
    return _integer(name, value)


def _count(name: str, value: Any, limits: Limits) -> int:
    number = _integer(name, value)
    if not 1 <= number <= limits.max_samples:
        raise bad_value(f"'{name}' must be from 1 to {limits.max_samples}, not {number}.")
    return number


def _latents(name: str, value: Any, limits: Limits) -> list[list[float]]:
    try:
        rows = json.loads(value) if isinstance(value, str) else value
    except (ValueError, RecursionError):
        rows = None
    expected = bad_value(f"'{name}' must be a list of numbers, or a list of such lists of one length.")
    if not isinstance(rows, list) or not rows:
        raise expected
    rows = rows if isinstance(rows[0], list) else [rows]
    if len(rows) > limits.max_samples:
        raise bad_value(f"'{name}' has {len(rows)} rows: at most {limits.max_samples} samples are made at once.")
    total = 0
    for row in rows:
        total += len(row) if isinstance(row, list) else MAX_NUMBERS
        if total > MAX_NUMBERS or len(row) != len(rows[0]) or not all(map(_is_number, row)):
            raise expected
    return rows


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= 1e30


def _size(name: str, value: Any, limits: Limits) -> tuple[int, int]:
    sides = value
    if isinstance(value, str):
        sides = [_integer(name, part) for part in value.lower().split("x")[:3]]
    elif isinstance(value, int):
        sides = [value]
    if not isinstance(sides, list) or len(sides) not in (1, 2) or not all(type(side) is int for side in sides):
        raise bad_value(f"'{name}' must be a number of pixels, or HEIGHTxWIDTH.")
    height, width = sides[0], sides[-1]
    if min(height, width) < 1 or height * width > limits.max_pixels:
        raise bad_value(f"'{name}' must be of 1 to {limits.max_pixels} pixels, not {height}x{width}.")
    return height, width


def _choice(kind: Any) -> Any:
    choices = get_args(kind)

    def read(name: str, value: Any, limits: Limits) -> str:
        del limits
        if value not in choices:
            raise bad_value(f"'{name}' must be {', '.join(choices[:-1])} or {choices[-1]}.")
        return value

    return read


_READERS: Mapping[str, Any] = {
    **dict.fromkeys(_IMAGES, _bytes),
    "model": _text,
    "num_samples": _count,
    "seed": _seed,
    "z": _latents,
    "mode": _choice(Mode),
    "fit": _choice(Fit),
    "size": _size,
    "direction": _choice(Direction),
    "format": _choice(Format),
}
