"""The HTTP API: a Flask application. ``flask --app api routes`` lists its routes."""

from model.interrupts import end_in_one_line

end_in_one_line()


def __getattr__(name: str) -> object:
    """Imports ``create_app`` on first use, so that ``python -m api.access.keys`` needs no Flask."""
    if name == "create_app":
        return __import__("api.app").app.create_app
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
