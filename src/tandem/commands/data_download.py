"""``tandem data download NAME``: a published dataset from its authors' server, checked and unpacked."""

import logging
import shlex
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

from jsonargparse import ActionYesNo

from tandem.commands.parser import make_parser, parse
from tandem.config.presets import PRESETS
from tandem.data.download.catalogue import CATALOGUE, RemoteDataset, find
from tandem.data.download.install import DATASET_POLICY, DatasetSource, Stage, install
from tandem.data.download.present import Installed, installed
from tandem.data.download.unpack import describe_counts
from tandem.errors import ConfigError
from tandem.fetch.part import amount
from tandem.fetch.policy import FetchPolicy
from tandem.report.progress import TaskProgress

log = logging.getLogger(__name__)


def main(arguments: Sequence[str]) -> int:
    """Download one dataset, or list what there is."""
    parser = make_parser("data download", "Download a published dataset, check the archive and unpack it.")
    parser.add_argument("name", nargs="?", default=None, help="as --list shows it: horse2zebra, or cyclegan/maps")
    parser.add_argument("--list", action=ActionYesNo(no_prefix="no-"), default=False, help="list the datasets")
    parser.add_argument("--out", type=str, default=None, help="folder of the dataset; by default datasets/NAME")
    parser.add_argument(
        "--unpaired",
        action=ActionYesNo(no_prefix="no-"),
        default=False,
        help="the unpaired one where a name is offered with pairs too (maps, facades)",
    )
    parser.add_argument(
        "--mirror", type=str, default=None, help="URL of another folder with the archive in it, or of the archive"
    )
    parser.add_argument("--archive", type=str, default=None, help="an archive on the disk, instead of a download")
    parser.add_argument(
        "--keep-archive",
        action=ActionYesNo(no_prefix="no-"),
        default=False,
        help="leave the archive beside the dataset",
    )
    parser.add_argument(
        "--unchecked",
        action=ActionYesNo(no_prefix="no-"),
        default=False,
        help="install it even if size, SHA-256 or numbers of images are not those that are known",
    )
    parser.add_argument(
        "--timeout",
        type=float,
        default=DATASET_POLICY.stall_seconds,
        help="longest silence of the server in seconds",
    )
    parser.add_argument("--tries", type=int, default=DATASET_POLICY.max_tries, help="tries in a row that bring nothing")
    args = parse(parser, arguments)
    if args.list:
        _list()
        return 0
    if args.name is None:
        raise ConfigError("which dataset? tandem data download NAME; --list shows the names.")
    if not 0 < args.timeout <= 3600 or not 0 < args.tries <= 100:
        raise ConfigError("--timeout must be above 0 and at most 3600 seconds, --tries from 1 to 100.")
    entry = find(args.name, unpaired=args.unpaired)
    out = Path(args.out if args.out is not None else f"datasets/{entry.default_folder}")
    source = DatasetSource(
        mirror=args.mirror,
        archive=None if args.archive is None else Path(args.archive),
        keep_archive=args.keep_archive,
        unchecked=args.unchecked,
    )
    _run(entry, out, source, replace(DATASET_POLICY, stall_seconds=args.timeout, max_tries=args.tries))
    return 0


def _run(entry: RemoteDataset, out: Path, source: DatasetSource, policy: FetchPolicy) -> None:
    done = installed(entry, out)
    if done is not None:
        log.info("%s is already there and complete: %s", entry.key, out)
    else:
        log.info("%s: %s; %s", entry.key, entry.title, entry.licence)
        with _Bars() as bars:
            done = install(entry, out, source, policy=policy, on_progress=bars.show)
        log.info("dataset: %s", out)
    log.info("images: %s%s", describe_counts(done.folders), _compared(entry, done))
    if done.num_left_out:
        log.info("left out: %d other files of the archive", done.num_left_out)
    log.info("next: %s", _next_command(entry, out))


def _compared(entry: RemoteDataset, done: Installed) -> str:
    """Say whether the numbers of images are those of the catalogue, and where it has none."""
    if any(done.folders.get(name, 0) != number for name, number in entry.folders.items() if number is not None):
        return " (not those of the catalogue)"
    unknown = [name for name in done.folders if entry.folders.get(name) is None]
    return f" (no known number to compare with: {', '.join(unknown)})" if unknown else " (as expected)"


def _next_command(entry: RemoteDataset, out: Path) -> str:
    """Training with the first preset that was made for this dataset; without one, a look at it."""
    for preset in PRESETS.values():
        if preset.dataset is not None and find(preset.dataset).key == entry.key:
            return shlex.join(["tandem", "train", str(out), "--out", f"runs/{out.name}", "--preset", preset.name])
    return shlex.join(["tandem", "data", "check", str(out)])


def _list() -> None:
    lines = []
    for entry in CATALOGUE.values():
        size = "size unknown" if entry.about_bytes is None else amount(entry.about_bytes)
        about = "" if entry.sha256 or entry.about_bytes is None else "about "
        lines.append(f"{entry.key}: {entry.title} ({entry.kind})")
        state = "by hand only" if entry.withheld else f"{about}{size}"
        lines.append(f"    {state} · images: {describe_counts(entry.folders)} · {entry.licence}")
    lines.append("")
    lines.append(
        "A bare name is enough where it is on one list only; maps, facades and cityscapes alone are the pairs."
    )
    lines.append("?: a number that could not be verified.")
    sys.stdout.write("\n".join(lines) + "\n")


class _Bars:
    """A progress bar for each stage; a transfer that begins anew gets a new one."""

    def __init__(self) -> None:
        self._stack = ExitStack()
        self._bar: TaskProgress | None = None
        self._stage: Stage | None = None

    def __enter__(self) -> "_Bars":
        return self

    def __exit__(self, *error: object) -> None:
        self._stack.close()

    def show(self, stage: Stage, done: int, total: int | None) -> None:
        """Take note of how far a stage is."""
        if self._bar is None or stage != self._stage or done < self._bar.done:
            self._stack.close()
            unit = "images" if stage == "unpacking" else "bytes"
            self._bar = self._stack.enter_context(TaskProgress(stage, total, unit, done=done))
            self._stage = stage
        self._bar.callback(done, total)
