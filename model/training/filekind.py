"""Refuses a file whose first bytes show that it is no .jsonl or .csv file in UTF-8."""

from __future__ import annotations

from pathlib import Path

from model.training.errors import DataError, place

#: Number of bytes at the beginning of a file that are looked at.
HEAD_BYTES = 4096
#: A file without a byte order mark is taken for UTF-16 if more than this share of its bytes is 0.
MANY_ZEROS = 0.2

_UTF16 = "convert it to UTF-8: iconv -f UTF-16 -t UTF-8 OLD > NEW"
_SAVE = "save the messages as a .csv or .jsonl file in UTF-8"
#: First bytes of a file, the kind of file that has these bytes, and the advice to the user.
_KINDS = (
    (b"\x1f\x8b", "the file is compressed by gzip", "unpack it with gunzip"),
    (b"BZh", "the file is compressed by bzip2", "unpack it with bunzip2"),
    (b"\xfd7zXZ", "the file is compressed by xz", "unpack it with unxz"),
    (b"\x28\xb5\x2f\xfd", "the file is compressed by zstd", "unpack it with unzstd"),
    (b"PK\x03\x04", "the file is a ZIP archive or a spreadsheet", f"unpack it, or {_SAVE}"),
    (b"\xd0\xcf\x11\xe0", "the file is a spreadsheet or document of an old format", _SAVE),
    (b"PAR1", "the file is in the format Parquet", _SAVE),
    (b"SQLite format 3", "the file is a database of SQLite", _SAVE),
    (b"\xff\xfe\0\0", "the file is in UTF-32", _UTF16.replace("16", "32")),
    (b"\0\0\xfe\xff", "the file is in UTF-32", _UTF16.replace("16", "32")),
    (b"\xff\xfe", "the file is in UTF-16", _UTF16),
    (b"\xfe\xff", "the file is in UTF-16", _UTF16),
)


def check_kind(path: Path) -> str:
    """Returns the file's extension, ``.jsonl`` or ``.csv``, if the file's first bytes fit it.

    Raises:
        DataError: the file does not exist, can't be read, or is of another kind.
    """
    head = _head(path)
    for start, finding, remedy in _KINDS:
        if head.startswith(start):
            raise DataError(f"{place(path)}: {finding}: {remedy}")
    if head.count(0) > MANY_ZEROS * len(head):
        raise DataError(f"{place(path)}: the file is in UTF-16, or no text: {_UTF16}")
    extension = path.suffix.lower()
    if extension not in {".jsonl", ".csv"}:
        raise DataError(
            f"{place(path)}: unknown extension {path.suffix!r}, expected .jsonl or .csv: rename "
            f"the file if it is one of these, or {_SAVE}"
        )
    _check_beginning(path, head.removeprefix(b"\xef\xbb\xbf").lstrip(), extension)
    return extension


def _head(path: Path) -> bytes:
    """Returns the beginning of a file.

    Raises:
        DataError: the file can't be read, is no regular file, or is empty.
    """
    try:
        if path.exists() and not path.is_file():
            raise DataError(f"{place(path)}: not a file: name a .jsonl or .csv file")
        with path.open("rb") as file:
            head = file.read(HEAD_BYTES)
    except OSError as error:
        remedy = "check the name and the permissions"
        raise DataError(f"{place(path)}: {error.strerror}: {remedy}") from error
    if not head:
        raise DataError(f"{place(path)}: the file is empty: write messages into it")
    return head


def _check_beginning(path: Path, head: bytes, extension: str) -> None:
    """Refuses a JSON array, JSON in a .csv file, and CSV in a .jsonl file."""
    if extension == ".jsonl" and head.startswith(b"["):
        raise DataError(
            f"{place(path)}, line 1: a JSON array: write each message as an object on a line of "
            "its own: jq -c '.[]' OLD > NEW"
        )
    if extension == ".csv" and head.startswith(b"{"):
        raise DataError(f"{place(path)}, line 1: JSON and not CSV: rename the file to .jsonl")
    names = head.partition(b"\n")[0].lower()
    if extension == ".jsonl" and names[:1].isalpha() and b"text" in names and b"author" in names:
        raise DataError(f"{place(path)}, line 1: not JSON, maybe CSV: rename the file to .csv")
