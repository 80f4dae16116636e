"""``python -m tools.fuzz_service MODEL``: requests that schemathesis makes from the OpenAPI document, with real images.

By itself it sends random bytes where an image belongs, and so nothing behind the decoder would be tried. Here most
images are real ones, whole or damaged. Every answer must be below 500, and of a status, a type and a form that the
document names. It needs ``pip install schemathesis``, which is no part of the development environment.

What is sent follows from `--seed`: another one tries other requests.
"""

import argparse
import base64
import collections
import importlib.util
import io
import json
import socket
import sys
import threading
import time
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import uvicorn
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as some
from PIL import Image

from tandem.inference.translator import load
from tandem.serving.app import Access, build_app
from tandem.serving.limits import Limits

LIMITS = Limits(max_megabytes=0.1, max_megapixels=0.01, max_samples=4)
"""Small, so that a case takes milliseconds and the bounds are met."""
MODEL = "model"
BYTES = some.integers(0, 255)
NUMBERS = some.floats(-9, 9, width=32)
SENSIBLE = {
    "name": some.just(MODEL),
    "model": some.just(MODEL),
    "size": some.sampled_from(("8", "16x24", "40", "100x100")),
    "z": some.lists(some.lists(NUMBERS, min_size=2, max_size=2), min_size=1, max_size=4),
}
"""Of a model with two numbers in its latent."""
FILES = ("image", "reference", "input_image")
KINDS = ("PNG", "JPEG", "WEBP", "BMP", "GIF", "TIFF")
MODES = ("1", "L", "LA", "P", "RGB", "RGBA", "I;16")
POSTS = 8
"""Cases of an address that computes, for one of an address that tells something."""


@some.composite
def images(draw: Any) -> bytes:
    """A small picture of any kind, one in four damaged."""
    picture = Image.new(draw(some.sampled_from(MODES)), (draw(some.integers(1, 40)), draw(some.integers(1, 40))))
    stream = io.BytesIO()
    try:
        picture.save(stream, draw(some.sampled_from(KINDS)))
    except OSError:  # not of this mode
        picture.convert("RGB").save(stream, "PNG")
    data = bytearray(stream.getvalue())
    if draw(some.integers(0, 3)) == 0:
        data[draw(some.integers(0, len(data) - 1))] = draw(some.integers(0, 255))
    return bytes(data)


@some.composite
def tensors(draw: Any) -> dict[str, Any]:
    """A request of the Open Inference Protocol, right but for a number now and then."""
    height, width, channels = draw(some.integers(1, 20)), draw(some.integers(1, 20)), draw(some.sampled_from((1, 3)))
    number = max(0, height * width * channels + draw(some.sampled_from((0, 0, 0, 1, -1))))
    kind = draw(some.sampled_from(("UINT8", "UINT8", "FP32", "BYTES")))
    image = {"name": "image", "datatype": kind, "shape": [height, width, channels], "data": [draw(BYTES)] * number}
    z = {"name": "z", "datatype": "FP32", "shape": [1, 2], "data": draw(some.lists(some.floats(-9, 9), max_size=3))}
    parameters = {"num_samples": draw(some.integers(0, 5)), "seed": draw(some.integers(-9, 9))}
    return {"inputs": [image, z][: draw(some.integers(1, 2))], "parameters": parameters}


def make_sensible(case: Any, data: Any) -> None:
    """Put what the document cannot describe into most requests: the model's name, real images, tensors that fit."""
    for values in (case.path_parameters, case.query, case.body):
        for name, sensible in SENSIBLE.items():
            if isinstance(values, dict) and name in values and data.draw(some.integers(0, 7)):
                own = data.draw(sensible)
                is_text = values is not case.body or case.media_type != "application/json"
                values[name] = json.dumps(own) if is_text and not isinstance(own, str) else own
    if case.operation.path.endswith("/infer"):
        if case.media_type == "application/json" and data.draw(some.integers(0, 3)):
            case.body = data.draw(tensors())
    elif case.media_type and case.media_type.startswith("image/"):
        if data.draw(some.integers(0, 7)):
            case.body = data.draw(images())
    elif isinstance(case.body, dict):
        for name in FILES:
            if name in case.body and data.draw(some.integers(0, 7)):
                picture = data.draw(images())
                is_json = case.media_type == "application/json"
                case.body[name] = base64.b64encode(picture).decode() if is_json else picture


