"""Reads JSON lines: an object with the field ``text`` on each line."""

from __future__ import annotations

from collections.abc import Iterator
from io import RawIOBase
from typing import Any

import msgspec
from msgspec import UNSET, Raw, UnsetType

from celery_app.file_job.readers.lines import MAX_LINE_BYTES, Lines
from celery_app.file_job.readers.rows import Block, Row, in_blocks, unusable
from tasks.errors import NotJSON, TooLarge

BOM = b"\xef\xbb\xbf"
#: Why a line that is too long has no attribution.
TOO_LONG = f"the line has more than {MAX_LINE_BYTES:,} bytes"


class _Fields(msgspec.Struct):
    """The fields of a line that the job uses. All other fields are ignored."""

    text: Any = UNSET
    ref: Raw | UnsetType = UNSET
    id: Raw | UnsetType = UNSET


_decoder = msgspec.json.Decoder(_Fields)


def json_lines(file: RawIOBase, start: int) -> Iterator[Block]:
    """Yields the rows of a file of JSON lines in blocks, from the byte ``start`` on."""
    if start:
        file.seek(start)
    lines = Lines(file, start)
    return in_blocks(_rows(lines), lambda: lines.at_pause)


def _rows(lines: Lines) -> Iterator[tuple[Row, int]]:
    first = lines.offset == 0
    for line in lines:
        if line is None:
            yield unusable(TOO_LONG, code=TooLarge.code), lines.offset
        else:
            yield parsed(line.removeprefix(BOM) if first else line), lines.offset
        first = False


def parsed(line: bytes) -> Row:
    """Returns the row that a line of JSON holds. If the line can't be used, the row says why."""
    try:
        return _row(_decoder.decode(line))
    except msgspec.ValidationError as error:
        return unusable(str(error))
    except msgspec.DecodeError as error:
        return unusable(str(error) if line.strip() else "the line is blank", code=NotJSON.code)
    except UnicodeDecodeError:
        return unusable("the line is not UTF-8", code=NotJSON.code)
    except RecursionError:
        return unusable("the line is nested too deeply", code=NotJSON.code)


def _row(fields: _Fields) -> Row:
    """Makes a row from a line's fields. Raises ``UnicodeDecodeError`` if ``ref`` is not UTF-8."""
    ref = fields.id if fields.ref is UNSET else fields.ref
    if isinstance(ref, Raw):
        ref = ref.copy()  # else the whole line stays in memory
        bytes(ref).decode()  # msgspec does not check whether raw JSON is UTF-8
    if isinstance(fields.text, str):
        return Row(fields.text, ref)
    if fields.text is UNSET:
        return unusable("missing field text", ref)
    return unusable(f"text must be a string, not {type(fields.text).__name__}", ref)
