"""A second, simple implementation of the n-gram features, for one n-gram at a time."""

from __future__ import annotations

from collections import Counter

_CHARACTER_BASE, _TOKEN_BASE = 0x9E3779B1, 0x01000193
_ORDERED_CHARACTERS = 64


def hashes(text: str) -> Counter[int]:
    """Returns how often each hash of an n-gram occurs in ``text``."""
    points = [ord(character) + 1 for character in text]
    units = [_token_hash(token) for token in tokens(text)]
    characters = [_hash(run, len(run), _CHARACTER_BASE) for run in _runs(points, (3, 4))]
    return Counter(
        characters + [_hash(run, 100 + len(run), _TOKEN_BASE) for run in _runs(units, (1, 2, 3))]
    )


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


def _runs(units: list[int], lengths: tuple[int, ...]) -> list[list[int]]:
    return [units[i : i + n] for n in lengths for i in range(len(units) - n + 1)]


def _hash(run: list[int], family: int, base: int) -> int:
    value = 0
    for unit in run:
        value = value * base + unit
    return _mix((value % 2**32) ^ (family * 0x01000193) % 2**32)


def _token_hash(token: str) -> int:
    value = 0
    for index, character in enumerate(token):
        lower = character.lower() if character <= "\uffff" else character
        unit = ord(lower if len(lower) == 1 else character) + 1
        value += unit * _CHARACTER_BASE ** min(index, _ORDERED_CHARACTERS - 1)
    return _mix(value)


def _mix(value: int) -> int:
    value = value * 0x85EBCA6B % 2**32
    return (value ^ value >> 15) * 0xC2B2AE35 % 2**32
