"""Parsing of options, with messages that name the nearest right option."""

import argparse
import dataclasses
import re
import typing
from collections.abc import Mapping, Sequence
from typing import Any

from jsonargparse import ActionYesNo, ArgumentParser, Namespace

from tandem.config.options import flag
from tandem.errors import ConfigError, nearest


def make_parser(command: str, description: str) -> ArgumentParser:
    """A parser that raises instead of exiting; see `parse`."""
    return ArgumentParser(prog=f"tandem {command}", description=description, exit_on_error=False, allow_abbrev=False)


def add_fields(
    parser: ArgumentParser, cls: type, defaults: Mapping[str, Any], *, only: Sequence[str] | None = None
) -> None:
    """Add one option for each field of a configuration class, or for those in `only`, with its help text."""
    hints = typing.get_type_hints(cls)
    group = parser.add_argument_group(_title(cls))
    for field in dataclasses.fields(cls):
        if only is not None and field.name not in only:
            continue
        help_text = field.metadata["help"]
        default = defaults.get(field.name, field.default)
        if hints[field.name] is bool:
            group.add_argument(flag(field.name), action=ActionYesNo(no_prefix="no-"), default=default, help=help_text)
        else:
            group.add_argument(flag(field.name), type=hints[field.name], default=default, help=help_text)


def parse(parser: ArgumentParser, arguments: Sequence[str]) -> Namespace:
    """Parse, or raise `ConfigError` with a message that says what to change."""
    try:
        return parser.parse_args(list(arguments))
    except argparse.ArgumentError as error:
        raise ConfigError(_explain(parser, str(error))) from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"--config: the file is no text in UTF-8 ({error}).") from error


def _explain(parser: ArgumentParser, message: str) -> str:
    flags = [name for action in parser._actions for name in action.option_strings if name.startswith("--")]
    if match := re.search(r"[Uu]nrecognized arguments: (.*)", message):
        words = match[1].split()
        unknown = [word.split("=")[0] for word in words if word.startswith("--")]
        hints = [f"there is no option {word}.{nearest(word, flags)}" for word in unknown]
        return " ".join(hints) or f"there is one argument too many: {match[1]}."
    if match := re.search(r"following arguments are required: (.*)", message):
        return f"missing: {match[1]} ('{parser.prog} --help' says more)."
    if match := re.search(r'Parser key "([\w.-]+)":\s*(.*)', message, re.DOTALL):
        return f"{flag(match[1])}: {_expected(match[2])}"
    return _explain_file(message, flags)


def _explain_file(message: str, flags: Sequence[str]) -> str:
    if match := re.search(r"Option '([\w.-]+)' is not accepted", message):
        return f"the configuration file has an unknown key '{match[1]}'.{nearest(flag(match[1]), flags)}"
    if match := re.search(r"Value not boolean: (.*)", message):
        return f"the configuration file has '{match[1].rstrip('.')}' where true or false is expected."
    if match := re.search(r"Unexpected config: (.*)", message):
        return f"--config: the file must hold lines such as 'steps: 1000', not '{match[1]:.60}'."
    return message


def _expected(message: str) -> str:
    message = " ".join(message.split())
    if match := re.search(r"Expected a typing\.Literal\[(.*?)\]\. Got value: (.*)", message):
        choices = re.findall(r"'([^']*)'", match[1])
        return f"must be one of {', '.join(choices)}, not '{match[2]}'.{nearest(match[2], choices)}"
    given = re.search(r"Given value: (.*)", message) or re.search(r"Got value: (.*)", message)
    if given and (match := re.search(r"Expected a <class '(\w+)'>", message)):
        words = {"int": "a whole number", "float": "a number", "str": "text", "bool": "true or false"}
        return f"must be {words.get(match[1], match[1])}, not '{given[1]}'."
    return message


def _title(cls: type) -> str:
    name = cls.__name__.removesuffix("Config")
    return name.lower() if name in {"Data", "Training", "Validation"} else f"method ({name})"
