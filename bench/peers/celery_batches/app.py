"""The peer: Celery with celery-batches, which hands what has gathered to a task as one list."""

from __future__ import annotations

import os
from typing import Any

from celery import Celery
from celery.signals import worker_process_init
from celery_batches import Batches, SimpleRequest

from bench.peers.model import BATCH, Predictor

url = os.environ["BENCH_REDIS"]
app = Celery("batches", broker=url, backend=url)
app.conf.update(
    result_expires=3600,
    # A buffer fills only with what the worker may prefetch, so its documentation asks for more
    # than ``flush_every``: here two full batches for each process of the pool.
    worker_prefetch_multiplier=2 * BATCH,
)

_predictors: list[Predictor] = []  # one, in each of the pool's processes


@worker_process_init.connect
def load(**_: Any) -> None:
    """Loads the model in each of the pool's processes, after the fork."""
    _predictors.append(Predictor())


# The buffer is emptied every 10 ms, in seconds here. Each batch costs a hand-over to the pool, so
# fewer are better, and an answer waits 5 ms on average: small beside the 55 ms that it may take.
@app.task(base=Batches, name="batches.attribute", flush_every=BATCH, flush_interval=0.01)
def attribute(requests: list[SimpleRequest]) -> None:
    """Attributes what has gathered; the library leaves the results to the task."""
    try:
        predictions = _predictors[0].predict([request.args[0] for request in requests])
    except Exception as error:  # or whoever waits would learn of it only by the timeout
        for request in requests:
            app.backend.mark_as_failure(request.id, error, request=request)
        raise
    for request, prediction in zip(requests, predictions, strict=True):
        app.backend.mark_as_done(request.id, prediction, request=request)
