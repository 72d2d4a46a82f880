"""Parses the JSON bodies of requests, and computes the cost of a body for the rate limit."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import TypeVar

import msgspec
from msgspec import UNSET, UnsetType

from api.errors import check_json
from api.requests.duplicate_keys import has_duplicate_key
from api.requests.surrogates import mark_lone_surrogates
from api.schemas import AttributionRequest, MessageIn, Reason, Refused
from celery_app.hints import unknown_name
from tasks.errors import InvalidMessage, NotJSON

RequestT = TypeVar("RequestT")

#: Largest body, in bytes, that the event loop parses. A thread parses a larger body: 4 MB with deep
#: nesting, duplicate keys or lone surrogates take up to half a second.
INLINE_PARSE_BYTES = 65_536
#: Bytes of an invalid body that cost as much as one message.
BYTES_PER_MESSAGE = 16_384

_request_decoder = msgspec.json.Decoder(AttributionRequest[msgspec.Raw])
_message_decoder = msgspec.json.Decoder(MessageIn)
#: Keys of a request with one message.
_SINGLE_KEYS = (b'"text"', b'"deadline_ms"', b'"priority"')
#: The key of many messages. No text holds these bytes, because JSON escapes quotation marks.
MANY = b'"messages"'
#: Keys of a request with many messages.
_BULK_KEYS = (MANY, *_SINGLE_KEYS[1:])
#: Keys of one message of many.
_MESSAGE_KEYS = (b'"text"', b'"ref"')
_LONE_SURROGATE = b"\\ud800"
#: Start of msgspec's error text for an unknown field. The field's name and a backtick follow.
_UNKNOWN_FIELD = "Object contains unknown field `"
_SURROGATE_ERROR = "text holds half of a surrogate pair"
_DUPLICATE_ERROR = "an object has a key twice"


def cost_by_size(body: bytes | msgspec.Raw) -> int:
    """Returns the rate-limit cost of feedback or of an invalid body, as a number of messages."""
    return 1 + len(body) // BYTES_PER_MESSAGE


def parse(content_type: str, body: bytes) -> AttributionRequest[msgspec.Raw]:
    """Decodes a JSON body of a request for attributions. Raises the errors of ``decode_body``."""
    return decode_body(content_type, body, _decode, _keys, AttributionRequest.__struct_fields__)


def decode_body(
    content_type: str,
    body: bytes,
    decode: Callable[[bytes], RequestT],
    keys: Callable[[RequestT], Sequence[bytes]],
    fields: Sequence[str],
) -> RequestT:
    """Decodes the JSON body of a request. Error texts may suggest names from ``fields``.

    ``keys(request)`` returns the JSON keys that must not come twice, each in quotation marks.

    Raises:
        WrongType, NotJSON, InvalidMessage: the body is invalid.
    """
    check_json(content_type)
    try:
        request = decode(body)
        is_duplicate = has_duplicate_key(body, keys(request))
    except msgspec.ValidationError as error:
        raise InvalidMessage(_reason(error, fields)) from None
    except msgspec.DecodeError as error:
        raise NotJSON(str(error)) from None
    except UnicodeError:
        raise NotJSON("the body is not UTF-8") from None
    except RecursionError:
        raise NotJSON("the body is nested too deeply") from None
    if is_duplicate:
        raise NotJSON(_DUPLICATE_ERROR)
    return request


def _keys(request: AttributionRequest[msgspec.Raw]) -> Sequence[bytes]:
    return _BULK_KEYS if request.text is UNSET else _SINGLE_KEYS


def _decode(body: bytes) -> AttributionRequest[msgspec.Raw]:
    """Decodes a request. A lone surrogate (half a character) makes only its own message invalid.

    Raises ``msgspec.DecodeError``, ``UnicodeDecodeError`` or ``RecursionError``.
    """
    try:
        return _request_decoder.decode(body)
    except msgspec.ValidationError:
        raise
    except msgspec.DecodeError:
        marked = mark_lone_surrogates(body)
        request = None if marked is None else _request_decoder.decode(marked.document)
        if marked is None or request is None or not request.messages:
            raise
    pieces = [bytes(raw).replace(marked.escaped, _LONE_SURROGATE) for raw in request.messages]
    request.messages = [msgspec.Raw(piece) for piece in pieces]
    return request


def parse_message(raw: msgspec.Raw, index: int) -> MessageIn | Refused:
    """Returns one message of a bulk request; for an invalid message, returns the error."""
    try:
        message = _message_decoder.decode(raw)
        if not has_duplicate_key(bytes(raw), _MESSAGE_KEYS):
            return message
        reason = _DUPLICATE_ERROR
    except msgspec.ValidationError as error:
        reason = _reason(error, MessageIn.__struct_fields__)
    except msgspec.DecodeError:  # parse() has refused a body with any other error
        reason = _SURROGATE_ERROR
    except UnicodeDecodeError:
        reason = "text is not UTF-8"
    except RecursionError:
        reason = "nested too deeply"
    reason, _, path = reason.partition(" - at `$")  # msgspec ends an error with the path
    return refused(f"{path[:-1]}: {reason}", index, _ref_of(raw))


def _reason(error: msgspec.ValidationError, fields: Sequence[str]) -> str:
    """Returns the text of msgspec's error; for an unknown field, a text that suggests a field."""
    reason = str(error)
    if not reason.startswith(_UNKNOWN_FIELD):
        return reason
    return f"an object has {unknown_name('field', reason[len(_UNKNOWN_FIELD) : -1], fields)}"


def refused(detail: str, index: int, ref: str | UnsetType) -> Refused:
    """Returns an invalid message's error in a bulk request: ``messages[<index>]<detail>``."""
    return Refused(Reason(InvalidMessage.code, f"messages[{index}]{detail}"), ref)


def _ref_of(raw: msgspec.Raw) -> str | UnsetType:
    """Returns the ``ref`` of an invalid message; ``UNSET`` if it has no valid ``ref``."""
    try:
        # Unlike msgspec, this reads a message that holds half of a surrogate pair.
        ref: str = json.loads(bytes(raw).decode(errors="surrogateescape"))["ref"]
        ref.encode()
    except (AttributeError, KeyError, RecursionError, TypeError, ValueError):
        return UNSET
    return ref
