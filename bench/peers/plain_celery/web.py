"""The front end of the peer plain Celery: Flask, one task a message, and ``AsyncResult.get``."""

from __future__ import annotations

from flask import Flask

from bench.peers.front_end import front_end
from bench.peers.plain_celery.app import app as celery


def create() -> Flask:
    """Returns the front end."""
    return front_end(celery, "plain.attribute")
