"""Writing the demo dataset as an ordinary folder of pairs, interruptible at any moment."""

import io
import json
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from tandem.config.options import Options, option
from tandem.data.splits import SPLITS, SplitName
from tandem.data.synthetic.drawing import (
    GENERATOR_VERSION,
    MAX_SIZE,
    MIN_SIZE,
    draw_pair,
    kind_of,
    mode_of,
)
from tandem.data.synthetic.info import (
    FORMAT,
    INFO_NAME,
    MAX_COUNT,
    DemoLayout,
    mode_records,
    read_json,
)
from tandem.errors import ConfigError, DataError, listed
from tandem.files import atomic_write_bytes, atomic_write_text, belongs_to_others, owned, remove_leftovers

PARTIAL_NAME = "demo.partial.json"
"""Says, until the dataset is complete, what it is going to be."""

_PNG_END = b"\x00\x00\x00\x00IEND\xaeB`\x82"


@dataclass(frozen=True, kw_only=True)
class DatasetOptions(Options):
    """What the demo dataset holds."""

    size: int = option(64, "side of the images in pixels", at_least=MIN_SIZE, at_most=MAX_SIZE)
    seed: int = option(0, "everything that is drawn follows from it")
    num_train: int = option(2000, "training pairs, or images of each domain", at_least=0, at_most=MAX_COUNT)
    num_val: int = option(50, "validation pairs", at_least=0, at_most=MAX_COUNT)
    num_test: int = option(50, "test pairs", at_least=0, at_most=MAX_COUNT)
    layout: DemoLayout = option(
        "side_by_side",
        "one file a pair (A left, B right), or folders trainA, trainB, … of pairs, or of different objects",
    )

    @property
    def counts(self) -> dict[SplitName, int]:
        """How many pairs each split has."""
        return {"train": self.num_train, "val": self.num_val, "test": self.num_test}

    def problems(self) -> Iterator[str]:
        """Say what does not fit together."""
        if self.layout == "unpaired":
            most = MAX_COUNT // 2
            for split, count in self.counts.items():
                if count > most:
                    yield f"--num-{split} must be from 0 to {most} with --layout unpaired, not {count}"
        if not any(self.counts.values()):
            yield "there would be no pair at all: ask for at least one with --num-train, --num-val or --num-test"


@dataclass(frozen=True)
class _Task:
    """An object to draw: side by side into one file, into two, or one of both where the other is None."""

    files: tuple[Path | None, ...]
    index: int
    size: int
    seed: int


def split_index(split: SplitName, number: int) -> int:
    """The index of the pair with this number (from 1) in a split; splits never share one."""
    return SPLITS.index(split) * MAX_COUNT + number - 1


def write_dataset(
    out: Path,
    *,
    size: int = DatasetOptions.size,
    seed: int = DatasetOptions.seed,
    num_train: int = DatasetOptions.num_train,
    num_val: int = DatasetOptions.num_val,
    num_test: int = DatasetOptions.num_test,
    layout: DemoLayout = DatasetOptions.layout,
    num_workers: int = 1,
    on_progress: Callable[[int, int], None] | None = None,
) -> Path:
    """Write the demo dataset, or complete one that an interrupted call with the same parameters began.

    ``side_by_side`` writes ``out/train/00001.png`` with A on the left and B on the right, ``folders`` writes
    ``out/trainA/00001.png`` and ``out/trainB/00001.png``; the same for ``val`` and ``test``. ``unpaired`` writes
    drawings of the first half of the objects to ``trainA`` and renderings of the second half to ``trainB``, so that
    nothing in one folder shows an object of the other: with 3 images in each, 00001 to 00003 and 00004 to 00006.
    ``out/demo.json`` holds the modes and what is known about every file; it is written last.
    The result does not depend on interruptions or on the number of workers.

    Args:
        out: The folder; made if it does not exist.
        size: Side of the pictures in pixels.
        seed: Other seeds give other objects.
        num_train: Pairs in the training split; of unpaired data images in each of the two folders.
        num_val: The same of the validation split.
        num_test: The same of the test split.
        layout: How pairs lie on disk; or unpaired.
        num_workers: Processes; with more than one, the calling script needs the usual ``if __name__`` guard.
        on_progress: Called with the number of pairs that are there and of all pairs.

    Returns:
        `out`.

    Raises:
        ConfigError: If an argument is out of range.
        DataError: If `out` holds another demo dataset, or other files.
    """
    options = DatasetOptions(
        size=size, seed=seed, num_train=num_train, num_val=num_val, num_test=num_test, layout=layout
    )
    if num_workers < 1:
        raise ConfigError(f"num_workers must be at least 1, not {num_workers}.")
    counts = options.counts
    parameters = {
        "format": FORMAT,
        "generator": GENERATOR_VERSION,
        "size": size,
        "seed": seed,
        "layout": layout,
    }
    parameters |= {f"num_{split}": count for split, count in counts.items()}
    out = Path(out)
    _require_ours(out, parameters)
    with owned(out, "drawing the demo dataset in"):
        _require_ours(out, parameters)
        _draw(out, parameters, counts, num_workers, on_progress)
    return out


