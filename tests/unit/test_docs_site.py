"""The hooks of the documentation site."""

import re
from pathlib import Path

import pytest
import yaml

pytest.importorskip("mkdocs", reason="needs the extra 'docs'")

from docs_site import PAGES, ROOT, outside_requests, relink, unbroken


@pytest.mark.parametrize(
    ("source", "page", "written", "expected"),
    [
        ("CONTRIBUTING.md", "docs/contributing.md", "docs/architecture.md#layers", "architecture.md#layers"),
        ("CONTRIBUTING.md", "docs/contributing.md", "CHANGELOG.md", "changelog.md"),
        ("benchmarks/README.md", "docs/benchmarks.md", "../docs/guide/measure.md", "guide/measure.md"),
        ("docs/performance.md", "docs/performance.md", "../benchmarks/README.md#scaling", "benchmarks.md#scaling"),
        ("docs/guide/resume.md", "docs/guide/resume.md", "../../CHANGELOG.md", "../changelog.md"),
        ("docs/methods.md", "docs/methods.md", "guide/data.md", "guide/data.md"),
        ("docs/methods.md", "docs/methods.md", "#pix2pix", "#pix2pix"),
        ("docs/methods.md", "docs/methods.md", "https://arxiv.org/abs/1611.07004", "https://arxiv.org/abs/1611.07004"),
        ("docs/methods.md", "docs/methods.md", "missing.md", "missing.md"),
        ("docs/methods.md", "docs/methods.md", "../missing.md", "../missing.md"),
    ],
)
def test_links_lead_to_pages(source: str, page: str, written: str, expected: str) -> None:
    text = f"Before [`a` text]({written}) and ![a picture](images/demo.png) after."
    assert relink(text, source=source, page=page) == text.replace(written, expected)


def test_of_a_link_to_a_file_that_is_no_page_the_text_remains() -> None:
    text = "see [the baselines](../src/tandem/) and [the licence](../LICENSE)"
    assert relink(text, source="docs/methods.md", page="docs/methods.md") == "see the baselines and the licence"


def test_names_with_dashes_are_kept_on_a_line() -> None:
    html = "<p>use <code>tandem train --batch-size 4</code></p><pre><span></span><code>a-b\nc-d</code></pre>"
    whole = '<span class="unbroken">--batch-size</span>'
    assert unbroken(html) == html.replace("--batch-size", whole)


def test_outside_requests_are_what_a_page_fetches() -> None:
    page = """
    <link rel="stylesheet" href="assets/main.css"><link href="https://fonts.example.org/css" rel="stylesheet">
    <script src="//cdn.example.org/x.js"></script><script src="assets/x.js"></script><img src="images/demo.png">
    <img src="http://example.org/a.png"><a href="https://arxiv.org/abs/1711.11586">a link</a>
    """
    asked = ["https://fonts.example.org/css", "//cdn.example.org/x.js", "http://example.org/a.png"]
    assert outside_requests(page) == asked


def test_every_document_is_in_the_navigation() -> None:
    text = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    entries = yaml.safe_load(re.sub(r"!!python\S+", "", text))["nav"]

    def leaves(node: object) -> list[str]:
        if isinstance(node, dict):
            return [leaf for value in node.values() for leaf in leaves(value)]
        if isinstance(node, list):
            return [leaf for value in node for leaf in leaves(value)]
        return [str(node)]

    documents = {path.relative_to(ROOT / "docs").as_posix() for path in (ROOT / "docs").rglob("*.md")}
    documents |= {Path(page).relative_to("docs").as_posix() for page in PAGES.values()}
    assert sorted(leaves(entries)) == sorted(documents)
