"""Tests of the importer of mails: mbox files, Maildirs, and folders with mbox files."""

from __future__ import annotations

import gzip
import mailbox
from base64 import b64encode
from email.message import EmailMessage
from pathlib import Path
from time import process_time
from typing import Any

import pytest

from model.training.errors import DataError
from model.training.importers.mail import MAX_MAIL_BYTES, read_mails
from model.training.importers.records import Reading, Record
from model.training.importers.textfile import MAX_LINE

TEXT = "A mail of enough characters"
CHARSET = b"Content-Type: text/plain; charset="
UNDECODABLE = "not valid in their character set"


def mail(text: str = TEXT, sender: str = "Ann <ann@x.org>", **headers: str) -> EmailMessage:
    message = EmailMessage()
    message["From"] = sender
    for name, value in headers.items():
        message[name.replace("_", "-")] = value
    message.set_content(text)
    return message


def write(path: Path, *mails: EmailMessage | bytes) -> Path:
    content = b""
    for one in mails:
        data = one if isinstance(one, bytes) else one.as_bytes()
        content += b"From ann@x.org Mon May  3 10:00:00 2021\n" + data + b"\n\n"
    path.write_bytes(content)
    return path


def read(path: Path) -> tuple[list[Record], dict[str, int]]:
    reading = Reading()
    return read_mails(path, reading), dict(reading.left_out)


def test_author_is_the_senders_address_in_lower_case(tmp_path: Path) -> None:
    senders = (
        "Ann Lee <Ann@X.org>",
        "ann@x.org",
        "bob at x.org (Bob)",
        "=?utf-8?q?Zo=C3=AB?= <z@x>",
    )
    content = [f"From: {sender}\n\n{TEXT}\n".encode() for sender in senders]
    records, _ = read(write(tmp_path / "a", *content))
    assert [record.author for record in records] == ["ann@x.org", "ann@x.org", "bob@x.org", "z@x"]


def test_document_is_the_thread_in_any_order_of_mails(tmp_path: Path) -> None:
    mails = (
        mail(Message_ID="<3@x>", In_Reply_To="<2@x>"),
        mail(Message_ID="<1@x>"),
        mail(Message_ID="<2@x>", References="<0@x> <1@x>"),
        mail(Message_ID="<9@x>"),
        mail(),
        mail(),
    )
    records, _ = read(write(tmp_path / "a", *mails))
    documents = [record.document for record in records]
    assert documents[:3] == ["= <0@x>"] * 3
    assert len(set(documents[2:])) == 4


def attached(**options: Any) -> EmailMessage:
    message = mail()
    message.add_attachment("a text of another person", **options)
    return message


def forwarded() -> EmailMessage:
    message = mail()
    message.add_attachment(mail("a forwarded text of another person"))
    return message


def alternative() -> EmailMessage:
    message = mail()
    message.add_alternative("<p>A mail of enough characters</p>", subtype="html")
    return message


@pytest.mark.parametrize(
    "message",
    [
        *(attached(filename="a.txt"), forwarded(), alternative()),
        *(mail(TEXT + "\n\n-- \nAnn\nX Inc.\n"), mail(TEXT + "\n\nBest regards\nAnn")),
        mail("\n".join([TEXT, "", "On Mon, 3 May 2021, Bob <b@x> wrote:", "> old", "> text"])),
        mail("\n".join(["Am Mo., 3. Mai 2021 um 10:00 Uhr schrieb Bob <b@x>:", "> alt", "", TEXT])),
        mail("\n".join([TEXT, "", "---------- Forwarded message ---------", "From: Bob <b@x>",
                        "Date: Mon, 3 May 2021", "Subject: x", "To: Ann", "", "the old text"])),
        mail("\n".join([TEXT, "", "-----Original Message-----", "From: Bob", "Sent: Monday",
                        "To: Ann", "Subject: x", "", "the old text"])),
        mail("\n".join(["Bob Lee wrote:", "> old", TEXT])),
        mail("\n".join(["On Mon, 3 May 2021, Bob wrote:", "> On Sun, 2 May 2021, Ann wrote:",
                        "> > old", "> text", "", TEXT])),
        mail(TEXT + "\n" + "_" * 47 + "\nusers mailing list\nusers@x.org"),
    ],
)  # fmt: skip
def test_text_is_the_authors_own_words(tmp_path: Path, message: EmailMessage) -> None:
    records, left_out = read(write(tmp_path / "a", message))
    assert ([record.text for record in records], left_out) == ([TEXT], {})


