"""Reads the mails of an mbox file, of a Maildir, or of a folder with mbox files."""

from __future__ import annotations

import codecs
import email
import mailbox
import os
import re
from collections.abc import Iterator, Sequence
from email.message import Message
from email.utils import parseaddr
from pathlib import Path
from typing import Any

from model.training.errors import DataError, place, quoted
from model.training.importers.committext import is_bot
from model.training.importers.filekind import check_text, head_of
from model.training.importers.mailtext import own_words
from model.training.importers.records import LeftOut, Reading, Record, counting, make_record
from model.training.importers.textfile import MAX_LINE, chunks, encoding_of, on_disk

#: Largest size of a mail, with attachments, in bytes.
MAX_MAIL_BYTES = 2**26
#: The beginning of an mbox file.
FROM = b"From "
#: Folders that each Maildir has.
MAILDIR = ("cur", "new")
#: Beginnings of the addresses of programs.
_PROGRAMS = re.compile(
    r"(?:no-?reply|do-?not-?reply|mailer-daemon|postmaster|bounces?|notifications?)\b",
    re.IGNORECASE,
)
#: Encodings of host names, which no mail is written in. The time to decode them grows with the
#: square of the length.
_HOST_NAMES = ("idna", "punycode")
_ID = re.compile(r"<[^<>\s]+>")
#: What programs put before a line of a mail that begins with "From ", when they write an mbox.
_ESCAPED = re.compile(rb"^>(?=>*From )", re.MULTILINE)
#: An address as Mailman's archives write it.
_HIDDEN_AT = re.compile(r"^(\S+) at (\S+)")


class _Threads:
    """Groups mails into threads, by the ids of each mail and of the mails that it answers."""

    def __init__(self) -> None:
        self._above: dict[str, str] = {}

    def join(self, ids: Sequence[str]) -> None:
        """Puts the mails with the ``ids`` into one thread: the thread of the first mail."""
        for one in ids[1:]:
            if (root := self.root(one)) != (first := self.root(ids[0])):
                self._above[root] = first

    def root(self, one: str) -> str:
        """Returns the id that stands for the whole thread of the mail with the id ``one``."""
        path = []
        while (above := self._above.get(one)) is not None:
            path.append(one)
            one = above
        self._above.update(dict.fromkeys(path, one))
        return one


def read_mails(path: Path, reading: Reading) -> list[Record]:
    """Returns the messages in the mails of an mbox file, a Maildir, or a folder with mbox files.

    The author is the sender's address in lower case. The document is the mail's thread, found by
    the headers References and In-Reply-To. Left out are mails without plain text, mails by
    programs, and copies of a mail. In the other mails, quotes, forwarded mails and signatures are
    left out.

    Raises:
        DataError: no mail can be read. The error's text says why.
    """
    records, threads, seen = [], _Threads(), set[str]()
    for number, mail in enumerate(_mails(path, reading), 1):
        with counting(reading):
            own, *others = _ids(mail, number)
            threads.join([*others, own])
            if own in seen:
                raise LeftOut("copies of a mail")
            seen.add(own)
            records.append(make_record(own_words(_text(mail)), _author(mail), own))
    return [
        record._replace(document=f"= {threads.root(record.document.removeprefix('= '))}")
        for record in records
    ]


def _mails(path: Path, reading: Reading) -> Iterator[Message]:
    if all((path / name).is_dir() for name in MAILDIR):
        yield from _mails_in_maildir(mailbox.Maildir(path, create=False), reading)
    elif path.is_dir():
        yield from _mails_in_folder(path, reading)
    else:
        _check_mbox(path)
        yield from _mails_in_file(path, reading)


def _mails_in_maildir(box: mailbox.Maildir, reading: Reading) -> Iterator[Message]:
    if folders := box.list_folders():
        reading.notes.append(
            f"the Maildir has other folders, which are not read: {quoted(sorted(folders))}; name "
            "such a folder itself to train on its mails"
        )
    return _parsed(box, reading)


def _mails_in_folder(path: Path, reading: Reading) -> Iterator[Message]:
    files = [one for one in sorted(path.rglob("*")) if one.is_file()]
    found = [one for one in files if one.stat().st_size and head_of(one).startswith(FROM)]
    if not found:
        raise DataError(f"{place(path)}: neither a Maildir nor mbox files in it: name another")
    if len(found) < len(files):
        reading.left_out["files that are no mbox"] += len(files) - len(found)
    for number, file in enumerate(found):
        _check_mbox(file)
        yield from _mails_in_file(file, reading.part(number, len(found)))


