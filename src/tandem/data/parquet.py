"""Columns of text of a Parquet file, read without trust by a process of its own: some damaged files end pyarrow's.

That process is this module: ``python -m tandem.data.parquet PATH COLUMN…`` prints the names of all columns, then a line
for each row, as JSON. Columns that are not asked for are not decoded.
"""

import json
import re
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from tandem.data.formats.extras import needed
from tandem.data.listing import count

MAX_COLUMN_BYTES = 1 << 30
"""Of one column before it is unpacked, as the file says; and of the texts in a dictionary, as they are found."""
_BATCH = 4096
_TEXT = re.compile(r"null|(large_)?string|dictionary<values=(large_)?string, indices=u?int\d+, ordered=[01]>")
_MAX_ERROR = 2000


def columns_of_parquet(path: Path) -> list[str]:
    """The names of its columns.

    Raises:
        MissingExtraError: pyarrow is not installed.
        ValueError: It is damaged.
    """
    return next(_lines(path, (), max_rows=0, max_cell=0))


def rows_of_parquet(path: Path, columns: Sequence[str], *, max_rows: int, max_cell: int) -> Iterator[Mapping[str, str]]:
    """Its rows in some columns, of those that are there; a value that is missing is the empty text.

    Args:
        path: The file.
        columns: Of text.
        max_rows: More are refused.
        max_cell: Texts of more characters are refused.

    Raises:
        MissingExtraError: pyarrow is not installed.
        ValueError: It is damaged, a column does not hold text, or there is too much.
    """
    lines = _lines(path, columns, max_rows=max_rows, max_cell=max_cell)
    there = next(lines)
    known = [name for name in columns if name in there]
    for row in lines:
        yield dict(zip(known, row, strict=True))


def _lines(path: Path, columns: Sequence[str], *, max_rows: int, max_cell: int) -> Iterator[Any]:
    """What the process says: a list of names, then lists of texts."""
    needed("pyarrow", "parquet", "reading Parquet files")
    asked = json.dumps({"path": str(path), "columns": list(columns), "max_rows": max_rows, "max_cell": max_cell})
    command = [sys.executable, "-m", "tandem.data.parquet", asked]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=pipe, stderr=pipe) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        try:
            for line in process.stdout:
                yield json.loads(line)
            error = process.stderr.read(_MAX_ERROR).decode("utf-8", "replace").strip()
            process.wait()
        finally:
            process.kill()  # of a reader that is not asked any further
    status = process.returncode
    if status == 1:
        raise ValueError(error)
    if status:
        name = signal.Signals(-status).name if status < 0 else f"status {status}"
        raise ValueError(f"what reads it ended with {name} ({error[-300:]})")


def main() -> int:
    """Print what a file holds, or why it is not read."""
    asked = json.loads(sys.argv[1])
    path, columns = Path(asked["path"]), asked["columns"]
    try:
        with _opened(path) as file:
            names = list(file.schema_arrow.names)
            known = [name for name in columns if name in names]
            if known:
                _refuse(file, known, asked["max_rows"])
        sys.stdout.write(json.dumps(names) + "\n")
        for row in _rows(path, known, asked["max_cell"]):
            sys.stdout.write(json.dumps(row) + "\n")
    except BrokenPipeError:
        return 0
    except Exception as error:  # of any kind that pyarrow raises
        sys.stderr.write(str(error))
        return 1
    return 0


def _rows(path: Path, columns: Sequence[str], max_cell: int) -> Iterator[Sequence[str]]:
    if not columns:
        return
    with _opened(path, columns) as file:
        for batch in file.iter_batches(batch_size=_BATCH, columns=columns, use_threads=False):
            values = [_texts(batch.column(index), name, max_cell) for index, name in enumerate(columns)]
            yield from zip(*values, strict=True)


def _opened(path: Path, columns: Sequence[str] = ()) -> Any:
    parquet = needed("pyarrow.parquet", "parquet", "reading Parquet files")
    # A text that is there a million times is unpacked once.
    return parquet.ParquetFile(path, read_dictionary=list(columns), memory_map=False)


def _refuse(file: Any, columns: Sequence[str], max_rows: int) -> None:
    """Refuse columns that hold no text, and sizes that are too much, before anything is unpacked."""
    metadata = file.metadata
    if metadata.num_rows > max_rows:
        raise ValueError(f"it has {count(metadata.num_rows, 'row')}, at most {max_rows} are read")
    for name in columns:
        kind = str(file.schema_arrow.field(name).type)
        if not _TEXT.fullmatch(kind):
            raise ValueError(f"column {name} holds {kind}, expected is text: names of files, or of splits")
    for group in range(metadata.num_row_groups):
        for index in range(metadata.num_columns):
            column = metadata.row_group(group).column(index)
            if column.path_in_schema in columns and column.total_uncompressed_size > MAX_COLUMN_BYTES:
                raise ValueError(f"column {column.path_in_schema} has more than {MAX_COLUMN_BYTES} bytes")


def _texts(array: Any, name: str, max_cell: int) -> list[str]:
    """The texts of a part of a column, which is a dictionary with its indices."""
    if str(array.type) == "null":
        return [""] * len(array)
    known = array.dictionary.to_pylist()
    if any(len(text) > max_cell for text in known):
        raise ValueError(f"column {name} holds texts of more than {max_cell} characters")
    return ["" if index is None else known[index] for index in array.indices.to_pylist()]


if __name__ == "__main__":
    sys.exit(main())
