"""What to say of an option that a command does not have: which of ours is meant, whose it is, or what takes its place.

Asked in this order: another spelling of an option of the command, a name of another project for one of them
(`tandem.config.names`), an option of another method or command, a name of another project for such a one or for
something that Tandem does not have, and last a name that looks alike.
"""

import difflib
import importlib
import itertools
import pkgutil
import shlex
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache, cached_property

from tandem import commands
from tandem.commands.parser import Command
from tandem.config.names.entry import PLACEHOLDER, Here, OtherName
from tandem.config.names.table import family_of, find_name, key_of
from tandem.config.options import Option
from tandem.config.run import METHODS, resolve_method
from tandem.config.values import choices, to_text
from tandem.errors import ConfigError, Problem
from tandem.report.text import joined

LIKENESS = 0.8
"""From here on two names are alike: `difflib.SequenceMatcher.ratio` of their letters and digits."""
MOST_SUGGESTIONS = 3
SHORTEST_BEGINNING = 3
"""Letters of the first words of an option's name from which on these alone stand for it."""
_TRUTHS = frozenset({"true", "false", "True", "False", "yes", "no"})


@dataclass(frozen=True)
class Place:
    """A command, with the options of one method where it has several.

    Attributes:
        command: What it takes.
        method: The method, of ``tandem train``.
    """

    command: Command
    method: str | None = None

    @cached_property
    def flags(self) -> Mapping[str, Option]:
        """Every spelling that it takes, with its option: ``--flip``, ``--no-flip``, ``DATA``."""
        found = {one.flag: one for one in self.command.options}
        found |= {f"--no-{one.flag.removeprefix('--')}": one for one in self.command.options if one.is_two_way}
        return found

    def takes(self, way: Here) -> bool:
        """Whether it is meant by the words, and has all of their options with these choices."""
        if way.commands and self.command.name not in way.commands:
            return False
        words = way.words.split()
        return set(way.options) <= self.flags.keys() and all(
            self._has_choice(word, behind) for word, behind in itertools.pairwise(words)
        )

    def _has_choice(self, flag: str, value: str) -> bool:
        option = self.flags.get(flag)
        known = () if option is None or value.startswith(("-", "{")) else choices(option.hint)
        return not known or value in map(str, known)

    @cached_property
    def _by_key(self) -> Mapping[str, str]:
        return {key_of(flag): flag for flag in self.flags if flag.startswith("--")}

    def named(self, name: str) -> str | None:
        """The option that `name` is another spelling of."""
        return self._by_key.get(key_of(name))


def place_of(command: Command) -> Place:
    """A command, with its method if its options are those of one."""
    methods = {cls: name for name, cls in METHODS.items()}
    return Place(command, next((methods[group] for group in command.groups.values() if group in methods), None))


@cache
def all_places() -> tuple[Place, ...]:
    """Every command, and training for every method."""
    from tandem.commands.train import command as train_command  # noqa: PLC0415  (it uses the parser, which uses this)

    modules = [importlib.import_module(f"{commands.__name__}.{one.name}") for one in _modules()]
    found = [module.COMMAND for module in modules if hasattr(module, "COMMAND")]
    trained = [Place(train_command(method), method) for method in METHODS]
    return (*trained, *(Place(command) for command in found))


def _modules() -> Iterable[pkgutil.ModuleInfo]:
    return sorted(pkgutil.iter_modules(commands.__path__), key=lambda one: one.name)


def unknown_key(command: Command, values: Mapping[str, object], key: str) -> Problem:
    """Say of a key of a configuration file that is no option of a command what to write instead.

    Args:
        command: The command.
        values: Everything in the file, by its keys.
        key: The key.
    """
    given = [Given(f"--{name.replace('_', '-')}", _in_words(value)) for name, value in values.items()]
    place = _meant(place_of(command), [one for one in given if place_of(command).named(one.word) is None])
    found = explain(place, given)[list(values).index(key)]
    text = f"the configuration file has an unknown key '{key}'"
    option, separator, rest = found.text.partition(found.option or "")
    if found.instead and not found.methods and not found.commands:
        lines = _as_keys(place, found.instead)
        note = f" ({found.note})" if found.note else ""
        text = f"{text}. Did you mean {lines}?{note}" if lines else text + rest
    elif option == "there is no option ":
        text += rest
    elif separator:
        text = f"{text}: {found.text}"
    return replace(found, text=text, given=values[key])


