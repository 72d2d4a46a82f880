"""Finds out the delimiter of a CSV file, and reads the rows of the file."""

from __future__ import annotations

import csv
import re
from collections import Counter
from collections.abc import Iterator
from itertools import chain, islice
from pathlib import Path
from typing import NamedTuple

from model.training.errors import DataError, place, quoted
from model.training.importers.fields import NEEDED, Numbered, missing_field
from model.training.importers.records import Reading
from model.training.importers.textfile import Encoding, lines

#: Largest number of characters of a cell. The largest canonical text has a quarter of this number,
#: but a text in the file can be longer than its canonical form.
MAX_CELL = 2**22
#: The delimiters that programs use, and how a note names them.
DELIMITERS = {",": "','", ";": "';'", "\t": "a tab", "|": "'|'"}
#: Largest number of lines that the sniffer looks at.
SAMPLE_LINES = 20
#: Largest number of characters that the sniffer looks at. Its time grows with their square, and is
#: at most a second for this many.
SAMPLE_CHARACTERS = 4096


class Dialect(NamedTuple):
    """How a CSV file separates and quotes its cells."""

    delimiter: str
    quote: str = '"'
    #: Whether a space follows each delimiter and is no part of the cell.
    spaces: bool = False


def read_csv(path: Path, encoding: Encoding, reading: Reading) -> Iterator[Numbered]:
    """Yields each row of a file: the number of the row's first line, and the row's cells.

    The cells are a dict with the header's names as keys. Empty rows are left out. ``reading`` gets
    a note that tells the user the delimiter and the quotes.

    Raises:
        DataError: the header or a row can't be used. The error's text names the line.
    """
    text = lines(path, encoding, reading)
    sample = list(islice(text, SAMPLE_LINES))
    skipped = _skipped(sample)
    dialect = _dialect(sample, skipped)
    reading.notes.append(_note(dialect, encoding))
    before = csv.field_size_limit(MAX_CELL)
    try:
        yield from _rows(chain(sample[skipped:], text), dialect, path, skipped + 1)
    finally:
        csv.field_size_limit(before)


def _rows(text: Iterator[str], dialect: Dialect, path: Path, line: int) -> Iterator[Numbered]:
    """Yields the rows after the header, each with the number of its first line.

    ``text`` yields the lines of the file from line number ``line`` on, the header first.
    """
    rows = csv.reader(
        text,
        delimiter=dialect.delimiter,
        quotechar=dialect.quote,
        skipinitialspace=dialect.spaces,
        strict=True,
    )
    first, header = line, list[str]()
    try:
        for row in rows:
            if row and not header:
                header = _checked_header(row, place(path, line))
            elif row:
                _check_row(row, header, place(path, line))
                yield line, dict(zip(header, row, strict=False))
            line = first + rows.line_num
    except csv.Error as error:
        raise DataError(
            f"{place(path, line)}: invalid CSV: {error}: put a text with delimiters, quotes or "
            "line breaks into double quotes, and double each quote within it"
        ) from error


def _skipped(sample: list[str]) -> int:
    """Returns 1 if the first line only names the delimiter, such as ``sep=;``, otherwise 0."""
    return int(bool(sample) and sample[0].strip(' "\n').lower() in _named_delimiters())


def _named_delimiters() -> dict[str, str]:
    """Returns the delimiter for each line with which Excel can name it, such as ``sep=;``."""
    return {f"sep={delimiter}": delimiter for delimiter in DELIMITERS}


def _dialect(sample: list[str], skipped: int) -> Dialect:
    """Returns the dialect of the file that begins with the lines ``sample``.

    ``skipped`` is 1 if the first line only names the delimiter, otherwise 0.
    """
    if skipped:
        return Dialect(_named_delimiters()[sample[0].strip(' "\n').lower()])
    header = next((line for line in sample if line.strip()), "")
    # With the needed names in the header, there is no doubt, and the sniffer can be wrong.
    if delimiter := delimiter_of(header):
        dialect = _sniffed(header, delimiter) or Dialect(delimiter)
        return dialect._replace(spaces=dialect.spaces or _has_spaces(sample, dialect))
    return _sniffed("".join(sample), "".join(DELIMITERS)) or Dialect(",")


def _has_spaces(sample: list[str], dialect: Dialect) -> bool:
    """Returns whether a space is between a delimiter and a quote in one of the lines ``sample``.

    Without the option ``skipinitialspace``, Python would take such a quote for a part of the cell.
    Two quotes after the space do not count, because they are a quote within a text.
    """
    delimiter, quote = re.escape(dialect.delimiter), re.escape(dialect.quote)
    pattern = re.compile(f"{delimiter} {quote}(?!{quote})")
    return any(pattern.search(line) for line in sample)


def delimiter_of(header: str) -> str | None:
    """Returns the delimiter of a header that names ``text`` and ``author``, otherwise None.

    The names may have capital letters.
    """
    for delimiter in DELIMITERS:
        if set(NEEDED) <= {name.strip(" \"'\n").lower() for name in header.split(delimiter)}:
            return delimiter
    return None


def _sniffed(sample: str, delimiters: str) -> Dialect | None:
    """Returns the dialect that Python's ``csv.Sniffer`` finds in ``sample``, or None.

    ``delimiters`` has the characters that the sniffer may take for the delimiter.
    """
    try:
        found = csv.Sniffer().sniff(sample[:SAMPLE_CHARACTERS], delimiters)
    except csv.Error:  # It finds nothing in a sample of one column, for example.
        return None
    return Dialect(found.delimiter, found.quotechar or '"', bool(found.skipinitialspace))


def _note(dialect: Dialect, encoding: Encoding) -> str:
    spaces = ", a space after each delimiter" if dialect.spaces else ""
    named = DELIMITERS.get(dialect.delimiter, repr(dialect.delimiter))
    return f"CSV in {encoding.name}: the delimiter is {named}, quotes are {dialect.quote}{spaces}"


def _checked_header(header: list[str], where: str) -> list[str]:
    """Checks the names of the columns, and returns them.

    Raises:
        DataError: the column ``text`` or ``author`` is missing, or a name comes twice.
    """
    doubled = [name for name, n in Counter(header).items() if n > 1 and name]
    if doubled:
        raise DataError(f"{where}: column {quoted(doubled)} comes twice: leave one of them out")
    if missing := [name for name in NEEDED if name not in header]:
        raise DataError(f"{where}: {missing_field(missing[0], header)}")
    return header


def _check_row(row: list[str], header: list[str], where: str) -> None:
    """Refuses a row that repeats the header, has too many cells, or lacks a text or an author.

    Raises:
        DataError: the row is refused.
    """
    if len(row) > len(header):
        raise DataError(
            f"{where}: {len(row)} cells, but the header has {len(header)}: put a text with "
            "delimiters into double quotes"
        )
    if len(row) <= max(header.index(name) for name in NEEDED):
        raise DataError(
            f"{where}: too few cells: {len(row)}, but the header has {len(header)}: add the others"
        )
    if row == header:
        raise DataError(f"{where}: the header comes again: delete this line")
