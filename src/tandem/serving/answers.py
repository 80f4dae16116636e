"""From outputs to the body of an answer: PNG, TIFF, NPY, ZIP, NPZ or JSON."""

import base64
import io
import json
import zipfile
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from starlette.responses import Response

from tandem.config.classes import Colour
from tandem.data.array_files import encoded, fits_png
from tandem.data.formats.carried import Carried
from tandem.data.label_maps import palette_of
from tandem.data.levels import BY_TYPE, Levels
from tandem.data.pixels import pil_from_array
from tandem.report.grid import shown
from tandem.serving.refused import bad_value
from tandem.serving.requests import Format

_ZIP_DATE = (1980, 1, 1, 0, 0, 0)
"""Of members of archives, so that the same request gives the same bytes."""
_SINGLE: Mapping[str, str] = {"png": "image/png", "tif": "image/tiff", "npy": "application/x-npy"}
"""Formats that hold one output, and their types."""
_PNG_LEVEL = 1
"""Higher ones take longer, and gain a few per cent."""


def png(array: np.ndarray, palette: Mapping[int, Colour] | None = None) -> bytes:
    """``(H, W, C)``, uint8 or uint16, as a PNG file; indices of a label map with their colours."""
    if palette is not None and array.dtype == np.uint8:
        return encoded(array, ".png", Carried(palette=palette))
    if array.dtype != np.uint8:
        return encoded(array, ".png")
    buffer = io.BytesIO()
    pil_from_array(array).save(buffer, "PNG", compress_level=_PNG_LEVEL)
    return buffer.getvalue()


def outputs_response(
    outputs: Sequence[np.ndarray],
    latents: np.ndarray | None,
    kind: Format | None,
    facts: Mapping[str, Any],
    *,
    levels: Levels = BY_TYPE,
) -> Response:
    """The answer with outputs.

    Args:
        outputs: ``(H, W, C)`` each, of the model's own values.
        latents: Theirs, ``(M, latent_dim)``; None where there are none.
        kind: The format; None: one file for one output (PNG where that holds it, else TIFF), ZIP for several.
        facts: What else is said of them: model, version, seed and so on.
        levels: Which of the values are black and white.

    Raises:
        RefusedError: A format for one output was asked for, and there are several.
        DataError: The format does not hold such an output.
    """
    own = "png" if all(map(fits_png, outputs)) else "tif"
    kind = kind or (own if len(outputs) == 1 else "zip")
    if kind in _SINGLE and len(outputs) > 1:
        raise bad_value(f"format {kind} holds one picture, and there are {len(outputs)}: ask for zip, npz or json.")
    headers = {"X-Tandem-Model": f"{facts['model']} {facts['version']}", "X-Tandem-Seed": str(facts["seed"])}
    match kind:
        case "png" | "tif" | "npy":
            return Response(_file(outputs[0], kind, levels), media_type=_SINGLE[kind], headers=headers)
        case "npz":
            return Response(_npz(outputs, latents), media_type="application/x-npz", headers=headers)
        case "zip":
            body = _zip([_file(output, own, levels) for output in outputs], own, told(latents, facts))
            return Response(body, media_type="application/zip", headers=headers)
        case "json":
            return json_response(outputs_json(outputs, latents, facts, levels=levels), headers=headers)


def outputs_json(
    outputs: Sequence[np.ndarray], latents: np.ndarray | None, facts: Mapping[str, Any], *, levels: Levels = BY_TYPE
) -> dict[str, Any]:
    """Outputs as a JSON object; see `outputs_response`.

    Its ``outputs`` are PNG files, of label maps with a palette. Where these don't hold the values they are pictures to
    look at, and ``values`` are the outputs as TIFF files.
    """
    exact = all(map(fits_png, outputs)) and (levels.classes is None or levels.type == "uint8")
    pictures = outputs if exact else [shown(levels.picture(output)) for output in outputs]
    colours = palette_of(levels.classes) if exact and levels.classes is not None else None
    answer = told(latents, facts) | {"outputs": [_text(png(picture, colours)) for picture in pictures]}
    return answer if exact else answer | {"values": [_text(encoded(output, ".tif")) for output in outputs]}


def told(latents: np.ndarray | None, facts: Mapping[str, Any]) -> dict[str, Any]:
    """What is said of outputs."""
    return {**facts, "z": None if latents is None else latents.tolist()}


def json_response(values: Any, *, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """Values as strict JSON."""
    return Response(json_bytes(values), status_code=status, media_type="application/json", headers=dict(headers or {}))


def json_bytes(values: Any) -> bytes:
    """Values as strict JSON, without a line break."""
    return json.dumps(values, allow_nan=False, separators=(",", ":")).encode()


def _file(output: np.ndarray, kind: str, levels: Levels) -> bytes:
    return png(output, levels.palette) if kind == "png" else encoded(output, f".{kind}")


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _npz(outputs: Sequence[np.ndarray], latents: np.ndarray | None) -> bytes:
    buffer = io.BytesIO()
    arrays = {"outputs": np.stack(outputs)} | ({} if latents is None else {"z": latents})
    np.savez(buffer, **arrays)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    return buffer.getvalue()


def _zip(files: Sequence[bytes], suffix: str, facts: Mapping[str, Any]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for index, data in enumerate(files):
            archive.writestr(zipfile.ZipInfo(f"{index + 1:03d}.{suffix}", _ZIP_DATE), data)
        archive.writestr(zipfile.ZipInfo("outputs.json", _ZIP_DATE), json.dumps(facts, indent=2))
    return buffer.getvalue()
