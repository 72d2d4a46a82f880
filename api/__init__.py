"""The HTTP API: a Flask application. ``flask --app api routes`` lists its routes."""

from __future__ import annotations

from importlib import import_module
from typing import Any


def __getattr__(name: str) -> Any:
    """Imports ``create_app`` only when a program asks for it, and returns it.

    So ``python -m api.access.keys``, which needs no Flask, starts without it.
    """
    if name == "create_app":
        return import_module("api.app").create_app
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
