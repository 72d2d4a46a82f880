"""Reads the rows of a Parquet file with pyarrow, which is in the extra ``parquet``."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from model.training.errors import DataError, place, quoted
from model.training.importers.fields import KNOWN, NEEDED, Numbered, missing_field
from model.training.importers.records import Reading
from model.training.importers.textfile import on_disk

#: Number of rows that are in memory at a time.
BATCH_ROWS = 1024
#: Largest size of the columns that are read, in one row group, in bytes without compression.
#: pyarrow holds a row group in memory.
MAX_GROUP_BYTES = 2**30


def read_parquet(path: Path, reading: Reading) -> Iterator[Numbered]:
    """Yields the number and the fields of each row of a Parquet file.

    Raises:
        DataError: pyarrow is not installed, or the file or its columns can't be used.
    """
    try:
        import pyarrow  # noqa: PLC0415 - in an extra
        from pyarrow import parquet  # noqa: PLC0415
    except ImportError as error:
        raise DataError(
            f"{place(path)}: Parquet needs the package pyarrow, of the extra 'parquet': install it "
            "with .venv/bin/pip install --requirement requirements/parquet.lock"
        ) from error
    try:
        with on_disk(path) as content, parquet.ParquetFile(content) as file:
            yield from _rows(path, file, reading)
    except (pyarrow.ArrowException, OSError, UnicodeDecodeError) as error:
        finding = str(error).strip().splitlines()[0].rstrip(".")
        remedy = "write or copy the file again"
        raise DataError(
            f"{place(path)}: the Parquet file is damaged or cut off ({finding!r}): {remedy}"
        ) from error


def _rows(path: Path, file: Any, reading: Reading) -> Iterator[Numbered]:
    names = _checked_names(path, file)
    _check_groups(path, file.metadata, names)
    before, total = 0, max(1, file.metadata.num_rows)
    for batch in file.iter_batches(BATCH_ROWS, columns=names):
        yield from enumerate(batch.to_pylist(), before + 1)
        before += batch.num_rows
        reading.progress(before / total)


def _checked_names(path: Path, file: Any) -> list[str]:
    """Checks the columns of a file, and returns the names of the columns to read.

    Raises:
        DataError: a column is missing, comes twice, or holds dates or times.
    """
    found = file.schema_arrow.names
    for name in KNOWN:
        if found.count(name) > 1:
            raise DataError(f"{place(path)}: column {quoted([name])} comes twice: rename one")
        if name in NEEDED and name not in found:
            raise DataError(f"{place(path)}: {missing_field(name, found)}")
        if name in found and _is_temporal(file.schema_arrow.field(name).type):
            raise DataError(
                f"{place(path)}: column {quoted([name])} holds dates or times: write them as "
                "strings"
            )
    return [name for name in KNOWN if name in found]


def _is_temporal(kind: Any) -> bool:
    """Returns whether a type of pyarrow is one of dates or times.

    Such columns are refused: for a date that Python can't represent, pyarrow raises many kinds of
    errors.
    """
    from pyarrow import types  # noqa: PLC0415

    return bool(types.is_temporal(kind))


def _check_groups(path: Path, metadata: Any, names: list[str]) -> None:
    """Refuses a file if the columns ``names`` of one row group take too much memory.

    Raises:
        DataError: the file is refused. The error's text names the row group.
    """
    for number in range(metadata.num_row_groups):
        group = metadata.row_group(number)
        columns = [group.column(index) for index in range(group.num_columns)]
        size = sum(c.total_uncompressed_size for c in columns if c.path_in_schema in names)
        if size > MAX_GROUP_BYTES:
            raise DataError(
                f"{place(path, number + 1, 'row group')}: it has {size:,} bytes, at most "
                f"{MAX_GROUP_BYTES:,}: write the file with a smaller row_group_size"
            )
