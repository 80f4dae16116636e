"""A page in a browser that Playwright does not drive, with Playwright's names for what our tests do on it."""

import json
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

_SECONDS = 60
_KEYS = {"Control": "\ue009", "Shift": "\ue008", "Enter": "\ue007", "Escape": "\ue00c", "ArrowLeft": "\ue012"}
_SHOWN = """async ([selector, milliseconds]) => {
  for (const start = Date.now(); Date.now() < start + milliseconds;) {
    if (document.querySelector(selector)?.checkVisibility()) return true;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  return false;
}"""


class DrivenPage(ABC):
    """A page: what it is asked through its browser's protocol, and what follows from that."""

    def __init__(self) -> None:
        self.mouse, self.keyboard = Mouse(self), Keyboard(self)

    @abstractmethod
    def goto(self, address: str) -> None: ...

    @abstractmethod
    def reload(self) -> None: ...

    @abstractmethod
    def evaluate(self, expression: str, argument: Any = None) -> Any:
        """The value of an expression, or what the function that it stands for gives for `argument`."""

    @abstractmethod
    def set_input_files(self, selector: str, file: Path) -> None: ...

    @abstractmethod
    def act(self, kind: str, actions: Sequence[Mapping[str, Any]]) -> None:
        """What a hand does, by a ``pointer`` or a ``key``, in WebDriver's words."""

    @abstractmethod
    def screenshot(self) -> bytes:
        """What is shown, as PNG."""

    @abstractmethod
    def close(self) -> None: ...

    def wait_for_timeout(self, milliseconds: float) -> None:
        self.evaluate("(milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds, 0))", milliseconds)

    def wait_for_selector(self, selector: str) -> None:
        """Wait until an element is shown."""
        assert self.evaluate(_SHOWN, [selector, 500 * _SECONDS]), f"there was no {selector}"

    def click(self, selector: str) -> None:
        """Press where the middle of an element is, whatever lies over it."""
        self.evaluate("(one) => document.querySelector(one).scrollIntoView({ block: 'nearest' })", selector)
        box = self.locator(selector).bounding_box()
        self.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)

    def locator(self, selector: str) -> "Locator":
        return Locator(self, selector)

    def inner_text(self, selector: str) -> str:
        return self.evaluate("(one) => document.querySelector(one).innerText", selector)


class Locator:
    """An element, by its selector."""

    def __init__(self, page: DrivenPage, selector: str) -> None:
        self._page, self._selector = page, selector

    def bounding_box(self) -> Mapping[str, float]:
        return self._page.evaluate("(one) => document.querySelector(one).getBoundingClientRect()", self._selector)


class Mouse:
    """A mouse over a page."""

    def __init__(self, page: DrivenPage) -> None:
        self._page = page
        self._at = (0.0, 0.0)

    def move(self, x: float, y: float, *, steps: int = 1) -> None:
        ways = [number / steps for number in range(1, steps + 1)]
        (x_0, y_0), self._at = self._at, (x, y)
        places = [(x_0 + way * (x - x_0), y_0 + way * (y - y_0)) for way in ways]
        moves = [{"type": "pointerMove", "x": round(x), "y": round(y), "duration": 0} for x, y in places]
        self._page.act("pointer", moves)

    def down(self) -> None:
        self._page.act("pointer", [{"type": "pointerDown", "button": 0}])

    def up(self) -> None:
        self._page.act("pointer", [{"type": "pointerUp", "button": 0}])

    def click(self, x: float, y: float) -> None:
        self.move(x, y)
        self.down()
        self.up()


class Keyboard:
    """Keys, such as ``e`` and ``Control+z``."""

    def __init__(self, page: DrivenPage) -> None:
        self._page = page

    def press(self, keys: str) -> None:
        values = [_KEYS.get(key, key) for key in keys.split("+")]
        downs = [{"type": "keyDown", "value": value} for value in values]
        self._page.act("key", [*downs, *({"type": "keyUp", "value": value} for value in reversed(values))])


def script(expression: str, argument: Any) -> str:
    """An expression of a promise: the value of `expression`, or of the function that it stands for, as JSON."""
    return f"""(async () => {{
      const made = ({expression});
      return JSON.stringify(await (typeof made === 'function' ? made({json.dumps(argument)}) : made)) ?? 'null';
    }})()"""
