"""The reader of mails reads any mbox, or refuses it with an error of one line."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from model.training.errors import DataError
from model.training.importers.mail import read_mails
from model.training.importers.records import MAX_CHARACTERS, Reading
from tasks.messages import parse_author, parse_text

NAMES = st.sampled_from(
    [
        *(b"From", b"Message-ID", b"References", b"In-Reply-To", b"Auto-Submitted"),
        *(b"Content-Type", b"Content-Disposition", b"Content-Transfer-Encoding"),
    ]
)
VALUES = st.sampled_from(
    [
        *(b"Ann <ann@x.org>", b"a@x", b"<1@x>", b"<1@x> <2@x>", b"base64", b"quoted-printable"),
        *(b"text/plain; charset=utf-8", b"multipart/mixed; boundary=b", b"message/rfc822"),
        *(b"attachment", b"=?utf-8?b?w6k=?= <z@x>", b"text/plain; charset*=utf-8''latin-1"),
    ]
)
HEADERS = st.lists(st.tuples(NAMES, VALUES | st.binary(max_size=30)), max_size=6)
LINES = st.sampled_from(
    [
        *(b"A line of enough characters", b"> a quote", b"--b", b"--b--", b"-- ", b"", b"Thanks,"),
        *(b"On Mon, 3 May 2021, Bob <b@x> wrote:", b"From: Bob", b"To: Ann", b"Date: x"),
    ]
)
MAILS = st.tuples(HEADERS, st.lists(LINES | st.binary(max_size=40), max_size=12))


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("mails") / "a.mbox"


@given(st.lists(MAILS, max_size=3), st.binary(max_size=20))
def test_any_mails_are_read_or_refused(
    path: Path, mails: list[tuple[list[tuple[bytes, bytes]], list[bytes]]], rest: bytes
) -> None:
    content = b"".join(
        b"\n".join([b"From x", *(b": ".join(header) for header in headers), b"", *lines, b"", b""])
        for headers, lines in mails
    )
    path.write_bytes(content + rest)
    reading = Reading()
    try:
        records = read_mails(path, reading)
    except DataError as error:
        refusal = str(error)
    else:
        refusal = ""
    assert refusal.isprintable()
    if refusal:
        return
    assert len(records) + reading.left_out.total() >= len(mails)
    for record in records:
        assert parse_text(record.text, MAX_CHARACTERS) == record.text
        assert parse_author(record.spelling) == record.author
