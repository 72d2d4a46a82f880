"""Builds the worker's Celery app with the model and all other objects that the worker needs."""

from __future__ import annotations

from celery import Celery
from celery.signals import task_revoked
from prometheus_client import CollectorRegistry, ProcessCollector

from celery_app.app import make_celery
from celery_app.connections import connect
from celery_app.settings import Settings, SettingsError
from celery_app.worker.bootsteps.consumer_steps import (
    AnnounceStep,
    EventsStep,
    ForwardStep,
    HeartbeatStep,
)
from celery_app.worker.bootsteps.malformed_tasks import MalformedStep
from celery_app.worker.bootsteps.reception import AcknowledgeStep, RoomStep
from celery_app.worker.bootsteps.services import WorkerServices
from celery_app.worker.bootsteps.worker_steps import (
    HousekeepingStep,
    MetricsStep,
    ModelStep,
    StackDumpStep,
)
from celery_app.worker.engine_metrics import engine_observer
from celery_app.worker.forwarder import Forwarder
from celery_app.worker.housekeeping import Housekeeping
from celery_app.worker.logs.redaction import redact
from celery_app.worker.remote_control import refuse_commands
from model.serving.device import choose
from model.serving.engine import Choose, Engine
from model.serving.loading import AnyModel, create
from model.serving.placement import Placement
from model.types import ModelRefused
from monitoring.instruments.metrics import WorkerMetrics
from monitoring.state.prediction_stats import PredictionStats
from tasks.attribute import AttributeTask
from tasks.batch_processor import BatchProcessor
from tasks.chunk_request import RedactedRequest
from tasks.feedback.waiting_texts import WaitingTexts
from tasks.malformed import MalformedTaskRecorder
from tasks.rollout import WorkerRegistry
from tasks.storage.dead_letters import DeadLetters
from tasks.storage.reply_queue import ReplyQueue
from tasks.storage.result_cache import AttributionCache


def load_model(settings: Settings) -> AnyModel:
    """Returns an instance of the model class that the setting ``BYLINE_MODEL`` names.

    Raises:
        SettingsError: the class does not exist, can't be instantiated, or is no model.
    """
    try:
        return create(settings.model_class, settings.model_dir)
    except ModelRefused as error:
        folder = f" with BYLINE_MODEL_DIR={settings.model_dir}" if settings.model_dir else ""
        detail = f"BYLINE_MODEL={settings.model}{folder} can't be served: {error}"
        raise SettingsError(detail) from error


def build(settings: Settings, model: AnyModel, choose: Choose = choose) -> Celery:
    """Returns the worker's Celery app, which serves ``model``.

    The function ``choose`` chooses the device on which the model runs.
    """
    redact()
    refuse_commands()
    app = make_celery(settings)
    app.conf.worker_prefetch_multiplier = settings.prefetch  # the pool has one thread
    client = connect(settings.cache)
    metrics_registry = CollectorRegistry()
    ProcessCollector(registry=metrics_registry)
    metrics = WorkerMetrics(metrics_registry)
    prediction_stats = PredictionStats(metrics, model.card.authors, model.card.threshold)
    engine = Engine(model, _placement(settings), choose, engine_observer(metrics, prediction_stats))
    dead_letters = DeadLetters(client)
    batch_processor = BatchProcessor(
        engine,
        AttributionCache(client, settings.result_ttl_s),
        dead_letters,
        ReplyQueue(connect(settings.broker), apart=settings.broker != settings.cache),
        metrics,
        settings.max_characters,
        None if settings.keep_feedback is None else WaitingTexts(settings.result_ttl_s),
    )
    recorder = MalformedTaskRecorder(dead_letters, metrics)
    app.conf.broker_transport_options |= {"put_dead_letter": recorder}
    # Celery's own tasks for a canvas carry other tasks, with their texts and evidence.
    app.Task.Request, app.Task.resultrepr_maxsize = RedactedRequest, 0
    task = app.register_task(AttributeTask(batch_processor, settings.batch_messages))
    task_revoked.connect(task.on_revoked, sender=task, weak=False)
    worker_registry = WorkerRegistry(connect(settings.broker))
    app.services = WorkerServices(
        settings=settings,
        engine=engine,
        task=task,
        metrics=metrics,
        metrics_registry=metrics_registry,
        worker_registry=worker_registry,
        forwarder=Forwarder(connect(settings.broker), lambda: engine.version, worker_registry),
        housekeeping=Housekeeping(
            settings,
            connect(settings.broker, retries=0),
            connect(settings.cache, retries=0),
            prediction_stats,
            lambda: engine.version,
            metrics,
        ),
    )
    app.steps["worker"].update([ModelStep, HousekeepingStep, MetricsStep, StackDumpStep])
    app.steps["consumer"].update([AnnounceStep, EventsStep, ForwardStep, HeartbeatStep])
    app.steps["consumer"].update([AcknowledgeStep, MalformedStep, RoomStep])
    return app


def _placement(settings: Settings) -> Placement:
    return Placement(
        device=settings.device,
        precision=settings.precision,
        threads=settings.torch_threads,
        tokens=settings.batch_tokens,
        worker=settings.worker_number,
        workers=settings.workers,
    )
