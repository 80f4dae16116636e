"""Options: dataclass fields that know their help text, their bounds and how they are written.

Every option of a command is a field of a frozen dataclass, declared once with `option`. The parser, the help, the
messages and the checks of the command line come from these fields, and so do the keys of the YAML file; Python callers
build the same classes and get the same checks.
"""

import dataclasses
import typing
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from tandem.config.values import MAX_INTEGER, NULLS, MisfitError, choices, convert, in_words
from tandem.errors import ConfigError, Problem, nearest

REQUIRED: Any = dataclasses.MISSING
"""The default of an option that must be given."""

_KEY = "option"
_MOST_BITS = 10_000


@dataclass(frozen=True, kw_only=True)
class Declaration:
    """What a field knows of its option.

    Attributes:
        help: One line of help.
        at_least: Bound of a number, or of each of several numbers.
        above: Likewise.
        at_most: Likewise.
        below: Likewise.
        name: How it is called on the command line, where that is not the field's name.
        metavar: Stands for the value in the help.
        positional: Whether it is written without a name.
        repeated: Whether the name may be given several times, with one of several values each.
        read: Makes the value of the text of the command line, where the type alone doesn't say how. Raises
            `ConfigError` for text that it can't read.
        one_way: Whether there is no ``--no-`` form: nothing else could have switched it on.
        joins: What stands between several values in its text, which programs may give as a tuple or a list; between
            such groups stands ``;``.
    """

    help: str
    at_least: float | None = None
    above: float | None = None
    at_most: float | None = None
    below: float | None = None
    name: str | None = None
    metavar: str | None = None
    positional: bool = False
    repeated: bool = False
    read: Callable[[str], Any] | None = None
    one_way: bool = False
    joins: str | None = None


def option(
    default: Any,
    help: str,
    *,
    at_least: float | None = None,
    above: float | None = None,
    at_most: float | None = None,
    below: float | None = None,
    name: str | None = None,
    metavar: str | None = None,
    positional: bool = False,
    repeated: bool = False,
    read: Callable[[str], Any] | None = None,
    one_way: bool = False,
    joins: str | None = None,
) -> Any:
    """A field with its default (or `REQUIRED`), one line of help, and what else `Declaration` holds."""
    declaration = Declaration(
        help=help,
        at_least=at_least,
        above=above,
        at_most=at_most,
        below=below,
        name=name,
        metavar=metavar,
        positional=positional,
        repeated=repeated,
        read=read,
        one_way=one_way,
        joins=joins,
    )
    return dataclasses.field(default=default, metadata={_KEY: declaration})


def same(cls: Any, name: str, *, default: Any = None) -> Any:
    """A field that is declared like the field `name` of another option class, with another default if one is given."""
    (field,) = (field for field in dataclasses.fields(cls) if field.name == name)
    return dataclasses.field(default=field.default if default is None else default, metadata=field.metadata)


def read_choices(flag: str, kind: Any) -> Callable[[str], tuple[Any, ...]]:
    """What reads several of the choices `kind` from a text with commas between them, each once; for `option`."""
    known = typing.get_args(kind)

    def read(text: str) -> tuple[Any, ...]:
        names = [] if text in NULLS else [name.strip() for name in text.split(",")]
        refuse(
            Problem(f"{flag} must be among {', '.join(known)}, not '{name}'.{nearest(name, known)}", flag, name)
            for name in names
            if name not in known
        )
        return tuple(dict.fromkeys(names))

    return read


