"""The folder in which the api's processes keep their metrics, so that they can be added up."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from shutil import rmtree

#: Where prometheus-client looks for it, when it is imported: not here, then, nor before.
VARIABLE = "PROMETHEUS_MULTIPROC_DIR"


@contextmanager
def folder() -> Iterator[None]:
    """Have this process, and those started within, share a folder, empty at first."""
    path = tempfile.mkdtemp(prefix="byline-metrics-")
    os.environ[VARIABLE] = path
    try:
        yield
    finally:
        rmtree(path, ignore_errors=True)  # a process that is being killed may still write
