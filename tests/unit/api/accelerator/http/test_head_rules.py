"""Rules for request heads that the parser does not check."""

from __future__ import annotations

import pytest

from api.accelerator.http import head_rules
from api.accelerator.http.errors import ExpectationFailed, NotSupported, VersionNotSupported
from tasks.errors import BadRequest

Headers = list[tuple[bytes, bytes]]
HOST = (b"host", b"a")


def check(version: str, *headers: tuple[bytes, bytes]) -> None:
    head_rules.check(version, headers, dict(headers))


@pytest.mark.parametrize(
    ("version", "headers"),
    [
        ("1.1", [HOST]),
        ("1.0", []),
        ("1.1", [HOST, (b"transfer-encoding", b"Chunked")]),
        ("1.1", [HOST, (b"expect", b"100-Continue")]),
        ("1.1", [HOST, (b"accept", b"a"), (b"accept", b"b"), (b"cookie", b""), (b"cookie", b"")]),
    ],
)
def test_valid_head_is_accepted(version: str, headers: Headers) -> None:
    check(version, *headers)


@pytest.mark.parametrize("name", sorted(head_rules.SINGLE))
def test_single_field_sent_twice_is_refused(name: bytes) -> None:
    with pytest.raises(BadRequest, match=r"\d times"):
        check("1.1", HOST, (name, b"chunked"), (b"x", b""), (name, b"chunked"))


@pytest.mark.parametrize(
    ("version", "headers", "error"),
    [
        ("1.1", [], BadRequest),
        ("1.0", [(b"transfer-encoding", b"chunked")], BadRequest),
        ("0.9", [], VersionNotSupported),
        ("2.0", [HOST], VersionNotSupported),
        ("1.1", [HOST, (b"transfer-encoding", b"gzip, chunked")], NotSupported),
        ("1.1", [HOST, (b"transfer-encoding", b"identity")], NotSupported),
        ("1.1", [HOST, (b"expect", b"100-continue, more")], ExpectationFailed),
    ],
)
def test_unsupported_head_is_refused(
    version: str, headers: Headers, error: type[Exception]
) -> None:
    with pytest.raises(error):
        check(version, *headers)
