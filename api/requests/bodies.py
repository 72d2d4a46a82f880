"""The bodies of ``POST /v1/attributions``: parsed, and what an invalid one costs."""

from __future__ import annotations

import msgspec
from msgspec import UNSET

from api.errors import check_json
from api.requests.duplicate_keys import has_doubled_key
from api.requests.surrogates import mark_halves
from api.schemas import AttributionRequest, MessageIn, Reason, Refused
from tasks.errors import InvalidMessage, NotJSON

#: Bytes of a body that may be parsed in the loop. A larger one is for a thread: what nests deeply,
#: names keys twice or holds halves of surrogate pairs takes up to half a second for 4 MB.
AT_ONCE_BYTES = 65_536

_request = msgspec.json.Decoder(AttributionRequest[msgspec.Raw])
_message = msgspec.json.Decoder(MessageIn)
#: The keys of a request for one message, of one for many, and of one of those.
_ONE_KEYS = (b'"text"', b'"deadline_ms"', b'"priority"')
_MANY_KEYS = (b'"messages"', *_ONE_KEYS[1:])
_MESSAGE_KEYS = (b'"text"', b'"ref"')
_HALF, _HALF_PAIR = "text holds half of a surrogate pair", b"\\ud800"
_DOUBLED = "an object names a key twice"
#: Bytes of an invalid body that cost as much as one message.
REFUSED_BYTES = 16_384


def weight(body: bytes | msgspec.Raw) -> int:
    """Return what an invalid body, or an invalid message of many, costs, in messages."""
    return 1 + len(body) // REFUSED_BYTES


def parse(content_type: str, body: bytes) -> AttributionRequest[msgspec.Raw]:
    """Return what the body asks for.

    Raises:
        WrongType, NotJSON, InvalidMessage: it can't be understood.
    """
    check_json(content_type)
    try:
        asked = _decoded(body)
        doubled = has_doubled_key(body, _MANY_KEYS if asked.text is UNSET else _ONE_KEYS)
    except msgspec.ValidationError as error:
        raise InvalidMessage(str(error)) from None
    except msgspec.DecodeError as error:
        raise NotJSON(str(error)) from None
    except UnicodeDecodeError:
        raise NotJSON("the body is not UTF-8") from None
    except RecursionError:
        raise NotJSON("the body is nested too deeply") from None
    if doubled:
        raise NotJSON(_DOUBLED)
    return asked


def _decoded(body: bytes) -> AttributionRequest[msgspec.Raw]:
    """Return the request. Of many messages, half of a surrogate pair leaves the others valid.

    Raises ``msgspec.DecodeError``, ``UnicodeDecodeError`` or ``RecursionError``.
    """
    try:
        return _request.decode(body)
    except msgspec.ValidationError:
        raise
    except msgspec.DecodeError:
        marked = mark_halves(body)
        asked = None if marked is None else _request.decode(marked.document)
        if marked is None or asked is None or not asked.messages:
            raise
    pieces = [bytes(raw).replace(marked.escaped, _HALF_PAIR) for raw in asked.messages]
    asked.messages = [msgspec.Raw(piece) for piece in pieces]
    return asked


def parse_message(raw: msgspec.Raw) -> MessageIn | Refused:
    """Return one message of many, or why it is none: it must not fail its neighbours."""
    try:
        message = _message.decode(raw)
        if has_doubled_key(bytes(raw), _MESSAGE_KEYS):
            return Refused(Reason(InvalidMessage.code, _DOUBLED), message.ref)
    except msgspec.ValidationError as error:
        reason = str(error)
    except msgspec.DecodeError:  # all else was seen to with the body as a whole
        reason = _HALF
    except UnicodeDecodeError:
        reason = "text is not UTF-8"
    except RecursionError:
        reason = "nested too deeply"
    else:
        return message
    return Refused(Reason(InvalidMessage.code, reason))
