"""Writes the error texts of settings: they name the variable, and the setting that may be meant."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence

from celery_app.settings.secret_url import SecretURL

#: Prefix of the names of all variables.
PREFIX = "BYLINE_"


class SettingsError(ValueError):
    """A setting has a value that Byline refuses to start with."""


def unknown(field: str, known: Sequence[str]) -> str:
    """Returns the error of a field that does not exist. It names the field that may be meant."""
    close = difflib.get_close_matches(field, known, n=1)
    hint = f"; did you mean {PREFIX}{close[0].upper()}?" if close else ""
    return f"{PREFIX}{field.upper()} is not a setting{hint}"


def in_words(error: str, values: Mapping[str, str]) -> str:
    """Returns an error of msgspec with the name of the variable in the place of the field.

    msgspec ends its messages with the place, ```$.field```.
    """
    reason, _, place = error.partition(" - at `$.")
    field = place.rstrip("`")
    if field not in values:  # __post_init__ raised this error, which names variables
        return reason
    reason = reason.removesuffix(", got `str`")  # everything in an environment is a string
    value = SecretURL(values[field]) if field.endswith("_url") else values[field]
    return f"{PREFIX}{field.upper()}={value!r}: {reason[0].lower()}{reason[1:]}"


def env_name(field: str) -> str:
    """Returns the environment variable of a setting."""
    return f"{PREFIX}{field.upper()}"
