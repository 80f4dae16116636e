"""From the options of a run to the words of the command that trains it."""

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tandem.config.options import Option, flag, options_of
from tandem.config.run import METHOD_DEFAULTS, RunConfig
from tandem.config.values import to_text
from tandem.names import public_location

_LINE = 96  # characters


@dataclass(frozen=True)
class ChangedOption:
    """An option that is not as the method has it by default.

    Attributes:
        option: Its declaration.
        value: What it is.
        default: What it would be.
    """

    option: Option
    value: Any
    default: Any

    @property
    def words(self) -> list[str]:
        """The option on the command line."""
        if isinstance(self.value, bool):
            return [self.option.flag if self.value else flag("no_" + self.option.field)]
        values = self.value if isinstance(self.value, tuple | list) else [self.value]
        return [self.option.flag, *map(to_text, values)]


def changed_options(config: RunConfig) -> list[ChangedOption]:
    """The options that are not as the method has them by default, in the order of the groups."""
    of_method = METHOD_DEFAULTS.get(config.objective.method, {})
    found = []
    for group in config.groups:
        for one in options_of(type(group)):
            value, default = getattr(group, one.field), of_method.get(one.field, one.default)
            if value != default or type(value) is not type(default):
                found.append(ChangedOption(one, value, default))
    return found


def train_command(config: RunConfig, data: Sequence[Path | str], out: Path) -> str:
    """The command that trains with these options, over several lines where it is long.

    Args:
        config: The options.
        data: The dataset, or the folders of both domains; of a URL what may be a secret is left out.
        out: The folder of the run.
    """
    parts = [
        ["tandem", "train", *map(public_location, data)],
        ["--out", str(out)],
        ["--method", config.objective.method],
    ]
    parts += [one.words for one in changed_options(config)]
    lines = [""]
    for part in (" ".join(map(shlex.quote, words)) for words in parts):
        if lines[-1] and len(lines[-1]) + len(part) > _LINE:
            lines.append("   ")
        lines[-1] += f" {part}" if lines[-1] else part
    return " \\\n".join(lines)
