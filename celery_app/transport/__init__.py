"""Celery's transport for Redis, in which a task is taken and noted as held in a single step."""

from celery_app.transport.transport import Transport

__all__ = ["Transport"]
