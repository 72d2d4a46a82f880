"""Checks texts and authors' names, and returns their canonical form.

The canonical form is Unicode NFC, with one kind of line break and no white space at the ends.
Training, the api, the workers, Celery clients and feedback all use this module, so that a text or
a name has the same form everywhere.
"""

from __future__ import annotations

import re
import unicodedata
from functools import cache

#: Largest number of characters of an author's name.
MAX_NAME = 200
#: Largest number of combining marks in a row, as in UAX #15, Stream-Safe Text Format. Unicode's
#: normalisation sorts these marks, in a time that grows with the square of their number.
MAX_MARKS = 30
#: Largest number of characters that NFC composes into one. A text longer than this many times the
#: limit is refused before it is normalised.
MAX_COMPOSED = 4
#: First code point beyond all combining marks.
_MARKS_END = 0x1F000
#: Range of the rare combining marks: characters beyond U+FFFF.
_RARE = re.compile(f"[\U00010000-{chr(_MARKS_END - 1)}]")
#: A usual combining mark, which replaces each rare mark in the check.
_MARK = "\u0301"
#: Half of a surrogate pair.
_SURROGATE = re.compile("[\ud800-\udfff]")


class InvalidText(ValueError):
    """A text or a name can't be used.

    The error's message says why. The message never quotes the text or the name.
    """


def canonical(text: str) -> str:
    r"""Returns the form of ``text`` that is hashed and given to the model.

    This form is in Unicode NFC, has ``\n`` for every line break, and has no white space at the
    beginning or at the end.
    """
    if "\r" in text:
        text = text.replace("\r\n", "\n").replace("\r", "\n")
    if not text.isascii():
        text = unicodedata.normalize("NFC", text)
    return text.strip()


def parse_text(text: object, max_characters: int) -> str:
    """Checks a text, and returns its canonical form.

    Raises:
        InvalidText: the text is not a string, is empty, is longer than ``max_characters``, or holds
            a zero byte, a lone surrogate, or too many combining marks in a row.
    """
    if not isinstance(text, str):
        raise InvalidText(f"text must be a string, not {type(text).__name__}")
    if len(text) > MAX_COMPOSED * max_characters:
        raise _too_long(text, max_characters)
    if not text.isascii() and _has_too_many_marks(text):
        raise InvalidText(f"text holds more than {MAX_MARKS} combining marks in a row")
    text = canonical(text)
    if not text:
        raise InvalidText("text is empty")
    if len(text) > max_characters:
        raise _too_long(text, max_characters)
    if "\0" in text:
        raise InvalidText("text holds a zero byte")
    # UTF-8 can't encode a lone surrogate.
    if not text.isascii() and _SURROGATE.search(text):
        raise InvalidText("text holds half of a surrogate pair")
    return text


def parse_author(name: object) -> str:
    """Checks an author's name, and returns its canonical form.

    Raises:
        InvalidText: the name breaks a rule of :func:`parse_text`, or has more than ``MAX_NAME``
            characters.
    """
    try:
        return parse_text(name, MAX_NAME)
    except InvalidText as error:
        raise InvalidText("author" + str(error).removeprefix("text")) from None


def _too_long(text: str, limit: int) -> InvalidText:
    return InvalidText(f"text has {len(text):,} characters; at most {limit:,}")


def _has_too_many_marks(text: str) -> bool:
    """Returns whether a text has more than ``MAX_MARKS`` combining marks in a row."""
    # Rare marks, above U+FFFF, become a mark below U+10000, so that the search takes 0.1 us for
    # each character. With the rare marks in the regular expression, the search would take 1 us,
    # because Python's regular expressions have a lookup table only for characters below U+10000.
    if _RARE.search(text):
        text = text.translate(_rare_marks())
    return _too_many_marks_pattern().search(text) is not None


@cache
def _rare_marks() -> dict[int, str]:
    return dict.fromkeys(_marks(0x10000, _MARKS_END), _MARK)


@cache
def _too_many_marks_pattern() -> re.Pattern[str]:
    """Returns the regular expression that finds too many combining marks in a row.

    The expression begins with a character class, which makes the search fast.
    """
    marks = "".join(map(chr, _marks(0x300, 0x10000)))
    return re.compile(f"[{marks}][{marks}]{{{MAX_MARKS}}}")


def _marks(begin: int, end: int) -> list[int]:
    return [point for point in range(begin, end) if unicodedata.combining(chr(point))]
