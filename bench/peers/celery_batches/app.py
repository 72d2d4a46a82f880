"""The peer celery-batches: a Celery worker whose task gets many requests together, as a list."""

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
    # The buffer holds only requests that the worker may prefetch. So the library's documentation
    # asks for a value above ``flush_every``: here two full batches for each process of the pool.
    worker_prefetch_multiplier=2 * BATCH,
)

_predictors: list[Predictor] = []  # holds one item in each process of the pool


@worker_process_init.connect
def load(**_: Any) -> None:
    """Loads the model in each process of the worker's pool, after the fork."""
    _predictors.append(Predictor())


# flush_interval is in seconds: 10 ms. To pass a batch to the pool costs time, so fewer batches cost
# less. An answer waits 5 ms on average, which is little beside the 55 ms that it may take.
@app.task(base=Batches, name="batches.attribute", flush_every=BATCH, flush_interval=0.01)
def attribute(requests: list[SimpleRequest]) -> None:
    """Attributes one batch of requests, and stores the results.

    The library celery-batches leaves the storing of results to the task.
    """
    try:
        predictions = _predictors[0].predict([request.args[0] for request in requests])
    except Exception as error:  # stored, so that the clients do not wait until the timeout
        for request in requests:
            app.backend.mark_as_failure(request.id, error, request=request)
        raise
    for request, prediction in zip(requests, predictions, strict=True):
        app.backend.mark_as_done(request.id, prediction, request=request)
