"""What is known of an option name of other projects: what to write here, for any value, or why there is nothing."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, get_args

Project = Literal["pix2pix", "bicyclegan", "cut", "joligen", "trainers"]
"""The official repositories of pix2pix and CycleGAN (one), BicycleGAN and CUT; joliGEN; trainers of other kinds."""
PROJECTS: tuple[Project, ...] = get_args(Project)

PLACEHOLDER = "VALUE"
"""Stands for a value that was not given, or has no counterpart here."""
_OTHERS = re.compile(r"\{(\w+)\}")
_TRUE, _FALSE = frozenset({"true", "yes", "on", "1"}), frozenset({"false", "no", "off", "0"})


@dataclass(frozen=True)
class Here:
    """Words that do here what a name does elsewhere.

    Attributes:
        words: As typed. ``{}`` stands for the value, ``{name}`` for that of another name of the table, and ``<DATA>``
            says which argument without a name follows.
        commands: The commands that it is meant for; empty for all that have its options.
    """

    words: str
    commands: tuple[str, ...] = ()

    @property
    def options(self) -> tuple[str, ...]:
        """The options that it names: ``--size``, or ``DATA`` of an argument without a name."""
        return tuple(re.findall(r"(?<!\S)--[a-z][a-z0-9-]*|(?<=<)[A-Z_]+(?=>)", self.words))

    @property
    def argument(self) -> str | None:
        """The argument without a name that it is, if it is one."""
        found = re.search(r"<([A-Z_]+)>", self.words)
        return None if found is None else found[1]

    def filled(self, value: str | None, others: Mapping[str, str], defaults: Mapping[str, str]) -> tuple[str, ...]:
        """The words with their values, without the mark of an argument."""

        def other(match: re.Match[str]) -> str:
            return others.get(match[1]) or defaults.get(match[1], PLACEHOLDER)

        words = [word for word in self.words.split() if not word.startswith("<")]
        return tuple(_OTHERS.sub(other, word).replace("{}", PLACEHOLDER if value is None else value) for word in words)


def at(commands: str, words: str) -> Here:
    """Words for some commands alone, whose names are separated by commas."""
    return Here(words, tuple(commands.split(", ")))


Read = Callable[[str], Sequence[str]]
"""From a value to the words for it, the first that the command has; empty where it has no counterpart."""


@dataclass(frozen=True, kw_only=True)
class OtherName:
    """An option of other projects.

    Attributes:
        there: Its spellings, without dashes; the first is today's.
        project: Where it comes from.
        here: What to write, in the order of preference: the first counts whose options the command has.
        values: Words for single values.
        read: Words for values of a pattern, instead of `values`.
        only_known: Whether values that are not in `values` have no counterpart.
        examples: Values of the pattern, for the documents and the tests.
        takes_value: Whether a value follows it.
        note: What else there is to say; the whole answer where there are no words.
        defaults: Values of other names that its words mention, where they are not given.
    """

    there: tuple[str, ...]
    project: Project
    here: tuple[Here, ...] = ()
    values: Mapping[str, tuple[Here, ...]] = field(default_factory=dict)
    read: Read | None = None
    only_known: bool = False
    examples: tuple[str, ...] = ()
    takes_value: bool = True
    note: str = ""
    defaults: Mapping[str, str] = field(default_factory=dict)

    def ways(self, value: str | None) -> tuple[Here, ...]:
        """What to write for a value, in the order of preference; for no value, or one that isn't known, in general."""
        known = () if value is None else self._of(value)
        return known or self.here

    def has_counterpart(self, value: str) -> bool:
        """Whether there is something to write for a value."""
        if self._of(value):
            return True
        return bool(self.here) and self.read is None and not self.only_known

    @property
    def is_by_value(self) -> bool:
        """Whether what to write depends on the value in another way than that it is copied."""
        return self.read is not None or self.only_known

    def _of(self, value: str) -> tuple[Here, ...]:
        if self.read is not None:
            return tuple(Here(words) for words in self.read(value))
        if value in self.values:
            return self.values[value]
        lower = value.lower()
        truth = "true" if lower in _TRUE else "false" if lower in _FALSE else None
        return self.values.get(truth, ()) if truth else ()

    @property
    def all_ways(self) -> tuple[Here, ...]:
        """Everything that it can stand for, for any value."""
        read = [Here(words) for value in self.examples for words in (self.read(value) if self.read else ())]
        return (*self.here, *(way for ways in self.values.values() for way in ways), *read)


Words = str | Here | tuple[str | Here, ...]


def ways_of(words: Words) -> tuple[Here, ...]:
    """Text, one or several of them, as `Here`."""
    several = words if isinstance(words, tuple) else (words,)
    return tuple(one if isinstance(one, Here) else Here(one) for one in several)


class Listing:
    """Makes the entries of one project.

    Args:
        project: The project.
    """

    def __init__(self, project: Project) -> None:
        self._project: Project = project

    def option(
        self,
        there: str,
        *here: str | Here,
        values: Mapping[str, Words] | None = None,
        read: Read | None = None,
        only_known: bool = False,
        examples: str = "",
        note: str = "",
        defaults: Mapping[str, str] | None = None,
    ) -> OtherName:
        """An option that takes a value; `there` and `examples` are separated by blanks."""
        return OtherName(
            there=tuple(there.split()),
            project=self._project,
            here=ways_of(here),
            values={value: ways_of(words) for value, words in (values or {}).items()},
            read=read,
            only_known=only_known,
            examples=tuple(examples.split()),
            note=note,
            defaults=defaults or {},
        )

    def switch(self, there: str, *here: str | Here, note: str = "") -> OtherName:
        """An option without a value."""
        return OtherName(
            there=tuple(there.split()), project=self._project, here=ways_of(here), takes_value=False, note=note
        )

    def nothing(self, there: str, note: str, *, takes_value: bool = True) -> OtherName:
        """Options that have no counterpart, and what takes their place."""
        return OtherName(there=tuple(there.split()), project=self._project, takes_value=takes_value, note=note)
