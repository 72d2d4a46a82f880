"""Reads the characters and the lines of a text file, which may be compressed by gzip.

Never holds more of the file in memory than a chunk and a line.
"""

from __future__ import annotations

import codecs
import gzip
import io
import shutil
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import BinaryIO, NamedTuple

from model.training.errors import DataError, place
from model.training.importers.records import Reading

#: Number of bytes that are read at a time.
CHUNK_BYTES = 2**18
#: Largest number of characters of a line. A text of 2**20 characters takes at most 12 * 2**20, if
#: JSON escapes each character.
MAX_LINE = 2**24
#: The first bytes of a file that gzip has compressed.
GZIP = b"\x1f\x8b"


class Encoding(NamedTuple):
    """The encoding of a text file."""

    #: The name that Python has for the encoding.
    codec: str
    #: The name that the user sees.
    name: str
    #: The byte order mark at the beginning of the file; empty if the file has none.
    mark: bytes


_MARKED = (
    Encoding("utf-8", "UTF-8", codecs.BOM_UTF8),
    Encoding("utf-16-le", "UTF-16", codecs.BOM_UTF16_LE),
    Encoding("utf-16-be", "UTF-16", codecs.BOM_UTF16_BE),
)
UTF_8 = Encoding("utf-8", "UTF-8", b"")


def encoding_of(head: bytes) -> Encoding:
    """Returns the encoding that the byte order mark in ``head`` shows; without a mark, UTF-8."""
    return next((one for one in _MARKED if head.startswith(one.mark)), UTF_8)


@contextmanager
def unpacked(path: Path) -> Iterator[tuple[BinaryIO, BinaryIO]]:
    """Opens a file. Yields the raw file, and the same file unpacked if it is a gzip file.

    Raises:
        DataError: gzip's data are damaged or end too early.
    """
    with path.open("rb") as raw:
        zipped = raw.read(len(GZIP)) == GZIP
        raw.seek(0)
        try:
            yield raw, gzip.GzipFile(fileobj=raw) if zipped else raw  # type: ignore[misc]
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise DataError(
                f"{place(path)}: the gzip file is damaged or cut off: copy or compress it again, "
                "and test it with gzip -t"
            ) from error


@contextmanager
def on_disk(path: Path) -> Iterator[Path]:
    """Yields the path of the unpacked file. Unpacks a gzip file into a temporary file.

    Raises:
        DataError: gzip's data are damaged or end too early.
    """
    with unpacked(path) as (raw, file), NamedTemporaryFile() as copy:
        if file is raw:
            yield path
        else:
            shutil.copyfileobj(file, copy)
            copy.flush()
            yield Path(copy.name)


def chunks(path: Path, reading: Reading) -> Iterator[bytes]:
    """Yields the bytes of a file, unpacked if it is a gzip file, ``CHUNK_BYTES`` at a time.

    Raises:
        DataError: gzip's data are damaged or end too early.
    """
    size = path.stat().st_size
    with unpacked(path) as (raw, file):
        while chunk := file.read(CHUNK_BYTES):
            reading.progress(raw.tell() / size)
            yield chunk


def characters(path: Path, encoding: Encoding, reading: Reading) -> Iterator[str]:
    r"""Yields the characters of a text file in pieces, with ``\n`` for every line break.

    Raises:
        DataError: the file is not in the encoding. The error's text names the line and the byte.
    """
    decoder = io.IncrementalNewlineDecoder(codecs.getincrementaldecoder(encoding.codec)(), True)
    line, end = 1, 0
    for number, chunk in enumerate(chunks(path, reading)):
        content = chunk.removeprefix(encoding.mark) if number == 0 else chunk
        end += len(chunk)
        try:
            text = decoder.decode(content)
        except UnicodeDecodeError as error:
            valid = content[: max(0, error.start - len(error.object) + len(content))]
            line += decoder.decode(valid, final=True).count("\n")
            raise _undecodable(path, encoding, line, end, error) from error
        line += text.count("\n")
        yield text
    try:
        yield decoder.decode(b"", final=True)
    except UnicodeDecodeError as error:
        raise _undecodable(path, encoding, line, end, error) from error


def _undecodable(
    path: Path, encoding: Encoding, line: int, end: int, error: UnicodeDecodeError
) -> DataError:
    """Returns the error about a byte that is not valid in ``encoding``.

    ``end`` is the number of bytes of the file that have been read. ``line`` is the byte's line.
    """
    byte = end - len(error.object) + error.start + 1
    remedy = "convert the file, for example with iconv -f WINDOWS-1252 -t UTF-8 OLD > NEW"
    if encoding.name != UTF_8.name:
        remedy = "save the file again in UTF-8"
    return DataError(f"{place(path, line)}: byte {byte:,} is not valid {encoding.name}: {remedy}")


def lines(path: Path, encoding: Encoding, reading: Reading) -> Iterator[str]:
    r"""Yields the lines of a text file, each with ``\n`` at its end.

    Raises:
        DataError: the file is not in the encoding, or a line has more than ``MAX_LINE`` characters.
            The error's text names the line.
    """
    number, rest = 1, ""
    for text in characters(path, encoding, reading):
        *whole, rest = (rest + text).split("\n")
        for line in whole:
            yield line + "\n"
        number += len(whole)
        if len(rest) > MAX_LINE:
            raise DataError(
                f"{place(path, number)}: the line has more than {MAX_LINE:,} characters: write "
                "each message on a line of its own"
            )
    if rest:
        yield rest + "\n"
