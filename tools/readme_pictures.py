"""Remake the pictures of the README, from generated data alone.

    python tools/readme_pictures.py [DEMO] [--cyclegan RUN] [--shallows RUN] [--out FOLDER]

`DEMO` is the folder of a finished demo, `RUN` a CycleGAN whose data, the unpaired demo data, lie beside it in `data`:

    tandem data demo runs/cyclegan/data --layout unpaired --num-train 200
    tandem train runs/cyclegan/data --out runs/cyclegan/run --preset demo-unpaired --learning-rate 0.0005 --steps 2000

The run of `--shallows` is that of docs/guide/shallows.md. The picture of a page takes Playwright and the machine's
Chromium or Chrome. No picture may be larger than 300 kB.
"""

import argparse
import io
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

import tandem
from tandem.config.data import Direction
from tandem.data.discover import find_splits
from tandem.data.synthetic import DemoInfo, load_dataset_info, split_index
from tandem.data.synthetic.shallows import DEEPEST, WATERS, draw_shallows
from tandem.data.unpaired import find_unpaired
from tandem.inference.latents import between
from tandem.inference.translator import Translator
from tandem.report.grid import image_grid, save_image

if TYPE_CHECKING:
    from playwright.sync_api import Page

SAMPLES = 8
BRIGHTEST = 3600  # of the files of shallow water
SCALE = 2
LARGEST = 300_000  # bytes
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")


def main() -> None:
    """Draw all pictures."""
    parser = argparse.ArgumentParser(description="Remake the pictures of the README, from generated data alone.")
    parser.add_argument("demo", nargs="?", type=Path, default=Path("runs/demo"), help="folder of a finished demo")
    parser.add_argument(
        "--cyclegan", type=Path, help="a CycleGAN on unpaired demo data: RUN; its data lie in RUN/../data"
    )
    parser.add_argument("--shallows", type=Path, help="a model of depth to reflectance: RUN")
    parser.add_argument("--out", type=Path, default=Path("docs/images"), help="folder of the pictures")
    args = parser.parse_args()
    translator = tandem.load(args.demo / "tandem")
    drawings = one_of_each_kind(args.demo / "data", load_dataset_info(args.demo / "data"))
    written = [
        draw_samples(translator, drawings, args.out / "demo.png"),
        draw_interpolation(translator, drawings[:3], args.out / "interpolation.png"),
        draw_styles(translator, drawings, args.out / "styles.png"),
        photograph(args.demo / "tandem" / "index.html", args.out / "run-page.png"),
        photograph_drawing(args.demo / "tandem", args.out / "drawing-page.png"),
    ]
    if args.cyclegan is not None:
        written.append(
            draw_cycles(tandem.load(args.cyclegan), args.cyclegan.parent / "data", args.out / "cyclegan.png")
        )
    if args.shallows is not None:
        written.append(draw_shallow_water(tandem.load(args.shallows), args.out / "shallows.png"))
    for path in written:
        size = path.stat().st_size
        assert size <= LARGEST, f"{path} has {size} bytes, more than {LARGEST}"
        print(f"{path}: {size / 1000:.0f} kB")


def one_of_each_kind(data: Path, info: DemoInfo) -> list[tuple[np.ndarray, np.ndarray]]:
    """The first test drawing of each kind of object, and its rendering."""
    first = {}
    for pair in find_splits(data)["test"].pairs:
        first.setdefault(info.entry("test", pair.name).kind, pair)
    read = [pair.read("AtoB", channels_a=3, channels_b=3) for pair in first.values()]
    return [(drawing, rendering) for drawing, rendering in read if rendering is not None]


def draw_samples(translator: Translator, drawings: list[tuple[np.ndarray, np.ndarray]], path: Path) -> Path:
    """Each row a drawing, then samples; a column is one latent."""
    rows = [[drawing, *translator(drawing, SAMPLES, seed=1, output="array")] for drawing, _ in drawings]
    return write(image_grid(rows, scale=SCALE), path)


def draw_interpolation(translator: Translator, drawings: list[tuple[np.ndarray, np.ndarray]], path: Path) -> Path:
    """Each row a drawing on the way from one latent to another."""
    rows = []
    for index, (drawing, _) in enumerate(drawings):
        start, end = translator.sample_z(2, seed=index)
        way = between(start, end, SAMPLES, way="spherical", prior=translator.prior)
        rows.append([drawing, *translator(drawing, z=way, output="array")])
    return write(image_grid(rows, scale=SCALE), path)


