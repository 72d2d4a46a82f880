"""Byline's client library, for programs of your own: ``from byline_client import Client``.

``Client`` is for asyncio, ``SyncClient`` for threads. Both send texts to Byline's workers over
Redis. Byline's page "Use Byline from a Python program" describes options and errors.
"""

from celery_app.client import Attribution, BylineError, Client, Failure, SyncClient
from celery_app.settings import SettingsError
from model.types import Candidate, Evidence
from tasks.errors import (
    BecameDeadLetter,
    BrokerUnavailable,
    CacheUnavailable,
    DeadlinePassed,
    DeadlineTooShort,
    InternalError,
    InvalidMessage,
    ModelFailed,
    NoAnswer,
    NoModel,
    Overloaded,
    Revoked,
    UnknownModel,
)

__all__ = [
    "Attribution",
    "BecameDeadLetter",
    "BrokerUnavailable",
    "BylineError",
    "CacheUnavailable",
    "Candidate",
    "Client",
    "DeadlinePassed",
    "DeadlineTooShort",
    "Evidence",
    "Failure",
    "InternalError",
    "InvalidMessage",
    "ModelFailed",
    "NoAnswer",
    "NoModel",
    "Overloaded",
    "Revoked",
    "SettingsError",
    "SyncClient",
    "UnknownModel",
]