def try_address(operation: Any, address: str, *, cases: int, start: int, counts: collections.Counter[int]) -> None:
    """Send so many requests to one address.

    Raises:
        Exception: Hypothesis and schemathesis say which request was answered wrongly.
    """
    from schemathesis.checks import not_a_server_error  # pyright: ignore[reportMissingImports]  # noqa: PLC0415
    from schemathesis.specs.openapi.checks import (  # pyright: ignore[reportMissingImports]  # noqa: PLC0415
        content_type_conformance,
        response_schema_conformance,
        status_code_conformance,
    )

    # Not whether all that fits the document is taken: what a file must hold, it cannot say.
    checks = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]

    @seed(start)
    @settings(
        max_examples=cases,
        deadline=None,
        database=None,
        phases=[Phase.generate, Phase.shrink],
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much],
    )
    @given(case=operation.as_strategy(), data=some.data())
    def try_one(case: Any, data: Any) -> None:
        make_sensible(case, data)
        answer = case.call(base_url=address)
        counts[answer.status_code] += 1
        case.validate_response(answer, checks=checks)

    try_one()


@contextmanager
def serving(model: Path) -> Iterator[str]:
    """The service at a free port of the loopback."""
    listening = socket.socket()
    listening.bind(("127.0.0.1", 0))
    app = build_app({MODEL: model}, partial(load, device="cpu"), limits=LIMITS, access=Access(), max_bytes=2**30)
    server = uvicorn.Server(uvicorn.Config(app, log_config=None, access_log=False))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
    thread.start()
    while not server.started and thread.is_alive():
        time.sleep(0.05)
    try:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(30)


def main(arguments: Sequence[str]) -> int:
    """Try all addresses; the status is 1 where an answer was wrong."""
    parser = argparse.ArgumentParser(prog="python -m tools.fuzz_service", description=__doc__, allow_abbrev=False)
    parser.add_argument("model", type=Path, help="a small model, best of a latent with two numbers")
    parser.add_argument("--cases", type=int, default=20_000, help="requests in all, about")
    parser.add_argument("--seed", type=int, default=0, help="decides what is sent")
    args = parser.parse_args(arguments)
    if importlib.util.find_spec("schemathesis") is None:
        parser.error("schemathesis is not installed: pip install schemathesis")
    import schemathesis  # pyright: ignore[reportMissingImports]  # noqa: PLC0415

    failures = 0
    total: collections.Counter[int] = collections.Counter()
    with serving(args.model) as address:
        document = schemathesis.openapi.from_url(f"{address}/openapi.json")
        operations = [found.ok() for found in document.get_all_operations()]
        weights = [POSTS if one.method.upper() == "POST" else 1 for one in operations]
        for index, (operation, weight) in enumerate(zip(operations, weights, strict=True)):
            counts: collections.Counter[int] = collections.Counter()
            number = max(1, round(args.cases * weight / sum(weights)))
            wrong = ""
            try:
                try_address(operation, address, cases=number, start=len(operations) * args.seed + index, counts=counts)
            except (Exception, BaseExceptionGroup) as error:  # is shown, and the other addresses are tried
                wrong = "".join(traceback.format_exception_only(error))
                failures += 1
            total += counts
            told = ", ".join(f"{number} of {status}" for status, number in sorted(counts.items()))
            sys.stdout.write(f"{operation.method.upper()} {operation.path}: {told}\n{wrong}")
            sys.stdout.flush()
    above = sum(number for status, number in total.items() if status >= 500)
    sys.stdout.write(f"{total.total():,} requests, {above} answers of 500 and above, {failures} addresses wrong\n")
    return int(failures > 0 or above > 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
