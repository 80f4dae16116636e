"""The page without a server, as somebody uses it: in a real browser, from a plain host of files, and from the disk."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import tandem
from cyclegan_bundle import make_cyclegan
from drawing_page import WAIT, canvases, draw_and_keep_a_style, open_files, runtime, settle, stroke
from serving_client import pixels
from tandem.cli import main as tandem_main
from tandem.config.classes import read_classes
from tandem.data.levels import levels_of_classes
from tandem.errors import BundleError, ConfigError, DownloadError, TandemError
from tandem.inference.onnx.export import export_onnx
from tandem.prior.distributions import MixturePrior, NormalPrior
from tandem.report.spread_pictures import guessed_picture, mean_picture, width_picture
from tandem.web.browsing import browser, hosted, missing_browser
from tandem.web.export import export_web
from tandem.web.proof import MOST_CHANGED, MOST_OFF, deviation_of, prove_page
from tandem.web.runtime import find_runtime
from tandem_bundle import make_tandem
from tiny_bundle import write_bundle

pytestmark = pytest.mark.browser

PIXELS = """(() => {
  const { width, height } = document.querySelector('#output');
  return [...document.querySelector('#output').getContext('2d').getImageData(0, 0, width, height).data];
})()"""
CHECKED = {
    "draws": """async ([length, mixture, seed, count]) => {
      const { latents } = await import('./draws.js');
      return latents(length, mixture, seed, count);
    }""",
    "spread": """async ([width, height, pixels]) => {
      const image = new ImageData(new Uint8ClampedArray(pixels), width, height);
      const made = await tandem.engine.spread({ model: 'model', direction: 'AtoB', image, seed: 5 });
      const read = (picture) => {
        const context = new OffscreenCanvas(width, height).getContext('2d');
        context.drawImage(picture, 0, 0);
        return [...context.getImageData(0, 0, width, height).data];
      };
      return [made, Object.fromEntries(Object.entries(made.pictures).map(([name, one]) => [name, read(one)]))];
    }""",
    "encode": """async ([width, height, pixels]) => (
      tandem.engine.encode('model', new ImageData(new Uint8ClampedArray(pixels), width, height))
    )""",
}


@pytest.fixture(scope="module", name="runtime")
def runtime_once() -> Path:
    return runtime()


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Sides are not those that the network takes: they are padded."""
    return write_bundle(tmp_path_factory.mktemp("bundles") / "shoes", size=(20, 28))


