"""Keeps only the author's own words of the text of a mail.

The library quotequail finds quotes and forwarded mails. The library mail-parser-reply finds
signatures. Both know several languages.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache, partial

import quotequail
from mailparser_reply import EmailMessage

from model.training.importers.records import MAX_CHARACTERS, LeftOut

#: Largest number of lines of a mail. The time that quotequail takes grows with their square, and is
#: at most a second for this many. Longer mails are logs or patches.
MAX_LINES = 1_000
#: Largest number of quotes in a mail that have words of the author between them.
MAX_QUOTES = 20
#: Languages of the signatures. Left out are languages with closings that begin common words of
#: English, such as the Danish "Tak", and Swedish, whose closing "/Ann" looks like a path.
LANGUAGES = ("en", "de", "es", "fr", "it", "nl", "pl")
#: Largest number of words in the first line of a signature, such as "Mit freundlichen Grüßen, Ann
#: Lee". A line with more words, or with the end of a sentence, is one like "Thanks, it works now."
MAX_CLOSING_WORDS = 6

_QUOTED_LINE = re.compile(r"^>.*$", re.MULTILINE)
_BLANK_LINES = re.compile(r"\n\s*\n")
#: A hundred characters of white space in a line, and those that follow.
_LONG_SPACE = re.compile(r"([^\S\n]{100})[^\S\n]+")
#: End of a line that is a sentence, and so no closing.
_SENTENCE = re.compile(r"[.?:;]$")
#: Line before the signature (RFC 3676), and before the footer of a mailing list.
_FOOTER = re.compile(r"^(?:-- ?|_{32,})$", re.MULTILINE)


def own_words(text: str) -> str:
    """Returns the text of a mail without quotes, forwarded mails and the signature.

    Raises:
        LeftOut: nothing is left, or the text has more than ``MAX_LINES`` lines or
            ``MAX_CHARACTERS`` characters.
    """
    if len(text) > MAX_CHARACTERS:
        raise LeftOut(f"longer than {MAX_CHARACTERS:,} characters")
    # Runs of white space would take the search for signatures a time that grows with their square.
    text = _BLANK_LINES.sub("\n\n", text.replace("\r\n", "\n"))
    text = _LONG_SPACE.sub(r"\1", text)
    if text.count("\n") >= MAX_LINES:
        raise LeftOut(f"longer than {MAX_LINES:,} lines")
    text = _without_signature("\n".join(_unquoted(_unwrapped(text))).strip())
    if not text:
        raise LeftOut("quotes and forwarded mails only")
    return _BLANK_LINES.sub("\n\n", text)


def _unwrapped(text: str) -> str:
    """Returns a text without forwarded mails, and without quotes after a line like "Ann wrote:".

    In any other quote, each line becomes "> a".
    """
    # A quoted line can introduce a quote within the quote. quotequail would then take the rest of
    # the mail for quoted. So quotequail gets the quoted lines without their words.
    text = _QUOTED_LINE.sub("> a", text)
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
    start = 0
    for line in text.split("\n"):
        if _is_closing(line) and _begins_signature(text, start, start + len(line)):
            return text[:start].rstrip()
        start += len(line) + 1
    return text


def _is_closing(line: str) -> bool:
    """Returns whether a line can begin a signature: it is short, and does not end a sentence."""
    return len(line.split()) <= MAX_CLOSING_WORDS and not _SENTENCE.search(line)


def _begins_signature(text: str, start: int, end: int) -> bool:
    """Returns whether a signature begins with the line ``text[start:end]``."""
    # The search ends with the line. Otherwise its time would grow with the number of lines that
    # begin like a signature, times the length of the text.
    search = partial(_signatures().match, text, endpos=end + 1)
    # Only a line of dashes needs the blank line before it.
    blank = text.endswith("\n\n", 0, start) and search(start - 2)
    return bool(search(start) or blank)


@cache
def _signatures() -> re.Pattern[str]:
    """Returns the regular expression that matches a signature from its first line on."""
    message = EmailMessage(text="", languages=list(LANGUAGES), keep_hyphen_lists=True)
    pattern: re.Pattern[str] = message.SIGNATURE_REGEX
    return pattern