@pytest.mark.parametrize(
    "text",
    [
        "Hi Bob,\n\nThanks, that helped.\n\nI have one more question.",
        "Hi Bob,\n\nThank you, I have tried it on both of my machines\nand it works there.",
        "One is slow.\n\nBest, worst and average times are in the table below.",
        "The file is here:\n/usr/share/words\nand it is broken.",
    ],
)
def test_sentences_and_paths_that_begin_like_a_signature_are_kept(
    tmp_path: Path, text: str
) -> None:
    records, _ = read(write(tmp_path / "a", mail(text), mail(text + "\n\nThanks, Ann\nX Inc.")))
    assert [record.text for record in records] == [text, text]


@pytest.mark.parametrize(
    "line",
    ["b" + " " * 100_000 + "b", "--" + "\t" * 100_000 + "b", ("Thanks, Ann b.\n" * 900).strip()],
)
def test_lines_that_are_slow_to_search_for_signatures_are_read_in_a_second(
    tmp_path: Path, line: str
) -> None:
    path = write(tmp_path / "a", mail(f"{TEXT}\n{line}"))
    began = process_time()
    assert len(read(path)[0]) == 1
    assert process_time() - began < 1


def test_words_between_quotes_are_kept_in_order(tmp_path: Path) -> None:
    lines = (
        "On Mon, 3 May 2021, Bob <b@x> wrote:",
        "> one?",
        "",
        "Yes, I think.",
        "",
        "> two?",
        "",
    )
    text = "\n".join([*lines, "No, I do not.", "- a point", "- Take two"])
    [record], _ = read(write(tmp_path / "a", mail(text)))
    assert record.text.split("\n\n") == ["Yes, I think.", "No, I do not.\n- a point\n- Take two"]


def test_line_that_begins_with_from_is_no_quote(tmp_path: Path) -> None:
    box = mailbox.mbox(tmp_path / "a")
    box.add(mail(f"{TEXT}\nFrom Monday on, I am here."))
    box.close()
    [record], _ = read(tmp_path / "a")
    assert record.text == f"{TEXT}\nFrom Monday on, I am here."


def test_person_at_a_company_that_is_named_like_a_program_is_kept(tmp_path: Path) -> None:
    records, _ = read(write(tmp_path / "a", mail(sender="Ann Lee <ann@weblate.org>")))
    assert [record.author for record in records] == ["ann@weblate.org"]


def html() -> EmailMessage:
    message = mail()
    message.set_content("<p>A mail of enough characters</p>", subtype="html")
    return message


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        (html(), "without plain text, such as HTML only"),
        (b"Subject: x\n\n" + TEXT.encode(), "without a sender's address"),
        (b"From: " + b"(" * 5000 + b"\n\n" + TEXT.encode(), "without a sender's address"),
        (mail(sender="noreply@x.org"), "written by programs"),
        (mail(sender="dependabot[bot] <a@x.org>"), "written by programs"),
        (mail(Auto_Submitted="auto-replied"), "written by programs"),
        (mail(sender='"Ann via list" <list@x>'), "sent by a mailing list in a person's name"),
        (mail("ok"), "shorter than 20 characters"),
        (mail("> what Bob has written some days ago\n"), "quotes and forwarded mails only"),
        (mail("\n".join("abcdefgh" * 150)), "longer than 1,000 lines"),
        (b"From: a@x\n" + CHARSET + b"none\n\n" + TEXT.encode(), UNDECODABLE),
        (
            b"From: a@x\nContent-Transfer-Encoding: base64\n" + CHARSET + b"Punycode\n\n"
            + b64encode(TEXT.encode() + b"-"),
            UNDECODABLE,
        ),
        (b"From: a@x\n" + CHARSET + b"utf-8\n\n" + TEXT.encode() + b"\xff", UNDECODABLE),
        (b"From: a@x\n\n" + TEXT.encode("utf-16"), UNDECODABLE),
        (mail(Message_ID="<1@x>"), "copies of a mail"),
    ],
)  # fmt: skip
def test_mails_without_a_persons_words_are_left_out_and_counted(
    tmp_path: Path, message: EmailMessage | bytes, reason: str
) -> None:
    path = write(tmp_path / "a", mail(Message_ID="<1@x>"), message, mail(TEXT + " too"))
    records, left_out = read(path)
    assert [record.text for record in records] == [TEXT, TEXT + " too"]
    assert left_out == {reason: 1}


