"""The peer: Celery as most use it, a task a message. The same model, the same Redis."""

from __future__ import annotations

import importlib
import os
from dataclasses import asdict
from typing import Any

from celery import Celery
from celery.signals import worker_process_init

url = os.environ["BENCH_REDIS"]
app = Celery("plain", broker=url, backend=url)
app.conf.update(result_expires=3600, worker_prefetch_multiplier=4)

_engines: list[Any] = []  # one, in each of the pool's processes


@worker_process_init.connect
def load(**_: Any) -> None:
    """Load the model in each of the pool's processes, after the fork."""
    module, _, name = os.environ["BENCH_MODEL"].partition(":")
    engine = importlib.import_module("model.engine").Engine
    _engines.append(engine(getattr(importlib.import_module(module), name)(), "cpu", 1))
    _engines[0].start()


@app.task(name="plain.attribute")
def attribute(text: str) -> dict[str, Any]:
    """Attribute one message."""
    [prediction] = _engines[0].predict([text])
    return asdict(prediction)
