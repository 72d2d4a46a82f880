"""Converts the results of a file job from JSON lines to the format of the output file."""

from __future__ import annotations

import csv
import os
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import msgspec

from celery_app.file_job.errors import JobError
from celery_app.file_job.readers.inputs import FORMATS, check_parquet

#: The columns of a CSV or Parquet file of results. An error has ``code`` and ``detail``.
COLUMNS = ("ref", "id", "author", "confidence", "candidates", "model", "code", "detail")
#: Number of rows that are converted at once.
ROWS = 10_000


def check_format(out: Path, explain: bool) -> None:
    """Checks that the job can write its results in the format of the extension of ``out``.

    Raises:
        JobError: the extension is unknown, or the format needs a missing package, or ``explain``
            asks for evidence and the format is not JSON lines.
    """
    found = FORMATS.get(out.suffix.lower())
    if found is None:
        known = ", ".join(FORMATS)
        raise JobError(f"{out}: unknown extension {out.suffix!r}: use one of {known}")
    if explain and found != "jsonl":
        raise JobError(f"{out}: only .jsonl has room for evidence: rename it, or omit EXPLAIN=1")
    if found == "parquet":
        check_parquet(str(out))


def converted(part: Path, out: Path) -> Path:
    """Converts the file ``part``, JSON lines, to the format of ``out``. Returns the new file.

    The new file is in the folder of ``out``. If ``out`` is JSON lines too, returns ``part``.
    Raises ``OSError``.
    """
    form = FORMATS[out.suffix.lower()]
    if form == "jsonl":
        return part
    new = out.with_name(f"{out.name}.new")
    if form == "csv":
        _write_csv(part, new)
    else:
        _write_parquet(part, new)
    with new.open("rb") as file:
        os.fsync(file.fileno())
    return new


def _write_csv(part: Path, new: Path) -> None:
    with new.open("w", encoding="utf-8", newline="") as file:
        rows = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        rows.writeheader()
        for fields in _results(part):
            if "candidates" in fields:
                fields["candidates"] = msgspec.json.encode(fields["candidates"]).decode()
            rows.writerow(fields)


def _write_parquet(part: Path, new: Path) -> None:
    import pyarrow as pa  # noqa: PLC0415 - a package of an extra
    from pyarrow.parquet import ParquetWriter  # noqa: PLC0415

    candidate = pa.struct([("author", pa.string()), ("confidence", pa.float64())])
    types = {"confidence": pa.float64(), "candidates": pa.list_(candidate)}
    schema = pa.schema([(name, types.get(name, pa.string())) for name in COLUMNS])
    with ParquetWriter(new, schema) as writer:
        for rows in _in_parts(_results(part)):
            writer.write_table(pa.Table.from_pylist(rows, schema))


def _in_parts(rows: Iterable[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    left = iter(rows)
    while part := list(islice(left, ROWS)):
        yield part


def _results(part: Path) -> Iterator[dict[str, Any]]:
    """Yields each result in ``part`` as a dict from column name to value."""
    decoder = msgspec.json.Decoder(dict[str, msgspec.Raw])
    with part.open("rb") as file:
        for line in file:
            raw = decoder.decode(line)
            raw.pop("evidence", None)
            ref = bytes(raw.pop("ref", b"null"))
            fields = {name: msgspec.json.decode(value) for name, value in raw.items()}
            fields |= fields.pop("error", {})
            yield fields | {"ref": _ref(ref)}


def _ref(json: bytes) -> str | None:
    """Returns the value of the column ``ref``, the row's own name in the input.

    ``json`` is the ref in JSON. Returns the string that it encodes, or None for null. Any other
    value stays JSON, without spaces.
    """
    if json.startswith(b'"') or json == b"null":
        return msgspec.json.decode(json, type=str | None)
    # Not decoded, because Python has no number for some numbers, such as 1e999.
    return msgspec.json.format(json, indent=-1).decode()
