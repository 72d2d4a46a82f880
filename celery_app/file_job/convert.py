"""Turns the part file, JSON lines, into the output: as it is, as CSV, or as Parquet."""

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
    """Checks that results can be written in the format that a file's extension names.

    Raises:
        JobError: the extension is unknown, a package is missing, or ``explain`` asks for evidence
            in another format than JSON lines.
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
    """Returns a file beside ``out`` with the results in ``part``, in the format of ``out``.

    For JSON lines, that file is ``part``. Raises ``OSError``.
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
    """Yields the columns of each result. A ref that is no string becomes its JSON."""
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
    """Returns a ref as it stands in its column: a string, or its JSON without spaces."""
    if json.startswith(b'"') or json == b"null":
        return msgspec.json.decode(json, type=str | None)
    # Not decoded, because Python has no number for some numbers, such as 1e999.
    return msgspec.json.format(json, indent=-1).decode()
