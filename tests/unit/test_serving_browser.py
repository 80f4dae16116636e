"""The page to draw on, as somebody uses it: in a real browser, against a real service, on the loopback alone."""

import base64
import io
import json
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("starlette", reason="the extra 'serve' is not installed")
pytest.importorskip("uvicorn", reason="the extra 'serve' is not installed")
pytest.importorskip("python_multipart", reason="the extra 'serve' is not installed")

import tandem
from axe import complaints
from cyclegan_bundle import make_cyclegan
from drawing_page import WAIT, canvases, settle, stroke, until
from serving_client import application, opened, pixels, png, serving
from tandem.config.classes import read_classes
from tandem.data.levels import levels_of_classes
from tandem.inference.latents import between
from tandem.prior.distributions import MixturePrior
from tandem.serving.app import Access
from tandem.serving.models import prior_as_json

pytestmark = pytest.mark.browser
playwright = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed")

SCREENSHOTS = Path(__file__).parents[1] / "fixtures" / "page"
NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
MOSTLY_GREEN = """(() => {
  const { data } = document.querySelector('#drawing').getContext('2d').getImageData(0, 0, 400, 400);
  const pixels = Array.from({ length: data.length / 4 }, (_, i) => data.subarray(4 * i, 4 * i + 3));
  return pixels.filter(([red, green, blue]) => green > 90 && Math.max(red, blue) < 90).length > pixels.length / 4;
})()"""
SLOW_CAMERA = """() => {
  const canvas = document.createElement('canvas');
  navigator.mediaDevices.getUserMedia = async () => {
    const context = canvas.getContext('2d');
    const stream = canvas.captureStream(0);
    window.sendPicture = () => {
      context.fillStyle = 'green';
      context.fillRect(0, 0, canvas.width, canvas.height);
      stream.getVideoTracks()[0].requestFrame();
    };
    return stream;
  };
}"""
PIXEL = "[...document.querySelector('#drawing').getContext('2d').getImageData(99, 320, 1, 1).data]"


def executable() -> str | None:
    return next(filter(None, map(shutil.which, NAMES)), None)


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    found = executable()
    if found is None:
        pytest.skip("there is no Chromium or Chrome on this machine")
    with playwright.sync_playwright() as started:
        chromium = started.chromium.launch(executable_path=found, args=["--no-sandbox"])
        yield chromium
        chromium.close()


@pytest.fixture
def open_page(browser: Any) -> Iterator[Callable[..., Any]]:
    contexts, complaints = [], []

    def opened_page(address: str, *, width: int = 1400, height: int = 900, **options: Any) -> Any:
        context = browser.new_context(viewport={"width": width, "height": height}, accept_downloads=True, **options)
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(WAIT)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
        page.on("request", lambda request: complaints.append(request.url) if is_outside(request.url) else None)
        page.goto(address)
        return page

    yield opened_page
    for context in contexts:
        context.close()
    assert complaints == [], "errors of the page, or requests to other places"


def is_outside(url: str) -> bool:
    return not url.startswith(("http://127.0.0.1:", "blob:http://127.0.0.1:", "data:"))


@pytest.fixture
def service(make_bundle: Callable[..., Path]) -> Iterator[str]:
    with serving(application({"shoes": make_bundle("shoes"), "other": make_bundle("other", size=(16, 32))})) as address:
        yield address


def test_a_stroke_changes_all_outputs_and_undo_brings_them_back(service: str, open_page: Callable[..., Any]) -> None:
    page = open_page(service)
    page.wait_for_selector("#tiles li")
    assert page.is_visible("#hint")
    stroke(page, (0.2, 0.2), (0.8, 0.3), (0.5, 0.8))
    settle(page)
    first = canvases(page, "#tiles canvas")
    assert len(first) == 8
    assert len(set(first)) > 1, "the samples differ"
    assert not page.is_visible("#hint")
    stroke(page, (0.1, 0.9), (0.9, 0.9))
    settle(page)
    second = canvases(page, "#tiles canvas")
    assert all(a != b for a, b in zip(first, second, strict=True))
    page.keyboard.press("Control+z")
    settle(page)
    assert canvases(page, "#tiles canvas") == first
    page.keyboard.press("Control+Shift+z")
    settle(page)
    assert canvases(page, "#tiles canvas") == second
    page.keyboard.press("e")
    assert page.get_attribute("[data-tool=erase]", "aria-checked") == "true"
    page.click("[data-tool=fill]")
    page.click("#drawing", position={"x": 8, "y": 8})
    settle(page)
    assert canvases(page, "#tiles canvas") != second


