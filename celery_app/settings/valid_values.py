"""Turns the type of a setting into a description of the setting's valid values, for error texts."""

from __future__ import annotations

from typing import Any

from msgspec import inspect

from celery_app.settings.field_types import VALID
from celery_app.settings.switches import SWITCH


def valid_values(kind: inspect.Type) -> str:
    """Returns a description of a type's valid values, such as ``must be a number above 0``.

    Returns an empty string for a type whose errors msgspec itself describes well enough.
    """
    match kind:
        case inspect.Metadata(type=inner, extra=extra):
            return (extra or {}).get(VALID) or valid_values(inner)
        case inspect.UnionType(types=types):  # None is the value of an unset setting
            return next(filter(None, map(valid_values, types)), "")
        case inspect.LiteralType(values=values):
            return SWITCH if set(values) == {"on", "off"} else f"must be {_or(values)}"
        case inspect.IntType():
            return f"must be a whole number{_range(kind)}"
        case inspect.FloatType():
            return f"must be a number{_range(kind)}"
    return ""


def _or(values: tuple[Any, ...]) -> str:
    *first, last = map(str, values)
    return f"{', '.join(first)} or {last}"


def _range(kind: inspect.IntType | inspect.FloatType) -> str:
    low = "" if kind.ge is None else f" from {kind.ge:g}"
    low = low if kind.gt is None else f" above {kind.gt:g}"
    if kind.le is None:
        return low.replace("from", "of at least")
    return f"{low}{' and at most' if kind.gt is not None else ' to'} {kind.le:g}"
