"""From outputs to the body of an answer: PNG, ZIP, NPZ or JSON."""

import base64
import io
import json
import zipfile
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from starlette.responses import Response

from tandem.data.images import pil_from_array
from tandem.serving.refused import bad_value
from tandem.serving.requests import Format

_ZIP_DATE = (1980, 1, 1, 0, 0, 0)
"""Of members of archives, so that the same request gives the same bytes."""


def png(array: np.ndarray) -> bytes:
    """``(H, W, C)``, uint8, as a PNG file."""
    buffer = io.BytesIO()
    pil_from_array(array).save(buffer, "PNG", compress_level=3)
    return buffer.getvalue()


def outputs_response(
    outputs: Sequence[np.ndarray], latents: np.ndarray | None, kind: Format | None, facts: Mapping[str, Any]
) -> Response:
    """The answer with outputs.

    Args:
        outputs: ``(H, W, C)`` each, uint8.
        latents: Theirs, ``(M, latent_dim)``; None where there are none.
        kind: The format; None: PNG for one output, ZIP for several.
        facts: What else is said of them: model, version, seed and so on.

    Raises:
        RefusedError: A PNG was asked for, and there are several outputs.
    """
    kind = kind or ("png" if len(outputs) == 1 else "zip")
    if kind == "png" and len(outputs) > 1:
        raise bad_value(f"format png holds one picture, and there are {len(outputs)}: ask for zip, npz or json.")
    headers = {"X-Tandem-Model": f"{facts['model']} {facts['version']}", "X-Tandem-Seed": str(facts["seed"])}
    z = None if latents is None else latents.tolist()
    match kind:
        case "png":
            return Response(png(outputs[0]), media_type="image/png", headers=headers)
        case "npz":
            buffer = io.BytesIO()
            if latents is None:
                np.savez(buffer, outputs=np.stack(outputs))
            else:
                np.savez(buffer, outputs=np.stack(outputs), z=latents)
            return Response(buffer.getvalue(), media_type="application/x-npz", headers=headers)
        case "zip":
            buffer = io.BytesIO()
            with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
                for index, output in enumerate(outputs):
                    archive.writestr(zipfile.ZipInfo(f"{index + 1:03d}.png", _ZIP_DATE), png(output))
                told = json.dumps({**facts, "z": z}, indent=2)
                archive.writestr(zipfile.ZipInfo("outputs.json", _ZIP_DATE), told)
            return Response(buffer.getvalue(), media_type="application/zip", headers=headers)
        case "json":
            pictures = [base64.b64encode(png(output)).decode() for output in outputs]
            return json_response({**facts, "z": z, "outputs": pictures}, headers=headers)


def json_response(values: Any, *, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """Values as strict JSON."""
    body = json.dumps(values, allow_nan=False, separators=(",", ":")).encode()
    return Response(body, status_code=status, media_type="application/json", headers=dict(headers or {}))
