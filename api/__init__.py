"""The Flask front end: ``flask --app api routes`` lists what it answers."""

from __future__ import annotations

from importlib import import_module
from typing import Any


def __getattr__(name: str) -> Any:
    """Import the application on first use: ``python -m api.access.keys`` needs none."""
    if name == "create_app":
        return import_module("api.app").create_app
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
