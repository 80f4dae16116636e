"""The page to draw on in Firefox: from a plain host of files, from the disk, and from the service."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("aiohttp", reason="aiohttp, by which Firefox is driven, is not installed")

from drawing_page import (
    canvases,
    draw_and_keep_a_style,
    largest_deviation,
    open_files,
    runtime,
    settle,
    stroke,
    visit_twice,
)
from firefox import Connection, Page, executable, firefox
from serving_client import application, serving
from tandem.web.export import export_web
from tandem.web.proof import MOST_OFF
from tiny_bundle import write_bundle

pytestmark = pytest.mark.browser

OURS = ("http://127.0.0.1:", "blob:", "file://", "data:")


@pytest.fixture(scope="module")
def connection(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Connection]:
    found = executable()
    if found is None:
        pytest.skip("there is no Firefox on this machine")
    with firefox(found, tmp_path_factory.mktemp("profile")) as opened:
        yield opened


@pytest.fixture
def open_page(connection: Connection) -> Iterator[Callable[[str], Page]]:
    pages: list[Page] = []
    connection.events.clear()

    def opened_page(address: str) -> Page:
        page = Page(connection, width=1400, height=900)
        pages.append(page)
        page.goto(address)
        page.wait_for_selector("#tiles > li")
        return page

    yield opened_page
    for page in pages:
        page.close()
    assert list(filter(None, map(complaint, connection.events))) == [], "errors of the page, or requests elsewhere"


def complaint(event: Any) -> str | None:
    said = event["params"]
    if event["method"] == "log.entryAdded":
        return said["text"] if said["level"] == "error" else None
    url = said["request"]["url"]
    return None if url.startswith(OURS) else url


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    return write_bundle(tmp_path / "shoes", size=(20, 28))


@pytest.fixture
def no_chromium(monkeypatch: pytest.MonkeyPatch) -> None:
    """An export opens what it writes in Chromium, which other tests look at."""
    runtime()  # takes npm once
    monkeypatch.setenv("PATH", "")


@pytest.mark.usefixtures("connection", "no_chromium")  # in this order
def test_a_folder_and_coming_back_without_its_host(
    bundle: Path, tmp_path: Path, open_page: Callable[[str], Page]
) -> None:
    exported = export_web(bundle, tmp_path / "page", name="shoes", runtime=runtime())
    page = visit_twice(open_page, exported.path, tmp_path)
    assert largest_deviation(page, bundle, size=(20, 28)) <= MOST_OFF


@pytest.mark.usefixtures("connection", "no_chromium")
def test_one_file_from_the_disk(bundle: Path, tmp_path: Path, open_page: Callable[[str], Page]) -> None:
    file = tmp_path / "shoes.html"
    export_web(bundle, file, name="shoes", runtime=runtime(), is_single_file=True, storage="int8")
    page = open_page(f"{file.as_uri()}#seed=11&n=4")
    draw_and_keep_a_style(page)
    open_files(page, tmp_path)


def test_the_service(bundle: Path, tmp_path: Path, open_page: Callable[[str], Page]) -> None:
    with serving(application({"shoes": bundle})) as address:
        page = open_page(f"{address}/#seed=11&n=4")
        draw_and_keep_a_style(page)
        open_files(page, tmp_path)
        before = canvases(page, "#tiles canvas")
        stroke(page, (0.2, 0.2), (0.8, 0.8))
        settle(page)
        assert canvases(page, "#tiles canvas") != before
        page.keyboard.press("Control+z")
        settle(page)
        assert canvases(page, "#tiles canvas") == before
        page.reload()
        settle(page)
        assert canvases(page, "#tiles canvas") == before, "the drawing comes back"
