"""The engine: runs a model on its device, from the one thread that may use the device."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch

from model.serving import output_checks
from model.serving.device import Device, DeviceError, choose
from model.serving.novelty_sampler import NoveltySampler
from model.serving.output_checks import finite_array, predictions, redact_errors
from model.serving.passes import Pass, Planner, SequencePlanner, TextPlanner
from model.serving.placement import Placement, available_cores
from model.serving.precision import check_precision
from model.serving.status import Status, Work
from model.types import (
    Evidence,
    Explainer,
    Model,
    ModelCard,
    ModelError,
    Prediction,
    SequenceModel,
)

logger = logging.getLogger(__name__)

#: Number of candidates in a prediction.
CANDIDATES = 3

Choose = Callable[[str, int], Device]
#: Waits for the output of a pass, and returns the output on the host: the probabilities of the best
#: candidates and their indices, float32, shape (texts of the pass, 2 x candidates).
Download = Callable[[], torch.Tensor]
#: Checks the output of a pass, given its numbers of rows and of authors. Raises ModelError.
Check = Callable[[torch.Tensor, int, int], None]


@dataclass(slots=True)
class Launched:
    """A batch that the device is computing."""

    texts: Sequence[str]
    #: For each pass, the indices of its texts within the batch, and its output.
    downloads: list[tuple[Sequence[int], Download]]
    work: Work
    #: The error that stopped the launch.
    error: ModelError | None = None


class Engine:
    """Runs a model on a device.

    Only the thread that called ``start`` may call the other methods, because MPS (Apple's GPU)
    aborts the process if two threads use it. Any thread may read ``status``.
    """

    def __init__(
        self,
        model: Model[Any] | SequenceModel,
        placement: Placement = Placement(),
        choose: Choose = choose,
        on_batch: Callable[[Status], None] | None = None,
    ) -> None:
        """Keeps the arguments. :meth:`start` makes the engine ready.

        ``choose`` returns the device; a test passes a function that returns a fake device. The
        engine's thread calls ``on_batch(status)`` after each batch.
        """
        self._on_batch = on_batch
        self._novelty = NoveltySampler(model)
        self._forward_s = 0.0
        self._model = model
        self._placement = placement
        self._choose = choose
        self._owner: int | None = None
        #: The engine's thread replaces the whole object, so any thread may read the object.
        self.status = Status()

    def start(self) -> None:
        """Chooses the device, loads and checks the model, and runs the model's batch shapes.

        Raises:
            DeviceError: the model can't run on the device or in the precision.
            DeviceLost: the device failed for good.
            ModelRefused: the model raised an error, or its output breaks the protocol.
            ModelError: a single message does not fit the device's memory.
        """
        self._owner = threading.get_ident()
        torch.set_num_threads(self._threads())
        self.device = self._choose(self._placement.device, self._placement.worker)
        with output_checks.refuse_errors(self.device):
            self._planner, limit = self._loaded()
            self._publish(limit=limit)
            self._warm_up()

    @property
    def card(self) -> ModelCard:
        """The model's card. In half precision, its ``version`` ends in ``-bf16`` or ``-fp16``."""
        card, precision = self._model.card, self._placement.precision
        return card if precision == "fp32" else replace(card, version=f"{card.version}-{precision}")

    @property
    def version(self) -> str:
        """The model's version, with a suffix if the model runs in half precision."""
        return self.card.version

    @property
    def overlaps(self) -> bool:
        """Whether the device computes a batch while the caller of ``launch`` does other work.

        False for a :class:`~model.types.Model`: it copies tensors itself, and may wait for copies.
        """
        return self.device.overlaps and isinstance(self._model, SequenceModel)

    def __str__(self) -> str:
        """Returns the name of the device, and the precision if it is not fp32."""
        precision = self._placement.precision
        return str(self.device) if precision == "fp32" else f"{self.device}, {precision}"

    def predict(self, texts: Sequence[str]) -> list[Prediction]:
        """Returns the predictions for any number of texts, in the order of the texts.

        Raises:
            ModelError: the model raised an error, or did not return one row for each text.
            DeviceLost: the device failed for good.
        """
        return self.collect(self.launch(texts))

    def launch(self, texts: Sequence[str]) -> Launched:
        """Starts to compute a batch. :meth:`collect` returns the batch's predictions.

        A GPU computes while the caller continues. If the model fails, ``collect`` raises the error.

        Raises:
            DeviceLost: the device failed for good.
        """
        self._check_thread()
        launched = Launched(texts, [], Work(messages=len(texts)))
        begin, self._forward_s = time.perf_counter(), 0.0
        try:
            self._launch(launched, range(len(texts)))
        except ModelError as error:
            # A new error, because the old error's traceback keeps the tensors of the pass alive.
            launched.error = ModelError(str(error))
        prepare_s = time.perf_counter() - begin - self._forward_s
        launched.work += Work(prepare_s=prepare_s, forward_s=self._forward_s)
        return launched

    def collect(self, launched: Launched) -> list[Prediction]:
        """Waits for a launched batch, and returns its predictions in the order of its texts.

        Raises:
            ModelError: the model raised an error, or did not return one row for each text.
            DeviceLost: the device failed for good.
        """
        self._check_thread()
        if launched.error is not None:
            raise launched.error
        begin, card = time.perf_counter(), self._model.card
        rows = np.empty((len(launched.texts), 2 * min(CANDIDATES, len(card.authors))), np.float32)
        for indices, download in launched.downloads:
            with redact_errors():
                rows[indices] = finite_array(download())
        found = predictions(rows, card)
        work = launched.work + Work(forward_s=time.perf_counter() - begin)
        self._publish(
            batch=work,
            total=self.status.total + work,
            best=rows[:, rows.shape[1] // 2].astype(np.int64),
            confidence=rows[:, 0],
            unseen=self._novelty.sample(launched.texts),
        )
        if self._on_batch is not None:
            self._on_batch(self.status)
        return found

    def release(self) -> None:
        """Frees the device memory that torch keeps cached for later tensors."""
        self._check_thread()
        self.device.release()

    def explain(self, text: str, author: str) -> Evidence | None:
        """Returns the evidence that ``author`` wrote ``text``; None if the model can't explain.

        Raises:
            ModelError: the model raised an error.
            DeviceLost: the device failed for good.
        """
        self._check_thread()
        if not isinstance(self._model, Explainer):
            return None
        with redact_errors():
            return self._model.explain(text, author)

    def _loaded(self) -> tuple[Planner, int]:
        """Loads the model. Returns the planner of its passes, and the largest size of a pass.

        The size is a number of tokens, or a number of messages if the model takes texts.
        """
        device, precision = self.device, self._placement.precision
        if isinstance(self._model, SequenceModel):
            self._model.load(device.torch, torch.float32)
            planner = SequencePlanner(self._model.encode, self._model.grid, device)
            max_cells = self._placement.tokens or device.tokens
            if precision != "fp32":
                check_precision(self._model, planner, device, precision, max_cells)
            return planner, max_cells
        if precision != "fp32":
            raise DeviceError(f"this model runs in fp32 only, not in {precision}")
        self._model.load(device.torch)
        return TextPlanner(self._model), self._model.buckets[-1].messages

    def _warm_up(self) -> None:
        """Runs the warm-up's passes. Lowers the size limit if a pass does not fit the memory."""
        for planned in self._planner.warm_up(self.status.limit):
            if planned.cells <= self.status.limit:
                download = self._run(planned, output_checks.check_output)
                if download is None:
                    self._lower_limit(planned)
                else:
                    finite_array(download())

    def _launch(self, launched: Launched, indices: Sequence[int]) -> None:
        """Launches the texts at ``indices`` of the batch, in one or more forward passes.

        If a pass does not fit into the device's memory, its texts are launched in smaller passes.
        """
        texts = [launched.texts[index] for index in indices]
        with redact_errors():
            for planned in self._planner.plan(texts, self.status.limit):
                own = [indices[index] for index in planned.indices]
                if planned.cells > self.status.limit and len(own) > 1:
                    # An earlier pass of this batch has lowered the limit: plan these texts again.
                    self._launch(launched, own)
                    continue
                download = self._run(planned)
                if download is None:
                    self._lower_limit(planned)
                    launched.work += Work(halved=1)
                    self._launch(launched, own)
                    continue
                launched.downloads.append((own, download))
                launched.work += Work(passes=1, cells=planned.cells, filled=planned.filled)

    def _run(self, planned: Pass, check: Check = output_checks.check_shape) -> Download | None:
        """Launches a pass. Returns a function that waits for the output; None if memory ran out."""
        try:
            batch = planned.batch()
            begin = time.perf_counter()
            with torch.inference_mode():
                rows = self._model.forward(batch)
                check(rows, planned.rows, len(self._model.card.authors))
                best = rows[: len(planned.indices)].topk(min(CANDIDATES, rows.shape[1]))
                # One copy to the host instead of two: a float32 holds any index exactly.
                download = self.device.download(torch.cat([best.values, best.indices.float()], 1))
                self._forward_s += time.perf_counter() - begin
                return download
        except Exception as error:
            if not self.device.is_full(error):
                raise
        # Outside the handler, because the traceback of the error keeps the tensors alive.
        return None

    def _lower_limit(self, planned: Pass) -> None:
        """Limits later passes to half the size of ``planned``, which did not fit into the memory.

        Raises ``ModelError`` if the pass held one message and can't be halved.
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
        """Returns the number of CPU threads that torch is to use."""
        if self._placement.threads is not None:
            return self._placement.threads
        cores = available_cores() if isinstance(self._model, SequenceModel) else 1
        return max(1, cores // self._placement.workers)

    def _check_thread(self) -> None:
        """Raises RuntimeError unless the calling thread is the one that started the engine."""
        if threading.get_ident() != self._owner:
            raise RuntimeError("the model belongs to another thread")
