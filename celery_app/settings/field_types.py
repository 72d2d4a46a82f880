"""Types of settings: the limits that msgspec checks, and the description for the reference."""

from __future__ import annotations

from typing import Annotated, Any

from msgspec import Meta

WebURL = Annotated[str, Meta(pattern=r"^https?://")]
HostNames = Annotated[str, Meta(pattern=r"^[A-Za-z\d_.-]+( *, *[A-Za-z\d_.-]+)*$")]
Port = Annotated[int, Meta(ge=1, le=65535)]
Count = Annotated[int, Meta(ge=1)]
Positive = Annotated[float, Meta(gt=0)]
Seconds = Positive


def about(description: str, **limits: Any) -> Meta:
    """Returns the description of a setting for the reference, with the limits to check."""
    return Meta(description=description, **limits)
