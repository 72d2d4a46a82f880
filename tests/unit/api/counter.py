"""The service of attributions with fakes behind it, for tests."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any
from unittest.mock import Mock

from redis import ConnectionError as RedisConnectionError

from api.access.rate_limiter import RateLimiter
from api.errors import problem_of
from api.http_response import HttpResponse
from api.requests.posted_request import PostedRequest
from api.service import AttributionService
from celery_app.client.attribution_client import AttributionClient
from celery_app.settings import Settings
from tasks.errors import BylineError
from tasks.messages import Outcome
from tests.unit.celery_app.client.desk import Desk, idle


class ModelRegistry:
    def version_for(self, text: str) -> str:
        return "v1"


class PendingResults:
    """Records the results that are made pending. Tests can make the broker fail, or be full."""

    def __init__(self) -> None:
        self.made: list[str] = []
        self.kept: dict[str, Outcome] = {}
        self.released: dict[str, Outcome] = {}
        self.gone = False
        self.room = True
        self.meanwhile: Callable[[], Awaitable[None]] | None = None

    async def make(self, ids: Iterable[str]) -> bool:
        if self.gone:
            raise RedisConnectionError("gone")
        self.made += ids
        if self.meanwhile:
            await self.meanwhile()
        return self.room

    async def keep(self, id: str, outcome: Outcome) -> None:
        self.kept[id] = outcome

    async def release(self, outcomes: Mapping[str, Outcome]) -> None:
        self.released |= outcomes


class Counter:
    """Posts messages to the service, and collects the responses."""

    def __init__(self, desk: Desk, wait_s: float) -> None:
        settings = Settings.from_environ({"BYLINE_WAIT_S": str(wait_s)})
        self.pending_results = PendingResults()
        parts: Any = (desk.dispatcher, ModelRegistry(), self.pending_results)
        client = AttributionClient(settings, *parts)
        self.attributions = AttributionService(settings, client, RateLimiter(Mock()))
        self.given: list[HttpResponse] = []

    def hand_in(self, body: object) -> Any:
        """Posts a body. Returns at once; :meth:`answer` waits for the response."""
        posted = PostedRequest(b"", "application/json", json.dumps(body).encode(), None)
        self._asking = asyncio.ensure_future(self._ask(posted))

    async def _ask(self, posted: PostedRequest) -> None:
        try:
            response = await self.attributions.create(posted)
        except BylineError as error:
            response = problem_of(error)
        self.given.append(response)

    async def answer(self) -> HttpResponse:
        """Waits until there is a response, and returns it. There must be only one response."""
        async with asyncio.timeout(20):
            while not self.given:
                await asyncio.sleep(0.01)
        await idle()
        [response] = self.given
        return response
