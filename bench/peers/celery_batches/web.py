"""The HTTP front end of the peer celery-batches. The peer plain Celery has the same front end."""

from __future__ import annotations

from flask import Flask

from bench.peers.celery_batches.app import app as celery
from bench.peers.front_end import front_end


def create() -> Flask:
    """Returns the Flask application of the front end."""
    return front_end(celery, "batches.attribute")
