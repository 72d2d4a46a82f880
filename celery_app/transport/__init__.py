"""A Celery transport for Redis that takes a task and records it as unacknowledged in one step."""

from celery_app.transport.transport import Transport

__all__ = ["Transport"]
