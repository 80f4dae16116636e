"""A service over bundles: in this process for `TestClient`, or at a port of the loopback for real clients."""

import base64
import io
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import uvicorn
from PIL import Image

from tandem.evaluation.options import Palette
from tandem.inference.translator import Translator, load
from tandem.serving.app import Access, build_app
from tandem.serving.limits import Limits

LOCAL = "http://127.0.0.1"


def application(
    paths: Mapping[str, Path],
    *,
    limits: Limits | None = None,
    access: Access | None = None,
    max_bytes: int = 2**30,
    num_workers: int = 1,
    load_model: Callable[[Path], Translator] | None = None,
    palette: Palette | None = None,
    **options: Any,
) -> Any:
    return build_app(
        paths,
        load_model or (lambda path: load(path, device="cpu", **options)),
        limits=limits or Limits(),
        access=access or Access(),
        max_bytes=max_bytes,
        num_workers=num_workers,
        palette=palette,
    )


@contextmanager
def serving(app: Any) -> Iterator[str]:
    """The service at a free port, with its address."""
    listening = socket.socket()
    listening.bind(("127.0.0.1", 0))
    listening.listen(64)
    server = uvicorn.Server(uvicorn.Config(app, log_config=None, access_log=False, timeout_graceful_shutdown=10))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
    thread.start()
    try:
        for _ in range(400):
            if server.started or not thread.is_alive():
                break
            time.sleep(0.05)
        assert server.started
        yield f"{LOCAL}:{listening.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(30)
        listening.close()
    assert not thread.is_alive()


def pixels(seed: int, height: int = 16, width: int = 16, channels: int = 3) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, channels), dtype=np.uint8)


def png(array: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(array[:, :, 0] if array.shape[2] == 1 else array).save(buffer, "PNG")
    return buffer.getvalue()


def text(data: bytes) -> str:
    return base64.b64encode(data).decode()


def opened(data: bytes) -> np.ndarray:
    with Image.open(io.BytesIO(data)) as image:
        array = np.array(image)
    return array.reshape(*array.shape[:2], -1)


def pictures(answer: Any) -> list[np.ndarray]:
    """The pictures of an answer in JSON, ``(H, W, C)`` each."""
    assert answer.status_code == 200, answer.text
    return [opened(base64.b64decode(one)) for one in answer.json()["outputs"]]


def outputs(answer: Any) -> np.ndarray:
    """Likewise, where all have one shape: ``(M, H, W, C)``."""
    return np.stack(pictures(answer))