def _in_words(value: object) -> str | None:
    return None if value is None else to_text(value)


def _as_keys(place: Place, words: Sequence[str]) -> str:
    """Words of the command line as keys of a configuration file with their values."""
    lines: list[str] = []
    rest = list(words)
    while rest:
        word = rest.pop(0)
        option = place.flags.get(word)
        if option is None or option.declared.positional:
            return ""
        if option.hint is bool:
            lines.append(f"{option.field}: {to_text(word == option.flag)}")
        else:
            lines.append(f"{option.field}: {rest.pop(0)}" if rest else option.field)
    return ", ".join(f"'{line}'" for line in lines)


@dataclass(frozen=True)
class Given:
    """An option that was written and does not exist.

    Attributes:
        word: As it was written, without its value.
        value: What was written behind it; None where nothing was, or nothing belongs to it.
    """

    word: str
    value: str | None = None

    @property
    def name(self) -> str:
        """Without dashes in front."""
        return self.word.lstrip("-")


def unknown_options(command: Command, arguments: Sequence[str], unknown: Sequence[str]) -> list[Problem]:
    """Say of every option that a command does not have what to write instead.

    Args:
        command: The command.
        arguments: All words after its name.
        unknown: Those of them that look like options and are none, in their order.

    Returns:
        A problem for each; and, of training, one with the whole command where several names stand for ours.
    """
    given = [_with_value(arguments, word) for word in unknown]
    place = _meant(place_of(command), given)
    problems = explain(place, given)
    usable = all(problem.instead and not problem.methods and not problem.commands for problem in problems)
    if place.method is not None and len(given) > 1 and usable and _is_foreign(place, given):
        words = _rewritten(place, arguments, given, problems)
        text = f"all of it: {shlex.join(['tandem', *command.name.split(), *words])}"
        problems.append(Problem(text, instead=tuple(words)))
    return problems


def explain(place: Place, given: Sequence[Given]) -> list[Problem]:
    """Say of every one of some options that a command does not have what to write instead."""
    values = {}
    for one in given:
        entry = find_name(one.name)
        if entry is not None and one.value is not None:
            values[entry.there[0]] = one.value
    return [replace(_explain(place, one, values), is_unknown=True) for one in given]


def _is_foreign(place: Place, given: Sequence[Given]) -> bool:
    return any(find_name(one.name) is not None and place.named(one.name) is None for one in given)


def _with_value(arguments: Sequence[str], word: str) -> Given:
    """An unknown option with the word behind it, if that belongs to it."""
    name, equals, value = word.partition("=")
    if equals:
        return Given(name, value)
    behind = list(arguments)[list(arguments).index(word) + 1 :]
    if not behind or (behind[0].startswith("-") and not behind[0].removeprefix("-").isdigit()):
        return Given(name)
    entry = find_name(name)
    takes_value = entry is not None and (entry.takes_value or behind[0] in _TRUTHS)
    return Given(name, behind[0] if takes_value else None)


def _meant(place: Place, given: Sequence[Given]) -> Place:
    """The place for the method that a name of another project asks for."""
    if place.method is None:
        return place
    for one in given:
        entry = find_name(one.name)
        ways = () if entry is None else entry.ways(one.value)
        for way in ways:
            if way.options == ("--method",) and place.takes(way):
                words = way.filled(one.value, {}, {})
                try:
                    method, _ = resolve_method(words[1])
                except ConfigError:
                    continue
                return next(other for other in all_places() if other.method == method)
    return place


