"""What a demo dataset's folder says about itself: ``demo.json``, read without trust."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np

from tandem.data.splits import SPLITS
from tandem.data.synthetic.drawing import GENERATOR_VERSION, KINDS, MAX_SIZE, MIN_SIZE, draw_mask
from tandem.data.synthetic.modes import MODES, Mode
from tandem.errors import DataError, listed
from tandem.foreign import load_json

DemoLayout = Literal["side_by_side", "folders", "unpaired"]

LAYOUTS: tuple[DemoLayout, ...] = get_args(DemoLayout)
FORMAT = "tandem-demo"
INFO_NAME = "demo.json"

MAX_COUNT = 200_000
"""Most objects in one split."""

_MAX_BYTES = 128 * 2**20
_STEM = re.compile(r"[0-9]{5,6}")


@dataclass(frozen=True)
class DemoEntry:
    """What is known about one pair: its index, the mode of its rendering and the kind of its object.

    Of unpaired data about one image: a drawing has the mode that its rendering would have.
    """

    index: int
    mode: int
    kind: str


@dataclass(frozen=True)
class DemoInfo:
    """A demo dataset on disk.

    Args:
        root: Its folder.
        size: Side of the pictures in pixels.
        seed: Of the generator.
        layout: How pairs lie on disk; or unpaired.
        modes: The modes with their probabilities.
        entries: By split, then by file stem, e.g. ``entries["test"]["00001"]``.
    """

    root: Path
    size: int
    seed: int
    layout: DemoLayout
    modes: tuple[Mode, ...]
    entries: Mapping[str, Mapping[str, DemoEntry]]

    def entry(self, split: str, stem: str) -> DemoEntry:
        """What is known about the pair with this file stem.

        Raises:
            DataError: If there is none.
        """
        entries = self.entries.get(split, {})
        if stem not in entries:
            known = f"{min(entries)} to {max(entries)}" if entries else "none"
            raise DataError(f"{self.root / INFO_NAME} has no '{stem}' in split '{split}'; it has: {known}.")
        return entries[stem]

    def mask(self, split: str, stem: str, *, size: int | None = None) -> np.ndarray:
        """Where the mode's colour shows in a pair: ``(size, size)`` float32 in [0, 1], see `Drawing.mask`.

        Args:
            split: "train", "val" or "test".
            stem: The file's name without its ending.
            size: Side of the pictures to be measured, where it is not that of the dataset.

        Raises:
            DataError: If there is no such pair.
        """
        return draw_mask(self.entry(split, stem).index, size=size or self.size, seed=self.seed)


def mode_records() -> list[dict[str, Any]]:
    """The modes as they are written to ``demo.json``."""
    return [
        {"name": mode.name, "weight": mode.weight, "rgb": list(mode.rgb), "material": mode.material.name}
        for mode in MODES
    ]


def load_dataset_info(root: Path) -> DemoInfo:
    """Read and check the ``demo.json`` of a demo dataset.

    Raises:
        DataError: If there is none, it is damaged, or another version of the generator wrote it.
    """
    path = Path(root) / INFO_NAME
    document = read_json(path)
    version = document.get("generator")
    if version != GENERATOR_VERSION:
        raise DataError(
            f"{path} was written by version {version!r} of the generator, this is version "
            f"{GENERATOR_VERSION}, which draws other pictures. Generate the dataset again in an empty folder."
        )
    size: Any = document.get("size")
    seed: Any = document.get("seed")
    layout: Any = document.get("layout")
    problems = []
    if not is_integer(size) or not MIN_SIZE <= size <= MAX_SIZE:
        problems.append(f"size is {size!r}, expected {MIN_SIZE} to {MAX_SIZE}")
    if not is_integer(seed):
        problems.append(f"seed is {seed!r}, expected an integer")
    if layout not in LAYOUTS:
        problems.append(f"layout is {layout!r}, expected one of {', '.join(LAYOUTS)}")
    if document.get("modes") != mode_records():
        problems.append("modes are not those of this version of the generator")
    entries, wrong = _entries(document.get("files"))
    problems += wrong
    if problems:
        raise DataError(f"{path} is damaged:\n{listed(problems)}\nGenerate the dataset again in an empty folder.")
    return DemoInfo(Path(root), size, seed, layout, MODES, entries)


def read_json(path: Path) -> dict[str, Any]:
    """Read a small JSON object that says that it belongs to a demo dataset.

    Raises:
        DataError: If it is missing, too large, or something else.
    """
    try:
        length = path.stat().st_size
        document = load_json(path, _MAX_BYTES) if length <= _MAX_BYTES else None
    except FileNotFoundError as error:
        raise DataError(f"{path} does not exist: {path.parent} is not a (complete) demo dataset.") from error
    except (OSError, ValueError, RecursionError) as error:
        raise DataError(f"{path} cannot be read as JSON: {error}") from error
    if length > _MAX_BYTES:
        raise DataError(f"{path} has {length} bytes; the largest that is read is {_MAX_BYTES}.")
    if not isinstance(document, dict) or document.get("format") != FORMAT:
        raise DataError(f'{path} does not describe a demo dataset (expected "format": "{FORMAT}").')
    return document


def is_integer(value: object) -> bool:
    """Whether a value from JSON is an integer (true and false are not)."""
    return isinstance(value, int) and not isinstance(value, bool)


def _entries(files: object) -> tuple[dict[str, dict[str, DemoEntry]], list[str]]:
    if not isinstance(files, dict) or set(files) != set(SPLITS):
        return {}, [f"files must hold exactly the splits {', '.join(SPLITS)}"]
    entries: dict[str, dict[str, DemoEntry]] = {}
    problems = []
    for split in SPLITS:
        records = files[split]
        if not isinstance(records, dict) or len(records) > MAX_COUNT:
            problems.append(f"files.{split} must be an object of at most {MAX_COUNT} entries")
            continue
        entries[split] = {}
        for stem, record in records.items():
            entry = _entry(stem, record)
            if entry is None:
                problems.append(f"files.{split}: {stem!r:.60} is not a valid entry")
            else:
                entries[split][stem] = entry
    return entries, problems


def _entry(stem: str, record: object) -> DemoEntry | None:
    if not _STEM.fullmatch(stem) or not isinstance(record, dict) or set(record) != {"index", "mode", "kind"}:
        return None
    index, mode, kind = record["index"], record["mode"], record["kind"]
    if not is_integer(index) or index < 0 or not is_integer(mode) or not 0 <= mode < len(MODES):
        return None
    return DemoEntry(index, mode, kind) if kind in KINDS else None
