"""The settings of ``tandem bench quality``: from what was typed to the options of a run each."""

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from tandem.commands.parser import Command
from tandem.commands.train import TrainOptions, resolve
from tandem.config.options import names_of, refuse
from tandem.config.presets import PRESETS
from tandem.config.run import METHODS, RunConfig
from tandem.config.variants import VARIANTS
from tandem.config.yaml import convert_values, read_file
from tandem.errors import ConfigError, Problem, nearest
from tandem.report.text import joined

FILE_ENDINGS = (".yaml", ".yml")
GIVEN_TO_THE_BENCH = frozenset({*names_of(TrainOptions), "seed", "device", "threads"})
"""Options of a run that a setting cannot have: the bench decides them, or has options of its own for them."""


@dataclasses.dataclass(frozen=True)
class SettingText:
    """A setting as it was typed.

    Attributes:
        base: A preset, a method, a variant or a YAML file.
        options: Names and values, as text.
    """

    base: str
    options: Mapping[str, str]

    @property
    def name(self) -> str:
        """What it is called everywhere."""
        base = Path(self.base).stem if self.base.endswith(FILE_ENDINGS) else self.base
        own = ",".join(f"{name}={value}" for name, value in self.options.items())
        return f"{base}:{own}" if own else base


def read_settings(text: str) -> tuple[SettingText, ...]:
    """Settings with commas between them: ``tandem,bicyclegan:generator_filters=16,steps=5000,pix2pix``.

    A part with ``=`` belongs to the setting before it.

    Raises:
        ConfigError: There is none, one is named twice, or an option stands before any setting.
    """
    settings: list[tuple[str, dict[str, str]]] = []
    problems: list[Problem] = []
    for part in filter(None, (part.strip() for part in text.split(","))):
        head, _, rest = part.partition(":")
        if "=" in head:
            rest = part
        else:
            settings.append((head.strip(), {}))
        if not settings:
            problems.append(Problem(f"--presets {text}: '{part}' stands before any setting", "--presets", part))
            break
        if rest:
            name, value = read_assignment(rest, "--presets")
            settings[-1][1][name] = value
    found = [SettingText(base, options) for base, options in settings]
    names = [one.name.casefold() for one in found]
    twice = dict.fromkeys(one.name for one in found if names.count(one.name.casefold()) > 1)
    problems += [Problem(f"--presets names {name} twice", "--presets", name) for name in twice]
    if not found and not problems:
        problems = [Problem("--presets names no setting: give presets or methods, e.g. tandem,pix2pix", "--presets")]
    refuse(problems)
    return tuple(found)


def read_common(text: str) -> tuple[tuple[str, str], ...]:
    """Options with commas between them: ``generator_filters=16,learning_rate=1e-3``.

    Raises:
        ConfigError: A part is no option with a value.
    """
    return tuple(read_assignment(part, "--common") for part in filter(None, (part.strip() for part in text.split(","))))


def read_assignment(text: str, flag: str) -> tuple[str, str]:
    """The field and the value of ``generator_filters=16``, or of ``generator-filters=16``.

    Raises:
        ConfigError: It is none.
    """
    name, sign, value = text.partition("=")
    if not sign or not name.strip():
        raise ConfigError(
            problems=[Problem(f"{flag}: '{text}' is no option with a value, such as steps=5000", flag, text)]
        )
    return name.strip().removeprefix("--").replace("-", "_"), value.strip()


def resolve_settings(
    settings: Sequence[SettingText], *, data: Mapping[str, Any], common: Sequence[tuple[str, str]]
) -> dict[str, RunConfig]:
    """The options of a run for each setting, by its name.

    Options of a setting win over those that all share, these over the file, the preset and the method.

    Args:
        settings: As they were typed.
        data: Options of the data that were given for all.
        common: Further options for all, of which each setting takes those that it has.

    Raises:
        ConfigError: A name does not exist, or options do not fit; all that is wrong is named.
    """
    problems: list[Problem] = []
    known: set[str] = set()
    found: dict[str, RunConfig] = {}
    for one in settings:
        try:
            found[one.name] = _resolved(one, data, dict(common), known)
        except ConfigError as error:
            lead = "" if str(error).startswith("--presets") else f"{one.base}: "
            problems += [dataclasses.replace(problem, text=lead + problem.text) for problem in error.problems]
    for name, _ in common:
        if name in GIVEN_TO_THE_BENCH or (not problems and name not in known):
            hint = "" if name in GIVEN_TO_THE_BENCH else nearest(name, sorted(known))
            text = f"--common {name}: {_why_not(name)}{'' if name in GIVEN_TO_THE_BENCH else ' of any setting'}.{hint}"
            problems.append(Problem(text, "--common", name))
    refuse(problems)
    return found


def _resolved(one: SettingText, data: Mapping[str, Any], common: Mapping[str, str], known: set[str]) -> RunConfig:
    def values(taken: Command, _: Mapping[str, Any]) -> dict[str, Any]:
        options = [option for option in taken.options if option.field not in GIVEN_TO_THE_BENCH]
        names = {option.field for option in options}
        known.update(names)
        unknown = list(_unknown(one, names))
        refuse(unknown)
        texts: dict[str, Any] = {name: value for name, value in common.items() if name in names}
        texts |= one.options
        converted = convert_values(texts, options, unknown=lambda _, name: Problem(f"there is no option '{name}'"))
        return {name: value for name, value in data.items() if name not in one.options} | converted

    _, config = resolve(_first(one), values)
    if config.validation.patience:
        raise ConfigError(
            "--patience ends a run before its length, by what a validation says: leave it out, since a bench trains "
            "each run to its end."
        )
    return config


def _first(one: SettingText) -> TrainOptions:
    """What decides about the defaults of a setting: its preset, its method or its file."""
    if one.base.endswith(FILE_ENDINGS):
        file = Path(one.base)
        preset = read_file(file).get("preset")
        return TrainOptions(config=(file,), preset=None if preset is None else str(preset))
    if one.base in PRESETS:
        return TrainOptions(preset=one.base)
    methods = [*METHODS, *VARIANTS]
    if one.base in methods:
        return TrainOptions(method=one.base)
    hint = nearest(one.base, [*methods, *PRESETS])
    raise ConfigError(
        problems=[
            Problem(
                f"--presets: there is no preset or method '{one.base}'.{hint} The methods are {joined(methods)}; "
                f"'tandem presets' lists the presets, and a file ends in {joined(FILE_ENDINGS, 'or')}",
                "--presets",
                one.base,
            )
        ]
    )


def _unknown(one: SettingText, names: set[str]) -> Iterator[Problem]:
    for name in one.options:
        if name not in names:
            hint = "" if name in GIVEN_TO_THE_BENCH else nearest(name, sorted(names))
            yield Problem(f"'{name}': {_why_not(name)}.{hint}", "--presets", name)


def _why_not(name: str) -> str:
    return "the bench decides it for all settings" if name in GIVEN_TO_THE_BENCH else "there is no such option"
