"""What somebody does on the page to draw on, and what is then to be seen."""

from typing import Any

import pytest

WAIT = 20_000
SIGNATURE = """(selector) => [...document.querySelectorAll(selector)].map((canvas) => {
  const { width, height } = canvas;
  return width ? canvas.getContext('2d').getImageData(0, 0, width, height).data.join() : '';
})"""


def stroke(page: Any, *points: tuple[float, float]) -> None:
    box = page.locator("#drawing").bounding_box()
    places = [(box["x"] + x * box["width"], box["y"] + y * box["height"]) for x, y in points]
    page.mouse.move(*places[0])
    page.mouse.down()
    for place in places[1:]:
        page.mouse.move(*place, steps=4)
    page.mouse.up()


def settle(page: Any) -> None:
    """Wait until nothing is computed any more, the map of the pad included."""
    page.wait_for_selector("#tiles li")
    page.wait_for_timeout(700)
    until(page, "document.querySelector('#status').classList.contains('ready')")


def until(page: Any, expression: str) -> None:
    """Wait until an expression holds: the page's policy forbids what Playwright does for it."""
    for _ in range(WAIT // 50):
        if page.evaluate(expression):
            return
        page.wait_for_timeout(50)
    pytest.fail(f"it never came true: {expression}")


def canvases(page: Any, selector: str) -> list[str]:
    return page.evaluate(SIGNATURE, selector)