def _explain(place: Place, given: Given, others: Mapping[str, str]) -> Problem:
    spelled = place.named(given.word)
    if spelled is not None:
        return _alike(given, [spelled])
    entry = find_name(given.name)
    if entry is not None and (way := _way(place, entry, given.value)) is not None:
        return _translated(place, given, entry, way, others)
    return (
        _elsewhere(place, given)
        or (None if entry is None else _foreign(place, given, entry, others))
        or _similar(place, given)
        or _of_a_family(given)
        or Problem(f"there is no option {given.word}", given.word, given.value)
    )


def _way(place: Place, entry: OtherName, value: str | None) -> Here | None:
    """The first words of an entry that a command takes; for the value, or those for any value."""
    general = [way for way in entry.here if value is None or "{}" not in way.words]
    return next((way for way in (*entry.ways(value), *general) if place.takes(way)), None)


def _translated(place: Place, given: Given, entry: OtherName, way: Here, others: Mapping[str, str]) -> Problem:
    """A name of another project for an option of this command."""
    words = way.filled(given.value, others, entry.defaults)
    known = given.value is None or entry.has_counterpart(given.value)
    is_chosen = given.value is not None and known and entry.is_by_value
    note = f" ({entry.note})" if entry.note and not is_chosen else ""
    if way.argument is not None:
        shown = "it" if given.value is None else words[0]
        text = f"{shown} is the argument {way.argument}, written without the name of an option{note}"
    elif not known:
        option = place.flags[way.options[-1]]
        among = f", {option.allowed}," if choices(option.hint) else ","
        text = f"here it is {option.flag}{among} and '{given.value}' has no counterpart{note}"
        words = (option.flag, PLACEHOLDER)
    else:
        text = f"write {shlex.join(words)}{note}"
    return Problem(
        f"there is no option {given.word}: {text}", given.word, given.value, instead=words, note=note.strip(" ()")
    )


def _elsewhere(place: Place, given: Given) -> Problem | None:
    """An option of another method or command, in any spelling."""
    return _owned(place, [other for other in all_places() if other.named(given.word)], given)


def _owned(
    place: Place, owners: Sequence[Place], given: Given, *, words: Sequence[str] = (), note: str = ""
) -> Problem | None:
    """Say which methods, or else which commands, have what is meant; of `given` itself if there are no `words`."""
    methods = tuple(other.method for other in owners if place.method is not None and other.method is not None)
    names = tuple(dict.fromkeys(other.command.name for other in owners))
    if not owners:
        return None
    first = owners[0]
    if words:
        what = f"there is no option {given.word}: here it is {shlex.join(words)}, an option of "
    else:
        option = first.named(given.word) or given.word
        words = (option,)
        what = f"{given.word} is an option of " if option == given.word else f"{given.word} is {option}, an option of "
    if methods:
        return Problem(
            f"{what}{joined(methods)}, not of {place.method}{note}",
            given.word,
            given.value,
            instead=tuple(words),
            methods=methods,
        )
    quoted = [f"'tandem {name}'" for name in names]
    return Problem(
        f"{what}{joined(quoted)}, not of 'tandem {place.command.name}'{note}",
        given.word,
        given.value,
        instead=tuple(words),
        commands=names,
    )


def _foreign(place: Place, given: Given, entry: OtherName, others: Mapping[str, str]) -> Problem:
    """A name of another project for an option of another method or command, or for nothing."""
    for way in entry.ways(given.value):
        if way.argument is None and (owners := [other for other in all_places() if other.takes(way)]):
            words = way.filled(given.value, others, entry.defaults)
            note = f" ({entry.note})" if entry.note else ""
            problem = _owned(place, owners, given, words=words, note=note)
            assert problem is not None
            return problem
    note = entry.note or "it has no counterpart here"
    return Problem(f"there is no option {given.word}: {note}", given.word, given.value)


