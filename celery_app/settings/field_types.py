"""Types for the fields of settings, with the limits that msgspec checks."""

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
    """Returns the metadata of a setting: its description for the reference, and limits to check."""
    return Meta(description=description, **limits)
