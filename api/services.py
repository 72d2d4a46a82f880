"""Builds the services of one API process and connects them with each other."""

from __future__ import annotations

from dataclasses import dataclass

from prometheus_client import CollectorRegistry

from api.access.rate_limiter import RateLimiter
from api.access.reloading_keys import ReloadingKeys
from api.feedback import FeedbackService
from api.figures import FiguresService
from api.request_metrics import RequestMetrics
from api.service import AttributionService
from celery_app.client.attribution_client import AttributionClient
from celery_app.client.factory import build_client
from celery_app.client.labels import Labels
from celery_app.connections import connect_async
from celery_app.settings import Settings
from monitoring.instruments import exposition
from monitoring.instruments.metrics import ApiMetrics


@dataclass(frozen=True, slots=True)
class Services:
    """The objects that the Flask views and the accelerator (the ASGI application) call."""

    attributions: AttributionService
    feedback: FeedbackService
    figures: FiguresService
    client: AttributionClient
    metrics: RequestMetrics


def build(settings: Settings, keys: ReloadingKeys | None) -> Services:
    """Builds the services, and starts their threads. Call this in the event loop's thread.

    Raises:
        SettingsError: no Redis URL is set.
        OSError: another process uses the metrics port.
    """
    cache = connect_async(settings.cache)  # first: if it raises, no thread is running yet
    registry = CollectorRegistry()
    metrics = ApiMetrics(registry)
    exposition.serve(settings.metrics_host, settings.api_metrics_port, registry)
    if keys is not None:
        keys.start()
    client = build_client(settings, metrics)
    limiter = RateLimiter(cache)
    labels = Labels(client.pending_results, cache, metrics, settings)
    return Services(
        AttributionService(settings, client, limiter),
        FeedbackService(labels, limiter),
        FiguresService(cache, settings),
        client,
        RequestMetrics(metrics),
    )
