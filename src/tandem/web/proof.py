"""How far the pixels of a page are from PyTorch's: the page itself, in a browser, draws what is compared."""

import base64
import logging
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw

from tandem.config.classes import LabelClasses
from tandem.config.data import Direction
from tandem.data.label_maps import coloured
from tandem.errors import BundleError
from tandem.inference.onnx.graph import Storage
from tandem.inference.translator import Translator
from tandem.web.about import page_size
from tandem.web.browsing import SOFTWARE_GPU, browser, hosted, missing_browser
from tandem.web.runtime import Provider

SEED = 3
NUM_SAMPLES = 2
MOST_OFF = 2
"""Levels of 255: the most that a pixel may be off with weights stored as fp32 or fp16, and all of them on average with
int8."""
MOST_CHANGED = 0.01
"""Of a label map, the share of the pixels that may be of another class: those where two planes are as high."""
PATIENCE_MS = 600_000

_DRAW = """async ([direction, width, height, pixels, seed, count]) => {
  const { engine } = globalThis.tandem;
  const { default: name } = await engine.catalogue();
  const { latent_dim: hasLatent } = await engine.model(name);
  const z = hasLatent ? await engine.latents(name, seed, count) : undefined;
  const bytes = Uint8ClampedArray.from(atob(pixels), (one) => one.charCodeAt(0));
  const image = new ImageData(bytes, width, height);
  const pictures = await engine.translate({ model: name, direction, image, seed, z });
  return pictures.map((picture) => {
    const canvas = new OffscreenCanvas(width, height);
    const context = canvas.getContext('2d');
    context.drawImage(picture, 0, 0);
    const { data } = context.getImageData(0, 0, width, height);
    let text = '';
    for (let i = 0; i < data.length; i += 4096) text += String.fromCharCode(...data.subarray(i, i + 4096));
    return btoa(text);
  });
}"""

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Deviation:
    """How far pixels are from PyTorch's, in levels of 255.

    Attributes:
        largest: Of one value.
        mean: Of all.
        changed: The share of pixels of label maps that are of another class, which count in neither of these.
        pictures: How many were compared.
        device: What the browser ran them with.
    """

    largest: int
    mean: float
    changed: float
    pictures: int
    device: str


def deviation_of(page: Path, translator: Translator, *, provider: Provider = "wasm") -> Deviation:
    """Open the page, a folder or a file, and compare what it draws; ask `missing_browser` before.

    `provider` is what the page is asked to compute with: of WebGPU the browser has one in software, and what computed
    in the end is the `device` of the result. Latents are drawn by the page, from a seed. It happens in a thread of its
    own: where an event loop runs, as in notebooks, Playwright's plain interface refuses to.
    """
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(_measured, page, translator, provider).result()


def _measured(page: Path, translator: Translator, provider: Provider) -> Deviation:
    with ExitStack() as stack:
        address = page.resolve().as_uri() if page.is_file() else stack.enter_context(hosted(page))
        opened = stack.enter_context(browser(*(SOFTWARE_GPU if provider == "webgpu" else ()))).new_page()
        opened.set_default_timeout(PATIENCE_MS)
        opened.goto(f"{address}?engine={provider}")
        opened.wait_for_selector("#tiles > li", state="attached")
        if provider == "webgpu":  # which is tried after the first drawing
            next(_off(opened, translator, translator.directions[0]))
            opened.evaluate("globalThis.tandem.engine.provider()")
        off: list[np.ndarray] = []
        changed: list[np.ndarray] = []
        for direction in translator.directions:
            has_labels = translator.levels(direction)[1].classes is not None
            for one in _off(opened, translator, direction):
                (changed if has_labels else off).append(np.asarray(one.any(axis=-1)) if has_labels else one)
        device = str(opened.evaluate("globalThis.tandem.engine.provider()"))
    largest, mean = (int(np.max(off)), float(np.mean(off))) if off else (0, 0.0)
    return Deviation(largest, mean, float(np.mean(changed)) if changed else 0.0, len(off) + len(changed), device)


def prove_page(page: Path, translator: Translator, *, storage: Storage) -> Deviation | None:
    """Measure and log how far the page's pixels are from PyTorch's; None where no browser is there.

    Raises:
        BundleError: They are off by more than is allowed.
    """
    if why := missing_browser():
        log.warning("the page was not opened in a browser: %s. Its ONNX files are proven", why)
        return None
    found = deviation_of(page, translator)
    text = f"largest {found.largest} of 255, mean {found.mean:.3f}"
    if found.changed:
        text += f", {100 * found.changed:.2g} % of the pixels of label maps of another class"
    if (found.mean if storage == "int8" else found.largest) > MOST_OFF or found.changed > MOST_CHANGED:
        raise BundleError(
            f"the page's pixels differ from PyTorch's by more than is allowed ({text}; allowed are {MOST_OFF}"
            f"{' on average' if storage == 'int8' else ''}, and {100 * MOST_CHANGED:g} %). Weights that are stored "
            "more exactly (--weights fp32) may deviate less; if these were, please report it."
        )
    log.info("opened in a browser (%s): against PyTorch, %d pictures: %s", found.device, found.pictures, text)
    return found


def _off(page: Any, translator: Translator, direction: Direction) -> Iterator[np.ndarray]:
    """Of every value of each of several pictures, how many levels it is off."""
    (height, width), _ = page_size(translator)
    number = NUM_SAMPLES if translator.latent_dim else 1
    classes = translator.levels(direction)[0].classes
    for picture in _inputs(height, width) if classes is None else _maps(classes, height, width):
        rgba = np.dstack([picture, np.full((height, width), 255, np.uint8)])
        arguments = [direction, width, height, base64.b64encode(rgba.tobytes()).decode(), SEED, number]
        given = [np.frombuffer(base64.b64decode(one), np.uint8) for one in page.evaluate(_DRAW, arguments)]
        expected = translator(picture, number, seed=SEED, direction=direction, output="array")
        shown = np.broadcast_to(expected[..., :3], (*expected.shape[:3], 3))  # grey is repeated
        made = np.stack(given).reshape(number, height, width, 4)[..., :3]
        yield from np.abs(made.astype(int) - shown)


def _inputs(height: int, width: int) -> Iterator[np.ndarray]:
    """A line drawing and a picture full of colours, ``(H, W, 3)``."""
    sheet = Image.new("RGB", (width, height), "white")
    places = [(0.2, 0.2), (0.6, 0.15), (0.65, 0.55), (0.95, 0.75), (0.9, 0.85), (0.2, 0.85), (0.2, 0.2)]
    points = [(x * width, y * height) for x, y in places]
    ImageDraw.Draw(sheet).line(points, fill="black", width=max(1, width // 60))
    yield np.array(sheet)
    small = np.random.default_rng(0).integers(0, 256, (5, 5, 3), dtype=np.uint8)
    yield np.array(Image.fromarray(small).resize((width, height), Image.Resampling.BICUBIC))


def _maps(classes: LabelClasses, height: int, width: int) -> Iterator[np.ndarray]:
    """A label map of one class and one of many, in their colours, ``(H, W, 3)``."""
    indices = np.array([one.values[0] for one in classes.classes])
    cells = np.random.default_rng(0).integers(0, len(indices), (-(-height // 4), -(-width // 4)))
    yield coloured(classes, np.full((height, width, 1), indices[0]))
    yield coloured(classes, indices[np.kron(cells, np.ones((4, 4), int))[:height, :width, None]])
