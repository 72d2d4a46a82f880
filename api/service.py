"""The service behind ``/v1/attributions``: parses requests, sends messages, builds responses.

The Flask views and the faster ASGI application call this service. It depends on no HTTP server.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Mapping, Sequence
from functools import partial

import msgspec
from msgspec import UNSET, UnsetType

from api.access.keys import ApiKey
from api.access.rate_limiter import RateLimiter
from api.errors import problem
from api.http_response import HttpResponse, json_response
from api.requests.bodies import INLINE_PARSE_BYTES, cost_by_size, parse, parse_message, refused
from api.requests.posted_request import PostedRequest
from api.requests.query import flag, parse_query, wait_in
from api.schemas import AttributionRequest, Item, MessageIn, Pending, Reason, Refused
from celery_app.client.attribution_client import AttributionClient, RequestOptions
from celery_app.client.entry import Entry
from celery_app.client.yielding import in_turns
from celery_app.settings import Settings
from tasks.errors import BylineError, InvalidMessage, NotFound
from tasks.messages import Attribution, Failure, Outcome
from tasks.work import work

#: URL path to which clients post messages.
PATH = "/v1/attributions"
#: Query parameters of a POST.
CREATE_QUERY = ("explain", "model", "wait")
#: Query parameters of a GET.
READ_QUERY = ("explain", "wait")
#: An attribution's id: 32 hexadecimal digits.
_ID = re.compile(r"[0-9a-f]{32}")


class AttributionService:
    """Handles requests for attributions. Its methods run in the event loop's thread.

    A method raises ``BylineError`` if a request fails. The caller sends a problem document.
    """

    def __init__(self, settings: Settings, client: AttributionClient, limiter: RateLimiter) -> None:
        self._settings = settings
        self.client = client
        self._limiter = limiter

    async def create(self, posted: PostedRequest) -> HttpResponse:
        """Finds the authors of the messages in a POST request, and returns the response.

        The status is 202 if a message has no outcome when the client's wait ends. For the rate
        limit, a message counts by its length and evidence, and an invalid body by its size.
        """
        _, content_type, body, key, may_wait = posted
        query = parse_query(posted.query, CREATE_QUERY)
        try:
            parsed = await self._parse(content_type, body)
            options = self.options(query, parsed, key, may_wait)
            messages = parsed.messages or []
            if len(messages) > self._settings.max_bulk:
                raise InvalidMessage(f"{len(messages)} messages; at most {self._settings.max_bulk}")
        except BylineError:
            await self._limiter.let_through(key, cost_by_size(body))
            raise
        if parsed.text is UNSET:
            return await self._attribute_many(messages, options, key)
        await self._limiter.let_through(key, work(parsed.text, options.explain))
        entry = self.client.entry(parsed.text, options)
        [(entry, outcome)] = await self.client.outcomes([entry], options)
        return self.response_to(entry, outcome, options)

    async def _parse(self, content_type: str, body: bytes) -> AttributionRequest[msgspec.Raw]:
        if len(body) > INLINE_PARSE_BYTES:
            return await asyncio.to_thread(parse, content_type, body)
        return parse(content_type, body)

    async def read(
        self, id: str, raw_query: bytes, head: bool = False, may_wait: bool = True
    ) -> HttpResponse:
        """Returns the response to a GET or HEAD request for the attribution ``id``.

        The status is 202 if the message has no outcome when the client's wait ends. Byline may
        delete the outcome after a GET, but not after a HEAD.
        """
        query = parse_query(raw_query, READ_QUERY)
        explain = flag(query, "explain")
        wait_s = wait_in(query, self._settings, 0.0) if may_wait else 0.0
        if not _ID.fullmatch(id):
            raise NotFound("not an attribution's id: an id has 32 hexadecimal digits")
        try:
            outcome = await self.client.find(id, explain, wait_s, fetch=not head)
        except KeyError:
            raise NotFound("no attribution has this id: unknown, or expired") from None
        return _single_response(id, outcome, explain)

    def response_to(
        self, entry: Entry, outcome: Outcome | None, options: RequestOptions
    ) -> HttpResponse:
        """Returns the response for one message. The status is 202 if ``outcome`` is None."""
        # Only a failure needs the expected wait. Computing it takes 3 % of a message's CPU time.
        is_failure = isinstance(outcome, Failure)
        wait_s = self.client.dispatcher.wait_for(entry.version) if is_failure else 0.0
        return _single_response(entry.id, outcome, options.explain, wait_s)

    async def _attribute_many(
        self, messages: Sequence[msgspec.Raw], options: RequestOptions, key: ApiKey | None
    ) -> HttpResponse:
        parsed = await in_turns(parse_message, messages)
        if key is not None and key.rate is not None:
            cost = sum(
                cost_by_size(raw) if isinstance(each, Refused) else work(each.text, options.explain)
                for raw, each in zip(messages, parsed, strict=True)
            )
            await self._limiter.let_through(key, max(1, cost))
        admitted = await in_turns(partial(self._admit, options), parsed)
        entries = [entry for entry in admitted if isinstance(entry, Entry)]
        outcomes = iter(await self.client.outcomes(entries, options))
        items = [
            each
            if isinstance(each, Refused)
            else _item(*next(outcomes), message.ref, options.explain)
            for each, message in zip(admitted, parsed, strict=True)
        ]
        pending = any(isinstance(item, Pending) for item in items)
        return json_response({"attributions": items}, 202 if pending else 200)

    def _admit(
        self, options: RequestOptions, message: MessageIn | Refused, index: int
    ) -> Entry | Refused:
        if isinstance(message, Refused):
            return message
        try:
            return self.client.entry(message.text, options)
        except InvalidMessage as error:
            return refused(f".{error}", index, message.ref)

    def options(
        self,
        query: Mapping[str, str],
        parsed: AttributionRequest[msgspec.Raw],
        key: ApiKey | None,
        may_wait: bool = True,
    ) -> RequestOptions:
        """Returns the options of a request, from its query, its body and its API key.

        Raises:
            InvalidMessage: an option is invalid.
            NoModel, UnknownModel: no worker serves the model version that the request names.
        """
        wait = wait_in(query, self._settings, self._settings.wait_s) if may_wait else 0.0
        model = query.get("model")
        if model is not None:
            self.client.model_registry.check(model)
        limit = None if parsed.deadline_ms is None else parsed.deadline_ms / 1000
        return RequestOptions(
            explain=flag(query, "explain"),
            model=model,
            priority=parsed.priority,
            deadline=None if limit is None else time.time() + limit,
            deadline_s=limit,
            wait_until=time.monotonic() + (wait if limit is None else min(wait, limit)),
            deadline_first=limit is not None and limit <= wait,
            owner="" if key is None else key.name,
        )


def _single_response(
    id: str, outcome: Outcome | None, explain: bool, wait_s: float = 0.0
) -> HttpResponse:
    if outcome is None:
        location = f"{PATH}/{id}"
        return json_response(Pending(id, location), 202, ("Location", location))
    if isinstance(outcome, Failure):
        return problem(outcome.code, outcome.detail, wait_s)
    return json_response(_visible(outcome, explain))


def _item(entry: Entry, outcome: Outcome | None, ref: str | UnsetType, explain: bool) -> Item:
    if outcome is None:
        return Pending(entry.id, f"{PATH}/{entry.id}", ref=ref)
    if isinstance(outcome, Failure):
        return Refused(Reason(outcome.code, outcome.detail), ref)
    visible = _visible(outcome, explain)
    return visible if ref is UNSET else msgspec.structs.replace(visible, ref=ref)


def _visible(attribution: Attribution, explain: bool) -> Attribution:
    """Returns the attribution, without its evidence if ``explain`` is False."""
    if explain or attribution.evidence is UNSET:
        return attribution
    return msgspec.structs.replace(attribution, evidence=UNSET)
