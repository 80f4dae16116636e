"""Columns of text of a Parquet file, read without trust; other columns are not decoded."""

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from tandem.data.formats.extras import needed
from tandem.data.listing import count

MAX_COLUMN_BYTES = 1 << 30
"""Of one column before it is unpacked, as the file says; and of the texts in a dictionary, as they are found."""
_BATCH = 4096
_TEXT = re.compile(r"null|(large_)?string|dictionary<values=(large_)?string, indices=u?int\d+, ordered=[01]>")


def columns_of_parquet(path: Path) -> list[str]:
    """The names of its columns.

    Raises:
        MissingExtraError: pyarrow is not installed.
        Exception: It is damaged; of any kind that pyarrow raises.
    """
    with _opened(path) as file:
        return list(file.schema_arrow.names)


def rows_of_parquet(path: Path, columns: Sequence[str], *, max_rows: int, max_cell: int) -> Iterator[Mapping[str, str]]:
    """Its rows in some columns, of those that are there; a value that is missing is the empty text.

    Args:
        path: The file.
        columns: Of text.
        max_rows: More are refused.
        max_cell: Texts of more characters are refused.

    Raises:
        ValueError: A column does not hold text, or there is too much.
        MissingExtraError: pyarrow is not installed.
        Exception: It is damaged; of any kind that pyarrow raises.
    """
    with _opened(path) as file:
        known = [name for name in columns if name in file.schema_arrow.names]
        _refuse(file, known, max_rows)
    with _opened(path, known) as file:
        for batch in file.iter_batches(batch_size=_BATCH, columns=known, use_threads=False):
            values = [_texts(batch.column(index), name, max_cell) for index, name in enumerate(known)]
            for row in zip(*values, strict=True):
                yield dict(zip(known, row, strict=True))


def _opened(path: Path, columns: Sequence[str] = ()) -> Any:
    needed("pyarrow", "parquet", "reading Parquet files")
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
