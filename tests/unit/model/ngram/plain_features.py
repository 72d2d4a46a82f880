"""A second, simple implementation of the n-gram features, for one n-gram at a time."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise

from model.ngram.features import ROWS

_CHARACTER_BASE, _TOKEN_BASE = 0x9E3779B1, 0x01000193
_ORDERED_CHARACTERS = 64


def bag(text: str) -> Counter[int]:
    """Returns how often each row of the weights occurs in ``text``."""
    points = [ord(character) + 1 for character in text]
    hashes = [_token_hash(token) for token in tokens(text)]
    runs = [_row(_run(points[i : i + n]), n) for n in (2, 3, 4) for i in range(len(text) - n + 1)]
    singles = [_row(one, 101) for one in hashes]
    pairs = [_row(one * _TOKEN_BASE + other, 102) for one, other in pairwise(hashes)]
    return Counter(runs + singles + pairs)


def tokens(text: str) -> list[str]:
    """Returns runs of letters and digits, and single marks. Characters above U+FFFF are marks."""
    found: list[str] = []
    inside = False
    for character in text:
        word = character.isalnum() and character <= "\uffff"
        if word and inside:
            found[-1] += character
        elif word or not character.isspace():
            found.append(character)
        inside = word
    return found


def _run(units: list[int]) -> int:
    value = 0
    for unit in units:
        value = value * _CHARACTER_BASE + unit
    return value


def _token_hash(token: str) -> int:
    value = 0
    for index, character in enumerate(token):
        lower = character.lower() if character <= "\uffff" else character
        unit = ord(lower if len(lower) == 1 else character) + 1
        value += unit * _CHARACTER_BASE ** min(index, _ORDERED_CHARACTERS - 1)
    return _mix(value)


def _row(value: int, family: int) -> int:
    return _mix((value % 2**32) ^ (family * 0x01000193) % 2**32) * ROWS >> 32


def _mix(value: int) -> int:
    value = value * 0x85EBCA6B % 2**32
    return (value ^ value >> 15) * 0xC2B2AE35 % 2**32
