"""Options: dataclass fields that know their help text and their bounds.

Every field of a configuration is an option of the command line and a key of the YAML file under the same name,
so the names are unique over all groups of a run.
"""

import dataclasses
import typing
from collections.abc import Callable, Iterator
from typing import Any

from tandem.config.parse import parse_value
from tandem.errors import ConfigError


def option(
    default: Any,
    help: str,
    *,
    at_least: float | None = None,
    above: float | None = None,
    below: float | None = None,
) -> Any:
    """A field with its default, one line of help and the bounds that `out_of_bounds` checks."""
    metadata = {"help": help, "at_least": at_least, "above": above, "below": below}
    return dataclasses.field(default=default, metadata=metadata)


def out_of_bounds(config: Any) -> Iterator[str]:
    """Say of each numeric field of `config` that is outside its bounds what was given and expected."""
    for field in dataclasses.fields(config):
        value = getattr(config, field.name)
        if isinstance(value, bool) or not isinstance(value, int | float):
            continue
        checks: list[tuple[str, str, Callable[[float, float], bool]]] = [
            ("at_least", "at least", lambda x, bound: x >= bound),
            ("above", "above", lambda x, bound: x > bound),
            ("below", "below", lambda x, bound: x < bound),
        ]
        for key, words, holds in checks:
            bound = field.metadata.get(key)
            if bound is not None and not holds(value, bound):
                yield f"{flag(field.name)} must be {words} {bound}, not {value}"


def wrong_types(config: Any) -> Iterator[str]:
    """Say of each field of `config` whose value is not of its type or not one of its choices what is wrong."""
    hints = typing.get_type_hints(type(config))
    for field in dataclasses.fields(config):
        try:
            parse_value(hints[field.name], getattr(config, field.name), flag(field.name))
        except ValueError as error:
            yield str(error)


def refuse(problems: list[str]) -> None:
    """Raise one `ConfigError` that names all `problems`; do nothing when there are none."""
    if len(problems) == 1:
        raise ConfigError(f"{problems[0]}.")
    if problems:
        raise ConfigError("these options do not work:\n" + "\n".join(f"  - {problem}" for problem in problems))


def flag(name: str) -> str:
    """The command-line spelling of a field: ``lambda_kl`` → ``--lambda-kl``."""
    return "--" + name.replace("_", "-")
