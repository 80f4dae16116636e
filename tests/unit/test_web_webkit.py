"""The page to draw on in WebKit, the engine of Safari: from a plain host of files, and from the disk."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from drawing_page import draw_and_keep_a_style, largest_deviation, open_files, runtime, visit_twice
from tandem.web.export import export_web
from tandem.web.proof import MOST_OFF
from tiny_bundle import write_bundle
from webkit import Page, driver, missing

pytestmark = [pytest.mark.browser, pytest.mark.slow]


@pytest.fixture
def open_page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], Page]]:
    if why := missing():
        pytest.skip(why)
    with driver(tmp_path_factory.mktemp("home")) as address:
        page = Page(address, width=1400, height=1000)

        def opened(address: str) -> Page:
            page.goto(address)
            page.wait_for_selector("#tiles > li")
            return page

        yield opened
        page.close()


def test_a_folder_and_a_file(tmp_path: Path, open_page: Callable[[str], Page]) -> None:
    bundle = write_bundle(tmp_path / "shoes", size=(20, 28))
    exported = export_web(bundle, tmp_path / "page", name="shoes", runtime=runtime())
    page = visit_twice(open_page, exported.path, tmp_path)
    assert largest_deviation(page, bundle, size=(20, 28)) <= MOST_OFF
    file = tmp_path / "shoes.html"
    export_web(bundle, file, name="shoes", runtime=runtime(), is_single_file=True, storage="int8")
    page = open_page(f"{file.as_uri()}#seed=11&n=4")
    draw_and_keep_a_style(page)
    open_files(page, tmp_path)
