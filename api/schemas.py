"""The types of request and response bodies. They validate JSON and define the OpenAPI schemas."""

from __future__ import annotations

from typing import Annotated, Any, Generic, Literal, TypeVar

import msgspec
from msgspec import UNSET, Meta, UnsetType

from tasks.messages import Attribution

ItemT = TypeVar("ItemT")

Text = Annotated[str, Meta(description="The message to attribute.", min_length=1)]
Deadline = Annotated[
    int, Meta(ge=1, le=86_400_000, description="Milliseconds until the deadline. After it: 504.")
]
Ref = Annotated[str, Meta(description="Your own name for the message, which the response repeats.")]


class MessageIn(msgspec.Struct, forbid_unknown_fields=True):
    """A message of a bulk request."""

    text: Text
    ref: Ref | UnsetType = UNSET


class AttributionRequest(msgspec.Struct, Generic[ItemT], forbid_unknown_fields=True):
    """A request with one message (``text``) or many messages (``messages``), but not both."""

    text: Text | UnsetType = UNSET
    messages: Annotated[
        list[ItemT] | UnsetType, Meta(description="Many messages. The response keeps their order.")
    ] = UNSET
    deadline_ms: Deadline | None = None
    priority: Annotated[
        int, Meta(ge=0, le=9, description="0 goes first. Give background work a higher number.")
    ] = 0

    def __post_init__(self) -> None:
        if (self.text is UNSET) == (self.messages is UNSET):
            raise ValueError("Expected exactly one of `text` and `messages`")


class FeedbackRequest(msgspec.Struct, forbid_unknown_fields=True):
    """The true author of a message. The author may be unknown to the model."""

    id: Annotated[str, Meta(pattern="^[0-9a-f]{32}$", description="The attribution's id.")]
    author: Annotated[str, Meta(min_length=1, max_length=200, description="The true author.")]
    corrects: Annotated[
        bool, Meta(description="Whether this author takes the place of one given before.")
    ] = False


class Learned(msgspec.Struct, frozen=True):
    """The response to feedback: the true author that Byline has stored for a message."""

    id: str
    author: str
    #: True if the model's best candidate is this author, even if the model abstained.
    correct: bool
    #: The message's earlier authors, which later feedback replaced; the oldest first.
    before: list[str] | UnsetType = UNSET


class Pending(msgspec.Struct, frozen=True):
    """The message is accepted. Its attribution will be at ``location``."""

    id: str
    location: str
    status: Literal["pending"] = "pending"
    ref: str | UnsetType = UNSET


class Reason(msgspec.Struct, frozen=True):
    """An error: ``code`` is stable, ``detail`` is for people."""

    code: str
    detail: str


class Refused(msgspec.Struct, frozen=True):
    """The error of one message, in a bulk response."""

    error: Reason
    ref: str | UnsetType = UNSET


#: The result of one message in a bulk response.
Item = Attribution | Pending | Refused


class VersionInfo(msgspec.Struct, frozen=True):
    """A model version that workers serve, and its share of the new messages."""

    version: str
    workers: int
    #: Share, from 0 to 1, of the messages that name no version.
    share: float


class ModelInfo(msgspec.Struct, frozen=True):
    """The current model (model card, device, number of workers), and all served versions."""

    card: dict[str, Any]
    device: str
    workers: int
    versions: list[VersionInfo]


class Health(msgspec.Struct, frozen=True):
    """The state of the API, and the state of each part of Byline by the part's name."""

    status: Literal["ok", "unavailable"]
    parts: dict[str, str]
