"""The api answers odd heads, trailers and chunks, cut anywhere, and garbage after a request."""

from __future__ import annotations

import http.client
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import psutil
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from api.accelerator.http.head_limits import MAX_FIELDS, MAX_HEAD_BYTES
from api.accelerator.http.head_rules import SINGLE
from tests.fuzz.given import ATTRIBUTIONS, GOOD, JSON, NAME, ODD_HEADERS, VALUE, encoded
from tests.fuzz.judge import check, share
from tests.fuzz.raw import LAST, WHOLE, Client, Headers, request
from tests.parts import Stack

#: Largest growth of the api's memory during these tests, in bytes.
GROWTH_BYTES = 40_000_000
#: Longest time in seconds that another client may wait for ``/healthz`` meanwhile.
OTHERS_S = 1.0
STEPS = st.sampled_from([1, 7, 100, 1_000, 4_096, 5_000, 1 << 20])
HOST = (b"Host", b"byline")


def fuzzed(part: float) -> Callable[[Any], Any]:
    """Makes a test send this part of all requests."""
    return settings(max_examples=share(part))


@pytest.fixture(scope="module", autouse=True)
def steady(stack: Stack) -> Iterator[None]:
    """Checks that these tests cost the api no memory, and do not delay other clients."""
    api = psutil.Process(stack.parts[-1].process.pid)
    waited, over = [0.0], threading.Event()

    def ask() -> None:
        others = http.client.HTTPConnection("127.0.0.1", int(stack.env["BYLINE_API_PORT"]))
        while not over.wait(0.05):
            begun = time.monotonic()
            others.request("GET", "/healthz")
            others.getresponse().read()
            waited.append(time.monotonic() - begun)

    asking = threading.Thread(target=ask)
    asking.start()
    before = api.memory_info().rss
    yield
    over.set()
    asking.join(10)
    assert max(waited) < OTHERS_S
    assert api.memory_info().rss - before < GROWTH_BYTES


@fuzzed(0.03)
@given(size=st.integers(MAX_HEAD_BYTES - 20, MAX_HEAD_BYTES + 20), data=st.data())
def test_head_sizes_near_the_limit(client: Client, size: int, data: st.DataObject) -> None:
    fields = data.draw(st.integers(1, MAX_FIELDS - 1))
    step = data.draw(STEPS.filter(lambda step: step > 50))
    least = len(b"/healthz") + len(b"hostbyline") + 4 + fields * 6
    filled = [(b"x", b"y")] * (fields - 1) + [(b"x", b"y" * (size - least + 1))]
    head = request(b"GET", b"/healthz", [HOST, *filled])
    first, *_ = answers = client.converse(head + LAST, step, ends=False)
    for answer in answers:
        check(answer)
    assert first.status == (200 if size <= MAX_HEAD_BYTES else 431), first.status


@fuzzed(0.03)
@given(number=st.integers(MAX_FIELDS - 3, MAX_FIELDS + 3), step=STEPS)
def test_field_counts_near_the_limit(client: Client, number: int, step: int) -> None:
    head = request(b"GET", b"/healthz", [HOST, *[(b"x", b"")] * (number - 1)])
    first, *_ = answers = client.converse(head + LAST, step, ends=False)
    for answer in answers:
        check(answer)
    assert first.status == (200 if number <= MAX_FIELDS else 431), first.status


@fuzzed(0.05)
@given(
    fields=st.lists(
        ODD_HEADERS
        | st.tuples(st.sampled_from(sorted(SINGLE - {b"content-length"})), VALUE)
        | st.tuples(NAME, VALUE),
        max_size=6,
    ),
    method=st.sampled_from([b"GET", b"POST", b"OPTIONS"]),
    step=STEPS,
)
def test_odd_and_doubled_fields(client: Client, fields: Headers, method: bytes, step: int) -> None:
    data = request(method, ATTRIBUTIONS, [HOST, *fields]) + LAST
    answers = client.converse(data, step, ends=True)
    assert answers
    for answer in answers:
        check(answer)
    names = [name.lower() for name, _ in [HOST, *fields]]
    if any(names.count(name) > 1 for name in SINGLE):
        assert answers[0].status in (400, 431), answers[0]


EXTENSIONS = st.sampled_from(
    [b"", b";a", b";a=b", b';a="b"', b";" + b"x" * 300, b";;", b' ;a="', b";a=\x00", b";\xff=\r"]
)
TRAILERS = st.lists(
    st.tuples(st.sampled_from([b"authorization", b"host", b"content-type", b"x"]) | NAME, VALUE),
    max_size=5,
) | st.integers(MAX_FIELDS - 2, MAX_FIELDS + 2).map(lambda number: [(b"x", b"")] * number)


@fuzzed(0.05)
@given(value=GOOD, cut=st.integers(1, 300), ext=EXTENSIONS, trailers=TRAILERS, step=STEPS)
def test_extensions_and_trailers(
    client: Client, value: Any, cut: int, ext: bytes, trailers: Headers, step: int
) -> None:
    body = encoded(value)
    pieces = [body[start : start + cut] for start in range(0, len(body), cut)]
    chunks = b"".join(b"%x%b\r\n%b\r\n" % (len(piece), ext, piece) for piece in pieces)
    end = b"".join(b"%b: %b\r\n" % trailer for trailer in trailers)
    headers = [HOST, (b"Content-Type", JSON), (b"Transfer-Encoding", b"chunked")]
    asked = request(b"POST", ATTRIBUTIONS + b"?wait=0.01", headers, chunks + b"0\r\n" + end)
    answers = client.converse(asked + b"\r\n" + LAST, step, ends=True)
    assert answers
    for answer in answers:
        check(answer)
    if len(trailers) > MAX_FIELDS:
        assert len(answers) == 1
        assert answers[0].status in (400, 431), answers


@fuzzed(0.05)
@given(
    count=st.integers(1, 4) | st.sampled_from([200, 1_000]),
    garbage=st.binary(min_size=1, max_size=200) | st.sampled_from([b"\r\n" * 20_000, b"\0" * 99]),
    step=STEPS,
)
def test_garbage_behind_requests(client: Client, count: int, garbage: bytes, step: int) -> None:
    data = WHOLE * count + garbage
    answers = client.converse(data, max(step, len(data) // 500), ends=True)
    for answer in answers:
        check(answer)
    assert [answer.status for answer in answers[:count]] == [200] * count
    assert len(answers) <= count + 1
    assert all(answer.status in (400, 431) for answer in answers[count:])


@fuzzed(0.03)
@given(value=GOOD, count=st.integers(1, 5), step=STEPS)
def test_a_client_that_has_closed_its_sending_side_is_answered(
    client: Client, value: Any, count: int, step: int
) -> None:
    body = encoded(value)
    headers = [HOST, (b"Content-Type", JSON), (b"Content-Length", b"%d" % len(body))]
    asked = request(b"POST", ATTRIBUTIONS + b"?wait=0.01", headers, body)
    answers = client.converse(asked * count, max(step, 7), ends=True)
    assert len(answers) == count
    for answer in answers:
        check(answer)
