"""A page of ours in the Chromium or Chrome of the machine, behind a host of static files on the loopback."""

import functools
import http.server
import importlib.util
import os
import shutil
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from tandem.errors import TandemError
from tandem.foreign import reason_of

if TYPE_CHECKING:
    from playwright.sync_api import Browser

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")

ISOLATION = MappingProxyType(
    {"Cross-Origin-Opener-Policy": "same-origin", "Cross-Origin-Embedder-Policy": "require-corp"}
)
"""Headers without which browsers give a page no memory that threads share."""

SOFTWARE_GPU = ("--enable-unsafe-webgpu", "--enable-unsafe-swiftshader", "--use-webgpu-adapter=swiftshader")
"""Options of Chromium for WebGPU without a GPU."""


class _Host(http.server.SimpleHTTPRequestHandler):
    """Files of a folder under a path of their own, as on a host with many pages."""

    prefix = "/drawings/page"

    def __init__(self, *arguments: Any, headers: Mapping[str, str], **named: Any) -> None:
        self._headers = headers
        super().__init__(*arguments, **named)

    def end_headers(self) -> None:
        for name, value in self._headers.items():
            self.send_header(name, value)
        super().end_headers()

    def translate_path(self, path: str) -> str:
        if not path.startswith(f"{self.prefix}/"):
            return str(Path(self.directory) / "nothing")  # and so 404
        return super().translate_path(path.removeprefix(self.prefix))

    def log_message(self, format: str, *arguments: Any) -> None:
        del format, arguments


@contextmanager
def hosted(folder: Path, headers: Mapping[str, str] = MappingProxyType({})) -> Iterator[str]:
    """The address of a folder, behind a plain host of static files at a free port of the loopback.

    Args:
        folder: What is in it.
        headers: Sent with every answer, `ISOLATION` for pages with threads.
    """
    handler = functools.partial(_Host, directory=str(folder), headers=headers)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}{_Host.prefix}/"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def missing_browser() -> str | None:
    """Why no page can be opened here; None where it can."""
    if importlib.util.find_spec("playwright") is None:
        return "Playwright is not installed (pip install 'tandem-gan[browser]')"
    if _browser() is None:
        return "there is no Chromium or Chrome"
    return None


@contextmanager
def browser(*arguments: str) -> "Iterator[Browser]":
    """The machine's browser, without a window; ask `missing_browser` before.

    Args:
        arguments: Of the command line of Chromium.

    Raises:
        TandemError: It cannot be started, or does not do what it is asked for.
    """
    from playwright.sync_api import Error, sync_playwright  # noqa: PLC0415  (an extra)

    own = ["--no-sandbox"] if hasattr(os, "geteuid") and os.geteuid() == 0 else []  # root has no sandbox
    try:
        with sync_playwright() as started:
            opened = started.chromium.launch(executable_path=_browser(), args=[*own, *arguments])
            try:
                yield opened
            finally:
                opened.close()
    except Exception as error:
        is_driver = type(error) is Exception  # what Playwright raises where its driver ends
        if not isinstance(error, Error) and not is_driver:
            raise
        raise TandemError(f"the browser {_browser()} fails: {reason_of(error)}") from error


def _browser() -> str | None:
    return next(filter(None, map(shutil.which, BROWSERS)), None)