def _similar(place: Place, given: Given) -> Problem | None:
    """Options that look like the given one: of the command, else of other methods, else of other commands."""
    found = similar(given.word, [flag for flag in [*place.flags, "--help"] if flag.startswith("--")])
    if found:
        return _alike(given, found if found[0].startswith(f"{given.word}-") else found[:1])
    same_command = [other for other in all_places() if place.method is not None and other.method is not None]
    for others in (same_command, all_places()):
        flags = dict.fromkeys(flag for other in others for flag in other.flags if flag.startswith("--"))
        if found := similar(given.word, list(flags)):
            owners = [other for other in others if found[0] in other.flags]
            problem = _owned(place, owners, Given(found[0]))
            assert problem is not None
            whose = joined(problem.methods or [f"'tandem {name}'" for name in problem.commands])
            text = f"there is no option {given.word}. Did you mean {found[0]}, an option of {whose}?"
            return replace(problem, text=text, option=given.word, given=given.value)
    return None


def _alike(given: Given, flags: Sequence[str]) -> Problem:
    text = f"there is no option {given.word}. Did you mean {joined(flags, 'or')}?"
    return Problem(text, given.word, given.value, instead=tuple(flags))


def _of_a_family(given: Given) -> Problem | None:
    note = family_of(given.name)
    return None if note is None else Problem(f"there is no option {given.word}: {note}", given.word, given.value)


def similar(name: str, flags: Iterable[str]) -> list[str]:
    """The names that look like `name`, the most similar first.

    They begin with the same letter, are about as long, and are at least `LIKENESS` alike, or have the same letters in
    another order, or lack the last one; or `name` is their first words.
    """
    key = key_of(name)
    flags = list(flags)
    beginning = [flag for flag in flags if flag.startswith(f"--{name.lstrip('-').replace('_', '-').lower()}-")]
    if len(key) >= SHORTEST_BEGINNING and 0 < len(beginning) <= MOST_SUGGESTIONS:
        return beginning
    found: list[tuple[float, str]] = []
    for flag in flags:
        other = key_of(flag)
        longest = max(len(key), len(other))
        if not key or key[0] != other[0] or abs(len(key) - len(other)) > max(1, longest // 5):
            continue
        ratio = difflib.SequenceMatcher(None, key, other).ratio()
        if ratio >= LIKENESS or sorted(key) == sorted(other) or key[:-1] == other:
            found.append((-ratio, flag))
    return [flag for _, flag in sorted(found, key=lambda one: one[0])][:MOST_SUGGESTIONS]


def _rewritten(
    place: Place, arguments: Sequence[str], given: Sequence[Given], problems: Sequence[Problem]
) -> list[str]:
    """The words of a command with those that exist; of an option that is there twice the last one stays."""
    instead = {one.word: problem.instead for one, problem in zip(given, problems, strict=True)}
    with_value = {one.word for one in given if one.value is not None}
    words: list[str] = []
    rest = list(arguments)
    while rest:
        name, equals, _ = (word := rest.pop(0)).partition("=")
        if name not in instead:
            words.append(word)
            continue
        option = place.flags.get(instead[name][0])
        words += instead[name]
        is_spelling = len(instead[name]) == 1 and instead[name][0].startswith("--")
        if is_spelling and option is not None and option.hint is not bool:  # its value follows
            if equals:
                words.append(word.partition("=")[2])
        elif name in with_value and not equals:
            rest.pop(0)
    return _without_repeats(place, words)


def _without_repeats(place: Place, words: Sequence[str]) -> list[str]:
    """Each option once, with the words behind it, arguments without a name first."""
    groups: dict[str, list[str]] = {}
    arguments: list[str] = []
    rest = list(words)
    while rest:
        word = rest.pop(0)
        option = place.flags.get(word)
        if option is None:
            arguments.append(word)
            continue
        values = [] if option.hint is bool or not rest else [rest.pop(0)]
        name = f"{option.field} {len(groups)}" if option.declared.repeated else option.field
        groups.pop(name, None)
        groups[name] = [word, *values]
    return [*arguments, *(word for group in groups.values() for word in group)]
