"""The cost of a request, which counts against the rate limit of the request's API key."""

from __future__ import annotations

import asyncio
import json
from typing import Any
from urllib.parse import urlencode

import pytest

from api.access.keys import ApiKey
from api.requests.bodies import BYTES_PER_MESSAGE
from api.requests.posted_request import PostedRequest
from tasks.errors import BylineError, InvalidMessage, RateLimited
from tasks.work import EVIDENCE
from tests.unit.api.counter import Counter
from tests.unit.celery_app.client.desk import Desk, idle

pytestmark = pytest.mark.anyio

KEY = ApiKey("app", b"", 5.0)


class Limiter:
    """Records the costs, or refuses all requests."""

    def __init__(self) -> None:
        self.paid: list[tuple[ApiKey | None, int]] = []
        self.refuses = False

    async def let_through(self, key: ApiKey | None, amount: int) -> None:
        if self.refuses:
            raise RateLimited("too much", 1)
        self.paid.append((key, amount))


class Paying:
    """The service of attributions with the fake limiter."""

    def __init__(self, desk: Desk) -> None:
        self.desk = desk
        self.limiter = Limiter()
        self.attributions = Counter(desk, 30.0).attributions
        limiter: Any = self.limiter
        self.attributions._limiter = limiter

    async def ask(self, body: object, **query: str) -> list[int]:
        """Posts a request, and returns its costs. Cancels the request if it waits for a worker."""
        sent = body if isinstance(body, bytes) else json.dumps(body).encode()
        posted = PostedRequest(urlencode(query).encode(), "application/json", sent, KEY)
        asked = self.attributions.create(posted)
        asking = asyncio.ensure_future(asked)
        async with asyncio.timeout(20):
            while not (asking.done() or self.desk.broker.chunks):
                await asyncio.sleep(0.001)
        await idle()
        if asking.done():
            asking.result()
        asking.cancel()
        assert {key for key, _ in self.limiter.paid} <= {KEY}
        return [amount for _, amount in self.limiter.paid]


@pytest.fixture
async def paying(desk: Desk) -> Paying:
    return Paying(desk)


LONG = "a" * 5_000


@pytest.mark.parametrize(
    ("body", "cost"),
    [
        ({"text": "short"}, 1),
        ({"text": LONG}, 3),
        ({"messages": [{"text": "short"}, {"text": LONG}]}, 4),
        ({"messages": [{"text": "short"}, {"text": 5}, {"text": " "}]}, 3),
        ({"messages": [{"text": "short"}, {"text": 5, "ref": "a" * BYTES_PER_MESSAGE}]}, 3),
    ],
)
async def test_request_costs_the_work_of_its_messages(
    paying: Paying, body: object, cost: int
) -> None:
    assert await paying.ask(body) == [cost]


async def test_evidence_costs_more(paying: Paying) -> None:
    assert await paying.ask({"text": LONG}, explain="true") == [3 * EVIDENCE]


async def test_queued_message_has_the_name_of_its_key(paying: Paying) -> None:
    await paying.ask({"text": "one"})
    [[entry]] = paying.desk.broker.chunks.values()
    assert entry.owner == KEY.name


@pytest.mark.parametrize(
    ("body", "cost"),
    [
        (b"no JSON", 1),
        (b"[" * 3 * BYTES_PER_MESSAGE, 4),
        ({"text": 5}, 1),
        ({"text": ""}, 1),
        ({"text": " "}, 1),
        ({"messages": [0] * 1000}, 1),
    ],
)
async def test_invalid_request_costs_by_its_size(paying: Paying, body: object, cost: int) -> None:
    with pytest.raises(BylineError):
        await paying.ask(body)
    assert [amount for _, amount in paying.limiter.paid] == [cost]


async def test_invalid_option_costs_too(paying: Paying) -> None:
    with pytest.raises(InvalidMessage):
        await paying.ask({"text": "one"}, explain="perhaps")
    assert paying.limiter.paid == [(KEY, 1)]


async def test_rate_limited_client_gets_that_error_for_any_request(paying: Paying) -> None:
    paying.limiter.refuses = True
    for body in ({"text": "one"}, {"messages": [{"text": "one"}]}, {"text": 5}, b"no JSON"):
        with pytest.raises(RateLimited):
            await paying.ask(body)
    assert not paying.desk.cache.lookups
