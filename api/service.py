"""Attributes messages: parses a request, has the client send its messages, waits, and answers.

A Flask view and the accelerator call the same methods. Of HTTP it knows words, and no server.
"""

from __future__ import annotations

import asyncio
import logging
import re
import time
from collections.abc import Mapping, Sequence

import msgspec
from msgspec import UNSET, UnsetType

from api.access.keys import ApiKey
from api.access.rate_limiter import RateLimiter
from api.errors import problem
from api.http_response import HttpResponse, json_response
from api.requests.bodies import AT_ONCE_BYTES, parse, parse_message, weight
from api.requests.posted_request import PostedRequest
from api.requests.query import flag, parse_query, wait_of
from api.schemas import AttributionRequest, Item, MessageIn, Pending, Reason, Refused
from celery_app.client.client import Client, RequestOptions
from celery_app.client.entry import Entry
from celery_app.client.yielding import Yielder
from celery_app.settings import Settings
from tasks.errors import BylineError, InvalidMessage, NotFound
from tasks.messages import Attribution, Failure, Outcome
from tasks.work import work

logger = logging.getLogger(__name__)

#: Where messages are posted.
PATH = "/v1/attributions"
#: The names that a query may have.
CREATE_QUERY = ("explain", "model", "wait")
READ_QUERY = ("explain", "wait")
#: Hexadecimal digits of an id.
_ID = re.compile(r"[0-9a-f]{32}")