def _check_mbox(path: Path) -> None:
    """Refuses a file that is no mbox, or has a line of more than ``MAX_LINE`` bytes.

    Raises:
        DataError: the file is refused.
    """
    head = head_of(path)
    check_text(path, head, encoding_of(head))
    if not head.startswith(FROM):
        raise DataError(
            f"{place(path, 1)}: not an mbox, whose first line begins with 'From ': export the "
            "mails as mbox, or name a Maildir"
        )
    if b"\r" in head and b"\n" not in head:
        raise DataError(f"{place(path, 1)}: the lines end with CR: convert it with tr '\\r' '\\n'")
    line, length = 1, 0
    for chunk in chunks(path, Reading()):
        length = len(chunk) - chunk.rfind(b"\n") - 1 if b"\n" in chunk else length + len(chunk)
        line += chunk.count(b"\n")
        if length > MAX_LINE:
            raise DataError(
                f"{place(path, line)}: the line has more than {MAX_LINE:,} bytes: delete this mail"
            )


def _mails_in_file(path: Path, reading: Reading) -> Iterator[Message]:
    with on_disk(path) as file:
        yield from _parsed(mailbox.mbox(file, create=False), reading, _ESCAPED)


def _parsed(
    box: mailbox.Mailbox[Any], reading: Reading, escapes: re.Pattern[bytes] | None = None
) -> Iterator[Message]:
    """Yields the mails of a mailbox, and then closes the mailbox.

    What ``escapes`` matches is removed from each mail, such as the ``>`` that mail programs put
    before a line with "From " in an mbox file.
    """
    try:
        number, total = 0, len(box)
        # Sorted: a Maildir has the order of the file system, and a name begins with the time.
        for number, key in enumerate(sorted(box.iterkeys()), 1):
            with counting(reading):
                content = _content(box, key)
                yield _parse(escapes.sub(b"", content) if escapes else content)
            reading.progress(number / total)
    finally:
        box.close()


def _content(box: mailbox.Mailbox[Any], key: Any) -> bytes:
    """Returns the bytes of a mail.

    Raises:
        LeftOut: the mail is too large, or a mail program has deleted it meanwhile.
    """
    try:
        file = box.get_file(key)
    except (KeyError, FileNotFoundError) as error:
        raise LeftOut("deleted while the mailbox was read") from error
    with file:
        file.seek(0, os.SEEK_END)
        if file.tell() > MAX_MAIL_BYTES:
            raise LeftOut(f"larger than {MAX_MAIL_BYTES:,} bytes")
        file.seek(0)
        return bytes(file.read())


def _parse(content: bytes) -> Message:
    try:
        return email.message_from_bytes(content)
    except RecursionError as error:
        raise LeftOut("with parts that are nested too deeply") from error


def _ids(mail: Message, number: int) -> list[str]:
    """Returns the id of a mail, followed by the ids of the mails that it answers, the oldest first.

    A mail without an id gets an id that is made of ``number``.
    """
    own = _ID.findall(str(mail.get("Message-ID", "")))[:1] or [f"mail {number}"]
    answered = _ID.findall(str(mail.get("References", "")))
    return own + (answered or _ID.findall(str(mail.get("In-Reply-To", ""))))


def _author(mail: Message) -> str:
    """Returns the sender's address in lower case.

    Raises:
        LeftOut: the sender is no person, or has no address.
    """
    sender = _HIDDEN_AT.sub(r"\1@\2", str(mail.get("From", "")).strip())
    try:
        name, address = parseaddr(sender)
    except RecursionError as error:
        raise LeftOut("without a sender's address") from error
    automatic = str(mail.get("Auto-Submitted", "no")).strip().lower() != "no"
    if automatic or _PROGRAMS.match(address) or is_bot(sender.replace(address, ""), address):
        raise LeftOut("written by programs")
    if "@" not in address:
        raise LeftOut("without a sender's address")
    if " via " in name:
        raise LeftOut("sent by a mailing list in a person's name")
    return address.lower()


def _text(mail: Message) -> str:
    """Returns the text of the first plain-text part of a mail.

    Raises:
        LeftOut: there is no such part, or its bytes are not valid in its character set.
    """
    part = next(_plain_parts(mail), None)
    if part is None:
        raise LeftOut("without plain text, such as HTML only")
    try:
        codec = codecs.lookup(part.get_content_charset("ascii")).name
        if codec in _HOST_NAMES:
            raise LookupError(codec)
        return bytes(part.get_payload(decode=True)).decode(codec)
    except (LookupError, ValueError) as error:
        raise LeftOut("not valid in their character set") from error


def _plain_parts(mail: Message) -> Iterator[Message]:
    """Yields the plain-text parts of a mail, except attachments and mails within the mail."""
    waiting = [mail]
    while waiting:
        part = waiting.pop()
        kind = part.get_content_type()
        if part.get_content_disposition() == "attachment" or kind.startswith("message/"):
            continue
        if part.is_multipart():
            inner = [one for one in part.get_payload() if isinstance(one, Message)]
            waiting.extend(reversed(inner))
        elif kind == "text/plain":
            yield part
