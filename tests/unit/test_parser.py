"""Parsing of options: what is meant is found, what is wrong is said."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import pytest

from tandem.commands.parser import add_fields, make_parser, parse
from tandem.config.options import option
from tandem.errors import ConfigError, nearest


@dataclass(frozen=True)
class DemoConfig:
    num_things: int = option(3, "how many things")
    rate: float = option(0.5, "how fast")
    kind: Literal["round", "square"] = option("round", "which form")
    limit: int | None = option(None, "how many at most")
    side: int | str = option(7, "how wide")
    shiny: bool = option(False, "whether they shine")


def parsed(*words: str, **defaults: Any) -> dict[str, Any]:
    parser = make_parser("make", "Make things.")
    parser.add_argument("--config", action="config")
    add_fields(parser, DemoConfig, defaults)
    values = dict(vars(parse(parser, words)))
    values.pop("config")
    return values


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
            "there is no option --raet. Did you mean --rate? there is no option --knid. Did you mean --kind?",
        ),
        (["words", "here"], "there is one argument too many: words here."),
        (["--num-things", "3.5"], "--num-things: must be a whole number, not '3.5'."),
        (["--rate", "fast"], "--rate: must be a number, not 'fast'."),
        (["--limit", "some"], "--limit: must be a whole number, not 'some'."),
        (["--limit", "1e3"], "--limit: must be a whole number, not '1e3'."),
        (["--kind", "sqare"], "--kind: must be one of round, square, not 'sqare'. Did you mean square?"),
        (["--kind", "blue"], "--kind: must be one of round, square, not 'blue'."),
        (["--rate"], "argument --rate: expected one argument"),
    ],
)
def test_what_is_wrong_is_said(words: list[str], message: str) -> None:
    with pytest.raises(ConfigError) as raised:
        parsed(*words)
    assert str(raised.value) == message


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("num_thing: 3", "the configuration file has an unknown key 'num_thing'. Did you mean --num-things?"),
        ("shiny: very", "the configuration file has 'very' where true or false is expected."),
        ("kind: sqare", "--kind: must be one of round, square, not 'sqare'. Did you mean square?"),
        ("limit: [1]", "--limit: must be a whole number, not '[1]'."),
        ("words", "--config: the file must hold lines such as 'steps: 1000', not 'words'."),
    ],
)
def test_what_is_wrong_in_a_file_is_said(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "c.yaml").write_text(text + "\n")
    with pytest.raises(ConfigError) as raised:
        parsed("--config", str(tmp_path / "c.yaml"))
    assert str(raised.value) == message


def test_required_arguments_are_named() -> None:
    parser = make_parser("make", "Make things.")
    parser.add_argument("where")
    parser.add_argument("--out", required=True)
    with pytest.raises(ConfigError, match=r"missing: where, out \('tandem make --help' says more\)"):
        parse(parser, [])


def test_nearest() -> None:
    assert nearest("smaple", ["train", "sample"]) == " Did you mean sample?"
    assert nearest("xyz", ["train", "sample"]) == ""
