"""All options of all commands: the help shows what classes declare, and what is wrong is said in one way."""

import importlib
import inspect
import os
import pkgutil
import re
import subprocess
import sys
from collections.abc import Iterator
from typing import Any, Literal, get_args, get_origin

import pytest

from tandem import commands
from tandem.cli import COMMANDS
from tandem.commands.bench import BENCHMARKS
from tandem.commands.data import ACTIONS
from tandem.commands.parser import Command, read_words
from tandem.commands.train import command as train_command
from tandem.commands.train import main as train_main
from tandem.config.options import REQUIRED, Option, Options, options_of
from tandem.config.run import METHODS, RunConfig
from tandem.config.values import is_many, parts
from tandem.errors import ConfigError, Problem

TABLES = {"data": ACTIONS, "bench": BENCHMARKS}
MODULES = {name: module for name, (module, _) in COMMANDS.items() if name not in TABLES} | {
    f"{name} {part}": module for name, table in TABLES.items() for part, (module, _) in table.items()
}


def all_commands() -> Iterator[Command]:
    for name, module in MODULES.items():
        if name == "train":
            yield from map(train_command, METHODS)
        else:
            yield importlib.import_module(module).COMMAND


ALL = list(all_commands())
each_command = pytest.mark.parametrize("command", ALL, ids=lambda command: command.name)


def named(command: Command) -> list[Option]:
    return [one for one in command.options if not one.declared.positional]


def parse(command: Command, *words: str) -> None:
    """Parse and check, with what the command cannot do without."""
    if command.name == "train":
        (method,) = (
            group.method for group in command.groups.values() if hasattr(group, "method") and group in METHODS.values()
        )
        train_main(["--print-config", "--method", method, *words])
    else:
        required = [one for one in command.options if one.default is REQUIRED]
        given = [["x"] if one.declared.positional else [one.flag, "x"] for one in required]
        command.parse([*(word for one in given for word in one), *words])


def problems_of(command: Command, *words: str) -> dict[str | None, Problem]:
    """What is said of each option, at once."""
    with pytest.raises(ConfigError) as raised:
        parse(command, *words)
    assert all(problem.text in str(raised.value) for problem in raised.value.problems)
    return {problem.option: problem for problem in raised.value.problems}


def test_no_command_is_left_out() -> None:
    assert {command.name for command in ALL} == MODULES.keys()
    with_main = {
        f"tandem.commands.{module.name}"
        for module in pkgutil.iter_modules(commands.__path__)
        if hasattr(importlib.import_module(f"tandem.commands.{module.name}"), "main")
    }
    assert with_main == {module for module, _ in COMMANDS.values()} | set(MODULES.values())
    assert sum(len(command.options) for command in ALL) > 300


@each_command
def test_names_are_unique_and_all_groups_are_checked(command: Command) -> None:
    names = [one.field for one in command.options]
    flags = [one.flag for one in command.options]
    assert len(set(names)) == len(names)
    assert len(set(flags)) == len(flags)
    of_a_run = {type(group) for method in METHODS.values() for group in RunConfig(objective=method()).groups}
    for group in command.groups.values():
        assert issubclass(group, Options) or group in of_a_run
        declared = [one.field for one in options_of(group)]
        built = [name for name in inspect.signature(group).parameters if name not in {"may_download", "in_training"}]
        assert declared == built, "a field that is no option"


@each_command
def test_every_option_has_a_line_of_help(command: Command) -> None:
    for one in command.options:
        text = one.declared.help
        assert text.strip() == text != "", one.flag
        assert "\n" not in text
        assert not text.endswith(".")


@pytest.fixture
def wide(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "10000")


@pytest.mark.usefixtures("wide")
@each_command
def test_the_help_shows_the_defaults_of_the_classes(command: Command) -> None:
    text = command.help()
    for one in command.options:
        start = one.flag if one.declared.positional else rf"{one.flag}(?:, --no-[\w-]+)?"
        (entry,) = re.findall(
            rf"^  {start}(?: [^\n]*)?\n?(?: +| {{2,}}){re.escape(one.declared.help)}(.*)$", text, re.M
        ) or [None]
        assert entry is not None, one.flag
        if one.default is REQUIRED:
            assert entry == " (required)"
        elif one.default in (None, (), "") or one.declared.one_way:
            assert entry == ""
        else:
            shown = re.fullmatch(r" \(default: (.*)\)", entry)
            assert shown is not None, entry
            words = shown[1].split() if isinstance(one.default, tuple) and one.declared.read is None else shown[1]
            assert read_words(one, words) == one.default