@dataclass(frozen=True)
class Option:
    """A field of an option class with all that is known of it.

    Attributes:
        field: The field's name.
        hint: Its type.
        default: Its default, or `REQUIRED`.
        declared: What it was declared with.
    """

    field: str
    hint: Any
    default: Any
    declared: Declaration

    @property
    def flag(self) -> str:
        """How messages call it: ``--lambda-kl``, or ``DATA`` of a positional one."""
        name = self.declared.name or self.field
        return name.upper() if self.declared.positional else flag(name)

    @property
    def is_two_way(self) -> bool:
        """Whether it is switched on by its name and off by ``--no-NAME``."""
        return self.hint is bool and not self.declared.one_way

    @property
    def allowed(self) -> str:
        """What values it takes, in words."""
        return " ".join(filter(None, (in_words(self.hint), self._bounds)))

    @property
    def _bounds(self) -> str:
        declared = self.declared
        if declared.at_least is not None and declared.at_most is not None:
            return f"from {declared.at_least} to {declared.at_most}"
        words = ("of at least", "above", "of at most", "below")
        bounds = (declared.at_least, declared.above, declared.at_most, declared.below)
        return " and ".join(f"{word} {bound}" for word, bound in zip(words, bounds, strict=True) if bound is not None)

    def misfit(self, given: Any) -> Problem:
        """Say that `given` is not of the option's type."""
        one_of = [str(choice) for choice in choices(self.hint)]
        shown = f"'{given}'" if isinstance(given, str) else _shortened(given)
        allowed = self.allowed
        if isinstance(given, int) and not isinstance(given, bool) and abs(given) > MAX_INTEGER:
            allowed = f"at most {MAX_INTEGER} in magnitude"
        hint = self._meant(given, one_of) if isinstance(given, str) and one_of else ""
        return Problem(f"{self.flag} must be {allowed}, not {shown}{'.' + hint if hint else ''}", self.flag, given)

    def _meant(self, given: str, choices: list[str]) -> str:
        """A hint at the choice that is meant: the one that other projects call so, or one that looks alike."""
        from tandem.config.names.table import value_here  # noqa: PLC0415  (start-up time)

        called = value_here(self.flag, given)
        return f" Did you mean {called}?" if called in choices else nearest(given, choices)

    def out_of_bounds(self, value: Any) -> list[Problem]:
        """Say that a number, or one of several, is out of bounds; what is no number has none."""
        for number in value if isinstance(value, tuple | list) else (value,):
            is_number = isinstance(number, int | float) and not isinstance(number, bool)
            if is_number and (bound := self._broken(number)):
                return [Problem(f"{self.flag} must be {bound}, not {number}", self.flag, value)]
        return []

    def _broken(self, number: float) -> str:
        """The bound that does not hold, in words; empty if all do."""
        declared = self.declared
        if declared.at_least is not None and declared.at_most is not None:
            return "" if declared.at_least <= number <= declared.at_most else self._bounds
        checks = (
            ("at least", declared.at_least, lambda bound: number >= bound),
            ("above", declared.above, lambda bound: number > bound),
            ("at most", declared.at_most, lambda bound: number <= bound),
            ("below", declared.below, lambda bound: number < bound),
        )
        return next(
            (f"{words} {bound}" for words, bound, holds in checks if bound is not None and not holds(bound)), ""
        )


def _shortened(value: Any) -> str:
    # Python refuses to write integers of thousands of digits.
    is_huge = isinstance(value, int) and value.bit_length() > _MOST_BITS
    text = f"a number of {value.bit_length()} bits" if is_huge else str(value)
    return text if len(text) <= 60 else f"{text[:60]}…"


def options_of(cls: Any) -> list[Option]:
    """The options that an option class declares, in their order."""
    hints = typing.get_type_hints(cls)
    return [
        Option(field.name, hints[field.name], field.default, field.metadata[_KEY])
        for field in dataclasses.fields(cls)
        if _KEY in field.metadata
    ]


def names_of(cls: Any) -> list[str]:
    """The fields that are options of an option class."""
    return [one.field for one in options_of(cls)]


def changed(config: Any) -> list[Option]:
    """The options of an object that are not as by default."""
    found = []
    for one in options_of(type(config)):
        value = getattr(config, one.field)
        if value is not one.default and (type(value) is not type(one.default) or value != one.default):
            found.append(one)
    return found


def out_of_bounds(config: Any) -> Iterator[Problem]:
    """Say of each numeric field of `config` that is outside its bounds what was given and expected."""
    for one in options_of(type(config)):
        yield from one.out_of_bounds(getattr(config, one.field))


def wrong_types(config: Any) -> Iterator[Problem]:
    """Say of each field of `config` whose value is not of its type or not one of its choices what is wrong."""
    for one in options_of(type(config)):
        value = getattr(config, one.field)
        try:
            convert(one.hint, value)
        except MisfitError:
            yield one.misfit(value)


class Options:
    """Base of frozen dataclasses of options that are checked when they are built.

    The groups of a run are not of this class, since they are checked together (`tandem.config.run.RunConfig`).

    Raises:
        ConfigError: A value is not of its option's type, or is out of bounds, or options don't fit together; all that
            is wrong is named.
    """

    def __post_init__(self) -> None:
        refuse(wrong_types(self))
        refuse([*out_of_bounds(self), *self.problems()])

    def problems(self) -> Iterable[Problem | str]:
        """Say what does not fit together; asked only where all types are right."""
        return ()


def refuse(problems: Iterable[Problem | str]) -> None:
    """Raise one `ConfigError` that names all `problems`; do nothing when there are none."""
    found = tuple(problem if isinstance(problem, Problem) else Problem(problem) for problem in problems)
    if found:
        raise ConfigError(problems=found)


def flag(name: str) -> str:
    """The command-line spelling of a field: ``lambda_kl`` → ``--lambda-kl``."""
    return "--" + name.replace("_", "-")
