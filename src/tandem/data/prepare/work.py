"""Writing the files of a dataset in parallel; interrupted at any moment, and continued by the same call.

``prepare.json`` in the folder says what it is made with and, of every item, the hash of what it is made from and its
files. It is written before any of them, so a file that is there is what the record says, whole since files are written
atomically; whatever is missing is made.
"""

import hashlib
import json
import re
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from tandem.config.parse import parse_dataclass
from tandem.data.check_images import LARGE_PIXELS
from tandem.data.image_file import ImageFile
from tandem.data.images import pixels_of
from tandem.data.in_parallel import in_parallel
from tandem.errors import DataError, listed
from tandem.files import atomic_write_bytes, atomic_write_text, is_leftover, owned, remove_leftovers
from tandem.foreign import load_json

RECORD_NAME = "prepare.json"
_MAX_RECORD_BYTES = 1 << 29
_TARGET = re.compile(r"(train|val|test)[AB]?(/(?!\.\.?(/|$))[^/\\\0]+)+")

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Task:
    """One item to be made.

    Attributes:
        key: What it is called in messages, unique.
        sources: The files that it is made from.
        digest: The hash of their content.
        targets: The files that it becomes, relative to the dataset: a folder, subfolders if any, and a name.
    """

    key: str
    sources: tuple[ImageFile, ...]
    digest: str
    targets: tuple[str, ...]


@dataclass(frozen=True)
class _Made:
    digest: str
    targets: tuple[str, ...]


@dataclass(frozen=True)
class _Record:
    format: Literal["tandem-prepare"]
    settings: Mapping[str, Any]
    items: Mapping[str, _Made]


@dataclass(frozen=True)
class Done:
    """What a call has done.

    Attributes:
        written: Items that were made.
        kept: Items that an earlier call had made.
        gone: Items of earlier calls whose sources are not there any more; their files stay.
    """

    written: int
    kept: int
    gone: int


def digests_of(items: Sequence[tuple[ImageFile, ...]], on_progress: Progress | None = None) -> list[str]:
    """The hash of the content of the files of each item, read in parallel.

    Raises:
        DataError: A file cannot be read.
    """
    found: list[str] = []
    for digest in in_parallel(_digest_of, items):
        found.append(digest)
        if on_progress is not None:
            on_progress(len(found), len(items))
    return found


def write_items(
    out: Path,
    tasks: Sequence[Task],
    make: Callable[[Task], Sequence[bytes]],
    *,
    settings: Mapping[str, Any],
    noun: str,
    on_progress: Progress | None = None,
) -> Done:
    """Make what is missing of a dataset.

    Args:
        out: Its folder; made if it does not exist.
        tasks: All of its items.
        make: Gives the content of the files of an item, in the order of its targets; called in threads.
        settings: What the files depend on beside their sources, as JSON has it.
        noun: What the items are, in the plural.
        on_progress: Called with the items that are done, and all.

    Raises:
        DataError: `out` holds something else, or items cannot be made: all others are, and the message names these.
        ConfigError: Another process is at it.
    """
    with owned(out, "preparing a dataset in", option="--to"):
        gone = _claim(out, tasks, settings)
        missing = [task for task in tasks if not all((out / target).is_file() for target in task.targets)]
        done, problems = len(tasks) - len(missing), []
        for folder in {Path(target).parent for task in tasks for target in task.targets}:
            (out / folder).mkdir(parents=True, exist_ok=True)
            remove_leftovers(out / folder)
        large = threading.Lock()

        def work(task: Task) -> str | None:
            is_large = any(pixels_of(file) > LARGE_PIXELS for file in task.sources)
            try:
                with large if is_large else nullcontext():
                    for target, content in zip(task.targets, make(task), strict=True):
                        atomic_write_bytes(out / target, content)
            except DataError as error:
                return _named(task.key, str(error))
            return None

        for problem in in_parallel(work, missing):
            problems += [] if problem is None else [problem]
            done += problem is None
            if on_progress is not None:
                on_progress(done, len(tasks))
    if problems:
        raise DataError(
            f"{len(problems)} of {len(tasks)} {noun} cannot be used:\n{listed(problems)}\n"
            "All others are done. Repair or remove these files and give the same command again."
        )
    return Done(len(missing), len(tasks) - len(missing), gone)


def _claim(out: Path, tasks: Sequence[Task], settings: Mapping[str, Any]) -> int:
    """Make the folder ours, write down what it is going to hold, and remove what no longer belongs into it."""
    path = out / RECORD_NAME
    before: Mapping[str, _Made] = {}
    if path.exists():
        record = _read(path)
        if dict(record.settings) != dict(settings):
            changed = sorted(
                name for name in {*record.settings, *settings} if record.settings.get(name) != settings.get(name)
            )
            was = ", ".join(f"{name}: {record.settings.get(name)}" for name in changed)
            raise DataError(
                f"{out} was made with other settings ({was}): give these, choose another folder with --to, or "
                "remove it."
            )
        before = record.items
    else:
        others = sorted(one.name for one in out.iterdir() if not is_leftover(one))
        if others:
            raise DataError(f"{out} is not empty:\n{listed(others)}\nGive a new or an empty folder with --to.")
    now = {task.key: _Made(task.digest, task.targets) for task in tasks}
    files = {target: made.digest for made in now.values() for target in made.targets}
    gone = {key: made for key, made in before.items() if key not in now and not files.keys() & set(made.targets)}
    for key, made in before.items():
        for target in made.targets:
            if key not in gone and files.get(target) != made.digest:
                (out / target).unlink(missing_ok=True)
    new = _Record("tandem-prepare", dict(settings), gone | now)
    if not path.exists() or new.items != before:
        atomic_write_text(path, json.dumps(asdict(new)) + "\n")
    return len(gone)


def _read(path: Path) -> _Record:
    try:
        record = parse_dataclass(_Record, load_json(path, _MAX_RECORD_BYTES), path.name)
        targets = [target for made in record.items.values() for target in made.targets]
        odd = [target for target in targets if not _TARGET.fullmatch(target) or _leads_out(path.parent, target)]
        if odd:
            raise ValueError(f"it names a file {odd[0]!r:.80}")
    except (OSError, ValueError) as error:
        raise DataError(f"{path} is damaged ({error}): remove the folder and begin anew.") from error
    return record


def _leads_out(out: Path, target: str) -> bool:
    """Whether a link among the subfolders of a file leads out of the folder of its split."""
    folder, *below = target.split("/")
    return len(below) > 1 and not (out / target).parent.resolve().is_relative_to((out / folder).resolve())


def _digest_of(files: tuple[ImageFile, ...]) -> str:
    if len(files) == 1:
        return files[0].sha256()
    return hashlib.sha256("\n".join(file.sha256() for file in files).encode()).hexdigest()


def _named(key: str, reason: str) -> str:
    """A reason with the item's name in front, unless it begins with a file."""
    return reason if key in reason else f"{key}: {reason}"
