"""``tandem data separate DATA --to DIR``: files side by side as two folders."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from tandem.commands.data_combine import rearrange, require_layout
from tandem.commands.data_prepare import outside
from tandem.commands.parser import Command
from tandem.config.data import DataConfig, LayoutChoice
from tandem.config.options import REQUIRED, Options, option, same
from tandem.data.discover import find_splits
from tandem.data.prepare.pairs import plan_separated, separate
from tandem.errors import Problem


@dataclass(frozen=True, kw_only=True)
class SeparateOptions(Options):
    """What is taken apart, and where to."""

    data: Path = option(REQUIRED, "dataset of files side by side", positional=True)
    to: Path = option(REQUIRED, "folder of the new dataset", metavar="DIR")
    layout: LayoutChoice = same(DataConfig, "layout")

    def problems(self) -> Iterator[Problem]:
        """Say why there can be no such folder."""
        yield from outside(self.to, self.data)


COMMAND = Command(
    "data separate",
    "Take files side by side apart: the left halves go to trainA, the right ones to trainB. 'tandem data combine' "
    "undoes it.",
    {"": SeparateOptions},
)


def main(arguments: Sequence[str]) -> int:
    """Take the files of a dataset apart."""
    (options,) = COMMAND.parse(arguments)
    splits = find_splits(options.data, layout=options.layout)
    require_layout(splits, side_by_side=True)
    return rearrange(splits, options.to, plan_separated, separate, how="separate")