def draw_styles(translator: Translator, drawings: list[tuple[np.ndarray, np.ndarray]], path: Path) -> Path:
    """Above the references, below them each drawing in the style of each."""
    references = [rendering for _, rendering in drawings]
    latents = [translator.encode(reference, input_image=drawing)[0] for drawing, reference in drawings]
    rows: list[list[np.ndarray | None]] = [[None, *references]]
    rows += [
        [drawing, *(translator(drawing, z=latent, output="array")[0] for latent in latents)] for drawing, _ in drawings
    ]
    return write(image_grid(rows, scale=SCALE), path)


def draw_cycles(translator: Translator, data: Path, path: Path) -> Path:
    """Each row an image of A, its translation and the way back, then an image of B likewise."""
    test = find_unpaired(data)["test"]
    rows = []
    directions: tuple[Direction, Direction] = ("AtoB", "BtoA")
    for a, b in list(zip(test.a, test.b, strict=True))[:4]:
        row = []
        for item, there in zip((a, b), directions, strict=True):
            picture, _ = item.read("AtoB", channels_a=3, channels_b=3)
            row += [picture, *(np.asarray(one) for one in translator.cycle(picture, direction=there))]
        rows.append(row)
    titles = ["drawing (A)", "A to B", "and back", "rendering (B)", "B to A", "and back"]
    return write(image_grid(rows, column_titles=titles, scale=SCALE), path)


def draw_shallow_water(translator: Translator, path: Path) -> Path:
    """Each row a depth that training has not seen, its four right answers, then samples, in three of the six bands."""
    rows = []
    for index in (2, 5, 8, 11):
        place = split_index("test", index)
        scenes = [draw_shallows(place, water=water) for water in range(len(WATERS))]
        depth = scenes[0].depth
        samples = translator(depth, SAMPLES - 2, seed=index, output="values")
        bands = [*(scene.spectra for scene in scenes), *samples]
        pictures = [(255 * (one[:, :, :3] / BRIGHTEST)).clip(0, 255) for one in bands]
        rows.append([np.repeat(255 * depth / DEEPEST, 3, axis=2), *pictures])
    titles = ["depth", *(f"if {water.name}" for water in WATERS), *(f"sample {n + 1}" for n in range(SAMPLES - 2))]
    return write(image_grid([[one.astype(np.uint8) for one in row] for row in rows], column_titles=titles), path)


def photograph(page: Path, path: Path) -> Path:
    """The upper part of a page as a browser shows it."""
    with shown(page.resolve().as_uri(), width=1120, height=1900) as tab:
        tab.wait_for_function("[...document.images].slice(0, 1).every((image) => image.complete)")
        return write(taken(tab), path)


def photograph_drawing(model: Path, path: Path) -> Path:
    """The page to draw on, as ``tandem serve`` brings it, with its first example and the outputs."""
    command = [sys.executable, "-m", "tandem", "serve", str(model), "--port", "0"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as service:
        assert service.stderr is not None
        told = next(line for line in service.stderr if "the page is at" in line)
        with shown(f"{told.split()[-1]}#seed=4", width=1240, height=880) as tab:
            tab.wait_for_selector("#tiles li")
            tab.click("#examples button:nth-child(1)")
            tab.wait_for_selector('#pad[data-map="25"]')
            tab.wait_for_selector("#strip li")
            tab.wait_for_selector("#status.ready")
            picture = taken(tab)
        service.terminate()
    save_image(picture, path)
    return path


@contextmanager
def shown(address: str, *, width: int, height: int) -> Iterator["Page"]:
    """A page in the machine's browser, which has a camera."""
    from playwright.sync_api import (  # pyright: ignore[reportMissingImports]  # noqa: PLC0415  (an extra)
        sync_playwright,
    )

    found = next(filter(None, map(shutil.which, BROWSERS)), None)
    with sync_playwright() as started:
        browser = started.chromium.launch(
            executable_path=found, args=["--no-sandbox", "--use-fake-device-for-media-stream"]
        )
        tab = browser.new_page(viewport={"width": width, "height": height}, color_scheme="light")
        tab.goto(address)
        yield tab
        browser.close()


def taken(tab: "Page") -> Image.Image:
    """What is to be seen of a page."""
    with Image.open(io.BytesIO(tab.screenshot())) as picture:
        return picture.convert("RGB")


def write(picture: Image.Image, path: Path) -> Path:
    """Save a picture with at most 256 colours, which shows no difference here and is a third as large."""
    save_image(picture.quantize(256, dither=Image.Dither.FLOYDSTEINBERG).convert("P"), path)
    return path


if __name__ == "__main__":
    main()
