"""Pairs that a table names: a manifest of one's own, or the metadata of a Hugging Face `imagefolder`.

- ``pairs.csv``, ``.tsv``, ``.jsonl`` or ``.parquet`` with columns ``a`` (or ``a1``, ``a2`` and so on, whose channels
  are stacked; in JSON a list) and ``b``, or two others that are called like A and B (`tandem.data.layouts`), ``split``
  where there are several, and ``mask`` where pixels are masked;
- ``DATA/metadata.csv``, ``.jsonl`` or ``.parquet``, or one in each of the folders of splits, with two columns that end
  in ``file_name``: ``input_file_name`` and ``target_file_name``, or ``file_name``, which is A, and another one.

Files are named relative to the table, with ``/``, and lie in its folder or below it.
"""

import csv
import io
import json
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path, PurePosixPath

from tandem.config.data import MAX_CHANNELS
from tandem.data.image_file import DiskFile, ImageFile, StackedFile
from tandem.data.images import IMAGE_SUFFIXES
from tandem.data.layouts import SPLIT_NAMES, pairs_among
from tandem.data.listing import count
from tandem.data.parquet import columns_of_parquet, rows_of_parquet
from tandem.data.splits import SPLITS, Pair, PairedSplit, SingleImage, SplitName, UnpairedSplit
from tandem.errors import DataError, listed
from tandem.foreign import read_bounded, reading
from tandem.names import file_stem, is_text

MANIFEST_SUFFIXES = (".csv", ".tsv", ".jsonl", ".parquet")
MAX_BYTES = 1 << 30
MAX_ROWS = 10_000_000
_METADATA = ("metadata.csv", "metadata.jsonl", "metadata.parquet")
_FILE_NAME = "file_name"
_MAX_CELL = 4096

Row = Mapping[str, str]
_Files = tuple[PurePosixPath, ImageFile, DiskFile | None, DiskFile | None]
"""The path of A as the table has it, and the files of A, of B and of their mask."""
_Table = tuple[Path, Sequence[str], str, SplitName | None, list[Row]]
"""A file, its columns of A, which are stacked, and its column of B, the split of its folder, its rows."""


def is_manifest(path: Path) -> bool:
    """Whether a path is the file of a manifest."""
    return path.suffix.lower() in MANIFEST_SUFFIXES and path.is_file()


@dataclass(frozen=True)
class Manifest:
    """What a manifest names.

    Attributes:
        pairs: The splits of pairs.
        inputs: The split test, where it names inputs alone.
    """

    pairs: Mapping[str, PairedSplit]
    inputs: Mapping[str, UnpairedSplit]


def read_manifest(root: Path) -> Manifest | None:
    """Read a manifest, or the metadata in a folder; None where there is none with two file names.

    Args:
        root: A manifest, or a dataset folder.

    Raises:
        DataError: It is damaged, has no such columns, or names files that are not there, are no images, or
            lie outside of its folder; all of them are named.
    """
    tables = _find(root)
    if tables is None:
        return None
    folder, _ = tables
    files, called = _files(*tables)
    alone = [(path, a, mask) for path, a, b, mask in files.get("test", ()) if b is None]
    names = _named([path for path, *_ in alone])
    inputs = tuple(SingleImage(name, a, mask=mask) for name, (_, a, mask) in zip(names, alone, strict=True))
    return Manifest(
        pairs={
            split: PairedSplit(folder, split, "manifest", _pairs(files[split]), called=called)
            for split in SPLITS
            if split in files and not (split == "test" and alone)
        },
        inputs={"test": UnpairedSplit(folder, "test", "manifest", inputs, (), called=called)} if alone else {},
    )


def find_manifest(root: Path) -> dict[str, PairedSplit] | None:
    """The splits of pairs that a manifest names; None where there is no manifest; raises as `read_manifest`."""
    found = read_manifest(root)
    return None if found is None else pairs_of(found, root)


def pairs_of(manifest: Manifest, root: Path) -> dict[str, PairedSplit]:
    """The splits of pairs of a manifest, which lies at `root`.

    Raises:
        DataError: There are none.
    """
    if not manifest.pairs:
        raise DataError(f"{root} names no pairs, only inputs of the split test.", file=root)
    return dict(manifest.pairs)


def has_metadata(folder: Path) -> bool:
    """Whether there is metadata in a folder, or in those of its splits."""
    return any(path.is_file() for path, _ in _metadata_in(folder))


