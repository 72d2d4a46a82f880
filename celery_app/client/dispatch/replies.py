"""Decodes the workers' replies, and finds the outcome of each message of a chunk."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import msgspec

from celery_app.client.dispatch.in_flight import InFlightChunk
from celery_app.client.entry import Entry
from monitoring.instruments.log_once import log_once
from monitoring.instruments.metrics import ApiMetrics
from tasks.errors import InternalError
from tasks.messages import Outcome, Reply

logger = logging.getLogger(__name__)

_decode = msgspec.json.Decoder(Reply).decode


class ReplyReader:
    """Reads replies. Counts, logs and skips the replies that it can't use."""

    def __init__(self, metrics: ApiMetrics) -> None:
        self._metrics = metrics

    def read(self, raw: bytes) -> Reply | None:
        """Decodes a reply; returns None if the bytes ``raw`` are no valid reply."""
        try:
            return _decode(raw)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            self._drop(type(error).__name__)
            return None

    def outcomes(
        self, chunk: InFlightChunk, reply: Reply
    ) -> Iterator[tuple[Entry, Outcome | InternalError]]:
        """Yields each message of a chunk with its outcome from the reply, or with an error.

        A message gets an error if the reply has no outcome for it.
        """
        outcomes = reply.outcomes
        if len(outcomes) > len(chunk.entries):
            self._drop("too many outcomes")
            outcomes = []
        for entry, outcome in zip(chunk.entries, outcomes, strict=False):
            if entry.may_be(outcome):
                yield entry, outcome
            else:
                self._drop("an outcome of another message")
                yield entry, InternalError("the worker's reply was to another message")
        for entry in chunk.entries[len(outcomes) :]:
            yield entry, InternalError("the worker's reply left the message out")

    def _drop(self, reason: str) -> None:
        self._metrics.replies_dropped.inc()
        log_once(logger, logging.ERROR, "a reply can't be read, and is dropped: %s", reason)