class AttributionService:
    """Answers requests for attributions, in the event loop's thread.

    Its methods raise ``BylineError`` where the answer is a problem.
    """

    def __init__(self, settings: Settings, client: Client, limiter: RateLimiter) -> None:
        self._settings = settings
        self.client = client
        self._limiter = limiter

    async def create(self, posted: PostedRequest) -> HttpResponse:
        """Attribute a message or many: 200, or 202 for what takes longer than the wait.

        It costs the key the work of its messages, and an invalid request costs by its size.
        """
        _, content_type, body, key, may_wait = posted
        query = parse_query(posted.query, CREATE_QUERY)
        try:
            asked = await self._parsed(content_type, body)
            options = self.options(query, asked, key, may_wait)
            messages = asked.messages or []
            if len(messages) > self._settings.max_bulk:
                raise InvalidMessage(f"{len(messages)} messages; at most {self._settings.max_bulk}")
        except BylineError:
            await self._limiter.let_through(key, weight(body))
            raise
        if asked.text is UNSET:
            return await self._many(messages, options, key)
        await self._limiter.let_through(key, work(asked.text, options.explain))
        return await self._one(asked.text, options)

    async def _parsed(self, content_type: str, body: bytes) -> AttributionRequest[msgspec.Raw]:
        if len(body) > AT_ONCE_BYTES:
            return await asyncio.to_thread(parse, content_type, body)
        return parse(content_type, body)

    async def read(
        self, id: str, raw_query: bytes, head: bool = False, may_wait: bool = True
    ) -> HttpResponse:
        """Return the attribution ``id``: 200, or 202 where it is still pending after the wait.

        ``head``: who asks gets no body, so that the answer is not fetched yet.
        """
        query = parse_query(raw_query, READ_QUERY)
        explain = flag(query, "explain")
        wait_s = wait_of(query, self._settings, default=0.0) if may_wait else 0.0
        if not _ID.fullmatch(id):
            raise NotFound("this is no id of an attribution")
        try:
            outcome = await self.client.find(id, explain, wait_s, fetch=not head)
        except KeyError:
            raise NotFound("no attribution has this id: unknown, or kept no longer") from None
        return _answer_one(id, outcome, explain)

    async def _one(self, text: str, options: RequestOptions) -> HttpResponse:
        [(entry, outcome)] = await self.client.outcomes([self.client.entry(text, options)], options)
        return self.answer(entry, outcome, options)

    def answer(
        self, entry: Entry, outcome: Outcome | None, options: RequestOptions
    ) -> HttpResponse:
        """Return the answer to one message; None as outcome: safe in the queue, ask again."""
        # Only who is refused is told: to find out takes a thirtieth of what a message costs here.
        wait_s = (
            self.client.dispatcher.wait_for(entry.version) if isinstance(outcome, Failure) else 0.0
        )
        return _answer_one(entry.id, outcome, options.explain, wait_s)

    async def _many(
        self, messages: Sequence[msgspec.Raw], options: RequestOptions, key: ApiKey | None
    ) -> HttpResponse:
        turns = Yielder()
        parsed: list[MessageIn | Refused] = []
        for raw in messages:
            parsed.append(parse_message(raw))
            await turns.rest()
        cost = sum(
            weight(raw) if isinstance(message, Refused) else work(message.text, options.explain)
            for raw, message in zip(messages, parsed, strict=True)
        )
        await self._limiter.let_through(key, max(1, cost))
        admitted: list[Entry | Refused] = []
        for message in parsed:
            admitted.append(self._admitted(message, options))
            await turns.rest()
        entries = [entry for entry in admitted if isinstance(entry, Entry)]
        answered = iter(await self.client.outcomes(entries, options))
        items = [
            each
            if isinstance(each, Refused)
            else _item(*next(answered), message.ref, options.explain)
            for each, message in zip(admitted, parsed, strict=True)
        ]
        pending = any(isinstance(item, Pending) for item in items)
        return json_response({"attributions": items}, 202 if pending else 200)

    def _admitted(self, message: MessageIn | Refused, options: RequestOptions) -> Entry | Refused:
        if isinstance(message, Refused):
            return message
        try:
            return self.client.entry(message.text, options)
        except InvalidMessage as error:
            return Refused(Reason(error.code, str(error)), message.ref)

    def options(
        self,
        query: Mapping[str, str],
        asked: AttributionRequest[msgspec.Raw],
        key: ApiKey | None,
        may_wait: bool = True,
    ) -> RequestOptions:
        """Return what a request asks for.

        Raises:
            InvalidMessage, NoModel, UnknownModel: it asks for what can't be had.
        """
        wait = wait_of(query, self._settings) if may_wait else 0.0
        limit = None if asked.deadline_ms is None else asked.deadline_ms / 1000
        return RequestOptions(
            explain=flag(query, "explain"),
            model=self._model(query),
            priority=asked.priority,
            deadline=None if limit is None else time.time() + limit,
            limit=limit,
            patience=time.monotonic() + (wait if limit is None else min(wait, limit)),
            final=limit is not None and limit <= wait,
            owner="" if key is None else key.name,
        )

    def _model(self, query: Mapping[str, str]) -> str | None:
        """Return which version must answer. Raises ``UnknownModel`` and ``NoModel``."""
        version = query.get("model")
        if version is not None:
            self.client.model_registry.check(version)
        return version


def _answer_one(
    id: str, outcome: Outcome | None, explain: bool, wait_s: float = 0.0
) -> HttpResponse:
    if outcome is None:
        location = f"{PATH}/{id}"
        return json_response(Pending(id, location), 202, ("Location", location))
    if isinstance(outcome, Failure):
        return problem(outcome.code, outcome.detail, wait_s)
    return json_response(_shown(outcome, explain))


def _item(entry: Entry, outcome: Outcome | None, ref: str | UnsetType, explain: bool) -> Item:
    if outcome is None:
        return Pending(entry.id, f"{PATH}/{entry.id}", ref=ref)
    if isinstance(outcome, Failure):
        return Refused(Reason(outcome.code, outcome.detail), ref)
    return msgspec.structs.replace(_shown(outcome, explain), ref=ref)


def _shown(attribution: Attribution, explain: bool) -> Attribution:
    """Evidence is shown to those who asked for it, also where the cache has it for another."""
    if explain or attribution.evidence is UNSET:
        return attribution
    return msgspec.structs.replace(attribution, evidence=UNSET)
