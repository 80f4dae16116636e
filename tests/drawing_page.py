"""What somebody does on the page to draw on, and what is then to be seen."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tandem
from serving_client import pixels, png
from tandem.errors import DownloadError
from tandem.web.browsing import hosted
from tandem.web.runtime import find_runtime

WAIT = 20_000
SIGNATURE = """(selector) => [...document.querySelectorAll(selector)].map((canvas) => {
  const { width, height } = canvas;
  return width ? canvas.getContext('2d').getImageData(0, 0, width, height).data.join() : '';
})"""
DRAWN = """async ([width, height, pixels, seed, count]) => {
  const { engine } = tandem;
  const { default: model } = await engine.catalogue();
  const image = new ImageData(new Uint8ClampedArray(pixels), width, height);
  const z = await engine.latents(model, seed, count);
  const pictures = await engine.translate({ model, direction: 'AtoB', image, seed, z });
  const context = new OffscreenCanvas(width, height).getContext('2d');
  return pictures.flatMap((one) => {
    context.drawImage(one, 0, 0);
    return [...context.getImageData(0, 0, width, height).data];
  });
}"""


def runtime() -> Path:
    """ONNX Runtime Web."""
    try:
        return find_runtime()
    except DownloadError as error:
        pytest.skip(f"ONNX Runtime Web cannot be had: {error}")


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


def draw_and_keep_a_style(page: Any) -> None:
    """Strokes change all of four outputs, the pad one of them, and new samples leave the one that is kept."""
    stroke(page, (0.2, 0.2), (0.8, 0.3), (0.5, 0.8))
    settle(page)
    first = canvases(page, "#tiles canvas")
    assert len(set(first)) == 4, "four samples that differ"
    stroke(page, (0.1, 0.9), (0.9, 0.9))
    settle(page)
    second = canvases(page, "#tiles canvas")
    assert all(a != b for a, b in zip(first, second, strict=True))
    page.click("#tiles li:nth-child(2) > button")
    box = page.locator("#pad").bounding_box()
    page.mouse.click(box["x"] + 0.9 * box["width"], box["y"] + 0.1 * box["height"])
    settle(page)
    moved = canvases(page, "#tiles canvas")
    assert [a != b for a, b in zip(second, moved, strict=True)] == [False, True, False, False]
    page.click("#lock")
    page.click("#shuffle")
    settle(page)
    shuffled = canvases(page, "#tiles canvas")
    assert [a == b for a, b in zip(moved, shuffled, strict=True)] == [False, True, False, False]


def open_files(page: Any, folder: Path) -> None:
    """A broken file is named and changes nothing, another becomes the drawing, and the style of the second output."""
    before = canvases(page, "#tiles canvas")
    good, broken = folder / "good.png", folder / "broken.png"
    good.write_bytes(png(pixels(3)))
    broken.write_bytes(b"\x89PNG\r\n\x1a\n and nothing else")
    page.set_input_files("#file", broken)
    page.wait_for_selector("#alert:not([hidden])")
    assert "broken.png is not a picture" in page.inner_text("#alert")
    assert canvases(page, "#tiles canvas") == before, "the drawing stays"
    page.set_input_files("#file", good)
    settle(page)
    opened = canvases(page, "#tiles canvas")
    assert all(a != b for a, b in zip(before, opened, strict=True))
    page.set_input_files("#reference-file", good)
    until(page, "document.querySelector('#alert').textContent.includes('has the style of good.png')")
    settle(page)
    styled = canvases(page, "#tiles canvas")
    assert [a != b for a, b in zip(opened, styled, strict=True)] == [False, True, False, False]


def visit_twice(open_page: Callable[[str], Any], exported: Path, folder: Path) -> Any:
    """Draw on an exported page, and come back when its host is gone."""
    with hosted(exported) as address:
        page = open_page(f"{address}#seed=11&n=4")
        draw_and_keep_a_style(page)
        open_files(page, folder)
        before = canvases(page, "#tiles canvas")
        page.evaluate("navigator.serviceWorker.ready.then(() => true)")
        assert page.evaluate("crossOriginIsolated") is False, "this host sends no headers"
    page.reload()
    settle(page)
    assert page.evaluate("crossOriginIsolated") is True, "the second visit has threads all the same"
    assert canvases(page, "#tiles canvas") == before
    return page


def largest_deviation(page: Any, bundle: Path, *, size: tuple[int, int]) -> int:
    """Of the outputs of a seed from PyTorch's, in levels of 255, for an input that the network takes as it is."""
    height, width = size
    frame = pixels(4, height, width)
    with_alpha = np.dstack([frame, np.full(size, 255, np.uint8)])
    drawn = page.evaluate(DRAWN, [width, height, with_alpha.ravel().tolist(), 5, 2])
    right = tandem.load(bundle, device="cpu", engine="torch")(frame, 2, seed=5, output="array")
    return int(np.abs(np.reshape(drawn, (2, height, width, 4))[..., :3].astype(int) - right).max())
