"""The HTTP front end of the peer plain Celery: Flask, which sends one task for each message."""

from __future__ import annotations

from flask import Flask

from bench.peers.front_end import front_end
from bench.peers.plain_celery.app import app as celery


def create() -> Flask:
    """Returns the Flask application of the front end."""
    return front_end(celery, "plain.attribute")
