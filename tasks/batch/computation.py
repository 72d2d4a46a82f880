"""Runs the model on the messages of a batch, and finds the messages that the model fails on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from model.types import Evidence, ModelError, Prediction
from tasks.batch.in_flight import ValidMessage
from tasks.errors import ModelFailed
from tasks.messages import Attribution, Failure, Outcome


class Predictor(Protocol):
    """The methods that this package calls on the model.

    In a worker, the object with these methods is a ``model.serving.engine.Engine``.
    """

    @property
    def version(self) -> str:
        """The version of the model. Every message id depends on it."""

    def launch(self, texts: Sequence[str]) -> Any:
        """Starts to compute a batch of texts. Returns a handle for :meth:`collect`.

        If the model fails on the batch, :meth:`collect` raises the error. On devices other than
        NVIDIA GPUs, the caller may have to wait.
        """

    def collect(self, launched: Any) -> list[Prediction]:
        """Waits for the device. Returns a list of predictions, one for each text, in order.

        The parameter ``launched`` is the handle that :meth:`launch` returned. Raises
        ``ModelError``.
        """

    def explain(self, text: str, author: str) -> Evidence | None:
        """Returns the evidence that ``author`` wrote ``text``; None if the model gives no evidence.

        Raises ``ModelError``.
        """

    def release(self) -> None:
        """Frees the device memory that is kept for later batches."""


class Computation:
    """Attributes messages with the model. If a message breaks the model, no other message fails."""

    def __init__(self, predictor: Predictor) -> None:
        self._predictor = predictor

    def launch(self, messages: Sequence[ValidMessage]) -> Any:
        """Starts to compute the messages. Returns a handle for :meth:`compute`."""
        return self._predictor.launch([m.text for m in messages]) if messages else None

    def compute(self, messages: Sequence[ValidMessage], launched: Any = None) -> dict[str, Outcome]:
        """Returns the outcomes of the messages, by message id.

        ``launched`` is the handle from :meth:`launch`. If the handle is None, launches the messages
        first.
        """
        if not messages:
            return {}
        try:
            if launched is None:
                launched = self.launch(messages)
            predictions = self._predictor.collect(launched)
            version = self._predictor.version
            return {
                m.id: self._attribution(m, prediction, version)
                for m, prediction in zip(messages, predictions, strict=True)
            }
        except ModelError as error:
            if len(messages) == 1:
                return {messages[0].id: Failure(messages[0].id, ModelFailed.code, str(error))}
        # Halving goes on until the message that breaks the model is alone. Only this message fails.
        middle = len(messages) // 2
        return self.compute(messages[:middle]) | self.compute(messages[middle:])

    def _attribution(
        self, message: ValidMessage, prediction: Prediction, version: str
    ) -> Attribution:
        attribution = Attribution(
            message.id, prediction.author, prediction.confidence, prediction.candidates, version
        )
        if message.explain:
            # If the model abstains, the evidence is for its best guess.
            evidence = self._predictor.explain(message.text, prediction.candidates[0].author)
            attribution.evidence = evidence
        return attribution
