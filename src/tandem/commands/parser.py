"""From words to options: the parser of every command, its help and its messages come from the fields of option classes.

`argparse` splits words into options and values and formats the help. Names and values are checked here, so that all
that is wrong is said at once, and in the words of the options.
"""

import argparse
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, NoReturn, get_args, get_origin

from tandem.config.options import REQUIRED, Option, names_of, options_of, refuse
from tandem.config.values import MisfitError, convert, how_many, is_many, parts, to_text
from tandem.errors import ConfigError, Problem


@dataclass(frozen=True)
class Command:
    """What a command takes.

    Attributes:
        name: Its name, of several words for a part of a command: ``data check``.
        description: A sentence for its help.
        groups: Its option classes by the title of their section in the help; "" has none of its own. The names of
            fields are unique over all of them.
    """

    name: str
    description: str
    groups: Mapping[str, Any] = field(default_factory=dict)

    @property
    def options(self) -> list[Option]:
        """All options, in the order of the help."""
        return [one for group in self.groups.values() for one in options_of(group)]

    @property
    def usage(self) -> str:
        """The command with what it cannot do without, on one line."""
        return _usage(self).replace("%%", "%")

    def help(self, defaults: Mapping[str, Any] | None = None) -> str:
        """The help; `defaults` win over those of the fields."""
        return _parser(self, defaults or {}, for_help=True).format_help()

    def values(self, arguments: Sequence[str], defaults: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """The values of the options that are given, by field.

        Args:
            arguments: The words after the command's name.
            defaults: What the help shows instead of the fields' defaults.

        Raises:
            ConfigError: There is no such option, a required one is missing, or a value is not of the option's type; all
                of them are named.
            SystemExit: ``--help`` was given; the help has been printed.
        """
        found, rest = _split(self, arguments)
        if found.pop("help", False):
            _print_help(self.help(defaults))
        words, problems = _sorted_out(self, arguments, rest)
        given = found | words
        values: dict[str, Any] = {}
        for one in self.options:
            if one.field in given:
                try:
                    values[one.field] = read_words(one, given[one.field])
                except ConfigError as error:
                    problems += error.problems
        missing = [one.flag for one in self.options if one.default is REQUIRED and one.field not in given]
        if missing and not any(problem.is_unknown for problem in problems):  # they may be meant for these
            text = f"missing: {', '.join(missing)} ('tandem {self.name} --help' says more)"
            problems.append(Problem(text, missing[0]))
        refuse(problems)
        return values

    def values_among_others(self, arguments: Sequence[str]) -> dict[str, Any]:
        """As `values`, of the options with a name alone; all other words are passed over, ``--help`` too."""
        found, _ = _split(self, arguments)
        return {one.field: read_words(one, found[one.field]) for one in self.options if one.field in found}

    def parse(self, arguments: Sequence[str]) -> list[Any]:
        """An object of each option class, in their order.

        Raises:
            ConfigError: As for `values`, or values are out of bounds or don't fit together.
            SystemExit: ``--help`` was given.
        """
        return build(self.values(arguments), *self.groups.values())


def build(values: Mapping[str, Any], *classes: Any) -> list[Any]:
    """An object of each of some option classes, which take their fields from `values` and pass over the others.

    Raises:
        ConfigError: Values are out of bounds or don't fit together; all that is wrong is named.
    """
    built: list[Any] = []
    problems: list[Problem] = []
    for cls in classes:
        try:
            built.append(cls(**{name: values[name] for name in names_of(cls) if name in values}))
        except ConfigError as error:
            problems += error.problems
    refuse(problems)
    return built


def read_words(one: Option, given: Sequence[str] | str | bool) -> Any:
    """The value of an option from what was written for it.

    Raises:
        ConfigError: It is not of the option's type.
    """
    if one.declared.read is not None:
        assert isinstance(given, str)
        return one.declared.read(given)
    try:
        if one.declared.positional and isinstance(given, str):  # a file may be called null
            return _first_fit(one.hint, given)
        return convert(_many_of(one.hint) if isinstance(given, list) else one.hint, given, from_text=True)
    except MisfitError as error:
        raise ConfigError(problems=[one.misfit(" ".join(given) if isinstance(given, list) else given)]) from error


def _first_fit(hint: Any, given: str) -> Any:
    for part in parts(hint):
        try:
            return convert(part, given, from_text=True)
        except MisfitError:
            continue
    raise MisfitError


def _many_of(hint: Any) -> Any:
    return next(part for part in parts(hint) if is_many(part))


class _Splitter(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise AssertionError(f"argparse refuses what it should leave to us: {message}")


def _split(command: Command, arguments: Sequence[str]) -> tuple[dict[str, Any], list[str]]:
    """What was written for each option with a name; the words that belong to none."""
    parser = _parser(command, {}, for_help=False)
    try:
        found, rest = parser.parse_known_args(list(arguments))
    except argparse.ArgumentError as error:
        names = (error.argument_name or "").split("/")
        one = next((one for one in command.options if one.flag in names), None)
        if one is None:
            raise ConfigError("--help takes no value.", option="--help") from error
        if one.is_two_way:
            text = f"{' and '.join(names)} take no value: the one says yes, the other one no"
        elif one.hint is bool:
            text = f"{one.flag} takes no value: leave it out to say no"
        else:
            text = f"{one.flag} needs a value: {one.allowed}"
        raise ConfigError(problems=[Problem(text, one.flag)]) from error
    return vars(found), rest


def _sorted_out(
    command: Command, arguments: Sequence[str], rest: Sequence[str]
) -> tuple[dict[str, Any], list[Problem]]:
    """Deal the words without a name out to the positional options, and say which are too many or misspelt."""
    cut = rest.index("--") if "--" in rest else len(rest)
    unknown = [word for word in rest[:cut] if word.startswith("-") and not _is_number(word)]
    if unknown:
        from tandem.commands.unknown import unknown_options  # noqa: PLC0415  (start-up time)

        return {}, unknown_options(command, arguments, unknown)
    words = [*rest[:cut], *rest[cut + 1 :]]
    dealt: dict[str, Any] = {}
    for one in command.options:
        if not one.declared.positional or not words:
            continue
        if is_many(parts(one.hint)[0]):
            dealt[one.field], words = words, []
        else:
            dealt[one.field], *words = words
    if words:
        number = "is one argument" if len(words) == 1 else f"are {len(words)} arguments"
        return dealt, [Problem(f"there {number} too many: {' '.join(words)}", None, " ".join(words))]
    return dealt, []


def _is_number(word: str) -> bool:
    try:
        float(word)
    except ValueError:
        return False
    return True


def _parser(command: Command, defaults: Mapping[str, Any], *, for_help: bool) -> argparse.ArgumentParser:
    parser = _Splitter(
        prog=f"tandem {command.name}",
        usage=_usage(command),
        description=command.description,
        exit_on_error=False,
        allow_abbrev=False,
        add_help=False,
    )
    parser.add_argument("-h", "--help", action="store_true", default=argparse.SUPPRESS, help="show this help and end")
    for title, group in command.groups.items():
        section = parser.add_argument_group(title) if title else parser
        for one in options_of(group):
            help_text = _help(one, defaults.get(one.field, one.default))
            if not one.declared.positional:
                section.add_argument(one.flag, dest=one.field, help=help_text, **_shape(one))
            elif for_help:
                section.add_argument(one.field, metavar=one.flag, nargs="?", help=help_text)
    return parser


def _shape(one: Option) -> dict[str, Any]:
    """How many words an option takes and what stands for them in the help."""
    if one.hint is bool:
        action = argparse.BooleanOptionalAction if one.is_two_way else "store_true"
        return {"action": action, "default": argparse.SUPPRESS}
    several = next((part for part in parts(one.hint) if is_many(part)), None)
    shape: dict[str, Any] = {"default": argparse.SUPPRESS, "metavar": _metavar(one)}
    if one.declared.repeated:
        shape["action"] = "append"
    elif several is not None and one.declared.read is None:
        shape["nargs"] = how_many(several) or "+"
    return shape


def _metavar(one: Option) -> str:
    if one.declared.metavar is not None:
        return one.declared.metavar
    words = [word for part in parts(one.hint) for word in _metavar_words(part)]
    if not words:
        return one.flag.removeprefix("--").replace("-", "_").upper()
    return words[0] if len(words) == 1 else f"{{{','.join(words)}}}"


def _metavar_words(hint: Any) -> list[str]:
    """The choices of a type, or the letter that stands for a number; nothing for text and files."""
    if is_many(hint):
        return _metavar_words(get_args(hint)[0])
    if get_origin(hint) is Literal:
        return [str(choice) for choice in get_args(hint)]
    return {int: ["N"], float: ["X"]}.get(hint, [])


def _usage(command: Command) -> str:
    words = [f"tandem {command.name}"]
    for one in command.options:
        many = "…" if is_many(parts(one.hint)[0]) else ""
        name = one.flag + many if one.declared.positional else f"{one.flag} {_metavar(one)}"
        if one.default is REQUIRED:
            words.append(name)
        elif one.declared.positional:
            words.append(f"[{name}]")
    return " ".join([*words, "[options]"]).replace("%", "%%")


def _help(one: Option, default: Any) -> str:
    if default is REQUIRED:
        note = " (required)"
    elif default in {None, (), ""} or one.declared.one_way:
        note = ""
    else:
        several = isinstance(default, tuple) and one.declared.read is not None
        note = f" (default: {','.join(map(to_text, default)) if several else to_text(default)})"
    return f"{one.declared.help}{note}".replace("%", "%%")


def _print_help(text: str) -> NoReturn:
    sys.stdout.write(text)
    raise SystemExit(0)
