"""WebKit by WebDriver: the MiniBrowser of WebKitGTK, and Debian's driver for it (the package ``webkit2gtk-driver``)."""

import base64
import json
import os
import shutil
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from driven_page import DrivenPage, script
from processes import free_port

_SECONDS = 60.0
_ELEMENT = "element-6066-11e4-a52e-4f735466cecf"  # how WebDriver calls an element in its JSON
_MINI_BROWSERS = "/usr/lib/*/webkit2gtk-4.*/MiniBrowser"
_ENVIRONMENT = {
    "GSK_RENDERER": "cairo",
    "LIBGL_ALWAYS_SOFTWARE": "1",
    "NO_AT_BRIDGE": "1",
    "WEBKIT_DISABLE_COMPOSITING_MODE": "1",
    "WEBKIT_DISABLE_SANDBOX_THIS_IS_DANGEROUS": "1",  # its sandbox needs rights that containers lack
}


def missing() -> str | None:
    """What there is to install for it; None where it is there."""
    programs = [name for name in ("WebKitWebDriver", "Xvfb", "dbus-run-session") if shutil.which(name) is None]
    return f"{', '.join(programs)} is not installed" if programs else None


class Page(DrivenPage):
    """The page of a browser that is its own."""

    def __init__(self, address: str, *, width: int, height: int) -> None:
        super().__init__()
        (program,) = list(Path("/").glob(_MINI_BROWSERS[1:]))[:1]
        options = {"webkitgtk:browserOptions": {"binary": str(program), "args": ["--automation"]}}
        self._address = address
        self._session = ask("POST", f"{address}/session", {"capabilities": {"alwaysMatch": options}})["sessionId"]
        self._tell("POST", "timeouts", {"script": int(1000 * _SECONDS)})
        self._tell("POST", "window/rect", {"width": width, "height": height})

    def goto(self, address: str) -> None:
        self._tell("POST", "url", {"url": address})

    def reload(self) -> None:
        self._tell("POST", "refresh", {})

    def evaluate(self, expression: str, argument: Any = None) -> Any:
        text = f"{script(expression, argument)}.then(arguments[0], (error) => arguments[0](`{{${{error}}`))"
        said = self._tell("POST", "execute/async", {"script": text, "args": []})
        return json.loads(said)

    def set_input_files(self, selector: str, file: Path) -> None:
        found = self._tell("POST", "element", {"using": "css selector", "value": selector})
        self._tell("POST", f"element/{found[_ELEMENT]}/value", {"text": str(file)})

    def act(self, kind: str, actions: Sequence[Mapping[str, Any]]) -> None:
        self._tell("POST", "actions", {"actions": [{"type": kind, "id": kind, "actions": actions}]})

    def screenshot(self) -> bytes:
        return base64.b64decode(self._tell("GET", "screenshot"))

    def close(self) -> None:
        ask("DELETE", f"{self._address}/session/{self._session}")

    def _tell(self, method: str, path: str, body: Any = None) -> Any:
        return ask(method, f"{self._address}/session/{self._session}/{path}", body)


def ask(method: str, address: str, body: Any = None) -> Any:
    """What the driver answers.

    Raises:
        RuntimeError: It says that something went wrong.
    """
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(address, data, {"Content-Type": "application/json"}, method=method)
    try:
        with urllib.request.urlopen(request, timeout=2 * _SECONDS) as answer:
            return json.loads(answer.read())["value"]
    except urllib.error.HTTPError as error:
        raise RuntimeError(error.read().decode()) from error


@contextmanager
def driver(folder: Path) -> Iterator[str]:
    """The address of a driver, with a screen and a bus of its own.

    Args:
        folder: An empty one, for what the browser keeps.
    """
    read, write = os.pipe()
    screen_command = ["Xvfb", "-displayfd", str(write), "-screen", "0", "2000x1600x24", "-nolisten", "tcp"]
    with subprocess.Popen(screen_command, pass_fds=[write], stderr=subprocess.DEVNULL) as screen:
        os.close(write)
        with os.fdopen(read) as said:
            display = said.readline().strip()
        port = free_port()
        homes = {name: str(folder) for name in ("HOME", "XDG_CACHE_HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME")}
        command = ["dbus-run-session", "--", "WebKitWebDriver", f"--port={port}"]
        environment = {**os.environ, **_ENVIRONMENT, **homes, "DISPLAY": f":{display}"}
        with subprocess.Popen(
            command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        ) as process:
            try:
                yield _ready(f"http://127.0.0.1:{port}", process)
            finally:
                process.terminate()
                screen.terminate()


def _ready(address: str, process: "subprocess.Popen[bytes]") -> str:
    for _ in range(int(_SECONDS / 0.05)):
        try:
            ask("GET", f"{address}/status")
        except urllib.error.URLError:
            if process.poll() is not None:
                raise RuntimeError(f"WebKitWebDriver has ended, with status {process.returncode}") from None
            time.sleep(0.05)
        else:
            return address
    raise TimeoutError(f"WebKitWebDriver does not answer after {_SECONDS:g} seconds")
