"""Runs a worker whose device is a fake GPU: ``python -m tests.fake_gpu_worker``."""

from __future__ import annotations

import os
import sys

from celery_app.settings import Settings
from celery_app.worker.factory import build, load_model
from celery_app.worker.main import serve
from tests.devices import FakeGPU

#: Environment variables with the arguments of the fake GPU: ``memory`` in tokens, ``overlaps``, and
#: ``fails_after``.
MEMORY, OVERLAPS, FAILS = "TEST_GPU_MEMORY", "TEST_GPU_OVERLAPS", "TEST_GPU_FAILS_AFTER"

if __name__ == "__main__":
    settings = Settings.from_environ(os.environ)
    memory = int(os.environ.get(MEMORY, "1000000"))
    fails = int(os.environ[FAILS]) if FAILS in os.environ else None
    gpu = FakeGPU(memory, overlaps=OVERLAPS in os.environ, warms=True, fails_after=fails)
    app = build(settings, load_model(settings), lambda name, worker: gpu)
    sys.exit(serve(app, settings, sys.argv[1:]))
