"""Error texts for wrong settings: they name the environment variable and suggest the right name."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from celery_app.hints import did_you_mean
from celery_app.settings.secret_url import SecretURL

#: Prefix of the names of all variables.
PREFIX = "BYLINE_"


class SettingsError(ValueError):
    """A setting is missing, or has a value that Byline can't start with."""


def unknown(field: str, known: Sequence[str]) -> str:
    """Returns the error text for an unknown setting. The text suggests a similar known name."""
    return f"{env_name(field)} is not a setting{did_you_mean(field, known, env_name)}"


def in_words(error: str, values: Mapping[str, str], valid: Callable[[str], str]) -> str:
    """Turns msgspec's error text into a text for users, which names the environment variable.

    ``error`` is msgspec's text. ``values`` maps fields to the values that were set.
    ``valid(field)`` returns a description of the field's valid values. If the description is empty,
    the returned text has msgspec's reason instead.
    """
    # msgspec's text ends with the field's path, such as `$.field`.
    reason, _, place = error.partition(" - at `$.")
    field = place.rstrip("`")
    if field not in values:  # raised by __post_init__, whose errors name variables
        return reason
    reason = reason.removesuffix(", got `str`")  # every value in an environment is a string
    reason = valid(field) or f"{reason[0].lower()}{reason[1:]}"
    value = SecretURL(values[field]) if field.endswith("_url") else values[field]
    return f"{env_name(field)}={value!r}: {reason}"


def env_name(field: str) -> str:
    """Returns the name of the environment variable for the setting ``field``."""
    return f"{PREFIX}{field.upper()}"