def _find(root: Path) -> tuple[Path, list[_Table]] | None:
    """The tables, and the folder that is the dataset."""
    if is_manifest(root):
        a, b = _of_table(root, _columns(root))
        return root.parent, [(root, a, b, None, list(_rows(root, (*a, b, "split", "mask"))))]
    found: list[_Table] = []
    for path, split in _metadata_in(root):
        if not path.is_file():
            continue
        names = [name for name in _columns(path) if name.endswith(_FILE_NAME)]
        chosen = _of_file_names(path, names) if len(names) > 1 else None
        if chosen is not None:
            rows = list(_rows(path, (*chosen, "split", "mask")))
            found.append((path, chosen[:1], chosen[1], split, rows))
    return (root, found) if found else None


def _of_table(path: Path, columns: Sequence[str]) -> tuple[Sequence[str], str]:
    """The columns of A in a table of pairs, several where they are stacked, and that of B."""
    parts = _numbered(columns)
    if parts and "a" in columns:
        raise DataError(f"{path} has both a column a and columns {', '.join(parts)}; keep one of them.", file=path)
    if parts and "b" in columns:
        return parts, "b"
    chosen = _of_pairs(path, columns) if columns else None
    if chosen is None:
        shown = ", ".join(columns) or "none"
        raise DataError(
            f"{path} must have columns a and b (or a1, a2, … and b), and may have split and mask; it has {shown}. "
            "Instead of a and b they may be called input and target, or the like.",
            file=path,
        )
    return chosen[:1], chosen[1]


def _of_pairs(path: Path, columns: Sequence[str]) -> tuple[str, str] | None:
    """The columns of A and of B in a table of pairs, by their names; None where there are none."""
    if {"a", "b"} <= set(columns):
        return "a", "b"
    ways = pairs_among(columns)
    if len(ways) > 1:
        shown = "; ".join(f"{a} and {b}" for a, b in ways)
        raise DataError(f"{path} has columns for A and B in several ways ({shown}): call them a and b.", file=path)
    if ways:
        return ways[0]
    names = [name for name in columns if name.endswith(_FILE_NAME)]
    return _of_file_names(path, names) if len(names) > 1 else None


def _of_file_names(path: Path, names: Sequence[str]) -> tuple[str, str]:
    """Which of some columns of file names are A and B, by what stands before, else the plain one, or the first, is A.

    Raises:
        DataError: There are more than two, and their names do not say which.
    """
    known = {name.removesuffix(_FILE_NAME).rstrip("_-. "): name for name in names}
    ways = pairs_among(known)
    if len(ways) == 1:
        return known[ways[0][0]], known[ways[0][1]]
    if len(names) != 2:
        raise DataError(
            f"{path} has several columns of file names ({', '.join(names)}), and their names do not say which two are "
            "A and B: call these a_file_name and b_file_name.",
            file=path,
        )
    first, second = names
    return (second, first) if second == _FILE_NAME else (first, second)


def _metadata_in(root: Path) -> Iterator[tuple[Path, SplitName | None]]:
    for name in _METADATA:
        yield root / name, None
        for split in SPLITS:
            for folder in SPLIT_NAMES[split]:
                yield root / folder / name, split


def _numbered(columns: Collection[str]) -> list[str]:
    """The columns a1, a2 and so on, as many as there are in a row; none if there is no a2."""
    found = list(takewhile(columns.__contains__, (f"a{number}" for number in range(1, MAX_CHANNELS + 1))))
    return found if len(found) > 1 else []


def _files(root: Path, tables: list[_Table]) -> tuple[dict[SplitName, list[_Files]], str]:
    """The files of each row by its split, with the path of A in the table; and which tables they are.

    The split test may have inputs alone, if it has them in all of its rows.
    """
    problems: list[str] = []
    found: dict[SplitName, list[_Files]] = {}
    for table, a, b, of_folder, rows in tables:
        splits: list[SplitName | None] = [
            of_folder or _split_of(row.get("split", ""), f"{table.name}, row {number}", problems)
            for number, row in enumerate(rows, 1)
        ]
        of_test = [row.get(b) for row, split in zip(rows, splits, strict=True) if split == "test"]
        columns = {split: (*a,) if split == "test" and not any(of_test) else (*a, b) for split in SPLITS}
        for number, (row, split) in enumerate(zip(rows, splits, strict=True), 1):
            where = f"{table.name}, row {number}"
            named = columns[split or "train"]
            files = [_file(table.parent, row.get(name, ""), f"{where}, {name}", problems) for name in named]
            mask = _file(table.parent, row["mask"], f"{where}, mask", problems) if row.get("mask") else None
            given = [file for file in files if file is not None]
            if split is not None and len(given) == len(named):
                of_a, of_b = given[: len(a)], given[len(a) :]
                stack = StackedFile(tuple(file for _, file in of_a), tuple(a)) if len(of_a) > 1 else of_a[0][1]
                file_b, of_mask = of_b[0][1] if of_b else None, None if mask is None else mask[1]
                found.setdefault(split, []).append((of_a[0][0], stack, file_b, of_mask))
    if not problems and not found:
        problems.append("there is no row")
    if problems:
        raise DataError(f"{tables[0][0]} cannot be used:\n{listed(problems)}", file=tables[0][0])
    return found, f"by {' and '.join(str(table.relative_to(root)) for table, *_ in tables)}"


