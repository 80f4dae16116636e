"""The tables of docs/coming-from.md say what the translation of the official option names computes."""

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

import official_bicyclegan
import official_pix2pix
from official_bicyclegan import from_official
from official_pix2pix import cyclegan_from_official, pix2pix_from_official
from tandem.config.options import flag

PAGE = (Path(__file__).parents[2] / "docs" / "coming-from.md").read_text(encoding="utf-8")

TRANSLATIONS: dict[str, tuple[Callable[..., tuple[Any, Any]], Mapping[str, Any]]] = {
    "bicyclegan": (from_official, official_bicyclegan._DEFAULTS),
    "pix2pix": (pix2pix_from_official, official_pix2pix._PIX2PIX),
    "cyclegan": (cyclegan_from_official, official_pix2pix._CYCLEGAN),
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


def rows(method: str) -> dict[str, set[str]]:
    """Our options by the official name, from the table of a method."""
    table = re.search(rf"<!-- official names: [^>]*\b{method}\b[^>]* -->\n\n((?:\|.*\n)+)", PAGE)
    assert table is not None, f"there is no table for {method}"
    found: dict[str, set[str]] = {}
    for line in table[1].splitlines()[2:]:
        there, here = line.strip("| ").split(" | ", maxsplit=1)
        for name in re.findall(r"`(\w+)`", there.split(":")[0].split(" (")[0]):
            found[name] = set(re.findall(r"`(--[a-z0-9-]+)", here))
    return found


def changed(translate: Callable[..., tuple[Any, Any]], name: str, values: list[Any]) -> set[str]:
    """The options that differ from the official defaults for any of the values; values of other methods are skipped."""
    plain = [vars(group) for group in translate({}, size=256)]
    options: set[str] = set()
    accepted = 0
    for value in values:
        try:
            groups = translate({name: value}, size=256)
        except ValueError:
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
    assert rows(method)[name] == changed(translate, name, other_values(name, defaults[name]))


def test_the_table_is_read() -> None:
    assert rows("bicyclegan")["netE"] == {"--encoder", "--encoder-depth"}
    assert rows("pix2pix") == rows("cyclegan")
    assert {"niter", "lambda_kl", "sync"} <= rows("bicyclegan").keys()
