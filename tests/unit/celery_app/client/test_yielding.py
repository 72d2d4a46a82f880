"""A large request regularly gives other requests a turn of the event loop."""

from __future__ import annotations

import asyncio
import json
import threading
from typing import Any

import pytest

from api import service
from api.access.rate_limiter import RateLimiter
from api.http_response import HttpResponse
from api.requests.posted_request import PostedRequest
from celery_app.client import yielding
from tests.unit.api.counter import Counter
from tests.unit.celery_app.client.desk import Desk, idle

pytestmark = pytest.mark.anyio

MESSAGES = 40


class LoopTurns:
    """Counts the turns of the event loop."""

    def __init__(self) -> None:
        self.turns = 0

    async def count(self) -> None:
        while True:
            self.turns += 1
            await asyncio.sleep(0)


@pytest.fixture
def counter(desk: Desk) -> Counter:
    client: Any = None
    counter = Counter(desk, 30.0)
    counter.attributions._limiter = RateLimiter(client)
    return counter


async def bulk(counter: Counter, text: str) -> HttpResponse:
    body = json.dumps({"messages": [{"text": f"{text} {n}"} for n in range(MESSAGES)]})
    return await counter.attributions.create(
        PostedRequest(b"", "application/json", body.encode(), None)
    )


async def test_the_loop_turns_between_the_messages_of_a_bulk_request(
    desk: Desk, counter: Counter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(yielding, "TURN_S", 0.0)
    loop_turns = LoopTurns()
    turns_before: list[int] = []
    ask = desk.dispatcher.ask

    def note(*given: Any) -> Any:
        turns_before.append(loop_turns.turns)
        return ask(*given)

    monkeypatch.setattr(desk.dispatcher, "ask", note)
    counting = asyncio.ensure_future(loop_turns.count())
    asking = asyncio.ensure_future(bulk(counter, "text"))
    await idle()
    while not turns_before:
        await asyncio.sleep(0)
    counting.cancel()
    asking.cancel()
    assert turns_before[0] >= MESSAGES


@pytest.mark.parametrize(("text", "apart"), [("short", False), ("long" * 1000, True)])
async def test_only_a_large_body_is_parsed_in_a_thread(
    counter: Counter, monkeypatch: pytest.MonkeyPatch, text: str, apart: bool
) -> None:
    parsed_by: list[int] = []
    parse = service.parse

    def note(*given: Any) -> Any:
        parsed_by.append(threading.get_ident())
        return parse(*given)

    monkeypatch.setattr(service, "parse", note)
    asking = asyncio.ensure_future(bulk(counter, text))
    async with asyncio.timeout(20):
        while not parsed_by:
            await asyncio.sleep(0.001)
    asking.cancel()
    assert (parsed_by != [threading.get_ident()]) == apart
