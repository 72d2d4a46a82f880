"""The service behind ``/v1/feedback``: stores the true author of a message."""

from __future__ import annotations

import msgspec
from msgspec import UNSET

from api.access.rate_limiter import RateLimiter
from api.http_response import HttpResponse, json_response
from api.requests.bodies import cost_by_size, decode_body
from api.requests.posted_request import PostedRequest
from api.requests.query import parse_query
from api.schemas import FeedbackRequest, Learned
from celery_app.client.labels import Labels

_decoder = msgspec.json.Decoder(FeedbackRequest)
_FIELDS = FeedbackRequest.__struct_fields__
_KEYS = [f'"{name}"'.encode() for name in _FIELDS]


class FeedbackService:
    """Handles requests with feedback. Its methods run in the event loop's thread.

    A method raises ``BylineError`` if a request fails. The caller sends a problem document.
    """

    def __init__(self, labels: Labels, limiter: RateLimiter) -> None:
        self._labels = labels
        self._limiter = limiter

    async def create(self, posted: PostedRequest) -> HttpResponse:
        """Stores a message's true author, and returns status 202. Repeated feedback counts once."""
        parse_query(posted.query, ())
        await self._limiter.let_through(posted.key, cost_by_size(posted.body))
        kind, body = posted.content_type, posted.body
        feedback = decode_body(kind, body, _decode, lambda _: _KEYS, _FIELDS)
        id, author, corrects = feedback.id, feedback.author, feedback.corrects
        label = await self._labels.learn(id, author, corrects)
        return json_response(Learned(id, label.author, label.correct, label.before or UNSET), 202)


def _decode(body: bytes) -> FeedbackRequest:
    feedback = _decoder.decode(body)
    feedback.author.encode()  # raises UnicodeError for a lone surrogate
    return feedback
