"""Encodes outcomes for Redis as records: JSON arrays without the message id, which is in the key.

A record is less than half as long as an attribution's JSON object. Attributions take most of the
memory of Redis.
"""

from __future__ import annotations

import logging

import msgspec
from msgspec.structs import astuple

from model.types import Candidate, Evidence
from monitoring.instruments.log_once import log_once
from tasks.errors import BecameDeadLetter
from tasks.messages import Attribution, Failure, Outcome

logger = logging.getLogger(__name__)


class _Attributed(msgspec.Struct, array_like=True, tag=1):
    model: str
    author: str | None
    confidence: float
    #: Pairs of author and confidence.
    candidates: tuple[tuple[str, float], ...]


class _Explained(_Attributed, tag=2):
    evidence: Evidence | None


class _Failed(msgspec.Struct, array_like=True, tag=3):
    code: str
    detail: str


_encode = msgspec.json.Encoder().encode
_decoder: msgspec.json.Decoder[_Attributed | _Explained | _Failed] = msgspec.json.Decoder(
    _Attributed | _Explained | _Failed
)
#: Failure codes that an earlier release stored, and the codes that replaced them.
_RENAMED = {"set_aside": BecameDeadLetter.code}
#: Decodes the values under :data:`tasks.storage.result_cache.EARLIER`.
_earlier: msgspec.json.Decoder[Attribution | Failure] = msgspec.json.Decoder(Attribution | Failure)


def pack(outcome: Outcome) -> bytes:
    """Encodes an outcome as a record."""
    if isinstance(outcome, Failure):
        return _encode(_Failed(outcome.code, outcome.detail))
    named = tuple(map(astuple, outcome.candidates))
    fields = (outcome.model, outcome.author, outcome.confidence, named)
    if outcome.evidence is msgspec.UNSET:
        return _encode(_Attributed(*fields))
    return _encode(_Explained(*fields, outcome.evidence))


def unpack(id: str, raw: bytes) -> Outcome | None:
    """Decodes the record of the message ``id``. A decoded attribution is marked as cached.

    ``raw`` is a record, or the JSON that an earlier release stored. Returns None if ``raw`` can't
    be decoded.
    """
    try:
        outcome = _unpack(id, raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        line = "a result in the cache can't be read and is ignored: %s"
        log_once(logger, logging.WARNING, line, type(error).__name__)
        return None
    if isinstance(outcome, Failure):
        return outcome._replace(code=_RENAMED.get(outcome.code, outcome.code))
    return outcome


def _unpack(id: str, raw: bytes) -> Outcome:
    try:
        kept = _decoder.decode(raw)
    except msgspec.ValidationError:
        return _from_earlier(id, raw)
    if isinstance(kept, _Failed):
        return Failure(id, kept.code, kept.detail)
    candidates = tuple(Candidate(*pair) for pair in kept.candidates)
    evidence = kept.evidence if isinstance(kept, _Explained) else msgspec.UNSET
    return Attribution(
        id, kept.author, kept.confidence, candidates, kept.model, cached=True, evidence=evidence
    )


def _from_earlier(id: str, raw: bytes) -> Outcome:
    outcome = _earlier.decode(raw)
    if outcome.id != id:
        raise msgspec.ValidationError("the record is of another message")
    if isinstance(outcome, Attribution):
        outcome.cached = True
    return outcome
