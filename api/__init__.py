"""The HTTP API: a Flask application. ``flask --app api routes`` lists its routes."""

from importlib import import_module
from typing import Any

from monitoring.interrupts import end_in_one_line

end_in_one_line()


def __getattr__(name: str) -> Any:
    """Imports ``create_app`` on first use, so that ``python -m api.access.keys`` needs no Flask."""
    if name == "create_app":
        return import_module("api.app").create_app
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
