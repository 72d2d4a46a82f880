"""Tests of the reader of Maildirs, which mail programs may change at any time."""

from __future__ import annotations

import mailbox
from pathlib import Path

from model.training.importers.mail import read_mails
from model.training.importers.records import Reading
from tests.unit.model.training.importers.test_mail import TEXT, mail, read


def test_mails_of_a_maildir_are_in_the_order_of_their_names(tmp_path: Path) -> None:
    mailbox.Maildir(tmp_path / "a")
    for number in (7, 3, 9, 1, 5):
        content = mail(f"{TEXT} {number}").as_bytes()
        (tmp_path / "a" / "cur" / f"{number}.x:2,S").write_bytes(content)
    assert [record.text[-1] for record in read(tmp_path / "a")[0]] == ["1", "3", "5", "7", "9"]


def test_folders_within_a_maildir_are_noted(tmp_path: Path) -> None:
    maildir = mailbox.Maildir(tmp_path / "a")
    maildir.add(mail())
    maildir.add_folder("Sent").add(mail(TEXT + " too"))
    reading = Reading()
    assert len(read_mails(tmp_path / "a", reading)) == 1
    [note] = reading.notes
    assert note.startswith("the Maildir has other folders, which are not read: 'Sent'; name such")


def test_mail_that_is_deleted_while_the_maildir_is_read_is_left_out(tmp_path: Path) -> None:
    mailbox.Maildir(tmp_path / "a")
    mails = [tmp_path / "a" / "cur" / f"{number}.x:2,S" for number in range(3)]
    for path in mails:
        path.write_bytes(mail().as_bytes())
    reading = Reading(lambda _: mails[1].unlink(missing_ok=True))
    assert len(read_mails(tmp_path / "a", reading)) == 2
    assert reading.left_out == {"deleted while the mailbox was read": 1}


def test_broken_link_in_a_maildir_is_left_out(tmp_path: Path) -> None:
    mailbox.Maildir(tmp_path / "a").add(mail())
    (tmp_path / "a" / "cur" / "1.x:2,S").symlink_to("gone")
    records, left_out = read(tmp_path / "a")
    assert len(records) == 1
    assert left_out == {"deleted while the mailbox was read": 1}