def test_parts_that_are_nested_too_deeply_are_left_out(tmp_path: Path) -> None:
    content, end = b"From: a@x\n", b""
    for level in range(2000):
        content += b'Content-Type: multipart/mixed; boundary="%d"\n\n--%d\n' % (level, level)
        end = b"--%d--\n" % level + end
    _, left_out = read(write(tmp_path / "a", content + end))
    assert left_out == {"with parts that are nested too deeply": 1}


def test_gigantic_mail_is_left_out_by_its_size(tmp_path: Path) -> None:
    big = b"From: a@x\n\n" + (b"b" * 2**16 + b"\n") * (MAX_MAIL_BYTES // 2**16)
    records, left_out = read(write(tmp_path / "a", mail(), big))
    assert len(records) == 1
    assert left_out == {"larger than 67,108,864 bytes": 1}


def test_maildir_folder_of_mbox_files_and_compressed_mbox_are_read(tmp_path: Path) -> None:
    maildir = mailbox.Maildir(tmp_path / "maildir")
    maildir.add(mail())
    maildir.close()
    folder = tmp_path / "folder"
    (folder / "sub").mkdir(parents=True)
    write(folder / "a.mbox", mail())
    write(folder / "sub" / "b", mail(TEXT + " too"))
    (folder / "a.msf").write_text("an index")
    (folder / "empty").touch()
    zipped = tmp_path / "a.mbox.gz"
    zipped.write_bytes(gzip.compress(write(tmp_path / "a", mail()).read_bytes()))
    assert [r.text for r in read(tmp_path / "maildir")[0]] == [TEXT]
    assert [r.text for r in read(zipped)[0]] == [TEXT]
    records, left_out = read(folder)
    assert [r.text for r in records] == [TEXT, TEXT + " too"]
    assert left_out == {"files that are no mbox": 2}


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "the file is empty"),
        (
            b"From: ann@x.org\n\nhello\n",
            "line 1: not an mbox, whose first line begins with 'From '",
        ),
        (b'{"text": "a"}', "line 1: not an mbox"),
        (b"From a\rFrom: a@x\r\rhello\r", "line 1: the lines end with CR: convert it with tr"),
        ("From a\n".encode("utf-16"), "line 1: not an mbox"),
        ("From a\n".encode("utf-16-le"), "UTF-16 without a byte order mark"),
        (b"PK\x03\x04", "a ZIP archive"),
        (gzip.compress(b"From a\n", mtime=0)[:-9], "the gzip file is damaged or cut off"),
    ],
)
def test_files_that_are_no_mbox_are_refused(tmp_path: Path, content: bytes, words: str) -> None:
    (tmp_path / "a").write_bytes(content)
    with pytest.raises(DataError, match=words) as raised:
        read_mails(tmp_path / "a", Reading())
    assert str(raised.value).isprintable()


def test_missing_files_and_folders_without_mails_are_refused(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("no mbox")
    with pytest.raises(DataError, match="neither a Maildir nor mbox files in it: name another"):
        read_mails(tmp_path, Reading())
    with pytest.raises(DataError, match="No such file or directory: check the name"):
        read_mails(tmp_path / "gone", Reading())


def test_line_of_a_gigabyte_is_refused_by_its_size(tmp_path: Path) -> None:
    path = write(tmp_path / "a", mail(TEXT * 200))  # the zeros of the hole come later
    with path.open("r+b") as sparse:
        sparse.truncate(2**30)
    with pytest.raises(
        DataError, match=f"line \\d+: the line has more than {MAX_LINE:,} bytes: delete"
    ):
        read_mails(path, Reading())
