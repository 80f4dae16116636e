"""``tandem data prepare SRC --to DIR --rule RULE``: pairs from photos."""

import logging
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from tandem.commands.parser import Command
from tandem.config.options import REQUIRED, Options, option
from tandem.data.by_content import SplitShares
from tandem.data.listing import count
from tandem.data.prepare.photos import PhotoOptions, make_pair, plan_photos
from tandem.data.prepare.rules import OF_COLOURS, RuleOptions
from tandem.data.prepare.work import Done, Task, write_items
from tandem.data.splits import SPLITS
from tandem.errors import ConfigError, Problem
from tandem.report.progress import TaskProgress
from tandem.targets import folder_problems

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class PrepareOptions(Options):
    """Which photos, and where to."""

    src: Path = option(REQUIRED, "folder of photos; those in its subfolders count too", positional=True)
    to: Path = option(REQUIRED, "folder of the dataset", metavar="DIR")

    def problems(self) -> Iterator[Problem]:
        """Say why there can be no such folder."""
        yield from outside(self.to, self.src)


COMMAND = Command(
    "data prepare",
    "Make pairs from photos by a rule: the photo is B, what the rule makes of it A. Interrupted, the same command goes "
    "on.",
    {"": PrepareOptions, "the rule": RuleOptions, "the photos": PhotoOptions, "held out": SplitShares},
)


def main(arguments: Sequence[str]) -> int:
    """Parse the options and make the pairs."""
    own, rule, photos, shares = COMMAND.parse(arguments)
    if photos.native and rule.rule in OF_COLOURS:
        text = f"--rule {rule.rule} is for the colours of photos: leave --native out, or take lowres, blur or your own."
        raise ConfigError(text, option="--native")
    sys.path.insert(0, str(Path.cwd()))  # of the user's own rules
    made = rule.load()
    with TaskProgress("looking at photos", None, "photos") as progress:
        tasks = plan_photos(own.src, shares, photos, progress.callback)
    settings = rule.settings | photos.settings
    settings |= {"val_split": shares.val_split, "test_split": shares.test_split}
    with TaskProgress("preparing", None, "pairs") as progress:
        done = write_items(
            own.to,
            tasks,
            lambda task: make_pair(task, made, photos),
            settings=settings,
            noun="photos",
            on_progress=progress.callback,
        )
    say_done(done, "pair", own.to, splits_of(tasks))
    log.info("next: tandem data preview %s", own.to)
    return 0


def outside(to: Path, *sources: Path) -> Iterator[Problem]:
    """Say why files made of `sources` cannot go into the folder `to`."""
    yield from folder_problems(to, "the dataset", option="--to")
    for source in sources:
        if to.resolve().is_relative_to(source.resolve()):
            yield Problem(f"--to {to} lies in {source}, which is read: give a folder outside", "--to", to)


def splits_of(tasks: Sequence[Task]) -> str:
    """How many items go into each split, in brackets."""
    splits = [task.targets[0].partition("/")[0].rstrip("AB") for task in tasks]
    return f" ({', '.join(f'{split} {splits.count(split)}' for split in SPLITS if split in splits)})"


def say_done(done: Done, noun: str, to: Path, parts: str = "") -> None:
    """Say what was made, and what had been made before."""
    kept = f", {done.kept} of them made before" if done.kept else ""
    log.info("dataset: %s: %s%s%s", to, count(done.written + done.kept, noun), parts, kept)
    if done.gone:
        log.warning("%s of earlier calls, whose sources are not there any more, stay in it", count(done.gone, noun))
