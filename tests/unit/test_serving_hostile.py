"""Whatever comes in, the service answers with a result or a reason: no 500."""

import io
import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("starlette", reason="the extra 'serve' is not installed")
pytest.importorskip("python_multipart", reason="the extra 'serve' is not installed")
pytest.importorskip("hypothesis")

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as some
from PIL import Image
from starlette.testclient import TestClient

import tandem
from serving_client import LOCAL, application, outputs, pixels, png, text
from tandem.serving.limits import Limits

CASES = int(os.environ.get("TANDEM_FUZZ_CASES", "150"))
"""20,000 and more are for a longer run."""
MODES = ("1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "I;16", "F")
PATHS = ("translate", "encode", "spread")
KINDS = ("PNG", "JPEG", "WEBP", "BMP", "GIF", "TIFF", "PPM", "JPEG2000")


@some.composite
def image_files(draw: Any) -> bytes:
    """Real images of all kinds, some of them cut or with other bytes in them; or no image at all."""
    width, height = draw(some.integers(1, 40)), draw(some.integers(1, 40))
    image = Image.new(draw(some.sampled_from(MODES)), (width, height))
    buffer = io.BytesIO()
    try:
        image.save(buffer, draw(some.sampled_from(KINDS)))
    except (OSError, ValueError, KeyError):
        image.convert("RGB").save(buffer, "PNG")
    data = bytearray(buffer.getvalue())
    match draw(some.integers(0, 4)):
        case 0:
            return bytes(data[: draw(some.integers(0, len(data)))])
        case 1:
            data[draw(some.integers(0, len(data) - 1))] = draw(some.integers(0, 255))
        case 2:
            return draw(some.binary(max_size=64))
    return bytes(data)


ANYTHING = some.recursive(
    some.none() | some.booleans() | some.integers() | some.floats() | some.text(max_size=12),
    lambda inner: some.lists(inner, max_size=4) | some.dictionaries(some.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
NAMES = ("model", "num_samples", "seed", "z", "mode", "fit", "size", "direction", "format", "reference", "other")
SENSIBLE = {
    "num_samples": some.integers(-1, 5),
    "seed": some.integers(-(2**60), 2**60),
    "z": some.lists(some.lists(some.floats(width=32), min_size=1, max_size=3), max_size=3),
    "mode": some.sampled_from(["random", "interpolate", "reference"]),
    "fit": some.sampled_from(["auto", "pad", "resize"]),
    "size": some.sampled_from(["8", "16x24", "0x3", [8, 8], 12]),
    "direction": some.sampled_from(["AtoB", "BtoA"]),
    "format": some.sampled_from(["png", "zip", "npz", "json"]),
    "reference": image_files().map(text),
}


@some.composite
def bodies(draw: Any) -> dict[str, Any]:
    names = draw(some.lists(some.sampled_from(NAMES), max_size=4, unique=True))
    body = {name: draw(SENSIBLE.get(name, ANYTHING) if draw(some.integers(0, 3)) else ANYTHING) for name in names}
    if draw(some.integers(0, 9)):
        body["image"] = text(draw(image_files()))
    return body


@pytest.fixture(scope="module")
def ask(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    from preprocessing import preprocessing  # noqa: PLC0415
    from tandem.checkpoint.bundle import save_bundle  # noqa: PLC0415
    from tandem.checkpoint.manifest import Manifest  # noqa: PLC0415
    from tandem.config.specifications import EncoderSpec, UNetSpec  # noqa: PLC0415
    from tandem.networks.build import build_network  # noqa: PLC0415

    folder = tmp_path_factory.mktemp("served") / "shoes"
    specs: dict[str, Any] = {
        "generator": UNetSpec(in_channels=3, out_channels=3, latent_dim=2, depth=3, filters=4),
        "encoder": EncoderSpec(in_channels=3, latent_dim=2, depth=2, filters=4),
    }
    networks = {name: build_network(spec) for name, spec in specs.items()}
    manifest = Manifest(
        tandem_version="0", method="bicyclegan", networks=specs, preprocessing=preprocessing((16, 16), (3, 3))
    )
    save_bundle(folder, manifest, networks)
    limits = Limits(max_megabytes=0.1, max_megapixels=0.01, max_samples=8)
    with TestClient(
        application({"shoes": folder}, limits=limits), base_url=LOCAL, raise_server_exceptions=False
    ) as opened_client:
        yield opened_client


def check(answer: Any) -> None:
    assert answer.status_code in {200, 400, 404, 413, 415, 422}, answer.text
    if answer.status_code != 200:
        assert set(answer.json()["error"]) == {"code", "message"}


@settings(max_examples=CASES, suppress_health_check=list(HealthCheck))
@given(path=some.sampled_from(PATHS), body=bodies())
def test_json(ask: TestClient, path: str, body: dict[str, Any]) -> None:
    check(ask.post(f"/v1/{path}", content=json.dumps(body), headers={"content-type": "application/json"}))


@settings(max_examples=CASES, suppress_health_check=list(HealthCheck))
@given(
    path=some.sampled_from(PATHS),
    body=bodies(),
    image=image_files(),
    as_file=some.booleans(),
)
def test_forms(ask: TestClient, path: str, body: dict[str, Any], image: bytes, as_file: bool) -> None:
    body.pop("image", None)
    fields = {name: value if isinstance(value, str) else json.dumps(value) for name, value in body.items()}
    files = {"image": ("a.png" if as_file else None, image)}
    fields = {name: value.encode("utf-8", "replace").decode() for name, value in fields.items()}
    check(ask.post(f"/v1/{path}", data=fields, files=files))


@settings(max_examples=CASES, suppress_health_check=list(HealthCheck))
@given(
    kind=some.sampled_from(["application/json", "multipart/form-data; boundary=x", "image/png", "text/plain", ""]),
    body=some.binary(max_size=200),
    query=some.dictionaries(some.sampled_from(NAMES), some.text(max_size=10), max_size=3),
)
def test_bytes(ask: TestClient, kind: str, body: bytes, query: dict[str, str]) -> None:
    query = {name: value.encode("utf-8", "replace").decode() for name, value in query.items()}
    check(ask.post("/v1/translate", content=body, headers={"content-type": kind}, params=query))
    check(ask.get("/v1/latents", params=query))


def test_dropout_is_the_noise(make_bundle: Callable[..., Path]) -> None:
    options = {"latent_dim": 0, "injection": "none", "depth": 4, "dropout": True}
    folder = make_bundle("maps", with_encoder=False, generator=options)
    manifest = json.loads((folder / "model.json").read_text())
    (folder / "model.json").write_text(json.dumps(manifest | {"samples_with_noise": True}))
    expected = tandem.load(folder, device="cpu")(pixels(0), 3, seed=6, output="array")
    with TestClient(application({"maps": folder}), base_url=LOCAL) as client:
        answers = [
            client.post(
                "/v1/translate",
                json={"image": text(png(pixels(0))), "num_samples": 3, "seed": 6, "format": "json"},
            )
            for _ in range(2)
        ]
    for answer in answers:
        np.testing.assert_array_equal(outputs(answer), expected)
