"""Bodies with an unknown field: the error names the field, and a similar known field."""

from __future__ import annotations

import json

import msgspec
import pytest
from msgspec import UNSET

from api.requests.bodies import decode_body, parse, parse_message
from api.schemas import FeedbackRequest, Refused
from tasks.errors import InvalidMessage

TYPE = "application/json"


@pytest.mark.parametrize(
    ("field", "hint"),
    [
        ("txt", "'txt'; did you mean text?"),
        ("Message", "'Message'; did you mean messages?"),
        ("deadline", "'deadline'; did you mean deadline_ms?"),
        ("more", "'more'"),
        ("", "''"),
        ("a\r\nb", r"'a\r\nb'"),
    ],
)
def test_unknown_field_of_a_request_is_named(field: str, hint: str) -> None:
    with pytest.raises(InvalidMessage) as raised:
        parse(TYPE, json.dumps({field: "a"}).encode())
    assert str(raised.value) == f"an object has an unknown field, {hint}"


def test_unknown_field_of_feedback_is_named() -> None:
    body = b'{"id": "%s", "auther": "a"}' % (b"0" * 32)
    with pytest.raises(InvalidMessage, match=r"'auther'; did you mean author\?$"):
        decode_body(
            TYPE,
            body,
            msgspec.json.Decoder(FeedbackRequest).decode,
            lambda _: (),
            FeedbackRequest.__struct_fields__,
        )


def test_unknown_field_of_one_message_is_named_with_its_place_and_ref() -> None:
    found = parse_message(msgspec.Raw(b'{"ref": "mine", "txet": "a"}'), 3)
    assert isinstance(found, Refused)
    assert found.ref == "mine"
    detail = "messages[3]: an object has an unknown field, 'txet'; did you mean text?"
    assert (found.error.code, found.error.detail) == ("invalid", detail)


def test_long_unknown_field_is_shortened_in_the_error() -> None:
    body = b'{"%s": 1}' % (b"x" * 1_000_000)
    with pytest.raises(InvalidMessage) as raised:
        parse(TYPE, body)
    assert len(str(raised.value)) < 120
    found = parse_message(msgspec.Raw(body), 0)
    assert isinstance(found, Refused)
    assert len(found.error.detail) < 130
    assert found.ref is UNSET


def test_other_errors_keep_their_text() -> None:
    with pytest.raises(InvalidMessage, match=r"^Expected `str`, got `int` - at `\$.text`$"):
        parse(TYPE, b'{"text": 1}')
