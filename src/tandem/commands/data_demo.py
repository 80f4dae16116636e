"""``tandem data demo OUT``: draw the demo dataset."""

import dataclasses
import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from tandem.commands.parser import Command
from tandem.config.options import REQUIRED, Options, option
from tandem.data.synthetic import DatasetOptions, write_dataset
from tandem.errors import Problem
from tandem.report.progress import TaskProgress
from tandem.targets import folder_problems

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class OutOptions(Options):
    """Where the demo dataset goes."""

    out: Path = option(REQUIRED, "folder of the dataset", positional=True)

    def problems(self) -> Iterator[Problem]:
        """Say why there can be no such folder."""
        yield from folder_problems(self.out, "the dataset", option="OUT")


COMMAND = Command(
    "data demo",
    "Draw the demo dataset: objects as line drawings and as coloured renderings.",
    {"": OutOptions, "what is drawn": DatasetOptions},
)


def main(arguments: Sequence[str]) -> int:
    """Parse the options and draw."""
    own, options = COMMAND.parse(arguments)
    with TaskProgress("drawing", None, "pairs") as progress:
        out = write_dataset(own.out, **dataclasses.asdict(options), on_progress=progress.callback)
    log.info("dataset: %s", out)
    return 0
