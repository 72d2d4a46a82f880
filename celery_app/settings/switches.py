"""The words that mean on or off, in the values of settings and in the query of a URL."""

from __future__ import annotations

#: Words that switch something on, in upper or lower case.
ON = ("true", "1", "yes", "on")
#: Words that switch something off, in upper or lower case.
OFF = ("false", "0", "no", "off")
#: Error text for a word that is in neither list.
SWITCH = "must be on or off; true, 1 and yes, and false, 0 and no, mean the same"


def is_on(text: str) -> bool:
    """Returns whether ``text`` is one of the words of :data:`ON`.

    Raises:
        ValueError: ``text`` is not one of the words of :data:`ON` and :data:`OFF`.
    """
    word = text.lower()
    if word in ON:
        return True
    if word in OFF:
        return False
    raise ValueError(SWITCH)
