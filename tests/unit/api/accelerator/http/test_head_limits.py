"""Size limits of heads, chunk sizes and trailers: bytes sent to a real server."""

from __future__ import annotations

import time
from collections.abc import Sequence

import pytest

from api.accelerator.http.head_limits import MAX_FIELDS, MAX_FRAMING_BYTES, MAX_HEAD_BYTES
from tests.unit.api.accelerator.serving import (
    CHUNKED,
    LAST,
    all_of,
    application,
    check_problem,
    connect,
    echo,
    exchanged,
    served,
)

HEADERS = "headers_too_large"


def head(fields: Sequence[bytes], url: bytes = b"/") -> bytes:
    return b"\r\n".join([b"GET %b HTTP/1.1" % url, b"host: a", *fields, b"", b""])


def of_size(size: int) -> bytes:
    """Returns a head with one URL and two fields that counts as ``size`` bytes."""
    return head([b"x: " + b"y" * (size - len("/") - len("hosta") - len("x") - 8)])


@pytest.mark.parametrize("step", [500, 5000, 1 << 20])
def test_head_one_byte_over_the_limit_gets_431(step: int) -> None:
    accepted = exchanged(echo, of_size(MAX_HEAD_BYTES) + LAST, step)
    assert accepted.count(b"HTTP/1.1 200") == 2
    check_problem(exchanged(echo, of_size(MAX_HEAD_BYTES + 1) + LAST, step), 431, HEADERS)


@pytest.mark.parametrize("step", [500, 1 << 20])
def test_one_field_over_the_limit_gets_431(step: int) -> None:
    fields = [b"a%d: b" % number for number in range(MAX_FIELDS)]
    accepted = exchanged(echo, head(fields[1:]) + LAST, step)
    assert b"%d headers" % MAX_FIELDS in accepted
    check_problem(exchanged(echo, head(fields) + LAST, step), 431, HEADERS)


@pytest.mark.parametrize(
    ("begin", "more"),
    [
        (b"GET / HTTP/1.1\r\nhost: a\r\nx: ", b"y"),
        (b"GET / HTTP/1.1\r\nhost: a\r\nx:", b" "),
        (b"GET / HTTP/1.1\r\nhost: a\r\n", b"a:\r\n"),
        (b"GET / HTTP/1.1\r\nhost: a\r\n", b"x"),
        (b"GET /", b"y"),
        (b"", b"\r\n"),
        (CHUNKED + b"1;", b"x"),
        (CHUNKED + b"1", b" "),
        (CHUNKED + b"1\r\nx\r\n0\r\n", b"a: b\r\n"),
        (CHUNKED + b"1\r\nx\r\n0\r\na: ", b"b"),
    ],
)
def test_endless_head_or_framing_is_refused_early(begin: bytes, more: bytes) -> None:
    step = more * (1000 // len(more))
    with served(echo) as (_, port), connect(port) as client:
        client.sendall(begin)
        client.setblocking(False)
        sent, received = 0, b""
        until = time.monotonic() + 20
        while not received and sent < 3 * MAX_HEAD_BYTES and time.monotonic() < until:
            try:
                sent += client.send(step)
                received = client.recv(1 << 16)
            except BlockingIOError:
                time.sleep(0.002)  # so that the server receives it bit by bit
        client.setblocking(True)
        client.settimeout(10)
        received += all_of(client)
    assert sent < 3 * MAX_HEAD_BYTES
    if more == b" " and begin.startswith(CHUNKED):
        check_problem(received, 400, "bad_request")  # the parser allows no space here
    else:
        check_problem(received, 431, HEADERS)


def test_head_limit_starts_anew_with_each_request() -> None:
    data = of_size(MAX_HEAD_BYTES - 10) * 3 + LAST
    assert exchanged(echo, data, 3000).count(b"HTTP/1.1 200") == 4


@pytest.mark.parametrize("step", [7000, 1 << 20])
def test_many_small_chunks_are_accepted(step: int) -> None:
    body = b"1;a=b\r\nx\r\n" * 10_000 + b"0\r\na: b\r\n\r\n"
    received = exchanged(echo, CHUNKED + body + LAST, step)
    assert b"2 headers, 10000 bytes" in received
    assert b"2 headers, 0 bytes" in received


def test_long_chunk_sizes_get_431_in_total() -> None:
    chunk = b"1;" + b"x" * 1000 + b"\r\ny\r\n"
    check_problem(exchanged(application, CHUNKED + chunk * 100), 431, HEADERS)
    few = chunk * (MAX_FRAMING_BYTES // 1100)
    assert b"HTTP/1.1 204" in exchanged(application, CHUNKED + few + b"0\r\n\r\n" + LAST)


def test_trailers_are_ignored() -> None:
    trailers = b"0\r\nauthorization: x\r\nhost: b\r\ncontent-type: c\r\nlast: d\r\n\r\n"
    received = exchanged(echo, CHUNKED + b"2\r\n{}\r\n" + trailers + LAST)
    assert b"2 headers, 2 bytes" in received  # the headers of the request
    assert b"2 headers, 0 bytes" in received  # the headers of the next request


def test_too_many_trailers_get_431() -> None:
    few, many = (b"0\r\n" + b"a:\r\n" * number + b"\r\n" for number in (MAX_FIELDS, MAX_FIELDS + 1))
    assert exchanged(echo, CHUNKED + few + LAST).count(b"HTTP/1.1 200") == 2
    check_problem(exchanged(echo, CHUNKED + many + LAST), 431, HEADERS)


def test_small_chunks_give_no_credit_to_trailers() -> None:
    trailers = b"".join(b"a: %b\r\n" % (b"b" * 1000) for _ in range(MAX_FIELDS - 10))
    assert len(trailers) > 5 * MAX_FRAMING_BYTES
    body = b"1\r\nx\r\n" * 20_000 + b"0\r\n" + trailers + b"\r\n"
    check_problem(exchanged(application, CHUNKED + body + LAST), 431, HEADERS)


@pytest.mark.parametrize("step", [1, 4000])
def test_each_chunk_may_use_all_its_uncounted_bytes(step: int) -> None:
    count = 1200
    assert count * 16 > MAX_FRAMING_BYTES
    framing = b"1;" + b"e" * 10 + b"\r\n"
    body = (framing + b"x\r\n") * count + b"0\r\n\r\n"
    assert len(framing + b"\r\n") == 16
    assert b"2 headers, %d bytes" % count in exchanged(echo, CHUNKED + body + LAST, step)
