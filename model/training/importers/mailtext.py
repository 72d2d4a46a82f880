"""Leaves out what is not the author's own words in the text of a mail.

quotequail finds quotes and forwarded mails, and mail-parser-reply finds signatures. Both know
several languages.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache

import quotequail
from mailparser_reply import EmailMessage

from model.training.importers.records import LeftOut

#: Largest number of lines of a mail. The time that quotequail takes grows with their square, and is
#: at most a second for this many. Longer mails are logs or patches.
MAX_LINES = 1_000
#: Largest number of quotes in a mail that have words of the author between them.
MAX_QUOTES = 20
#: Languages of the signatures. Left out are languages with closings that begin common words of
#: English, such as the Danish "Tak".
LANGUAGES = ("en", "de", "es", "fr", "it", "nl", "pl", "sv")

_BLANK_LINES = re.compile(r"\n\s*\n")
#: Line before the signature (RFC 3676), and before the footer of a mailing list.
_FOOTER = re.compile(r"^(?:-- ?|_{32,})$", re.MULTILINE)


def own_words(text: str) -> str:
    """Returns the text of a mail without quotes, forwarded mails and the signature.

    Raises:
        LeftOut: nothing is left, or the text has more than ``MAX_LINES`` lines.
    """
    # Runs of blank lines would take the search for signatures a time that grows with their square.
    text = _BLANK_LINES.sub("\n\n", text.replace("\r\n", "\n"))
    if text.count("\n") >= MAX_LINES:
        raise LeftOut(f"longer than {MAX_LINES:,} lines")
    text = _without_signature("\n".join(_unquoted(_unwrapped(text))).strip())
    if not text:
        raise LeftOut("quotes and forwarded mails only")
    return _BLANK_LINES.sub("\n\n", text)


def _unwrapped(text: str) -> str:
    """Returns a text without quotes that have an introduction, and without forwarded mails."""
    kept = []
    for _ in range(MAX_QUOTES):
        parts = quotequail.unwrap(text)
        if parts is None:
            break
        kept.append(parts.get("text_top", ""))
        text = parts.get("text_bottom", "")
    return "\n\n".join([*kept, text])


def _unquoted(text: str) -> Iterator[str]:
    """Yields the lines of a text that are no quotes and do not introduce a quote."""
    lines = text.split("\n")
    for line, following in zip(lines, [*lines[1:], ""], strict=True):
        introduces = line.endswith(":") and following.startswith(">")
        if not (line.startswith(">") or introduces):
            yield line


def _without_signature(text: str) -> str:
    text = _FOOTER.split(text, maxsplit=1)[0].strip()
    found = _signatures().search(text)
    return text[: found.start()].rstrip() if found else text


@cache
def _signatures() -> re.Pattern[str]:
    """Returns the regular expression that finds the beginning of a signature, up to the end."""
    message = EmailMessage(text="", languages=list(LANGUAGES), keep_hyphen_lists=True)
    pattern: re.Pattern[str] = message.SIGNATURE_REGEX
    return pattern
