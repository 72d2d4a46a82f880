"""What can go wrong with a message: one small tree, a stable code each.

::

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
    """Base of all. ``str(error)`` is written for the caller and never holds a message's text."""

    #: Stable, machine-readable name of the error.
    code = "error"


class InvalidMessage(BylineError):
    """The message can't be attributed by any model: wrong type, empty, too long."""

    code = "invalid"


class DeadlinePassed(BylineError):
    """The caller's deadline passed before the model saw the message."""

    code = "deadline_passed"


class DeadlineTooShort(BylineError):
    """The caller's deadline is shorter than an answer takes with nothing ahead of the message."""

    code = "deadline_too_short"


class ModelFailed(BylineError):
    """The model raised on this message, alone."""

    code = "model_failed"


class BecameDeadLetter(BylineError):
    """Workers died of this message, again and again. It waits for somebody to look at it."""

    code = "dead_letter"


class Revoked(BylineError):
    """Somebody revoked the task that carried the message, or its ``expires`` passed."""

    code = "revoked"


class InternalError(BylineError):
    """A defect of Byline, and logged as one."""

    code = "internal_error"


class Unauthorized(BylineError):
    """No API key, or one that nobody has."""

    code = "unauthorized"


class RateLimited(BylineError):
    """The API key was used for more messages than it may be."""

    code = "rate_limited"

    def __init__(self, words: str, retry_after_s: int) -> None:
        super().__init__(words)
        self.retry_after_s = retry_after_s


class Overloaded(BylineError):
    """More is waiting than may wait."""

    code = "overloaded"


class BrokerUnavailable(BylineError):
    """The broker, which has the queue and what is promised, can't be reached."""

    code = "broker_unavailable"


class CacheUnavailable(BylineError):
    """The cache, which has attributions, feedback and figures, can't be reached."""

    code = "cache_unavailable"


class NoAnswer(BylineError):
    """The queue has the message, but no worker answered in time."""

    code = "no_answer"


class UnknownModel(BylineError):
    """The version that was asked for is not served, or not any more."""

    code = "unknown_model"


class NoModel(BylineError):
    """No worker has announced a model yet, or all are gone who served the version asked for."""

    code = "no_model"


class Conflict(BylineError):
    """What is said contradicts what was said before."""

    code = "conflict"


class NotFound(BylineError):
    """No such attribution: never accepted, or kept no longer."""

    code = "not_found"


class BadRequest(BylineError):
    """What was sent is no HTTP, or HTTP that breaks a rule."""

    code = "bad_request"


class NotJSON(BylineError):
    """The body can't be parsed."""

    code = "not_json"


class WrongType(BylineError):
    """The body is not declared to be JSON."""

    code = "wrong_type"


class TooLarge(BylineError):
    """The body is larger than may be."""

    code = "too_large"
