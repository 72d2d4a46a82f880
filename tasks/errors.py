"""The errors of messages and requests: exceptions with one base class, each with a stable code.

Where most errors are raised::

    caller ──► api ──────────► Redis ──────────► worker ──► model
          Unauthorized      BrokerUnavailable  DeadlinePassed  ModelFailed
          RateLimited       CacheUnavailable   Revoked         BecameDeadLetter
          InvalidMessage    NoModel            UnknownModel
          UnknownModel
          Overloaded
          DeadlineTooShort
                            NoAnswer           InternalError
"""

from __future__ import annotations


class BylineError(Exception):
    """Base of all errors. ``str(error)`` is written for the client, and quotes no message text."""

    #: Stable name of the error, for programs.
    code = "error"


class InvalidMessage(BylineError):
    """The message or the request is invalid, for example because a text is empty or too long."""

    code = "invalid"


class DeadlinePassed(BylineError):
    """The client's deadline passed before the message was attributed."""

    code = "deadline_passed"


class DeadlineTooShort(BylineError):
    """The client's deadline is too near: even with an empty queue, an answer takes longer."""

    code = "deadline_too_short"


class ModelFailed(BylineError):
    """The model raised an error on this message, even with no other message in the batch."""

    code = "model_failed"


class BecameDeadLetter(BylineError):
    """This message killed workers several times. An operator has to look at it."""

    code = "dead_letter"


class Revoked(BylineError):
    """The message's task was revoked, or expired by Celery's option ``expires``."""

    code = "revoked"


class InternalError(BylineError):
    """Byline has a defect. The log has the details."""

    code = "internal_error"


class Unauthorized(BylineError):
    """The request has no API key, or an unknown key."""

    code = "unauthorized"


class RateLimited(BylineError):
    """The API key asks for more work (:mod:`tasks.work`) a second than its rate limit allows."""

    code = "rate_limited"

    def __init__(self, detail: str, retry_after_s: int) -> None:
        super().__init__(detail)
        self.retry_after_s = retry_after_s


class Overloaded(BylineError):
    """Byline refuses messages: too many wait, too many answers are promised, or memory is short."""

    code = "overloaded"


class BrokerUnavailable(BylineError):
    """The broker, which has the queue and the pending results, can't be reached."""

    code = "broker_unavailable"


class CacheUnavailable(BylineError):
    """The cache can't be reached. The cache holds attributions, feedback and the console's data."""

    code = "cache_unavailable"


class NoAnswer(BylineError):
    """The message was accepted, but no answer came: a timeout, a lost task or a stopped process."""

    code = "no_answer"


class UnknownModel(BylineError):
    """No worker serves the model version that the client asked for."""

    code = "unknown_model"


class NoModel(BylineError):
    """No worker has announced a model yet, or all workers of the wanted version are gone."""

    code = "no_model"


class Conflict(BylineError):
    """The feedback contradicts earlier or simultaneous feedback on the same message."""

    code = "conflict"


class NotFound(BylineError):
    """The id is unknown, or its attribution does not exist yet or has expired."""

    code = "not_found"


class BadRequest(BylineError):
    """The request is not HTTP, or breaks a rule of HTTP."""

    code = "bad_request"


class NotJSON(BylineError):
    """The body is not JSON."""

    code = "not_json"


class WrongType(BylineError):
    """The body is compressed, or its content type is not JSON in UTF-8."""

    code = "wrong_type"


class TooLarge(BylineError):
    """The body is larger than the limit."""

    code = "too_large"
