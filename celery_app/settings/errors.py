"""Error texts for wrong settings: they name the environment variable and suggest the right name."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence

from celery_app.settings.secret_url import SecretURL

#: Prefix of the names of all variables.
PREFIX = "BYLINE_"


class SettingsError(ValueError):
    """A setting is missing, or has a value that Byline can't start with."""


def unknown(field: str, known: Sequence[str]) -> str:
    """Returns the error text for an unknown setting. The text suggests a similar known name."""
    close = difflib.get_close_matches(field, known, n=1)
    hint = f"; did you mean {PREFIX}{close[0].upper()}?" if close else ""
    return f"{PREFIX}{field.upper()} is not a setting{hint}"


def in_words(error: str, values: Mapping[str, str]) -> str:
    """Returns an error text of msgspec, with the environment variable in place of the field.

    ``error`` is msgspec's text, which ends with the field's path, such as ``$.field``. ``values``
    are the values by field.
    """
    reason, _, place = error.partition(" - at `$.")
    field = place.rstrip("`")
    if field not in values:  # __post_init__ raised this error, which names variables
        return reason
    reason = reason.removesuffix(", got `str`")  # everything in an environment is a string
    value = SecretURL(values[field]) if field.endswith("_url") else values[field]
    return f"{PREFIX}{field.upper()}={value!r}: {reason[0].lower()}{reason[1:]}"


def env_name(field: str) -> str:
    """Returns the name of the environment variable for the setting ``field``."""
    return f"{PREFIX}{field.upper()}"
