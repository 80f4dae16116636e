"""Hooks of the documentation site: pages from files outside ``docs``, links that work on the site, no outside requests.

The documents are written to be read in the repository, where a link may lead to any file. On the site only pages exist:
links to the files of `PAGES` lead to their pages, and of links to other files of the repository the text remains.
Whatever leads nowhere stays as it is, so that the strict build names it.
"""

import json
import posixpath
import re
from html.parser import HTMLParser
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).parents[1]
PAGES = {
    "examples/python.ipynb": "docs/guide/notebook.md",
    "CHANGELOG.md": "docs/changelog.md",
    "CONTRIBUTING.md": "docs/contributing.md",
    "benchmarks/README.md": "docs/benchmarks.md",
}
"""Files outside ``docs`` that are pages, and where they would be in the repository if they lay in ``docs``."""

_LINK = re.compile(r"(?<!!)\[([^\]]+)\]\(([^)\s]+)\)")
_FETCHED = {"script": "src", "img": "src", "iframe": "src", "source": "src", "video": "src", "link": "href"}


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages whose source lies outside ``docs``."""
    for source, page in PAGES.items():
        content = (ROOT / source).read_text(encoding="utf-8")
        if source.endswith(".ipynb"):
            content = notebook_page(content)
        files.append(File.generated(config, page.removeprefix("docs/"), content=content))
    return files


def notebook_page(notebook: str) -> str:
    """A notebook without outputs as a document: its texts, and its code in blocks."""
    blocks = []
    for cell in json.loads(notebook)["cells"]:
        text = "".join(cell["source"])
        blocks.append(text if cell["cell_type"] == "markdown" else f"```python\n{text}\n```")
    return "\n\n".join(blocks) + "\n"


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:  # noqa: ARG001
    """Make the links of a page those of the site."""
    here = f"docs/{page.file.src_uri}"
    source = next((source for source, there in PAGES.items() if there == here), here)
    return relink(markdown, source=source, page=here)


def on_page_content(html: str, page: Page, config: MkDocsConfig, files: Files) -> str:  # noqa: ARG001
    """Keep names such as ``--batch-size`` on one line, which browsers would break at their dashes."""
    return unbroken(html)


def on_post_build(config: MkDocsConfig) -> None:
    """Refuse a site whose pages would ask another server for something."""
    site = Path(config.site_dir)
    found = {page: outside_requests(page.read_text(encoding="utf-8")) for page in sorted(site.rglob("*.html"))}
    problems = [f"{page.relative_to(site)} fetches {address}" for page, asked in found.items() for address in asked]
    if problems:
        raise PluginError("the pages must work without a network:\n" + "\n".join(problems))


def relink(markdown: str, *, source: str, page: str) -> str:
    """Change the links of a document from those of its file in the repository to those of its page.

    Args:
        markdown: The document.
        source: Where it lies in the repository.
        page: Where its page lies, as if it were a file in ``docs``.
    """

    def changed(match: re.Match[str]) -> str:
        text, target = match[1], match[2]
        address, mark, anchor = target.partition("#")
        if not address or re.match(r"[a-z]+:", address):
            return match[0]
        file = posixpath.normpath(posixpath.join(posixpath.dirname(source), address))
        there = PAGES.get(file, file)
        if there.startswith("docs/"):
            return f"[{text}]({posixpath.relpath(there, posixpath.dirname(page))}{mark}{anchor})"
        return text if (ROOT / file).exists() else match[0]

    return _LINK.sub(changed, markdown)


def unbroken(html: str) -> str:
    """Mark the words with a dash in inline code, so that the stylesheet can keep each on a line."""

    def marked(match: re.Match[str]) -> str:
        return "<code>" + re.sub(r"\S*-\S*", r'<span class="unbroken">\g<0></span>', match[1]) + "</code>"

    return re.sub(r"<code>([^<\n]*)</code>", marked, html)


def outside_requests(html: str) -> list[str]:
    """The addresses on other servers from which a page fetches something when it is opened; links are none."""
    parser = _Fetched()
    parser.feed(html)
    return parser.addresses


class _Fetched(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.addresses: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        address = dict(attrs).get(_FETCHED.get(tag, ""))
        if address is not None and re.match(r"([a-z]+:)?//", address):
            self.addresses.append(address)
