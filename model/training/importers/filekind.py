"""Tells the format of a data file from its first bytes and its name. Refuses unknown formats."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import NamedTuple

from model.training.errors import DataError, place
from model.training.importers.csvfile import delimiter_of
from model.training.importers.textfile import GZIP, Encoding, encoding_of, unpacked

#: Number of bytes at the beginning of a file that are looked at.
HEAD_BYTES = 4096
#: A file without a byte order mark is taken for UTF-16 if more than this share of its bytes is 0.
MANY_ZEROS = 0.2


class Format(Enum):
    """The format of a data file."""

    CSV = "CSV"
    JSONL = "JSON lines"
    ARRAY = "a JSON array"
    PARQUET = "Parquet"


class Kind(NamedTuple):
    """The format and the encoding of a data file. For Parquet, the encoding means nothing."""

    format: Format
    encoding: Encoding


#: The format of a text file by the extension, if the first character does not tell.
_EXTENSIONS = {
    ".csv": Format.CSV,
    ".tsv": Format.CSV,
    ".txt": Format.CSV,
    ".json": Format.JSONL,
    ".jsonl": Format.JSONL,
    ".ndjson": Format.JSONL,
}
_BRACKETS = {"{": Format.JSONL, "[": Format.ARRAY}
_PARQUET = b"PAR1"
_UTF8 = "convert it to UTF-8: iconv -f UTF-{} -t UTF-8 OLD > NEW"
_SAVE = "save the messages as a .csv or .jsonl file in UTF-8"
#: First bytes of a file, the kind of file that has these bytes, and the advice to the user.
_REFUSED = (
    (b"BZh", "the file is compressed by bzip2", "unpack it with bunzip2"),
    (b"\xfd7zXZ", "the file is compressed by xz", "unpack it with unxz"),
    (b"\x28\xb5\x2f\xfd", "the file is compressed by zstd", "unpack it with unzstd"),
    (b"PK\x03\x04", "the file is a ZIP archive or a spreadsheet", f"unpack it, or {_SAVE}"),
    (b"\xd0\xcf\x11\xe0", "the file is a spreadsheet or document of an old format", _SAVE),
    (b"SQLite format 3", "the file is a database of SQLite", _SAVE),
    (b"\xff\xfe\0\0", "the file is in UTF-32", _UTF8.format(32)),
    (b"\0\0\xfe\xff", "the file is in UTF-32", _UTF8.format(32)),
    (GZIP, "the file is compressed twice by gzip", "unpack it with gunzip"),
)


def kind_of(path: Path) -> Kind:
    """Returns the format and the encoding of a data file, which may be compressed by gzip.

    Raises:
        DataError: the file does not exist, can't be read, is empty, or has no known format.
    """
    head = head_of(path)
    encoding = encoding_of(head)
    if head.startswith(_PARQUET):
        return Kind(Format.PARQUET, encoding)
    check_text(path, head, encoding)
    extension = _extension(path)
    if extension not in _EXTENSIONS:
        raise DataError(
            f"{place(path)}: unknown extension {extension!r}, expected .jsonl, .json, .csv or "
            f".parquet: rename the file if it is one of these, or {_SAVE}"
        )
    text = head.removeprefix(encoding.mark).decode(encoding.codec, errors="ignore").lstrip()
    return Kind(_BRACKETS.get(text[:1]) or _named(text, _EXTENSIONS[extension]), encoding)


def head_of(path: Path) -> bytes:
    """Returns the first ``HEAD_BYTES`` bytes of a file, unpacked if the file is a gzip file.

    Raises:
        DataError: the file can't be read, is no regular file, or is empty.
    """
    try:
        if path.exists() and not path.is_file():
            raise DataError(f"{place(path)}: not a file: name a file or a folder")
        with unpacked(path) as (_, file):
            head = file.read(HEAD_BYTES)
    except OSError as error:
        remedy = "check the name and the permissions"
        raise DataError(f"{place(path)}: {error.strerror}: {remedy}") from error
    if not head:
        raise DataError(f"{place(path)}: the file is empty: write messages into it")
    return head


def check_text(path: Path, head: bytes, encoding: Encoding) -> None:
    """Refuses a file whose first bytes, ``head``, are not those of a text in ``encoding``.

    Raises:
        DataError: the file is refused. The error's text names the kind of the file.
    """
    for start, finding, remedy in _REFUSED:
        if head.startswith(start):
            raise DataError(f"{place(path)}: {finding}: {remedy}")
    if not encoding.mark and head.count(0) > MANY_ZEROS * len(head):
        finding = "the file is in UTF-16 without a byte order mark, or no text"
        raise DataError(f"{place(path)}: {finding}: {_UTF8.format(16)}")


def _extension(path: Path) -> str:
    """Returns the extension in lower case: ``.csv`` for ``a.csv`` and also for ``a.csv.gz``."""
    suffixes = [suffix.lower() for suffix in path.suffixes]
    if suffixes[-1:] == [".gz"]:
        suffixes.pop()
    return suffixes[-1] if suffixes else ""


def _named(text: str, expected: Format) -> Format:
    """Returns CSV if the first line of ``text`` is the header of a CSV file, else ``expected``."""
    return Format.CSV if delimiter_of(text.partition("\n")[0].strip()) else expected