@pytest.fixture(scope="module")
def folder(bundle: Path, runtime: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("web") / "page"
    page = export_web(bundle, out, name="shoes", runtime=runtime)
    assert page.num_bytes == sum(file.stat().st_size for file in out.rglob("*") if file.is_file())
    return out


@pytest.fixture(scope="module")
def address(folder: Path) -> Iterator[str]:
    with hosted(folder) as address:
        yield address


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    if why := missing_browser():
        pytest.skip(why)
    with browser() as opened:
        yield opened


@pytest.fixture
def open_page(chromium: Any) -> Iterator[Callable[..., Any]]:
    contexts, complaints = [], []

    def opened(address: str, *, width: int = 1400, offline: bool = False) -> Any:
        context = chromium.new_context(viewport={"width": width, "height": 900}, offline=offline)
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(WAIT)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("console", lambda message: complaints.append(message.text) if is_fault(message) else None)
        page.on("request", lambda request: complaints.append(request.url) if is_outside(request.url) else None)
        page.goto(address)
        page.wait_for_selector("#tiles > li")
        return page

    yield opened
    for context in contexts:
        context.close()
    assert complaints == [], "errors of the page, or requests to other places"


def is_fault(message: Any) -> bool:
    """An error, but for what the browser itself asks for without a network; a file that is missing is a 404."""
    return message.type == "error" and message.text != "Failed to load resource: net::ERR_FAILED"


def is_outside(url: str) -> bool:
    return not url.startswith(("http://127.0.0.1:", "blob:http://127.0.0.1:", "blob:null/", "file://", "data:"))


def test_drawing_styles_files_and_coming_back_without_a_network(
    address: str, open_page: Callable[..., Any], tmp_path: Path
) -> None:
    page = open_page(f"{address}#seed=11&n=4")
    draw_and_keep_a_style(page)
    open_files(page, tmp_path)
    before = canvases(page, "#tiles canvas")
    with page.expect_download() as saved:
        page.click("#save-strip")
    with Image.open(saved.value.path()) as strip:
        assert (strip.format, getattr(strip, "n_frames", 1), strip.size) == ("GIF", 16, (252, 180))
    page.evaluate("navigator.serviceWorker.ready.then(() => true)")
    assert page.evaluate("crossOriginIsolated") is False, "this host sends no headers"
    page.context.set_offline(True)
    page.reload()
    settle(page)
    assert page.evaluate("crossOriginIsolated") is True, "the second visit has threads all the same"
    assert canvases(page, "#tiles canvas") == before
    page.click("#shuffle")
    settle(page)
    page.go_back()
    settle(page)
    assert canvases(page, "#tiles canvas") == before


def test_pixels_are_those_of_pytorch(folder: Path, bundle: Path, tmp_path: Path, chromium: Any) -> None:
    found = deviation_of(folder, tandem.load(bundle, device="cpu", engine="torch"))
    assert (found.largest <= MOST_OFF, found.pictures, found.device) == (True, 4, "wasm")
    other = write_bundle(tmp_path / "other", size=(20, 28), generator={"filters": 8})
    with pytest.raises(BundleError, match=r"pixels differ from PyTorch's by more than is allowed \(largest \d"):
        prove_page(folder, tandem.load(other, device="cpu", engine="torch"), storage="fp16")


def test_one_file_from_the_disk_without_a_network(
    bundle: Path, runtime: Path, tmp_path: Path, open_page: Callable[..., Any]
) -> None:
    file = tmp_path / "shoes.html"
    page = export_web(bundle, file, name="shoes", runtime=runtime, is_single_file=True, storage="int8")
    assert (page.num_bytes, page.deviation is not None) == (file.stat().st_size, True)
    opened = open_page(file.as_uri(), offline=True)
    stroke(opened, (0.2, 0.2), (0.8, 0.8))
    settle(opened)
    assert len(set(canvases(opened, "#tiles canvas"))) == 8


def test_both_directions(runtime: Path, tmp_path: Path, open_page: Callable[..., Any]) -> None:
    make_cyclegan(tmp_path / "horses")
    page = export_web(tmp_path / "horses", tmp_path / "page", name="horses", runtime=runtime, storage="fp32")
    assert page.deviation is not None
    assert (page.deviation.pictures, page.deviation.largest <= MOST_OFF) == (4, True)


def test_latents_are_those_of_the_library(address: str, open_page: Callable[..., Any]) -> None:
    page = open_page(address)
    rng = np.random.default_rng(0)
    factors = np.tril(rng.normal(size=(3, 4, 4)), -1) + np.stack([np.diag([0.5, 1, 2, 3])] * 3)
    parts = (np.array([0.2, 0.3, 0.5]), rng.normal(size=(3, 4)), factors)
    prior = MixturePrior(*(part.astype(np.float32) for part in parts))
    mixture = {part: getattr(prior, part).tolist() for part in ("weights", "means", "factors")}
    for seed in (0, 7, 2**53 - 1):
        drawn = page.evaluate(CHECKED["draws"], [40, None, seed, 40])
        np.testing.assert_array_equal(np.float32(drawn), NormalPrior(40).sample(40, seed=seed))
        np.testing.assert_array_equal(
            np.float32(page.evaluate(CHECKED["draws"], [4, mixture, seed, 40])), prior.sample(40, seed=seed)
        )


def test_spread_and_style_are_those_of_the_library(address: str, bundle: Path, open_page: Callable[..., Any]) -> None:
    translator = tandem.load(bundle, device="cpu", engine="torch")
    picture = pixels(4, 20, 28)
    arguments = [28, 20, np.dstack([picture, np.full((20, 28), 255, np.uint8)]).ravel().tolist()]
    page = open_page(address)
    np.testing.assert_allclose(page.evaluate(CHECKED["encode"], arguments), translator.encode(picture)[0], atol=2e-2)
    made, shown = page.evaluate(CHECKED["spread"], arguments)
    spread = translator.spread(picture, seed=5)
    assert (made["num_samples"], made["level"], made["calibrated"]) == (spread.num_samples, spread.level, False)
    assert made["flagged_share"] == pytest.approx(spread.flagged.mean(), abs=0.01)
    expected = {
        "mean": mean_picture(spread.mean),
        "width": width_picture(spread.guessed),
        "guessed": guessed_picture(spread.mean, spread.flagged),
    }
    for name, levels in expected.items():
        off = np.abs(np.reshape(shown[name], (20, 28, 4))[..., :3].astype(int) - levels)
        assert np.mean(off > 2) < 0.01, name  # a pixel at the threshold may be flagged or not


def test_webgpu_gives_pytorchs_pixels_or_is_left_out(
    runtime: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By a GPU in software. The last convolution takes 9 channels, which ONNX Runtime's WebGPU mixes up if it can."""
    bundle = make_tandem(tmp_path / "shoes", channels=(1, 3))
    page = export_web(bundle, tmp_path / "page", name="shoes", runtime=runtime).path
    translator = tandem.load(bundle, device="cpu", engine="torch")
    found = deviation_of(page, translator, provider="webgpu")
    assert (found.device, found.pictures, found.largest <= MOST_OFF) == ("webgpu", 4, True)
    monkeypatch.setattr("tandem.inference.onnx.layers._is_wrong_on_webgpu", lambda _: False)
    export_onnx(bundle, tmp_path / "wrong.onnx", storage="fp16")
    (page / "models" / "shoes.onnx").write_bytes((tmp_path / "wrong.onnx").read_bytes())
    found = deviation_of(page, translator, provider="webgpu")
    assert (found.device, found.largest <= MOST_OFF) == ("wasm", True), "its pixels are checked before it takes over"


def test_label_maps_are_drawn_and_given(runtime: Path, tmp_path: Path, open_page: Callable[..., Any]) -> None:
    """The export compares what the page makes of maps with PyTorch's; here its palette and its files are looked at."""
    colours = {3: (255, 0, 0), 0: (0, 255, 0), 90: (0, 0, 255), 255: (7, 7, 7)}
    text = '{"classes": [["a",[3],"#ff0000"],["b",[0],"#00ff00"],["c",[90],"#0000ff"]], "ignore": [255, "#070707"]}'
    levels = levels_of_classes(read_classes(text, "--classes-a"))
    maps = write_bundle(tmp_path / "maps", size=(20, 28), input_levels=levels, output_levels=levels)
    page = export_web(maps, tmp_path / "page", name="maps", runtime=runtime)
    assert page.deviation is not None
    assert (page.deviation.pictures, page.deviation.changed <= MOST_CHANGED) == (4, True)
    with hosted(page.path) as address:
        opened = open_page(address)
        offered = "[...document.querySelectorAll('#palette [data-colour]')].map((one) => one.dataset.colour)"
        assert opened.evaluate(offered) == ["#ff0000", "#00ff00", "#0000ff"]
        assert opened.is_hidden("#views"), "no spread of classes"
        opened.click("#palette [data-colour='#0000ff']")
        stroke(opened, (0.2, 0.2), (0.8, 0.3), (0.5, 0.8))
        settle(opened)
        with opened.expect_download() as saved:
            opened.click("#save")
        with Image.open(saved.value.path()) as picture:
            indices, rgb = np.array(picture), np.array(picture.convert("RGB"))
        assert (picture.mode, indices.shape) == ("P", (20, 28))
        assert len(np.unique(indices)) > 1
        assert all((rgb[indices == value] == colours[value]).all() for value in np.unique(indices))
        shown = opened.evaluate(PIXELS)
        np.testing.assert_array_equal(np.reshape(shown, (20, 28, 4))[..., :3], rgb)


def test_webassembly_goes_on_where_there_is_no_webgpu(address: str, open_page: Callable[..., Any]) -> None:
    page = open_page(f"{address}?engine=webgpu")
    if page.evaluate("navigator.gpu?.requestAdapter().then(Boolean)"):
        pytest.skip("this browser has WebGPU")
    said: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    for number in (1, 2):
        stroke(page, (0.2, 0.2), (0.8, 0.2 * number))
        settle(page)
        assert len(set(canvases(page, "#tiles canvas"))) == 8
    assert page.evaluate("tandem.engine.provider()") == "wasm"
    assert any("WebGPU is left out: Error: this page or this browser does not have it" in text for text in said)


def test_a_browser_that_does_not_start_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if missing_browser():
        pytest.skip("Playwright is needed")
    fake = tmp_path / "chromium"
    fake.write_text("#!/bin/sh\nexit 5\n")
    fake.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")

    def start() -> None:
        with browser():
            pass

    with ThreadPoolExecutor(1) as thread, pytest.raises(TandemError, match=f"browser {fake} fails: Browser"):
        thread.submit(start).result()


def test_a_driver_that_ends_is_a_message_and_errors_of_ours_stay() -> None:
    if missing_browser():
        pytest.skip("Playwright and a browser are needed")

    def start(error: Exception) -> None:
        with browser():
            raise error

    with ThreadPoolExecutor(1) as thread:
        with pytest.raises(TandemError, match="fails: Connection closed while reading from the driver"):
            thread.submit(start, Exception("Connection closed while reading from the driver")).result()
        with pytest.raises(ZeroDivisionError):
            thread.submit(start, ZeroDivisionError()).result()


def test_what_cannot_be_exported(
    bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    other = tmp_path / "other"
    other.mkdir()
    (other / "notes.txt").write_text("mine")
    with pytest.raises(ConfigError, match="holds other files, and no page"):
        export_web(bundle, other, name="shoes", runtime=other)
    with pytest.raises(ConfigError, match="does not hold onnxruntime-web"):
        find_runtime(other)
    (other / "ort.wasm.bundle.min.mjs").write_text("another one")
    with pytest.raises(ConfigError, match="another file, or damaged"):
        find_runtime(other)
    with pytest.raises(ConfigError, match="is not the archive of onnxruntime-web"):
        find_runtime(other / "notes.txt")
    monkeypatch.setenv("TANDEM_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(DownloadError, match=r"npm \(Node.js\) is not installed.*--runtime onnxruntime-web"):
        find_runtime()
    for words, says in (
        (["--to", "onnx", "--single-file"], "--single-file goes with --to web only"),
        (["--to", "web"], "--to web needs --out"),
        (["--to", "web", "--single-file", "--out", "page"], "must end in '.html'"),
    ):
        assert tandem_main(["export", str(bundle), *words]) == 2
        assert says in capsys.readouterr().err
