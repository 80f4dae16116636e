import math
import xml.etree.ElementTree as ET
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import unquote_to_bytes

import numpy as np
import pytest
from jinja2 import UndefinedError

from tandem.report.cells import parts_of
from tandem.report.grid import save_image
from tandem.report.markup import url
from tandem.report.rendering import environment, render_page
from tandem.report.text import duration, memory, number

VOID = {"meta", "link", "img", "br", "hr", "input"}
HOSTILE = "a \"b\" 'c' <script>#1</script> 50%20 ?x=1&amp;;é 日本 \\ :.png"


class Parsed(HTMLParser):
    """What a reader of the page gets; fails on tags that are not closed in order."""

    def __init__(self, document: str) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(str(document))  # Markup would escape what is added to it
        self.close()
        assert self.open == [], f"not closed: {self.open}"

    def handle_starttag(self, tag, attrs):
        assert len({name for name, _ in attrs}) == len(attrs), f"<{tag}> repeats an attribute"
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open, f"</{tag}> closes nothing"
        assert self.open.pop() == tag

    def handle_data(self, data):
        if not self.open or self.open[-1] not in ("style", "script"):
            self.text += data

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attrs for name, attrs in self.elements if name == tag]


def check_page(document: str, folder: Path) -> Parsed:
    """Check what every page promises, against the files in its folder."""
    parsed = Parsed(document)
    assert len(parsed.all("h1")) == 1
    assert parsed.all("html")[0]["lang"] == "en"
    for image in parsed.all("img"):
        assert (folder.joinpath(unquote_to_bytes(image["src"]).decode())).is_file(), image["src"]
        assert image["alt"]
    for anchor in parsed.all("a"):
        target = anchor["href"]
        if target.startswith("#"):
            assert any(attrs.get("id") == target[1:] for _, attrs in parsed.elements)
        else:
            assert folder.joinpath(unquote_to_bytes(target).decode()).is_file(), target
    assert all(cell.get("scope") in ("col", "row") for cell in parsed.all("th"))
    for svg in parsed.all("svg"):
        assert svg["role"] == "img"
        assert svg["aria-label"]
    for tag, attrs in parsed.elements:
        addresses = [attrs[name] for name in ("src", "href", "action", "data") if name in attrs]
        assert all("//" not in address for address in addresses), f"<{tag}> asks for something outside"
    assert "@import" not in document
    assert "url(" not in document
    return parsed


def svgs(document: str) -> list[ET.Element]:
    return [ET.fromstring("<svg" + part.split("</svg>")[0] + "</svg>") for part in document.split("<svg")[1:]]


def picture(folder: Path, name: str) -> str:
    seed = sum(name.encode())
    save_image(np.random.default_rng(seed).integers(0, 256, (8, 8, 3), dtype=np.uint8), folder / name)
    return name


def images_of(part: str) -> list[dict[str, str | None]]:
    found = []
    parser = HTMLParser()
    parser.handle_starttag = lambda tag, attrs: found.append(dict(attrs)) if tag == "img" else None
    parser.feed(part)
    return found


def pieces() -> Any:
    """The macros that pages are made of."""
    return environment().get_template("pieces.html").module


def page(title: str, subtitle: str = "") -> str:
    content = {"groups": [], "with_contents": False, "provenance": []}
    return render_page("sample.html", content, title=title, subtitle=subtitle)


def test_the_check_itself_finds_what_is_wrong(tmp_path):
    whole = page("t")
    check_page(whole, tmp_path)
    for body in (
        "<p>open",
        "</p>",
        '<img src="missing.png" alt="x">',
        "<th>x</th>",
        '<a href="//host">x</a>',
    ):
        with pytest.raises(AssertionError):
            check_page(whole.replace("</main>", f"{body}</main>"), tmp_path)


def test_every_template_can_be_compiled():
    names = environment().list_templates()
    assert {"base.html", "pieces.html", "style.css", "training.html"} <= set(names)
    for name in names:
        environment().get_template(name)


def test_a_value_that_a_page_lacks_is_an_error():
    with pytest.raises(UndefinedError, match="'groups' is undefined"):
        render_page("sample.html", {"with_contents": False, "provenance": []}, title="t")


def test_file_names_that_are_not_text_keep_their_bytes():
    name = b"caf\xe9.png".decode("utf-8", "surrogateescape")
    assert url(name) == "caf%E9.png"
    document = pieces().figure(name, name, name)
    document.encode("utf-8")
    assert 'src="caf%E9.png"' in document


@pytest.mark.parametrize("path", ["/etc/passwd", "//host/x.png", ""])
def test_paths_must_be_relative(path):
    with pytest.raises(ValueError, match="relative"):
        pieces().figure(path, "alt")


def test_a_file_name_cannot_become_another_address():
    for name in ("javascript:alert(1)", "http://host/x.png", "data:text/html,x"):
        (image,) = images_of(pieces().figure(name, "alt"))
        assert ":" not in image["src"]


def test_pieces_escape_every_text():
    text = "<i>\"'&"
    for piece in (
        pieces().notice(text, "warning"),
        pieces().table([text], [[text, text]]),
        pieces().stats([(text, text, text)]),
        pieces().progress_bar(100, text),
        pieces().figure("a.png", text, text),
        page(text, subtitle=text),
    ):
        parsed = Parsed(piece)
        assert parsed.all("i") == []
        values = [value for _, attrs in parsed.elements for value in attrs.values()]
        assert text in parsed.text or text in values


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (0, "0"),
        (0.01234, "0.0123"),
        (4.561, "4.56"),
        (123.4, "123"),
        (1234.5, "1234"),
        (9996, "10k"),
        (78_912, "78.9k"),
        (999_499, "999k"),
        (999_600, "1M"),
        (-2_500_000, "-2.5M"),
        (1.23e-5, "1.2e-05"),
        (3e12, "3e+12"),
        (math.nan, "nan"),
    ],
)
def test_numbers_are_short(value, expected):
    assert number(value) == expected


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        (0.4, "0 s"),
        (59.4, "59 s"),
        (59.6, "1 min 00 s"),
        (3599.6, "1 h 00 min"),
        (12_000, "3 h 20 min"),
        (190_000, "2 d 4 h"),
        (math.inf, "unknown"),
        (-1, "0 s"),
    ],
)
def test_durations_have_two_units(seconds, expected):
    assert duration(seconds) == expected


def test_memory_is_in_readable_units():
    assert (memory(812.4), memory(3482)) == ("812 MB", "3.4 GB")


@pytest.mark.parametrize(
    ("text", "together"),
    [
        ("0.126 (0.0987 to 0.157)", ["0.126", "(0.0987 to 0.157)"]),
        ("★ 14.1 (12.1 to 15.8)", ["★ 14.1", "(12.1 to 15.8)"]),
        ("z is used: samples differ by 11.2 % of the distance.", ["11.2 %"]),
        ("95%, percentile bootstrap ± 0.5", ["95%,", "± 0.5"]),
        ("step 1,500 · 6,000 images", ["1,500", "6,000 images"]),
        ("5.3 of 8", ["5.3 of 8"]),
        ("2026-01-02 03:04 UTC", ["2026-01-02", "03:04"]),
        ("-1.2e-05", ["-1.2e-05"]),
        ("of the best", []),
        ("0" * 64, []),  # a digest of digits must be allowed to break
        ("runs/2026-01-02/x7 v2.0-rc", []),
    ],
)
def test_what_belongs_to_a_number_stays_together(text, together):
    parts = parts_of(text)
    assert "".join(part for part, _ in parts) == text
    assert [part for part, whole in parts if whole] == together
