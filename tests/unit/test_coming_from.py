"""The tables of docs/coming-from.md are the table of option names, and that says what the translation computes."""

from collections.abc import Callable, Mapping
from typing import Any

import pytest

import official_bicyclegan
import official_pix2pix
from coming_from import PAGE, table_of, with_tables
from official_bicyclegan import from_official
from official_pix2pix import cyclegan_from_official, pix2pix_from_official
from tandem.commands.train import command
from tandem.commands.unknown import Place
from tandem.config.names.entry import PROJECTS
from tandem.config.names.table import find_name
from tandem.config.options import flag

TRANSLATIONS: dict[str, tuple[Callable[..., tuple[Any, Any]], Mapping[str, Any]]] = {
    "bicyclegan": (from_official, official_bicyclegan.DEFAULTS),
    "pix2pix": (pix2pix_from_official, official_pix2pix.PIX2PIX),
    "cyclegan": (cyclegan_from_official, official_pix2pix.CYCLEGAN),
}
OTHER_VALUES: dict[str, list[Any]] = {
    "direction": ["BtoA"],
    "netG": ["unet_128", "resnet_6blocks", "resnet_9blocks"],
    "netD": ["basic_128_multi", "basic_256", "basic", "pixel"],
    "netE": ["conv_256", "resnet_128"],
    "norm": ["batch", "instance"],
    "nl": ["lrelu"],
    "where_add": ["input"],
    "upsample": ["bilinear"],
    "gan_mode": ["vanilla", "lsgan", "wgangp"],
    "init_type": ["xavier"],
}
"""Other values of the options that are words; those of numbers and switches follow from the defaults."""


def said(method: str, name: str) -> set[str]:
    """The options that the table names for an official one, with any value, under a method."""
    entry, place = find_name(name), Place(command(method), method)
    assert entry is not None
    negated = {f"--no-{option[2:]}": option for option in place.flags if option.startswith("--")}
    return {negated.get(option, option) for way in entry.all_ways if place.takes(way) for option in way.options}


def changed(translate: Callable[..., tuple[Any, Any]], name: str, values: list[Any]) -> set[str]:
    """The options that differ from the official defaults for any of the values; values of other methods are skipped."""
    plain = [vars(group) for group in translate({}, size=256)]
    options: set[str] = set()
    accepted = 0
    for value in values:
        try:
            groups = translate({name: value}, size=256)
        except (ValueError, StopIteration):
            continue
        accepted += 1
        for before, group in zip(plain, groups, strict=True):
            options |= {flag(field) for field, now in vars(group).items() if now != before[field]}
    assert accepted, f"no value of {name} was accepted"
    return options


def other_values(name: str, default: Any) -> list[Any]:
    if name in OTHER_VALUES:
        return OTHER_VALUES[name]
    return [not default] if isinstance(default, bool) else [default + 1]


@pytest.mark.parametrize(
    ("method", "name"), [(method, name) for method, (_, names) in TRANSLATIONS.items() for name in names]
)
def test_the_table_names_the_options_that_an_official_one_changes(method: str, name: str) -> None:
    translate, defaults = TRANSLATIONS[method]
    computed = changed(translate, name, other_values(name, defaults[name]))
    assert computed <= said(method, name)
    assert computed or name == "norm"


def test_the_page_has_the_tables() -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert with_tables(page) == page, "python tools/coming_from.py writes them"
    for project in PROJECTS:
        assert f"<!-- option names: {project} -->\n\n{table_of(project)}" in page


def test_a_row_says_what_is_there_and_what_is_here() -> None:
    rows = table_of("bicyclegan").splitlines()
    assert "| `nz` | `--latent-dim` |" in rows
    (upsample,) = (row for row in rows if row.startswith("| `upsample`"))
    assert upsample == ("| `upsample`: `basic`, `bilinear` | `--upsampling`; `basic` is `--upsampling transposed` |")
    (sync,) = (row for row in rows if row.startswith("| `sync`"))
    assert " | – ; " in sync
