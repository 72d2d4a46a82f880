"""What the api takes and gives, as types: they validate, and make the OpenAPI document."""

from __future__ import annotations

from typing import Annotated, Any, Generic, Literal, TypeVar

import msgspec
from msgspec import UNSET, Meta, UnsetType

from tasks.messages import Attribution

ItemT = TypeVar("ItemT")

Text = Annotated[str, Meta(description="The message to attribute.", min_length=1)]
Deadline = Annotated[
    int,
    Meta(
        ge=1,
        le=86_400_000,
        description="Not worth an answer after so many milliseconds: 504 then.",
    ),
]
Ref = Annotated[str, Meta(description="Your own name for the message, given back.")]


class MessageIn(msgspec.Struct, forbid_unknown_fields=True):
    """One message of a bulk request."""

    text: Text
    ref: Ref | UnsetType = UNSET


class AttributionRequest(msgspec.Struct, Generic[ItemT], forbid_unknown_fields=True):
    """A message (``text``) or many (``messages``): exactly one of the two."""

    text: Text | UnsetType = UNSET
    messages: Annotated[
        list[ItemT] | UnsetType, Meta(description="Many messages, answered in this order.")
    ] = UNSET
    deadline_ms: Deadline | None = None
    priority: Annotated[
        int, Meta(ge=0, le=9, description="0 goes first. Give background work a higher number.")
    ] = 0

    def __post_init__(self) -> None:
        if (self.text is UNSET) == (self.messages is UNSET):
            raise ValueError("Expected exactly one of `text` and `messages`")


class FeedbackRequest(msgspec.Struct, forbid_unknown_fields=True):
    """Who wrote a message, when it is learned. The author need not be one that the model knows."""

    id: Annotated[str, Meta(pattern="^[0-9a-f]{32}$", description="Id of the attribution.")]
    author: Annotated[str, Meta(min_length=1, max_length=200, description="The true author.")]


class Learned(msgspec.Struct, frozen=True):
    """What was learned of a message."""

    id: str
    author: str
    #: Was the best guess, named or not, this author?
    correct: bool


class Pending(msgspec.Struct, frozen=True):
    """Accepted: the answer will be found at ``location``."""

    id: str
    location: str
    status: Literal["pending"] = "pending"
    ref: str | UnsetType = UNSET


class Reason(msgspec.Struct, frozen=True):
    """What went wrong; ``code`` is stable, ``detail`` is for people."""

    code: str
    detail: str


class Refused(msgspec.Struct, frozen=True):
    """In a bulk answer, in the place of a message that has no attribution."""

    error: Reason
    ref: str | UnsetType = UNSET


#: What stands for one message in the answer to a bulk request.
Item = Attribution | Pending | Refused


class VersionInfo(msgspec.Struct, frozen=True):
    """One version of the model."""

    version: str
    workers: int
    #: Of the messages that name no version.
    share: float


class ModelInfo(msgspec.Struct, frozen=True):
    """The model being served, its card, and where it runs; and all its versions."""

    card: dict[str, Any]
    device: str
    workers: int
    versions: list[VersionInfo]


class Health(msgspec.Struct, frozen=True):
    """Whether a part is in order, by its name."""

    status: Literal["ok", "unavailable"]
    parts: dict[str, str]
