"""Byline's client library: ``Client`` for asyncio programs, ``SyncClient`` for other programs."""

from celery_app.client.async_client import Client
from celery_app.client.sync_client import SyncClient
from tasks.errors import BylineError
from tasks.messages import Attribution, Failure

__all__ = ["Attribution", "BylineError", "Client", "Failure", "SyncClient"]