def test_what_is_shown_is_what_the_library_gives(
    make_bundle: Callable[..., Path], open_page: Callable[..., Any]
) -> None:
    bundle = make_bundle("shoes")
    with serving(application({"shoes": bundle}, max_batch=1)) as address:
        page = open_page(f"{address}/#model=shoes&seed=11&n=4")
        page.wait_for_selector("#tiles li")
        stroke(page, (0.2, 0.2), (0.8, 0.8))
        settle(page)
        sent = page.evaluate("""async () => {
          const { Drawing } = await import('/drawing.js');
          const canvas = document.querySelector('#drawing');
          return btoa(String.fromCharCode(...Drawing.prototype.picture.call({ canvas }, 16, 16).data));
        }""")
        with page.expect_download() as saved:
            page.click("#save")
        with page.expect_download() as saved_z:
            page.click("#save-z")
        frame = np.frombuffer(base64.b64decode(sent), np.uint8).reshape(16, 16, 4)
        translator = tandem.load(bundle, device="cpu", max_batch=1)
        shown = opened(Path(saved.value.path()).read_bytes())[:, :, :3]
        np.testing.assert_array_equal(shown, translator(frame, 4, seed=11, output="array")[0])
        z = json.loads(Path(saved_z.value.path()).read_text())
        np.testing.assert_array_equal(np.float32(z), translator.sample_z(1, seed=11))
        page.close()


def test_the_pad_moves_one_style_and_a_kept_one_stays(service: str, open_page: Callable[..., Any]) -> None:
    page = open_page(service)
    page.wait_for_selector("#tiles li")
    page.click("#examples button")
    settle(page)
    until(page, "document.querySelector('#pad').dataset.map === '25'")
    before = canvases(page, "#tiles canvas")
    page.click("#tiles li:nth-child(2) > button")
    box = page.locator("#pad").bounding_box()
    page.mouse.click(box["x"] + 0.9 * box["width"], box["y"] + 0.1 * box["height"])
    settle(page)
    moved = canvases(page, "#tiles canvas")
    assert [a != b for a, b in zip(before, moved, strict=True)] == [False, True] + [False] * 6
    page.focus("#pad")
    page.keyboard.press("ArrowLeft")
    settle(page)
    keyed = canvases(page, "#tiles canvas")
    assert keyed[1] != moved[1]
    page.click("#lock")
    page.click("#shuffle")
    settle(page)
    shuffled = canvases(page, "#tiles canvas")
    assert [a == b for a, b in zip(keyed, shuffled, strict=True)] == [False, True] + [False] * 6
    page.click("#like")
    settle(page)
    assert canvases(page, "#tiles canvas")[1] == shuffled[1]
    page.wait_for_selector("#strip li:nth-child(9)")
    page.click("[data-view=guessed]")
    page.wait_for_selector("#note:not([hidden])")
    assert "not calibrated" in page.inner_text("#note")


def test_files_that_are_opened(service: str, open_page: Callable[..., Any], tmp_path: Path) -> None:
    good, broken = tmp_path / "good.png", tmp_path / "broken.png"
    good.write_bytes(png(pixels(3)))
    broken.write_bytes(b"\x89PNG\r\n\x1a\n and nothing else")
    page = open_page(service)
    page.wait_for_selector("#tiles li")
    page.set_input_files("#file", good)
    settle(page)
    first = canvases(page, "#tiles canvas")
    page.set_input_files("#file", broken)
    page.wait_for_selector("#alert:not([hidden])")
    assert "broken.png is not a picture" in page.inner_text("#alert")
    assert canvases(page, "#tiles canvas") == first, "the drawing stays"
    page.set_input_files("#reference-file", good)
    until(page, "document.querySelector('#alert').textContent.includes('has the style of good.png')")
    settle(page)
    assert canvases(page, "#tiles canvas")[0] != first[0]
    assert page.get_attribute("#lock", "aria-pressed") == "true"


