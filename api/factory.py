"""The api's composition root: the services of one process."""

from __future__ import annotations

from dataclasses import dataclass

from prometheus_client import CollectorRegistry

from api.access.keys_file import KeysFile
from api.access.rate_limiter import RateLimiter
from api.feedback import FeedbackService
from api.figures import Figures
from api.request_metrics import RequestMetrics
from api.service import AttributionService
from celery_app.client.client import Client
from celery_app.client.factory import build_client
from celery_app.client.labels import Labels
from celery_app.connections import connect_async
from celery_app.settings import Settings
from monitoring.instruments import exposition
from monitoring.instruments.metrics import ApiMetrics
from monitoring.state.windows import LABELS, Window


@dataclass(frozen=True, slots=True)
class Services:
    """What the views call, and what they run on."""

    attributions: AttributionService
    feedback: FeedbackService
    figures: Figures
    client: Client
    metrics: RequestMetrics


def build(settings: Settings, keys: KeysFile | None) -> Services:
    """Build the services of one process, in its event loop's thread, and start their threads.

    Raises:
        SettingsError: there is no URL of Redis.
        OSError: the port of the metrics can't be had.
    """
    cache = connect_async(settings.cache)  # before anything is started: there may be no URL
    registry = CollectorRegistry()
    metrics = ApiMetrics(registry)
    exposition.serve(settings.metrics_host, settings.api_metrics_port, registry)
    if keys is not None:
        keys.start()
    client = build_client(settings, metrics)
    limiter = RateLimiter(cache)
    window = Window(LABELS, settings.feedback_window_s)
    labels = Labels(client.pending_results, cache, window, metrics, settings.result_ttl_s)
    return Services(
        AttributionService(settings, client, limiter),
        FeedbackService(labels, limiter),
        Figures(cache, settings),
        client,
        RequestMetrics(metrics),
    )
