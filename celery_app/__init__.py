"""Byline's Celery application: ``celery -A celery_app inspect active`` finds it here."""

from __future__ import annotations

from typing import Any


def __getattr__(name: str) -> Any:
    """Build the app of Celery's commands only where Celery looks for it, as ``celery``.

    Celery has the current folder on the path only while it imports this package, and what the app
    imports lies beside this package.
    """
    if name != "celery":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from celery.utils.imports import cwd_in_path  # noqa: PLC0415

    with cwd_in_path():
        from celery_app.command_app import app  # noqa: PLC0415
    return app
