"""The service behind ``/v1/feedback``: stores the true author of a message."""

from __future__ import annotations

import msgspec

from api.access.rate_limiter import RateLimiter
from api.errors import check_json
from api.http_response import HttpResponse, json_response
from api.requests.bodies import cost_by_size
from api.requests.duplicate_keys import has_duplicate_key
from api.requests.posted_request import PostedRequest
from api.requests.query import parse_query
from api.schemas import FeedbackRequest, Learned
from celery_app.client.labels import Labels
from tasks.errors import InvalidMessage, NotJSON

_decoder = msgspec.json.Decoder(FeedbackRequest)
_KEYS = (b'"id"', b'"author"')


class FeedbackService:
    """Handles requests with feedback. Its methods run in the event loop's thread.

    A method raises ``BylineError`` if the response is to be a problem document.
    """

    def __init__(self, labels: Labels, limiter: RateLimiter) -> None:
        self._labels = labels
        self._limiter = limiter

    async def create(self, posted: PostedRequest) -> HttpResponse:
        """Stores a message's true author. Returns status 202. Repeated feedback counts once."""
        parse_query(posted.query, ())
        await self._limiter.let_through(posted.key, cost_by_size(posted.body))
        feedback = _parse(posted.content_type, posted.body)
        correct = await self._labels.learn(feedback.id, feedback.author)
        return json_response(Learned(feedback.id, feedback.author, correct), 202)


def _parse(content_type: str, body: bytes) -> FeedbackRequest:
    """Returns the feedback in the JSON body of a request.

    Raises:
        WrongType, NotJSON, InvalidMessage: the body is invalid.
    """
    check_json(content_type)
    try:
        feedback = _decoder.decode(body)
        feedback.author.encode()  # raises for a lone surrogate
    except msgspec.ValidationError as error:
        raise InvalidMessage(str(error)) from None
    except msgspec.DecodeError as error:
        raise NotJSON(str(error)) from None
    except UnicodeError:
        raise NotJSON("the body is not UTF-8") from None
    if has_duplicate_key(body, _KEYS):
        raise NotJSON("an object has a key twice")
    return feedback
