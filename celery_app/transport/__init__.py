"""Celery's transport for Redis: taking a task and recording which worker holds it are one step."""

from celery_app.transport.transport import Transport

__all__ = ["Transport"]
