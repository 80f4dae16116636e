"""Firefox without a window, by WebDriver BiDi.

Playwright drives builds of its own, and sends others what Firefox 153 does not know. BiDi is the protocol
that Firefox itself speaks (https://w3c.github.io/webdriver-bidi/): JSON over a WebSocket, for which aiohttp is there.
"""

import asyncio
import base64
import json
import shutil
import subprocess
import threading
import time
from collections.abc import Coroutine, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import aiohttp

from driven_page import DrivenPage, script

NAMES = ("firefox-esr", "firefox")
_SECONDS = 60.0
_PREFERENCES = {
    "app.normandy.enabled": False,
    "browser.shell.checkDefaultBrowser": False,
    "datareporting.policy.dataSubmissionEnabled": False,
    "layout.css.prefers-color-scheme.content-override": 1,  # light
    "media.navigator.enabled": False,
}


def executable() -> str | None:
    """The machine's Firefox; None where there is none."""
    return next(filter(None, map(shutil.which, NAMES)), None)


class Connection:
    """Commands of BiDi and their results; what happens in between is kept in `events`."""

    def __init__(self, address: str) -> None:
        self.events: list[Mapping[str, Any]] = []
        self._last = 0
        self._waiting: dict[int, asyncio.Future[Any]] = {}
        self._loop = asyncio.new_event_loop()
        # A thread of its own: the loop of the main one may be Playwright's.
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self._session, self._socket = self._do(self._connect(address))
        asyncio.run_coroutine_threadsafe(self._listen(), self._loop)

    def send(self, method: str, **parameters: Any) -> Any:
        """The result of a command.

        Raises:
            RuntimeError: Firefox says that it is wrong.
            TimeoutError: Firefox has not answered within a minute.
        """
        return self._do(self._send(method, parameters))

    def close(self) -> None:
        """Leave Firefox to itself."""
        self._do(self._socket.close())
        self._do(self._session.close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _do(self, what: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(asyncio.wait_for(what, _SECONDS), self._loop).result()

    async def _connect(self, address: str) -> tuple[aiohttp.ClientSession, aiohttp.ClientWebSocketResponse]:
        session = aiohttp.ClientSession()
        return session, await session.ws_connect(address, max_msg_size=2**28)

    async def _send(self, method: str, parameters: Mapping[str, Any]) -> Any:
        self._last += 1
        answer = self._waiting[self._last] = self._loop.create_future()
        await self._socket.send_json({"id": self._last, "method": method, "params": parameters})
        return await answer

    async def _listen(self) -> None:
        async for message in self._socket:
            said = json.loads(message.data)
            if said["type"] == "event":
                self.events.append(said)
                continue
            answer = self._waiting.pop(said["id"])
            if answer.done():  # nobody waits for it any more
                continue
            if said["type"] == "error":
                answer.set_exception(RuntimeError(f"{said['error']}: {said['message']}"))
            else:
                answer.set_result(said["result"])


class Page(DrivenPage):
    """A tab that shares nothing with other tabs."""

    def __init__(self, connection: Connection, *, width: int, height: int) -> None:
        super().__init__()
        self._connection = connection
        self._user = connection.send("browser.createUserContext")["userContext"]
        self._context = connection.send("browsingContext.create", type="tab", userContext=self._user)["context"]
        self._tell("browsingContext.setViewport", viewport={"width": width, "height": height})

    def goto(self, address: str) -> None:
        self._tell("browsingContext.navigate", url=address, wait="complete")

    def reload(self) -> None:
        self._tell("browsingContext.reload", wait="complete")

    def evaluate(self, expression: str, argument: Any = None) -> Any:
        text, target = script(expression, argument), {"context": self._context}
        done = self._connection.send("script.evaluate", expression=text, target=target, awaitPromise=True)
        assert done["type"] == "success", done["exceptionDetails"]["text"]
        return json.loads(done["result"]["value"])

    def set_input_files(self, selector: str, file: Path) -> None:
        found = self._tell("browsingContext.locateNodes", locator={"type": "css", "value": selector})["nodes"]
        self._tell("input.setFiles", element={"sharedId": found[0]["sharedId"]}, files=[str(file)])

    def act(self, kind: str, actions: Sequence[Mapping[str, Any]]) -> None:
        self._tell("input.performActions", actions=[{"type": kind, "id": kind, "actions": actions}])

    def screenshot(self) -> bytes:
        return base64.b64decode(self._tell("browsingContext.captureScreenshot")["data"])

    def close(self) -> None:
        self._connection.send("browser.removeUserContext", userContext=self._user)

    def _tell(self, method: str, **parameters: Any) -> Any:
        return self._connection.send(method, context=self._context, **parameters)


@contextmanager
def firefox(program: str, profile: Path) -> Iterator[Connection]:
    """A Firefox of its own, without a window.

    Args:
        program: What `executable` has found.
        profile: An empty folder.
    """
    lines = [f"user_pref({json.dumps(name)}, {json.dumps(value)});\n" for name, value in _PREFERENCES.items()]
    (profile / "user.js").write_text("".join(lines))
    command = [program, "--headless", "--no-remote", "--remote-debugging-port", "0", "--profile", str(profile)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            connection = Connection(_address(process, profile))
            connection.send("session.new", capabilities={})
            connection.send("session.subscribe", events=["log.entryAdded", "network.beforeRequestSent"])
            yield connection
            connection.close()
        finally:
            process.terminate()


def _address(process: "subprocess.Popen[bytes]", profile: Path) -> str:
    """Where it listens, which it says in a file."""
    said = profile / "WebDriverBiDiServer.json"
    for _ in range(int(_SECONDS / 0.05)):
        if said.is_file() and (text := said.read_text()):
            where = json.loads(text)
            return f"ws://{where['ws_host']}:{where['ws_port']}/session"
        if process.poll() is not None:
            raise RuntimeError(f"Firefox has ended, with status {process.returncode}")
        time.sleep(0.05)
    raise TimeoutError(f"Firefox does not listen after {_SECONDS:g} seconds")
