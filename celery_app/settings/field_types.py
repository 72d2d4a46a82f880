"""Types for the fields of settings, with the limits that msgspec checks."""

from __future__ import annotations

from typing import Annotated, Any

from msgspec import Meta

#: Key in the metadata of a type. Its value says, for error texts, what a setting must be.
VALID = "valid"

WebURL = Annotated[
    str, Meta(pattern=r"^https?://", extra={VALID: "must begin with http:// or https://"})
]
HostNames = Annotated[
    str,
    Meta(
        pattern=r"^[A-Za-z\d_.-]+( *, *[A-Za-z\d_.-]+)*$",
        extra={VALID: "must be host names, with commas between them"},
    ),
]
Port = Annotated[int, Meta(ge=1, le=65535)]
Count = Annotated[int, Meta(ge=1)]
#: At most ten years.
Days = Annotated[int, Meta(ge=1, le=3650)]
Positive = Annotated[float, Meta(gt=0)]
Seconds = Positive


def about(description: str, valid: str = "", **limits: Any) -> Meta:
    """Returns the metadata of a setting: its description for the documentation, and its limits.

    msgspec checks the ``limits``, such as ``ge=1``. ``valid`` says in words what a value must be.
    Give it with a regular expression, which msgspec's own error text would only quote.
    """
    return Meta(description=description, extra={VALID: valid} if valid else None, **limits)
