"""Parsing of options: what is meant is found, what is wrong is said."""

import dataclasses
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal

import pytest

from tandem.commands.parser import Command
from tandem.commands.unknown import unknown_key
from tandem.config.options import REQUIRED, Options, option, options_of
from tandem.config.yaml import convert_values, read_file
from tandem.errors import ConfigError, nearest


@dataclass(frozen=True)
class DemoConfig(Options):
    num_things: int = option(3, "how many things")
    rate: float = option(0.5, "how fast")
    kind: Literal["round", "square"] = option("round", "which form")
    limit: int | None = option(None, "how many at most")
    side: int | str = option(7, "how wide")
    shiny: bool = option(False, "whether they shine")


MAKE = Command("make", "Make things.", {"": DemoConfig})


def parsed(*words: str, **defaults: Any) -> dict[str, Any]:
    return dataclasses.asdict(DemoConfig(**(defaults | MAKE.values(words))))


DEFAULTS = {"num_things": 3, "rate": 0.5, "kind": "round", "limit": None, "side": 7, "shiny": False}


@pytest.mark.parametrize(
    ("words", "changes"),
    [
        ([], {}),
        (["--num-things", "5", "--rate=2"], {"num_things": 5, "rate": 2.0}),
        (["--kind", "square", "--shiny"], {"kind": "square", "shiny": True}),
        (["--shiny", "--no-shiny"], {}),
        (["--limit", "4", "--limit", "null"], {}),
        (["--limit", "4", "--side", "8x9"], {"limit": 4, "side": "8x9"}),
        (["--rate", "1e-05"], {"rate": 1e-05}),
    ],
)
def test_options_become_values(words: list[str], changes: dict[str, Any]) -> None:
    assert parsed(*words) == DEFAULTS | changes


def test_other_defaults() -> None:
    assert parsed("--rate", "3", num_things=9, shiny=True) == DEFAULTS | {"num_things": 9, "shiny": True, "rate": 3.0}


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--num-thing", "3"], "there is no option --num-thing. Did you mean --num-things?"),
        (["--num_things=3"], "there is no option --num_things. Did you mean --num-things?"),
        (["--num", "3"], "there is no option --num. Did you mean --num-things?"),
        (["--qqqqqqqq", "-3"], "there is no option --qqqqqqqq."),
        (
            ["--raet", "3", "--knid", "x"],
            "these options do not work:\n"
            "  - there is no option --raet. Did you mean --rate?\n"
            "  - there is no option --knid. Did you mean --kind?",
        ),
        (["words", "here"], "there are 2 arguments too many: words here."),
        (["--num-things", "3.5"], "--num-things must be a whole number, not '3.5'."),
        (["--rate", "fast"], "--rate must be a number, not 'fast'."),
        (["--limit", "some"], "--limit must be a whole number, not 'some'."),
        (["--limit", "1e3"], "--limit must be a whole number, not '1e3'."),
        (["--kind", "sqare"], "--kind must be one of round, square, not 'sqare'. Did you mean square?"),
        (["--kind", "blue"], "--kind must be one of round, square, not 'blue'."),
        (["--rate"], "--rate needs a value: a number."),
    ],
)
def test_what_is_wrong_is_said(words: list[str], message: str) -> None:
    with pytest.raises(ConfigError) as raised:
        parsed(*words)
    assert str(raised.value) == message


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("num_thing: 3", "the configuration file has an unknown key 'num_thing'. Did you mean 'num_things'?"),
        ("shiny: very", "--shiny must be true or false, not 'very'."),
        ("kind: sqare", "--kind must be one of round, square, not 'sqare'. Did you mean square?"),
        ("limit: [1]", "--limit must be a whole number, not [1]."),
        ("words", "--config FILE: the file must hold lines such as 'steps: 1000', not 'words'."),
    ],
)
def test_what_is_wrong_in_a_file_is_said(tmp_path: Path, text: str, message: str) -> None:
    file = tmp_path / "c.yaml"
    file.write_text(text + "\n")
    with pytest.raises(ConfigError) as raised:
        convert_values(read_file(file), options_of(DemoConfig), unknown=partial(unknown_key, MAKE))
    assert str(raised.value) == message.replace("FILE", str(file))


@dataclass(frozen=True)
class PlacesConfig(Options):
    out: Path = option(REQUIRED, "where to")
    where: str = option(REQUIRED, "where from", positional=True)
    others: tuple[Path, ...] = option((), "more of it", positional=True)
    both: tuple[int, int] | None = option(None, "two numbers")
    counts: tuple[int, ...] = option((1, 8), "numbers", at_least=1)


PLACES = Command("make", "Make things.", {"": PlacesConfig})


def test_required_arguments_are_named() -> None:
    with pytest.raises(ConfigError, match=r"missing: --out, WHERE \('tandem make --help' says more\)"):
        PLACES.parse([])


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["null", "--out", "x"], PlacesConfig(Path("x"), "null")),
        (["a", "--out", "-5", "-1e-3", "c"], PlacesConfig(Path("-5"), "a", (Path("-1e-3"), Path("c")))),
        (["--out", "x", "--counts", "3", "-4", "--", "a", "-b"], [["--counts must be at least 1, not -4"]]),
        (["--out=x", "a", "--both", "3", "-4"], PlacesConfig(Path("x"), "a", both=(3, -4))),
        (["a", "--out", "x", "--both", "null", "4"], [["--both must be 2, each a whole number, not 'null 4'"]]),
        (["a", "--out", "x", "--counts", "1", "x"], [["--counts must be one or more, each a whole number"]]),
    ],
)
def test_several_values_and_arguments_without_a_name(words: list[str], expected: Any) -> None:
    if isinstance(expected, list):
        with pytest.raises(ConfigError, match=expected[0][0]) as raised:
            PLACES.parse(words)
        assert raised.value.option == expected[0][0].split()[0]
    else:
        assert PLACES.parse(words) == [expected]


def test_nearest() -> None:
    assert nearest("smaple", ["train", "sample"]) == " Did you mean sample?"
    assert nearest("xyz", ["train", "sample"]) == ""