def _draw(
    out: Path,
    parameters: dict[str, Any],
    counts: dict[SplitName, int],
    num_workers: int,
    on_progress: Callable[[int, int], None] | None,
) -> None:
    size, seed, layout = parameters["size"], parameters["seed"], parameters["layout"]
    if not any((out / name).exists() for name in (INFO_NAME, PARTIAL_NAME)):
        atomic_write_text(out / PARTIAL_NAME, json.dumps(parameters, indent=1) + "\n")
    for folder in (path for path in out.iterdir() if path.is_dir()):
        remove_leftovers(folder)
    tasks = [
        _Task(_files(out, layout, split, number, counts[split]), split_index(split, number), size, seed)
        for split in SPLITS
        for number in range(1, _num_objects(counts[split], layout) + 1)
    ]
    missing = [task for task in tasks if not all(_is_complete(file) for file in task.files if file)]
    done = len(tasks) - len(missing)
    if on_progress:
        on_progress(done, len(tasks))
    for _ in _written(missing, num_workers):
        done += 1
        if on_progress:
            on_progress(done, len(tasks))
    if not (out / INFO_NAME).exists():
        atomic_write_text(out / INFO_NAME, _describe(parameters, counts))
    (out / PARTIAL_NAME).unlink(missing_ok=True)


def _require_ours(out: Path, parameters: dict[str, Any]) -> None:
    """Make sure that the folder is ours and made with these parameters, or new."""
    found = next((out / name for name in (INFO_NAME, PARTIAL_NAME) if (out / name).exists()), None)
    if found is None:
        if out.exists() and (not out.is_dir() or belongs_to_others(out)):
            raise DataError(f"{out} exists and is not a demo dataset. Choose a new or an empty folder.")
    else:
        there = read_json(found)
        different = [
            f"{name}: it has {there.get(name)!r}, asked for {value!r}"
            for name, value in parameters.items()
            if there.get(name) != value
        ]
        if different:
            raise DataError(
                f"{out} already holds a demo dataset that was made with other parameters:\n"
                f"{listed(different)}\n"
                "Choose another folder, remove this one, or ask for the parameters that it has."
            )


def _num_objects(count: int, layout: DemoLayout) -> int:
    return 2 * count if layout == "unpaired" else count


def _files(out: Path, layout: DemoLayout, split: SplitName, number: int, count: int) -> tuple[Path | None, ...]:
    name = f"{number:05d}.png"
    if layout == "side_by_side":
        return (out / split / name,)
    a, b = out / f"{split}A" / name, out / f"{split}B" / name
    if layout == "folders":
        return a, b
    return (a, None) if number <= count else (None, b)


def _is_complete(file: Path) -> bool:
    try:
        with file.open("rb") as opened:
            opened.seek(-len(_PNG_END), io.SEEK_END)
            return opened.read() == _PNG_END
    except OSError:
        return False


def _written(tasks: list[_Task], num_workers: int) -> Iterator[None]:
    if num_workers == 1 or len(tasks) < 2:
        yield from map(_write, tasks)
        return
    # A forked child of a process that uses threads (torch) may hang, so start fresh ones.
    with ProcessPoolExecutor(num_workers, mp_context=get_context("spawn")) as pool:
        yield from pool.map(_write, tasks, chunksize=8)


def _write(task: _Task) -> None:
    drawing = draw_pair(task.index, size=task.size, seed=task.seed)
    pictures = [drawing.a, drawing.b]
    if len(task.files) == 1:
        pictures = [np.hstack(pictures)]
    for file, picture in zip(task.files, pictures, strict=True):
        if file is None:
            continue
        buffer = io.BytesIO()
        Image.fromarray(picture).save(buffer, format="PNG")
        atomic_write_bytes(file, buffer.getvalue())


def _describe(parameters: dict[str, Any], counts: dict[SplitName, int]) -> str:
    seed = parameters["seed"]
    files = {}
    for split, count in counts.items():
        objects = range(1, _num_objects(count, parameters["layout"]) + 1)
        indices = {f"{number:05d}": split_index(split, number) for number in objects}
        files[split] = {
            stem: {"index": index, "mode": mode_of(index, seed=seed), "kind": kind_of(index, seed=seed)}
            for stem, index in indices.items()
        }
    return json.dumps({**parameters, "modes": mode_records(), "files": files}, indent=1) + "\n"
