"""A model on its device, and the one thread that may touch it."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch

from model.serving.device import Device, DeviceError, choose
from model.serving.output_checks import check_shape, finite, predictions, quoteless
from model.serving.passes import Messages, Pass, Planner, Sequences
from model.serving.placement import Placement, available_cores
from model.serving.precision import check
from model.serving.status import Status, Work
from model.types import (
    Evidence,
    Explainer,
    Model,
    ModelCard,
    ModelError,
    Novelty,
    Prediction,
    SequenceModel,
)

logger = logging.getLogger(__name__)

#: Candidates named for each message.
CANDIDATES = 3
#: Texts of which it is asked what is new in them, in so many seconds: it costs about as much as to
#: attribute them.
SAMPLE, SAMPLE_S = 8, 1.0

Choose = Callable[[str, int], Device]


@dataclass(slots=True)
class Launched:
    """A batch on its way through the device."""

    texts: Sequence[str]
    #: For each pass its places among the texts, and what waits for its answer.
    answers: list[tuple[Sequence[int], Callable[[], torch.Tensor]]]
    work: Work
    #: What went wrong on the way.
    error: ModelError | None = None


class Engine:
    """Runs a model. Everything but ``status`` belongs to the thread that called ``start``.

    MPS aborts the process when two threads use it, so another thread is refused, not queued.
    """

    def __init__(
        self,
        model: Model[Any] | SequenceModel,
        placement: Placement = Placement(),
        choose: Choose = choose,
        told: Callable[[Status], None] | None = None,
    ) -> None:
        """``choose`` gives the device: a test's own, for instance.

        ``told(status)`` is called after each batch, in the owner's thread.
        """
        self._told = told
        self._sampled_at, self._sampled = -SAMPLE_S, 0
        self._forward_s = 0.0
        self._model = model
        self._placement = placement
        self._choose = choose
        self._owner: int | None = None
        #: Read by any thread; replaced as a whole by the owner.
        self.status = Status()

    def start(self) -> None:
        """Choose the device, load the model, test its precision, and warm every shape.

        Raises:
            DeviceError: the device or the precision can't be used.
            ModelError: the model failed on a shape.
            OSError, ValueError: the weights are missing or do not fit.
        """
        self._owner = threading.get_ident()
        torch.set_num_threads(self._threads())
        self.device = self._choose(self._placement.device, self._placement.worker)
        self._planner, most = self._loaded()
        self._publish(limit=most)
        self._warm()

    @property
    def card(self) -> ModelCard:
        """The model's card. In half precision its version says so, for answers may differ."""
        card, precision = self._model.card, self._placement.precision
        return card if precision == "fp32" else replace(card, version=f"{card.version}-{precision}")

    @property
    def version(self) -> str:
        """The version of what is served."""
        return self.card.version

    @property
    def overlaps(self) -> bool:
        """Whether the device computes between ``launch`` and ``collect``.

        A model that takes texts copies them to the device itself, and may wait for it.
        """
        return self.device.overlaps and isinstance(self._model, SequenceModel)

    def __str__(self) -> str:
        """Return where and how it runs, for people."""
        precision = self._placement.precision
        return str(self.device) if precision == "fp32" else f"{self.device}, {precision}"

    def predict(self, texts: Sequence[str]) -> list[Prediction]:
        """Return a prediction for each of any number of texts, in order.

        Raises:
            ModelError: the model raised on one of them, or did not answer each.
        """
        return self.collect(self.launch(texts))

    def launch(self, texts: Sequence[str]) -> Launched:
        """Have the device begin with a batch; where it can, it goes on while the caller does.

        What goes wrong is raised by ``collect``.
        """
        self._own()
        launched = Launched(texts, [], Work(messages=len(texts)))
        begin, self._forward_s = time.perf_counter(), 0.0
        try:
            self._launch(launched, range(len(texts)))
        except ModelError as error:
            # Not itself: its traceback holds on to the pass's tensors.
            launched.error = ModelError(str(error))
        prepare_s = time.perf_counter() - begin - self._forward_s
        launched.work += Work(prepare_s=prepare_s, forward_s=self._forward_s)
        return launched

    def collect(self, launched: Launched) -> list[Prediction]:
        """Wait for a batch and return its predictions, in the order of its texts.

        Raises:
            ModelError: as ``predict``.
        """
        self._own()
        if launched.error is not None:
            raise launched.error
        begin, card = time.perf_counter(), self._model.card
        rows = np.empty((len(launched.texts), 2 * min(CANDIDATES, len(card.authors))), np.float32)
        for places, answer in launched.answers:
            with quoteless():
                rows[places] = finite(answer())
        found = predictions(rows, card)
        work = launched.work + Work(forward_s=time.perf_counter() - begin)
        self._publish(
            batch=work,
            total=self.status.total + work,
            best=rows[:, rows.shape[1] // 2].astype(np.int64),
            confidence=rows[:, 0],
            unseen=self._unseen(launched.texts),
        )
        if self._told is not None:
            self._told(self.status)
        return found

    def release(self) -> None:
        """Give back what the device keeps for tensors to come."""
        self._own()
        self.device.release()

    def explain(self, text: str, author: str) -> Evidence | None:
        """Return what speaks for ``author``, or None where the model can't tell.

        Raises:
            ModelError: the model raised.
        """
        self._own()
        if not isinstance(self._model, Explainer):
            return None
        with quoteless():
            return self._model.explain(text, author)

    def _unseen(self, texts: Sequence[str]) -> tuple[float, ...]:
        if (now := time.monotonic()) >= self._sampled_at + SAMPLE_S:
            self._sampled_at, self._sampled = now, 0
        sample = texts[: SAMPLE - self._sampled]
        if not sample or not isinstance(self._model, Novelty):
            return ()
        self._sampled += len(sample)
        try:
            shares = np.asarray(self._model.unseen(sample), float)
        except Exception as error:  # anybody's code; the answers are there, and stand
            logger.warning("the model can't say what is new to it: %s", type(error).__name__)
            self._sampled = SAMPLE  # a second's rest
            return ()
        return tuple(shares[(shares >= 0) & (shares <= 1)].tolist())

    def _loaded(self) -> tuple[Planner, int]:
        """Load the model; return what plans its passes, and their cells at most."""
        device, precision = self.device, self._placement.precision
        if isinstance(self._model, SequenceModel):
            self._model.load(device.torch, torch.float32)
            planner = Sequences(self._model.encode, self._model.grid, device)
            most = self._placement.tokens or device.tokens
            if precision != "fp32":
                check(self._model, planner, device, precision, most)
            return planner, most
        if precision != "fp32":
            raise DeviceError(f"this model runs in fp32 only, not in {precision}")
        self._model.load(device.torch)
        return Messages(self._model), self._model.buckets[-1].messages

    def _warm(self) -> None:
        """Compute every shape once; from the first that does not fit, lower the limit."""
        with quoteless():
            for planned in self._planner.warm_up(self.status.limit):
                if planned.cells > self.status.limit:
                    continue
                answer = self._answer(planned)
                if answer is None:
                    self._lower(planned)
                else:
                    finite(answer())

    def _launch(self, launched: Launched, places: Sequence[int]) -> None:
        """Launch some of the texts. What does not fit the memory is planned anew, in halves."""
        texts = [launched.texts[place] for place in places]
        with quoteless():
            for planned in self._planner.plan(texts, self.status.limit):
                own = [places[place] for place in planned.places]
                if planned.cells > self.status.limit and len(own) > 1:  # lowered meanwhile
                    self._launch(launched, own)
                    continue
                answer = self._answer(planned)
                if answer is None:
                    self._lower(planned)
                    launched.work += Work(halved=1)
                    self._launch(launched, own)
                    continue
                launched.answers.append((own, answer))
                launched.work += Work(passes=1, cells=planned.cells, filled=planned.filled)

    def _answer(self, planned: Pass) -> Callable[[], torch.Tensor] | None:
        """Launch a pass; return what waits for its best candidates, or None without memory."""
        try:
            batch = planned.batch()
            begin = time.perf_counter()
            with torch.inference_mode():
                rows = self._model.forward(batch)
                check_shape(rows, planned.rows, len(self._model.card.authors))
                best = rows[: len(planned.places)].topk(min(CANDIDATES, rows.shape[1]))
                # One copy to the host, not two: a float32 holds any index exactly.
                answer = self.device.download(torch.cat([best.values, best.indices.float()], 1))
                self._forward_s += time.perf_counter() - begin
                return answer
        except Exception as error:
            if not self.device.is_full(error):
                raise
        return None  # outside the handler, for the error's traceback holds on to the tensors

    def _lower(self, planned: Pass) -> None:
        """Remember that a pass did not fit the memory.

        Raises:
            ModelError: it held one message, so there is nothing to halve.
        """
        self.device.release()
        if planned.rows == 1:
            raise ModelError(f"one message does not fit the memory of {self.device}")
        limit = max(1, planned.cells // 2)
        logger.warning(
            "%s has no memory for a pass of %d cells: from now on %d at most",
            self.device, planned.cells, limit,
        )  # fmt: skip
        self._publish(limit=limit)

    def _publish(self, **changes: Any) -> None:
        self.status = replace(self.status, memory=self.device.memory(), **changes)

    def _threads(self) -> int:
        if self._placement.threads is not None:
            return self._placement.threads
        cores = available_cores() if isinstance(self._model, SequenceModel) else 1
        return max(1, cores // self._placement.workers)

    def _own(self) -> None:
        if threading.get_ident() != self._owner:
            raise RuntimeError("the model belongs to another thread")
