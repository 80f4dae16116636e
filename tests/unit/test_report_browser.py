"""Pages as a browser shows them, on a screen and on a phone: what no reading of the markup can tell.

It takes Playwright (an extra of the developers) and a Chromium or Chrome of the machine; without either the tests are
skipped.
"""

import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from test_report_training import BICYCLEGAN, example_run, health_record, loss_records, train_record

from axe import complaints
from tandem.report.comparison_page import ComparedScore, Comparison, comparison_page
from tandem.report.demo_page import DemoGroup, DemoView, demo_page
from tandem.report.evaluation_page import PictureGroup, both_directions_page, evaluation_page
from tandem.report.grid import save_image
from tandem.report.links import Link
from tandem.report.records import parse_record
from tandem.report.sample_page import SampleGroup, sample_page
from tandem.report.scores import EvaluationReport, LeftOutMetric, MetricResult, Score
from tandem.report.seeds_page import SeedRow, seed_table
from tandem.report.side_by_side import ComparedInput, ModelFacts, SideBySide
from tandem.report.training_page import training_page

pytestmark = pytest.mark.browser
playwright = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed")

WIDE, NARROW = 1400, 400
NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
PAGES = ("training", "sample", "demo", "evaluation", "both directions", "comparison")


def picture(folder: Path, name: str, *, size: tuple[int, int] = (64, 64)) -> str:
    pixels = np.random.default_rng(0).integers(0, 256, (*size, 3), dtype=np.uint8)
    save_image(pixels, folder / name)
    return name


def training(folder: Path) -> str:
    losses = {"gan_encoded": [0.7, 0.6], "l1": [5.0, 2.0], "latent_regression": [0.5, 0.4], "kl": [0.02, 0.03]}
    losses |= {f"another_long_name_of_a_term_{i}": [0.1 + i, 2.0] for i in range(3)} | {"disc_encoded": [1.0, 1.0]}
    run = replace(
        example_run(folder, 0),
        name="a_run_with_a_name_" * 4,
        state="finished",
        records=[*loss_records(losses), parse_record(health_record(0)), parse_record(train_record(3))],
        snapshots=[
            type(example_run(folder, 1).snapshots[0])(step, 4 * step, picture(folder, f"{step}.png", size=(96, 400)))
            for step in range(0, 15_000, 1000)
        ],
        nature=BICYCLEGAN,
        command="tandem train " + " \\\n    ".join(f"--a-long-option-{i} 0.0001234" for i in range(40)),
        changed=[("--learning-rate", "0.00033", "0.0002"), ("--discriminator-filters", "24", "64")],
        facts={"Fingerprint of the training images": "0123456789abcdef" * 4, "Started": "2026-01-02 03:04 UTC"},
        config={"a_long_name_of_an_option": "0.000123456", "data": "/a/long/path/" * 20},
        links=[Link("Options", "0.png")],
    )
    return training_page(run)


def sample(folder: Path) -> str:
    wide = {name: picture(folder, f"{name}.png", size=(32, 64)) for name in ("input", "truth", "out1", "out2", "out3")}
    several = SampleGroup("wide", wide["input"], [(wide[f"out{i}"], f"sample {i}") for i in (1, 2, 3)], wide["truth"])
    single = SampleGroup("single", picture(folder, "a.png"), [(picture(folder, "b.png"), "")], grid="a.png")
    settings = {"model": '"' + "0123456789abcdef" * 4 + '"', "seed": "0"}
    return sample_page("Random samples", [several, single] * 3, provenance=settings)


def demo(folder: Path) -> str:
    one = picture(folder, "d.png")
    group = DemoGroup(
        "00001",
        one,
        one,
        [one] * 12,
        [[one] * 12] * 2,
        picture(folder, "s.png", size=(130, 1560)),
        one,
        [(one, one)] * 3,
    )
    modes = {f"colour {i}": i / 28 for i in range(8)}
    view = DemoView(
        headline="One drawing, many plausible objects",
        subtitle="A small model.",
        summary="Counted.",
        frequencies={"true": modes, "tandem": modes, "BicycleGAN": modes, "pix2pix with noise": modes},
        beside=["BicycleGAN, 1,350 steps", "pix2pix with noise, 2,550 steps"],
        groups=[group] * 3,
        training_pages={"BicycleGAN": one},
        next_steps=[("Use it", "tandem " + "--option value " * 20)],
        figures=[("Modes", "3.5 of 8", "1,500 steps")],
    )
    return demo_page(view)


def report(direction: str) -> EvaluationReport:
    scores = tuple(
        Score(
            name=f"a-metric-with-a-long-name-{i}",
            value=0.123456,
            better="lower",
            count=5000,
            standard_error=0.00123456,
            low=0.0987654,
            high=0.157654,
            method="percentile bootstrap",
            note="unreliable: fewer images than features, so that its value says little",
        )
        for i in range(4)
    )
    result = MetricResult(metric="m", title="M", scores=scores, depends_on={"sha256": "0123456789abcdef" * 4})
    return EvaluationReport(
        versions={"torch": "2.13.0+cpu"},
        subject={"kind": "model", "path": "runs/with/a/long/path/" * 4, "direction": direction},
        data={"path": "datasets/with/a/long/path/" * 4, "num_inputs": 5000, "num_real": 5000},
        settings={"seed": 0, "values": list(range(40))},
        results=(result,),
        left_out=tuple(LeftOutMetric(metric=f"metric{i}", reason="its weights are not there") for i in range(9)),
        warnings=("5000 images are too few for 0.0987654 to 0.157654.",),
    )


