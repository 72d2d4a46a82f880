"""Answers what clients say of the true authors of messages."""

from __future__ import annotations

import msgspec

from api.access.rate_limiter import RateLimiter
from api.errors import check_json
from api.http_response import HttpResponse, json_response
from api.requests.bodies import weight
from api.requests.duplicate_keys import has_doubled_key
from api.requests.posted_request import PostedRequest
from api.requests.query import parse_query
from api.schemas import FeedbackRequest, Learned
from celery_app.client.labels import Labels
from tasks.errors import InvalidMessage, NotJSON

_request = msgspec.json.Decoder(FeedbackRequest)
_KEYS = (b'"id"', b'"author"')


class FeedbackService:
    """Answers requests, in the event loop's thread.

    Its methods raise ``BylineError`` where the answer is a problem.
    """

    def __init__(self, labels: Labels, limiter: RateLimiter) -> None:
        self._labels = labels
        self._limiter = limiter

    async def create(self, posted: PostedRequest) -> HttpResponse:
        """Note who wrote a message: 202. Said twice, it counts once."""
        parse_query(posted.query, ())
        await self._limiter.let_through(posted.key, weight(posted.body))
        asked = _parse(posted.content_type, posted.body)
        correct = await self._labels.learn(asked.id, asked.author)
        return json_response(Learned(asked.id, asked.author, correct), 202)


def _parse(content_type: str, body: bytes) -> FeedbackRequest:
    """Return what the body says.

    Raises:
        WrongType, NotJSON, InvalidMessage: it can't be understood.
    """
    check_json(content_type)
    try:
        asked = _request.decode(body)
        asked.author.encode()  # half a surrogate is no text
    except msgspec.ValidationError as error:
        raise InvalidMessage(str(error)) from None
    except msgspec.DecodeError as error:
        raise NotJSON(str(error)) from None
    except UnicodeError:
        raise NotJSON("the body is not UTF-8") from None
    if has_doubled_key(body, _KEYS):
        raise NotJSON("an object names a key twice")
    return asked
