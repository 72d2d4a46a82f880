"""Gives Byline's app to Celery's commands, such as ``celery -A celery_app inspect active``."""

from __future__ import annotations

from typing import Any

from monitoring.interrupts import end_in_one_line

end_in_one_line()


def __getattr__(name: str) -> Any:
    """Returns Byline's app when a command of Celery asks this package for the name ``celery``."""
    if name != "celery":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from celery.utils.imports import cwd_in_path  # noqa: PLC0415

    # The app's module imports other packages from the current folder. Celery removes this folder
    # from the import path as soon as this package is imported.
    with cwd_in_path():
        from celery_app.command_app import app  # noqa: PLC0415
    return app