def evaluation(folder: Path) -> str:
    groups = [PictureGroup("The worst", (("00001", picture(folder, "g.png", size=(84, 530))),))]
    return evaluation_page(report(""), groups)


def both(folder: Path) -> str:
    groups = [PictureGroup("The worst", (("00001", picture(folder, "g.png", size=(84, 530))),))]
    return both_directions_page([(report("AtoB"), groups), (report("BtoA"), groups)])


def comparison(folder: Path) -> str:
    names = [f"runs/a-long-name-{i}" for i in range(4)]
    scores = dict.fromkeys(names, report("").scores[0])
    differing = [(), ("resizer",), ("resizer",), ("inputs", "real images")]
    row = SeedRow("ssim", "↑", 0.123456, 0.000123, (0.123, 0.124), {"seed-0": 0.1234, "seed-1": 0.1235})
    outputs = {
        name: [(picture(folder, f"{index}-{k}.png"), f"sample {k}") for k in range(3)]
        for index, name in enumerate(names)
    }
    inputs = [
        ComparedInput(f"input-{i}", picture(folder, "a.png"), picture(folder, "b.png"), outputs) for i in range(2)
    ]
    sizes = {path: (64, 64) for one in inputs for path in one.pictures}
    models = [
        ModelFacts(name, "bicyclegan", "60,000", "256×256 px", "8", "AtoB", "resize to 256x256 px") for name in names
    ]
    return comparison_page(
        Comparison(
            names,
            [ComparedScore(f"a-metric-with-a-long-name-{i}", "lower", scores, d) for i, d in enumerate(differing)],
            [seed_table("Over seeds", "The last measurement.", {"a-long-name-of-a-setting": [row], "another": [row]})],
            ["They differ in their inputs."],
            SideBySide(models, {"AtoB": inputs}, ["one could not be read"], sizes),
        )
    )


BUILDERS: dict[str, Callable[[Path], str]] = dict(
    zip(PAGES, (training, sample, demo, evaluation, both, comparison), strict=True)
)


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    found = next(filter(None, map(shutil.which, NAMES)), None)
    if found is None:
        pytest.skip("there is no Chromium or Chrome on this machine")
    with playwright.sync_playwright() as started:
        chromium = started.chromium.launch(executable_path=found, args=["--no-sandbox"])
        yield chromium
        chromium.close()


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The pages' addresses by their names."""
    addresses = {}
    for name, build in BUILDERS.items():
        folder = tmp_path_factory.mktemp(name.replace(" ", "-"))
        (folder / "index.html").write_text(build(folder), encoding="utf-8")
        addresses[name] = (folder / "index.html").as_uri()
    return addresses


@pytest.fixture
def show(browser: Any, files: dict[str, str]) -> Iterator[Callable[..., Any]]:
    opened = []

    def show_page(name: str, width: int, *, scheme: str = "light") -> Any:
        context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)
        opened.append(context)
        page = context.new_page()
        page.goto(files[name])
        page.evaluate("for (const fold of document.querySelectorAll('details')) fold.open = true")
        page.evaluate("for (const image of document.images) image.loading = 'eager'")
        page.wait_for_function("[...document.images].every((image) => image.complete && image.naturalWidth)")
        return page

    yield show_page
    for context in opened:
        context.close()


BROKEN_NUMBERS = r"""() => {
  const walker = document.createTreeWalker(document.querySelector("main"), NodeFilter.SHOW_TEXT), broken = [];
  let seen = 0;
  while (walker.nextNode()) {
    const node = walker.currentNode;
    if (node.parentElement.closest("svg, pre")) continue;
    for (const match of node.data.matchAll(/(?<![\w/.-])\d[\d.,]{0,20}(?: to \d[\d.,]{0,20})?(?![\w/-])/g)) {
      const range = document.createRange();
      range.setStart(node, match.index);
      range.setEnd(node, match.index + match[0].length);
      seen += 1;
      if (new Set([...range.getClientRects()].map((box) => Math.round(box.top))).size > 1) broken.push(match[0]);
    }
  }
  return [seen, broken];
}"""


@pytest.mark.parametrize("width", [WIDE, NARROW])
@pytest.mark.parametrize("name", PAGES)
def test_nothing_scrolls_sideways_and_no_number_is_broken(show: Callable[..., Any], name: str, width: int) -> None:
    page = show(name, width)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    seen, broken = page.evaluate(BROKEN_NUMBERS)
    assert seen >= 3
    assert broken == []