def test_a_picture_is_taken_with_the_camera(service: str, browser: Any, open_page: Callable[..., Any]) -> None:
    assert open_page(service).is_hidden("#camera"), "there is none on this machine"
    with_camera = ["--no-sandbox", "--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"]
    chromium = browser.browser_type.launch(executable_path=executable(), args=with_camera)
    page = chromium.new_page()
    page.set_default_timeout(WAIT)
    page.goto(service)
    for answer in ("Escape", "Enter"):  # the button that takes it has the focus
        assert page.is_visible("#hint"), "nothing has been drawn"
        page.click("#camera")
        until(page, "!document.querySelector('#camera-take').disabled")
        page.keyboard.press(answer)
        until(page, "document.querySelector('#camera-video').srcObject === null")
    settle(page)
    until(page, MOSTLY_GREEN)  # Chromium's own camera shows a green field, over which something white moves
    assert len(set(canvases(page, "#tiles canvas"))) > 1
    chromium.close()


def test_the_camera_is_waited_for(service: str, open_page: Callable[..., Any]) -> None:
    """A camera that is on and has sent no picture yet has none to take."""
    page = open_page(service)
    page.evaluate(SLOW_CAMERA)
    page.evaluate("document.querySelector('#camera').click()")
    until(page, "document.querySelector('#camera-view').open")
    page.wait_for_timeout(300)
    page.keyboard.press("Enter")  # the other button, which leaves
    until(page, "document.querySelector('#camera-video').srcObject === null")
    assert page.is_visible("#hint"), "nothing has been drawn"
    assert page.is_hidden("#alert"), "and nothing is wrong"
    page.evaluate("document.querySelector('#camera').click()")
    until(page, "document.querySelector('#camera-view').open")
    assert page.is_disabled("#camera-take")
    page.evaluate("window.sendPicture()")
    until(page, "!document.querySelector('#camera-take').disabled")
    page.keyboard.press("Enter")
    until(page, "document.querySelector('#camera-video').srcObject === null")
    settle(page)
    assert page.evaluate(PIXEL) == [0, 128, 0, 255]


def test_a_link_carries_the_styles_and_a_reload_the_drawing(service: str, open_page: Callable[..., Any]) -> None:
    page = open_page(service)
    page.wait_for_selector("#tiles li")
    page.click("#examples button")
    page.click("#tiles li:nth-child(3) > button")
    page.click("#like")
    settle(page)
    before, address = canvases(page, "#tiles canvas"), page.url
    assert "z=" in address
    page.reload()
    settle(page)
    assert page.url == address
    assert canvases(page, "#tiles canvas") == before
    page.click("#shuffle")
    settle(page)
    assert canvases(page, "#tiles canvas") != before
    page.go_back()
    settle(page)
    assert canvases(page, "#tiles canvas") == before
    page.select_option("#model", "other")
    until(page, "location.hash.includes('model=other') && location.hash.includes('seed')")
    settle(page)
    assert page.evaluate("document.querySelector('#output').width") == 32
    page.goto(f"{service}/#model=nowhere&z=!!")
    page.wait_for_selector("#alert:not([hidden])")


