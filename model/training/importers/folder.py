"""Reads a folder of texts: ``author/document.txt``."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from model.training.errors import DataError, place
from model.training.importers.filekind import check_text, head_of
from model.training.importers.records import LeftOut, Reading, Record, counting, make_record
from model.training.importers.textfile import characters, encoding_of
from model.training.passages import MAX_CHARACTERS, passages

#: Largest number of characters of a file: the longest novels have half of it.
MAX_FILE_CHARACTERS = 2**24
#: The extensions of the files that are read.
EXTENSIONS = (".txt", ".txt.gz")


def read_folder(path: Path, reading: Reading) -> Iterator[Record]:
    """Yields the messages in the text files of a folder: ``author/document.txt``.

    Each subfolder has the name of an author, and each file in a subfolder is a document. A document
    of more than ``passages.MAX_CHARACTERS`` characters is cut into several messages.

    Raises:
        DataError: no file can be used, or a file is no text. The error's text names the file.
    """
    files = sorted(one for one in path.rglob("*") if one.is_file())
    for number, file in enumerate(files, 1):
        names = file.relative_to(path).parts
        with counting(reading):
            if len(names) < 2:
                raise LeftOut("files that are in no author's folder")
            if not file.name.lower().endswith(EXTENSIONS) or file.name.startswith("."):
                raise LeftOut(f"files of other kinds than {' and '.join(EXTENSIONS)}")
            yield from _records(file, names[0], "/".join(names[1:]), reading)
        reading.progress(number / len(files))


def _records(file: Path, author: str, document: str, reading: Reading) -> Iterator[Record]:
    """Yields the messages of a file. Leaves out invalid messages, and counts them in ``reading``.

    Raises:
        LeftOut: the file has no message.
    """
    text = _text(file)
    messages = list(passages(text)) if len(text) > MAX_CHARACTERS else [text]
    if not messages:
        raise LeftOut("files without two sentences that fit into a message")
    for message in messages:
        with counting(reading):
            yield make_record(message, author, document)


def _text(file: Path) -> str:
    if not file.stat().st_size:
        raise LeftOut("empty files")
    head = head_of(file)
    encoding = encoding_of(head)
    check_text(file, head, encoding)
    text = ""
    for piece in characters(file, encoding, Reading()):
        text += piece
        if len(text) > MAX_FILE_CHARACTERS:
            raise DataError(
                f"{place(file)}: the file has more than {MAX_FILE_CHARACTERS:,} characters: split "
                "it into several documents"
            )
    return text.strip()
