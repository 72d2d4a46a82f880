"""Admits messages to a batch: checks each text, computes its id, and refuses expired messages."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from model.canonical import canonical
from tasks.batch.computation import Predictor
from tasks.batch.in_flight import ValidMessage
from tasks.errors import BylineError, DeadlinePassed, InvalidMessage, UnknownModel
from tasks.messages import Chunk, Failure, Outcome, message_id, parse_text


class Admission:
    """Decides which messages of a chunk the model attributes."""

    def __init__(self, predictor: Predictor, max_characters: int, now: Callable[[], float]) -> None:
        self._predictor = predictor
        self._max_characters = max_characters
        self._now = now

    def admit(self, chunk: Chunk) -> list[ValidMessage | Failure]:
        """Checks the texts of a chunk. Returns a valid message or a failure for each text."""
        now, served = self._now(), self._predictor.version
        version = chunk.version if chunk.exact and chunk.version is not None else served
        return [
            self._parse(
                text, deadline is not None and deadline < now, chunk.explain, version, served
            )
            for text, deadline in zip(chunk.texts, chunk.deadlines, strict=True)
        ]

    def _parse(
        self, text: object, expired: bool, explain: bool, version: str, served: str
    ) -> ValidMessage | Failure:
        """Checks one text. Returns a valid message, or a failure with the reason.

        ``expired`` is true if the text's deadline has passed. ``version`` is the model version that
        has to answer. ``served`` is the model version of this worker.
        """
        id = ""
        try:
            valid = parse_text(text, self._max_characters)
            id = message_id(version, valid)
            if version != served:
                raise UnknownModel(f"no worker serves {version} any more")
            if expired:
                raise DeadlinePassed("the deadline passed before the model was free")
        except BylineError as error:
            return Failure(id, error.code, str(error))
        return ValidMessage(id, valid, explain)

    def client_id(self, chunk: Chunk, text: object) -> str:
        """Returns the id by which the client knows a message; empty if the message is invalid."""
        try:
            valid = parse_text(text, self._max_characters)
        except InvalidMessage:
            return ""
        return message_id(chunk.version or self._predictor.version, valid)

    def outcomes_by_client_id(
        self,
        chunk: Chunk,
        messages: Sequence[ValidMessage | Failure],
        outcomes: Mapping[str, Outcome],
    ) -> dict[str, Outcome]:
        """Returns the outcomes of a chunk in a mapping from the client's message ids.

        A message id depends on the model version. So a client that named another version has other
        ids than this worker. ``outcomes`` maps this worker's ids to outcomes. The result is empty
        if client and worker have the same ids.
        """
        if chunk.exact or chunk.version is None or chunk.version == self._predictor.version:
            return {}
        return {
            message_id(chunk.version, canonical(text)): outcomes[message.id]
            for text, message in zip(chunk.texts, messages, strict=True)
            if message.id
        }