def test_two_tabs_do_not_disturb_each_other(service: str, open_page: Callable[..., Any]) -> None:
    first = open_page(service)
    first.wait_for_selector("#tiles li")
    stroke(first, (0.2, 0.2), (0.8, 0.8))
    settle(first)
    shown = canvases(first, "#tiles canvas")
    second = first.context.new_page()
    second.goto(service)
    second.wait_for_selector("#tiles li")
    assert second.is_visible("#hint"), "its canvas is empty"
    second.select_option("#model", "other")
    stroke(second, (0.8, 0.1), (0.1, 0.9))
    settle(second)
    others = canvases(second, "#tiles canvas")
    assert canvases(first, "#tiles canvas") == shown
    for page, right in ((first, shown), (second, others)):
        page.bring_to_front()
        page.reload()
        settle(page)
        for _ in range(WAIT // 100):  # a tab that was behind another takes its time
            if canvases(page, "#tiles canvas") == right:
                break
            page.wait_for_timeout(100)
        assert canvases(page, "#tiles canvas") == right


@pytest.mark.parametrize("width", [400, 900, 1400])
def test_it_looks_as_stored(service: str, open_page: Callable[..., Any], width: int) -> None:
    """A quarter of the page's size, so that neither fonts nor edges count: TANDEM_STORE=1 stores what there is now."""
    page = open_page(f"{service}/#model=shoes&seed=1", width=width, color_scheme="light", reduced_motion="reduce")
    page.wait_for_selector("#tiles li")
    page.click("#examples button")
    settle(page)
    page.mouse.move(0, 0)
    page.eval_on_selector("#pad", "(pad) => pad.replaceChildren()")  # its pictures are left out where samples take long
    with Image.open(io.BytesIO(page.screenshot())) as opened_now:
        now = np.array(opened_now.convert("RGB").reduce(4), np.float64)
    stored = SCREENSHOTS / f"{width}.png"
    if os.environ.get("TANDEM_STORE"):
        Image.fromarray(np.rint(now).astype(np.uint8)).save(stored, optimize=True)
    with Image.open(stored) as opened_stored:
        before = np.array(opened_stored, np.float64)
    assert now.shape == before.shape
    off = np.abs(now - before).max(axis=2)
    assert (off > 40).mean() < 0.035, "more than its text alone looks otherwise"


def test_a_token_and_both_directions(tmp_path: Path, open_page: Callable[..., Any]) -> None:
    make_cyclegan(tmp_path / "horses")
    with serving(application({"horses": tmp_path / "horses"}, access=Access(token="secret"))) as address:
        page = open_page(f"{address}/#token=secret")
        page.wait_for_selector("#tiles li", state="attached")
        assert "secret" not in page.url
        stroke(page, (0.2, 0.2), (0.8, 0.8))
        until(page, "document.querySelector('#output').width === 16")
        page.wait_for_timeout(500)
        there = canvases(page, "#output")
        assert not page.is_visible("#style")
        page.click("[data-direction=BtoA]")
        page.wait_for_timeout(800)
        assert canvases(page, "#output") != there
        assert "direction=BtoA" in page.url
        page.close()


def test_a_model_of_label_maps_offers_the_colours_of_its_classes(
    make_bundle: Callable[..., Path], open_page: Callable[..., Any]
) -> None:
    classes = read_classes('[["wall",[4],"#ff0000"],["sky",[0],"#0000ff"],["door",[9],"#00ff00"]]', "--classes-a")
    bundle = make_bundle("streets", channels=(3, 3), input_levels=levels_of_classes(classes))
    with serving(application({"streets": bundle})) as address:
        page = open_page(address)
        page.wait_for_selector("#tiles li")
        colours = page.eval_on_selector_all("#palette button", "all => all.map((one) => one.dataset.colour)")
        assert colours == ["#ff0000", "#0000ff", "#00ff00"]
        assert page.evaluate(PIXEL) == [255, 0, 0, 255], "an empty sheet is of the first class"
        assert page.inner_text("#palette span") == "sky", "and the pen of another"
        page.click("#palette button:nth-child(3)")
        assert page.inner_text("#palette span") == "door"
        settle(page)
        before = canvases(page, "#tiles canvas")
        stroke(page, (0.2, 0.2), (0.8, 0.3), (0.5, 0.8))  # whose edges are mixed with what is below
        settle(page)
        assert canvases(page, "#tiles canvas") != before


def test_label_colours(make_bundle: Callable[..., Path], open_page: Callable[..., Any]) -> None:
    palette = ((255, 0, 0), (0, 0, 255))
    with serving(application({"facades": make_bundle("facades")}, palette=palette)) as address:
        page = open_page(address)
        page.wait_for_selector("#palette button")
        page.click("[data-tool=fill]")
        page.click("#palette button:nth-child(2)")
        page.click("#drawing", position={"x": 20, "y": 20})
        stroke(page, (0.5, 0.5), (0.5, 0.5))
        corner = "[...document.querySelector('#drawing').getContext('2d').getImageData(1, 1, 1, 1).data]"
        assert page.evaluate(corner) == [0, 0, 255, 255]
        page.close()


def test_latents_of_the_page_are_those_of_the_library(service: str, open_page: Callable[..., Any]) -> None:
    """The way between two latents of a mixture, and their coordinates, of which the library knows others."""
    rng = np.random.default_rng(0)
    factors = np.tril(rng.normal(size=(2, 3, 3)), -1) + np.stack([np.diag([0.5, 1, 2])] * 2)
    parts = (np.array([0.3, 0.7]), rng.normal(size=(2, 3)), factors)
    prior = MixturePrior(*(part.astype(np.float32) for part in parts))
    described = prior_as_json(prior)
    start, end = prior.sample(2, seed=1)
    page = open_page(service)
    way, back, at = page.evaluate(
        """async ([prior, start, end]) => {
          const { between, coordinates, latent } = await import('/latent.js');
          const at = coordinates(prior, start);
          return [between(prior, start, end, 7), latent(prior, at), at];
        }""",
        [described, start.tolist(), end.tolist()],
    )
    np.testing.assert_allclose(way, between(start, end, 7, way="spherical", prior=prior), atol=1e-5)
    np.testing.assert_allclose(back, start, atol=1e-5)
    assert np.linalg.norm(at) == pytest.approx(np.linalg.norm(prior.standardise(start)), rel=1e-4)


BROKEN_LINES = """() => {
  const middle = (one) => { const box = one.getBoundingClientRect(); return box.top + box.height / 2; };
  const lines = [".bar", ".board .tools", ".stage .head", ".stage .tools", ".between .head", ".style .spread-out"];
  return lines.filter((line) => {
    const shown = [...document.querySelector(line).querySelectorAll("h1, h2, button, select, input")]
      .filter((one) => one.offsetParent).map(middle);
    return Math.max(...shown) - Math.min(...shown) > 8;
  });
}"""
"""What should stand side by side and does not."""


@pytest.mark.parametrize("width", [360, 760, 1240, 2000])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_fits_and_can_be_read(service: str, open_page: Callable[..., Any], width: int, scheme: str) -> None:
    page = open_page(service, width=width, color_scheme=scheme)
    page.wait_for_selector("#tiles li")
    page.click("#examples button")
    settle(page)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    nameless = page.evaluate("""() => {
      const isLabelled = (one) => [...(one.labels ?? [])].some((label) => label.querySelector('span')?.offsetParent);
      return [...document.querySelectorAll('button, input, select, [role=img], [role=slider]')]
      .filter((one) => one.offsetParent && one.tabIndex >= 0)
      .filter((one) => !(one.getAttribute('aria-label') || (one.matches('button') && one.textContent.trim())))
      .filter((one) => !isLabelled(one))
      .map((one) => one.outerHTML)
    }""")
    assert nameless == []
    small = page.evaluate("""() => [...document.querySelectorAll('button')].filter((one) => one.offsetParent)
      .filter((one) => { const box = one.getBoundingClientRect(); return box.width < 24 || box.height < 24; })
      .map((one) => one.outerHTML)""")
    assert small == []
    assert page.evaluate(BROKEN_LINES) == []


@pytest.mark.parametrize(("width", "scheme"), [(1400, "light"), (400, "dark")])
def test_nothing_keeps_people_from_using_it(
    width: int, scheme: str, make_bundle: Callable[..., Path], tmp_path: Path, open_page: Callable[..., Any]
) -> None:
    make_cyclegan(tmp_path / "horses")
    with serving(application({"shoes": make_bundle("shoes"), "horses": tmp_path / "horses"})) as address:
        page = open_page(address, width=width, color_scheme=scheme)
        page.wait_for_selector("#tiles li")
        settle(page)
        page.evaluate("for (const one of document.querySelectorAll('details')) one.open = true")
        assert complaints(page) == []
