"""Tests of the reader of a folder of ``author/document.txt``."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from model.training.errors import DataError
from model.training.importers import folder
from model.training.importers.datafile import read_data
from model.training.importers.records import Reading

TEXT = "A text of enough characters."


def write(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


def test_folders_are_authors_and_files_are_documents(tmp_path: Path) -> None:
    write(tmp_path / "Ann" / "a.txt", TEXT.encode("utf-16"))
    write(tmp_path / "Ann" / "sub" / "b.TXT", f"\ufeff{TEXT}\r\n".encode())
    write(tmp_path / "Zoë" / "a.txt.gz", gzip.compress(TEXT.encode()))
    shares: list[float] = []
    records = read_data(tmp_path, Reading(shares.append))
    assert [(r.author, r.document, r.text) for r in records] == [
        ("Ann", "= a.txt", TEXT),
        ("Ann", "= sub/b.TXT", TEXT),
        ("Zoë", "= a.txt.gz", TEXT),
    ]
    assert shares == sorted(shares)
    assert shares[-1] == 1.0


def test_long_document_is_cut_into_messages_of_whole_sentences(tmp_path: Path) -> None:
    write(tmp_path / "Ann" / "a.txt", " ".join([TEXT] * 100).encode())
    records = read_data(tmp_path, Reading())
    assert {record.document for record in records} == {"= a.txt"}
    assert all(200 <= len(record.text) <= 600 for record in records)
    assert sum(record.text.count(TEXT) for record in records) == 100


def test_invalid_part_of_a_document_is_left_out_alone(tmp_path: Path) -> None:
    parts = [" ".join([TEXT] * 20), "A zero byte, \0, is no text.", " ".join([TEXT] * 80)]
    write(tmp_path / "Ann" / "a.txt", " ".join(parts).encode())
    reading = Reading()
    records = read_data(tmp_path, reading)
    assert reading.left_out == {"the text or the name is invalid": 1}
    assert sum(record.text.count(TEXT) for record in records) > 75


def test_other_files_are_left_out_and_counted(tmp_path: Path) -> None:
    write(tmp_path / "Ann" / "a.txt", TEXT.encode())
    write(tmp_path / "Ann" / "empty.txt", b"")
    write(tmp_path / "Ann" / "short.txt", b"ok")
    write(tmp_path / "Ann" / "word.txt", b"a" * 1000)
    write(tmp_path / "Ann" / ".b.txt", TEXT.encode())
    write(tmp_path / "Ann" / "a.pdf", b"%PDF")
    write(tmp_path / "README.txt", TEXT.encode())
    reading = Reading()
    assert len(read_data(tmp_path, reading)) == 1
    assert reading.left_out == {
        "empty files": 1,
        "shorter than 20 characters": 1,
        "files without two sentences that fit into a message": 1,
        "files of other kinds than .txt and .txt.gz": 2,
        "files that are in no author's folder": 1,
    }


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (
            TEXT.encode() + b"\n\xff",
            r"a\.txt, line 2: byte 30 is not valid UTF-8: convert the file",
        ),
        (b"\x1f\x8b\x08", r"a\.txt: the gzip file is damaged or cut off"),
        (TEXT.encode("utf-16-le"), r"a\.txt: the file is in UTF-16 without a byte order mark"),
        (b"PK\x03\x04", r"a\.txt: the file is a ZIP archive or a spreadsheet"),
    ],
)
def test_file_that_is_no_text_is_refused(tmp_path: Path, content: bytes, words: str) -> None:
    write(tmp_path / "Ann" / "a.txt", content)
    with pytest.raises(DataError, match=words):
        read_data(tmp_path, Reading())


def test_gigantic_file_is_refused_by_its_size(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(folder, "MAX_FILE_CHARACTERS", 1000)
    write(tmp_path / "Ann" / "a.txt", b"b" * 1001)
    with pytest.raises(DataError, match="the file has more than 1,000 characters: split it"):
        read_data(tmp_path, Reading())


def test_folder_without_texts_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no author/document\.txt in it: write messages into it"):
        read_data(tmp_path, Reading())
