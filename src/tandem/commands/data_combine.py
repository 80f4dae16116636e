"""``tandem data combine DATA [DATA_B] --to DIR``: the two images of each pair side by side in one file."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tandem.commands.data_prepare import outside, say_done
from tandem.commands.parser import Command
from tandem.config.options import REQUIRED, Options, option
from tandem.data.discover import find_paired_folders, find_splits
from tandem.data.prepare.pairs import combine, plan_combined
from tandem.data.prepare.work import Progress, Task, write_items
from tandem.data.splits import Pair, PairedSplit
from tandem.errors import DataError, Problem
from tandem.report.progress import TaskProgress

Planned = dict[str, tuple[Task, Pair]]


@dataclass(frozen=True, kw_only=True)
class CombineOptions(Options):
    """What is combined, and where to."""

    data: Path = option(REQUIRED, "dataset of pairs in two files each, or the folder of A", positional=True)
    data_b: Path | None = option(None, "folder of B, whose files have the names of A's", positional=True)
    to: Path = option(REQUIRED, "folder of the new dataset", metavar="DIR")

    def problems(self) -> Iterator[Problem]:
        """Say why there can be no such folder."""
        yield from outside(self.to, self.data, *([self.data_b] if self.data_b else []))


COMMAND = Command(
    "data combine",
    "Put the images of pairs side by side, A left and B right, one file each. 'tandem data separate' undoes it.",
    {"": CombineOptions},
)


def main(arguments: Sequence[str]) -> int:
    """Combine the pairs of two folders."""
    (options,) = COMMAND.parse(arguments)
    if options.data_b is not None:
        splits = find_paired_folders(options.data, options.data_b)
    else:
        splits = find_splits(options.data)
    require_layout(splits, side_by_side=False)
    return rearrange(splits, options.to, plan_combined, combine, how="combine")


def require_layout(splits: Mapping[str, PairedSplit], *, side_by_side: bool) -> None:
    """Refuse pairs that lie the wrong way, or have nothing to be done with.

    Raises:
        DataError: Some lie side by side and should not, or the other way round.
    """
    for split in splits.values():
        if (split.layout == "side_by_side") != side_by_side:
            undo = "'tandem data combine' puts them" if side_by_side else "'tandem data separate' takes them"
            state = "no files side by side" if side_by_side else "side by side already"
            raise DataError(f"{split.describe()}: these are {state}; {undo} {'so' if side_by_side else 'apart'}.")


def rearrange(
    splits: Mapping[str, PairedSplit],
    to: Path,
    plan: Callable[[Mapping[str, PairedSplit], Progress], Planned],
    make: Callable[[Pair, str], Sequence[bytes]],
    *,
    how: str,
) -> int:
    """Write the pairs of some splits in another layout."""
    with TaskProgress("looking at pairs", None, "pairs") as progress:
        planned = plan(splits, progress.callback)
    with TaskProgress("writing", None, "pairs") as progress:
        done = write_items(
            to,
            [task for task, _ in planned.values()],
            lambda task: make(planned[task.key][1], Path(task.targets[0]).suffix),
            settings={"how": how},
            noun="pairs",
            on_progress=progress.callback,
        )
    say_done(done, "pair", to)
    return 0
