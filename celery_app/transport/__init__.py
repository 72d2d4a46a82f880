"""Celery's transport for Redis: a worker takes a task and notes that it has it, in one step."""

from celery_app.transport.transport import Transport

__all__ = ["Transport"]
