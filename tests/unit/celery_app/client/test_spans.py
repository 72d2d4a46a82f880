"""The client's spans: for a request, for a lookup in the cache, and for a chunk that is sent."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any
from unittest.mock import Mock

import pytest
from opentelemetry.trace import NoOpTracer
from redis import ConnectionError as RedisConnectionError

from celery_app.client.entry import Entry
from monitoring.instruments import tracing
from monitoring.instruments.tracing.span_tracer import SpanTracer, parse
from tasks.errors import BrokerUnavailable
from tasks.messages import TRACED_REQUESTS, TRACEPARENT
from tests.traces.in_memory import Memory, context_of, in_memory, links_of
from tests.unit.celery_app.client.desk import Desk, attribution
from tests.unit.celery_app.client.redis.test_publisher import Redis, make_publisher

pytestmark = pytest.mark.anyio


@pytest.fixture
def memory() -> Iterator[Memory]:
    with in_memory() as memory:
        yield memory


def request(memory: Memory) -> Any:
    return memory.tracer.start_request("POST", None)


def end(memory: Memory, *spans: Any) -> list[dict[str, Any]]:
    """Ends the spans of requests, and returns what they say."""
    for span in spans:
        memory.tracer.end_request(span, "POST", "/v1/attributions", 200, "")
    by_id = {context_of(span).span_id: dict(span.attributes or {}) for span in memory.spans}
    return [by_id[span.get_span_context().span_id] for span in spans]


async def test_a_request_says_how_many_of_its_messages_are_known_or_joined(
    memory: Memory, desk: Desk
) -> None:
    first, second = request(memory), request(memory)
    await desk.ask("a", "b", span=first)
    await desk.ask("b", "c", span=second)
    await desk.answer()
    third = request(memory)
    await desk.ask("a", span=third)
    said = end(memory, first, second, third)
    names = ("byline.messages", "byline.known", "byline.joined")
    counts = [tuple(each[name] for name in names) for each in said]
    assert counts == [(2, 0, 0), (2, 0, 1), (1, 1, 0)]
    assert [each.get("byline.message_id") for each in said] == [None, None, "a"]
    [ended] = [s for s in memory.spans if context_of(s) == second.get_span_context()]
    assert first.get_span_context().span_id in links_of(ended)


async def test_a_lookup_says_how_many_messages_it_found(memory: Memory, desk: Desk) -> None:
    desk.cache.known["a"] = attribution("a")
    span = request(memory)
    await desk.ask("a", "b", span=span)
    lookup = memory.one("cache lookup")
    assert lookup.parent == span.get_span_context()
    assert lookup.attributes == {"byline.messages": 2, "byline.found": 1}


async def test_a_lookup_that_fails_is_marked_and_the_message_is_sent_all_the_same(
    memory: Memory, desk: Desk
) -> None:
    desk.cache.down = True
    await desk.ask("a", span=request(memory))
    assert (memory.one("cache lookup").attributes or {})["error.type"] == "ConnectionError"
    assert desk.broker.sizes() == [1]


async def test_the_headers_of_a_chunk_name_the_span_that_sent_it_and_those_of_its_requests(
    memory: Memory,
) -> None:
    publisher = make_publisher(connection := Redis())
    spans = [request(memory), request(memory)]
    entries = [Entry(str(i), "AUBERGINES", "v1", span=spans[i % 2]) for i in range(4)]
    await publisher.send("a chunk", entries)
    enqueue = memory.one("enqueue")
    [headers] = connection.headers
    sender = context_of(enqueue)
    named = parse(headers[TRACEPARENT])
    assert named is not None
    assert (named.trace_id, named.span_id) == (sender.trace_id, sender.span_id)
    assert named.trace_flags.sampled
    assert headers[TRACED_REQUESTS] == memory.tracer.headers_of(spans)
    assert len(headers[TRACED_REQUESTS]) == 2
    assert enqueue.attributes == {
        "messaging.system": "celery",
        "messaging.operation.type": "send",
        "messaging.destination.name": "attributions.v1",
        "messaging.message.id": "a chunk",
        "byline.messages": 4,
        "byline.version": "v1",
    }
    assert "AUBERGINES" not in enqueue.to_json()
    assert "AUBERGINES" not in json.dumps(headers)


async def test_a_chunk_that_can_not_be_sent_has_a_span_that_says_so(memory: Memory) -> None:
    connection = Mock()
    connection.execute_command = Mock(side_effect=RedisConnectionError("down"))
    publisher = make_publisher(connection)
    with pytest.raises(BrokerUnavailable):
        await publisher.send("a chunk", [Entry("1", "1", "v1", span=request(memory))])
    assert (memory.one("enqueue").attributes or {})["error.type"] == "BrokerUnavailable"


async def test_a_chunk_has_no_header_of_a_span_while_tracing_is_off() -> None:
    publisher = make_publisher(connection := Redis())
    await publisher.send("a chunk", [Entry("1", "1", "v1")])
    assert not {TRACEPARENT, TRACED_REQUESTS} & set(connection.headers[0])


async def test_a_client_whose_program_has_no_provider_sends_as_without_tracing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    tracer = SpanTracer(NoOpTracer())
    monkeypatch.setattr(tracing, "tracer", tracer)
    publisher = make_publisher(connection := Redis())
    await publisher.send("a chunk", [Entry("1", "1", "v1", span=tracer.current())])
    assert not {TRACEPARENT, TRACED_REQUESTS} & set(connection.headers[0])
