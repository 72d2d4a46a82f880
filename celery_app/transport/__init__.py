"""Celery's transport over Redis: a task is taken from its list and noted as held in one step."""

from celery_app.transport.transport import Transport

__all__ = ["Transport"]