@pytest.mark.parametrize(("width", "least"), [(WIDE, 160), (NARROW, 150)])
def test_input_ground_truth_and_outputs_have_one_size(show: Callable[..., Any], width: int, least: int) -> None:
    page = show("sample", width)
    sizes = page.evaluate(
        "[...document.querySelectorAll('section')].map((one) => [...one.querySelectorAll('.tiles img')]"
        ".map((image) => [image.getBoundingClientRect().width, image.getBoundingClientRect().height]))"
    )
    groups = [group for group in sizes if group]
    assert [len(group) for group in groups] == [5, 2] * 3
    for group in groups:
        assert np.ptp(np.array(group), axis=0).max() <= 1
        assert np.array(group)[:, 0].min() >= least
    # A click leads to the picture at its full size.
    assert page.evaluate("[...document.querySelectorAll('figure img')].every((i) => i.parentElement.href === i.src)")


def test_pictures_have_their_places_before_they_are_loaded(browser: Any, files: dict[str, str]) -> None:
    boxes = "[...document.images].map((one) => Object.values(one.getBoundingClientRect().toJSON()))"
    found = []
    for is_slow in (True, False):
        page = browser.new_page(viewport={"width": WIDE, "height": 900})
        if is_slow:
            page.route("**/*.png", lambda _: None)  # never answered
        page.goto(files["comparison"], wait_until="domcontentloaded")
        page.evaluate("for (const image of document.images) image.loading = 'eager'")
        if not is_slow:
            page.wait_for_function("[...document.images].every((image) => image.complete && image.naturalWidth)")
        assert page.evaluate("[...document.images].some((one) => one.naturalWidth)") is not is_slow
        found.append(page.evaluate(boxes))
        page.close()
    assert found[0] == found[1]


def test_snapshots_are_a_strip_over_time_on_a_phone_and_a_grid_on_a_screen(show: Callable[..., Any]) -> None:
    boxes = (
        "[...document.querySelectorAll('.snapshots')[0].querySelectorAll('figure')]"
        ".map((one) => [one.id, one.getBoundingClientRect().left, one.getBoundingClientRect().top])"
    )
    wide = show("training", WIDE)
    assert len({top for _, _, top in wide.evaluate(boxes)}) > 1
    assert not wide.is_visible(".steps")
    narrow = show("training", NARROW)
    found = narrow.evaluate(boxes)
    assert len({top for _, _, top in found}) == 1
    assert len(found) == 12
    lefts = [left for _, left, _ in found]
    assert lefts == sorted(lefts, reverse=True)  # time runs to the right
    in_sight = [name for name, left, _ in found if 0 <= left < NARROW / 2]
    assert in_sight == ["step-14000"]
    narrow.evaluate("document.querySelector('.snapshots').style.scrollBehavior = 'auto'")
    narrow.evaluate("document.querySelector('.steps a[href=\"#step-0\"]').click()")
    narrow.wait_for_function("Math.abs(document.getElementById('step-0').getBoundingClientRect().left - 16) < 3")


def test_the_axis_is_chosen_without_a_script(show: Callable[..., Any]) -> None:
    page = show("training", WIDE)
    assert page.evaluate("document.scripts.length") == 0
    assert (page.is_visible(".logarithmic"), page.is_visible(".linear")) == (True, False)
    page.evaluate("document.querySelectorAll('.scales label')[1].click()")
    assert (page.is_visible(".logarithmic"), page.is_visible(".linear")) == (False, True)


CONTRASTS = r"""() => {
  const lum = ([r, g, b]) => [r, g, b].map((v) => v / 255)
    .map((v) => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
    .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
  const rgb = (text) => text.match(/[\d.]+/g).map(Number);
  const ground = (one) => {
    for (let at = one; at; at = at.parentElement) {
      const colour = rgb(getComputedStyle(at).backgroundColor);
      if (colour.length === 3 || colour[3] > 0) return colour;
    }
  };
  const found = {};
  for (const one of document.querySelectorAll("body *")) {
    const text = [...one.childNodes].some((node) => node.nodeType === 3 && node.data.trim());
    if (!text || !one.getClientRects().length) continue;
    const style = getComputedStyle(one), colour = rgb(one.closest("svg") ? style.fill : style.color);
    const [a, b] = [lum(colour), lum(ground(one))].sort((x, y) => y - x);
    const ratio = (a + 0.05) / (b + 0.05), name = one.tagName + "." + one.getAttribute("class");
    found[name] = Math.min(found[name] ?? 99, ratio);
  }
  return found;
}"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("name", ["training", "comparison", "demo"])
def test_text_can_be_read_in_light_and_dark(show: Callable[..., Any], name: str, scheme: str) -> None:
    found = show(name, WIDE, scheme=scheme).evaluate(CONTRASTS)
    assert len(found) >= 5
    assert {text: ratio for text, ratio in found.items() if ratio < 4.5} == {}


@pytest.mark.parametrize(
    ("name", "width", "scheme"),
    [*((name, WIDE, "light") for name in PAGES), ("training", NARROW, "dark"), ("demo", NARROW, "dark")],
)
def test_nothing_keeps_people_from_using_it(show: Callable[..., Any], name: str, width: int, scheme: str) -> None:
    page = show(name, width, scheme=scheme)
    page.evaluate("for (const one of document.querySelectorAll('details')) one.open = true")
    assert complaints(page) == []
