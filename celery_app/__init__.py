"""Byline's Celery app, found by Celery's commands: ``celery -A celery_app inspect active``."""

from __future__ import annotations

from typing import Any

from monitoring.interrupts import end_in_one_line

end_in_one_line()


def __getattr__(name: str) -> Any:
    """Returns the app for Celery's commands, which ask this package for the name ``celery``.

    The app imports packages beside this package. Celery has the current folder on the import path
    only while it imports this package, so this function puts the folder on the path again.
    """
    if name != "celery":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from celery.utils.imports import cwd_in_path  # noqa: PLC0415

    with cwd_in_path():
        from celery_app.command_app import app  # noqa: PLC0415
    return app
