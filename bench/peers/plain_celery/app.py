"""The peer plain Celery: serves the model in the usual way, with one task for each message."""

from __future__ import annotations

import os
from typing import Any

from celery import Celery
from celery.signals import worker_process_init

from bench.peers.model import Predictor

url = os.environ["BENCH_REDIS"]
app = Celery("plain", broker=url, backend=url)
app.conf.update(result_expires=3600, worker_prefetch_multiplier=4)

_predictors: list[Predictor] = []  # holds one item in each process of the pool


@worker_process_init.connect
def load(**_: Any) -> None:
    """Loads the model in each process of the worker's pool, after the fork."""
    _predictors.append(Predictor())


@app.task(name="plain.attribute")
def attribute(text: str) -> dict[str, Any]:
    """Returns the attribution of one message."""
    [prediction] = _predictors[0].predict([text])
    return prediction