def test_no_help_needs_torch() -> None:
    code = (
        "import sys\nfrom tandem.cli import main\n"
        f"for name in {list(MODULES)!r}:\n"
        "    try:\n        main([*name.split(), '--help'])\n"
        "    except SystemExit as end:\n        assert end.code in (0, None)\n"
        "    else:\n        raise AssertionError(name)\n"
        "    assert not {'torch', 'yaml'} & sys.modules.keys(), name\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=os.environ, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("usage: tandem ") == len(MODULES)


def first_of(one: Option) -> Any:
    """The type of a single value."""
    found = parts(one.hint)[0]
    return get_args(found)[0] if is_many(found) else found


def has_wrong_words(one: Option) -> bool:
    """Whether there is text that is no value of the option."""
    takes_any_text = one.declared.read is not None or str in parts(one.hint)
    return not takes_any_text and (first_of(one) in {int, float} or get_origin(first_of(one)) is Literal)


@each_command
def test_wrong_values_are_named_with_what_is_allowed(command: Command) -> None:
    options = [one for one in named(command) if has_wrong_words(one)]
    found = problems_of(command, *(f"{one.flag}=wrong!" for one in options)) if options else {}
    for one in options:
        problem = found[one.flag]
        assert problem.given == "wrong!"
        assert problem.text.startswith(f"{one.flag} must be ")
        assert "not 'wrong!'" in problem.text
        if get_origin(first_of(one)) is Literal:
            assert all(str(choice) in problem.text for choice in get_args(first_of(one)))
        else:
            assert {int: "a whole number", float: "a number"}[first_of(one)] in problem.text


def outside(one: Option) -> Iterator[tuple[float, float]]:
    """Numbers just out of bounds, each with the bound."""
    declared = one.declared
    step = 1 if int in parts(one.hint) or int in get_args(parts(one.hint)[0]) else 1e-3
    for bound, number in (
        (declared.at_least, lambda bound: bound - step),
        (declared.above, lambda bound: bound),
        (declared.at_most, lambda bound: bound + step),
        (declared.below, lambda bound: bound),
    ):
        if bound is not None:
            yield number(bound), bound


@each_command
def test_numbers_out_of_bounds_are_named_with_the_bound(command: Command) -> None:
    cases = [(one, number, bound) for one in named(command) for number, bound in outside(one)]
    for index in range(2):  # one bound of each option in a call, then the other
        now = [case for i, case in enumerate(cases) if index == (i > 0 and cases[i - 1][0] is case[0])]
        found = problems_of(command, *(f"{one.flag}={number}" for one, number, _ in now)) if now else {}
        for one, number, bound in now:
            text = found[one.flag].text
            assert text.startswith(f"{one.flag} must be ")
            assert f"{bound}" in text
            assert text.endswith((f"not {number}", f"not {float(number)}"))
            near = (one.default, bound, bound + 1, bound - 1, bound + 0.5, bound - 0.5)
            inside = next(n for n in near if is_inside(one, n))
            assert not one.out_of_bounds(inside)


def is_inside(one: Option, number: Any) -> bool:
    declared = one.declared
    return (
        isinstance(number, int | float)
        and (declared.at_least is None or number >= declared.at_least)
        and (declared.above is None or number > declared.above)
        and (declared.at_most is None or number <= declared.at_most)
        and (declared.below is None or number < declared.below)
    )


@each_command
def test_misspelt_names_are_told_from_the_right_ones(command: Command) -> None:
    wrong = {one.flag: one.flag + one.flag[-1] for one in named(command)}
    found = problems_of(command, *(word for name in wrong.values() for word in (name, "3")))
    for right, name in wrong.items():
        assert found[name].text == f"there is no option {name}. Did you mean {right}?"


@each_command
def test_missing_values_are_named_with_what_is_allowed(command: Command) -> None:
    options = named(command)
    if command.name == "train" and command is not ALL[0]:
        options = options_of(next(group for title, group in command.groups.items() if title.startswith("method")))
    for one in options:
        if one.hint is bool:
            problem = problems_of(command, f"{one.flag}=true")[one.flag]
            names = f"{one.flag} and --no-{one.flag.removeprefix('--')}" if one.is_two_way else one.flag
            assert problem.text.startswith(f"{names} take")
        else:
            problem = problems_of(command, one.flag)[one.flag]
            assert problem.text == f"{one.flag} needs a value: {one.allowed}"


@pytest.mark.parametrize(
    "command", [command for command in ALL if command.name != "train"], ids=lambda command: command.name
)
def test_python_gets_the_same_checks(command: Command) -> None:
    for group in command.groups.values():
        for one in options_of(group):
            if any(other.default is REQUIRED for other in options_of(group)):
                continue
            with pytest.raises(ConfigError, match=re.escape(f"{one.flag} must be {one.allowed}, not ")) as raised:
                group(**{one.field: object()})
            assert raised.value.option == one.flag
