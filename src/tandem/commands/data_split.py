"""``tandem data split DATA --to DIR``: a dataset split anew, near-duplicates on one side."""

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from tandem.commands.data_check import CheckOptions, find
from tandem.commands.data_prepare import outside, say_done, splits_of
from tandem.commands.parser import Command
from tandem.config.data import LayoutChoice
from tandem.config.options import REQUIRED, Options, option, same
from tandem.data.by_content import SplitShares
from tandem.data.prepare.splitting import plan_split
from tandem.data.prepare.work import write_items
from tandem.errors import Problem
from tandem.report.progress import TaskProgress

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class SplitOptions(Options):
    """What is split, and where to."""

    data: Path = option(REQUIRED, "dataset folder; its own splits are put together first", positional=True)
    to: Path = option(REQUIRED, "folder of the new dataset", metavar="DIR")
    unpaired: bool = same(CheckOptions, "unpaired")
    layout: LayoutChoice = same(CheckOptions, "layout")

    def problems(self) -> Iterator[Problem]:
        """Say why there can be no such folder."""
        yield from outside(self.to, self.data)


COMMAND = Command(
    "data split",
    "Split a dataset by what its images show: which split a file belongs to follows from its content, and pictures "
    "that are nearly the same stay on one side. Files are copied.",
    {"": SplitOptions, "held out": SplitShares},
)


def main(arguments: Sequence[str]) -> int:
    """Split a dataset anew."""
    options, shares = COMMAND.parse(arguments)
    splits = find(options.data, None, unpaired=options.unpaired, layout=options.layout)
    with TaskProgress("comparing", None, "images") as looking, TaskProgress("reading", None, "files") as reading:
        tasks, together = plan_split(splits, shares, on_look=looking.callback, on_read=reading.callback)
    with TaskProgress("copying", None, "items") as progress:
        done = write_items(
            options.to,
            tasks,
            lambda task: [file.read_bytes() for file in task.sources],
            settings={"how": "split", "val_split": shares.val_split, "test_split": shares.test_split},
            noun="items",
            on_progress=progress.callback,
        )
    say_done(done, "item", options.to, splits_of(tasks))
    if together:
        log.info("%d of them have nearly the same pictures beside them, and are on the same side", together)
    return 0