def _pairs(files: list[_Files]) -> tuple[Pair, ...]:
    names = _named([path for path, *_ in files])
    return tuple(Pair(name, a, b, mask) for name, (_, a, b, mask) in zip(names, files, strict=True))


def _named(paths: Sequence[PurePosixPath]) -> list[str]:
    """Names by the stem of A; by its whole path where several have the same, and by their number beside that."""
    stems = Counter(path.stem for path in paths)
    whole = Counter(paths)
    names, seen = [], Counter[PurePosixPath]()
    for path in paths:
        name = path.stem if stems[path.stem] == 1 else "_".join([*path.parts[:-1], path.stem])
        if whole[path] > 1:
            seen[path] += 1
            name = f"{name}-{seen[path]}"
        names.append(file_stem(name))
    doubles = [name for name, number in Counter(names).items() if number > 1]
    if doubles:
        raise DataError(f"Several pairs would be called so; rename the files of A:\n{listed(doubles)}")
    return names


def _split_of(text: str, where: str, problems: list[str]) -> SplitName | None:
    name = text.strip().lower()
    for split in SPLITS:
        if name in SPLIT_NAMES[split] or (not name and split == "train"):
            return split
    problems.append(f"{where}: split must be train, val or test, not {text!r:.40}")
    return None


def _file(folder: Path, text: str, where: str, problems: list[str]) -> tuple[PurePosixPath, DiskFile] | None:
    """A file that a cell names; None, and the reason in `problems`, where it may not be read."""
    path = PurePosixPath(text)
    reason = None
    if not text or "\0" in text or len(text) > _MAX_CELL or not is_text(text):
        reason = "names no file" if not text else "is no name of a file"
    elif path.is_absolute() or ".." in path.parts or "\\" in text:
        reason = f"names {text!r:.80}; files are named relative to the table, in its folder or below"
    elif path.suffix.lower() not in IMAGE_SUFFIXES:
        reason = f"names {text!r:.80}, which has no ending of an image"
    elif not (folder / path).is_file():
        reason = f"names {text!r:.80}, which is not there"
    elif not (folder / path).resolve().is_relative_to(folder.resolve()):
        reason = f"names {text!r:.80}, a link that leads out of the folder"
    if reason is not None:
        problems.append(f"{where} {reason}")
        return None
    return path, DiskFile(folder / path)


def _texts(row: Mapping[object, object]) -> Iterator[tuple[str, str]]:
    """The texts of a JSON object; a list of them is a column for each, ``a1``, ``a2`` and so on."""
    for name, value in row.items():
        if isinstance(value, str):
            yield str(name), value
        elif isinstance(value, list) and all(isinstance(one, str) for one in value):
            yield from ((f"{name}{number}", one) for number, one in enumerate(value, 1))


def _columns(path: Path) -> list[str]:
    """The names of a table's columns; of JSON Lines those of the first row."""
    if path.suffix.lower() == ".parquet":
        with reading(path, lambda text: DataError(text, file=path)):
            return columns_of_parquet(path)
    return list(next(_rows(path, ()), {}))


def _rows(path: Path, columns: Sequence[str]) -> Iterator[Row]:
    """The rows of a table, values as text; of a Parquet file those of some columns alone."""
    with reading(path, lambda text: DataError(text, file=path)):
        if path.suffix.lower() == ".parquet":
            yield from rows_of_parquet(path, columns, max_rows=MAX_ROWS, max_cell=_MAX_CELL)
            return
        content = read_bounded(path, MAX_BYTES).decode("utf-8-sig")
        if path.suffix.lower() == ".jsonl":
            for number, line in enumerate(content.splitlines(), 1):
                if line.strip():
                    row = json.loads(line)
                    if not isinstance(row, dict):
                        raise ValueError(f"line {number} is no JSON object")
                    yield dict(_texts(row))
            return
        table = csv.DictReader(
            io.StringIO(content, newline=""), dialect="excel-tab" if path.suffix == ".tsv" else "excel"
        )
        for number, row in enumerate(table, 1):
            if number > MAX_ROWS:
                raise ValueError(f"it has more than {count(MAX_ROWS, 'row')}")
            if None in row or None in row.values():
                raise ValueError(f"row {number} has another number of cells than the first line")
            yield {name.strip(): value for name, value in row.items()}
