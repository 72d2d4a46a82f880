"""The names under which ``api/`` imports what is in ``attribution_client.py``."""

from celery_app.client.attribution_client import AttributionClient as Client
from celery_app.client.attribution_client import RequestOptions

__all__ = ["Client", "RequestOptions"]
