"""The worker's composition root: everything but the api, wired."""

from __future__ import annotations

import importlib
from dataclasses import asdict
from typing import Any

from celery import Celery
from celery.signals import task_revoked
from prometheus_client import CollectorRegistry, ProcessCollector

from celery_app.app import make_celery
from celery_app.connections import connect
from celery_app.settings import Settings, SettingsError
from celery_app.worker.bootsteps import (
    EventsStep,
    announce_step,
    hold_step,
    metrics_step,
    model_step,
)
from celery_app.worker.engine_metrics import observer
from celery_app.worker.forwarder import Forwarder, forward_step
from celery_app.worker.housekeeping import Upkeep, upkeep_step
from celery_app.worker.log_redaction import StacksStep, redact
from celery_app.worker.reception import AcknowledgeStep, RoomStep
from model.serving.device import choose
from model.serving.engine import Choose, Engine
from model.serving.placement import Placement
from model.types import Model, SequenceModel
from monitoring.instruments.metrics import WorkerMetrics
from monitoring.state.prediction_stats import PredictionStats
from tasks.attribute import AttributeTask
from tasks.batch_processor import BatchProcessor
from tasks.chunk_request import RedactedRequest
from tasks.malformed import MalformedStep, MalformedTasks
from tasks.messages import Announcement
from tasks.rollout import WorkerRegistry
from tasks.storage.dead_letters import DeadLetters
from tasks.storage.reply_queue import ReplyQueue
from tasks.storage.result_cache import AttributionCache

#: Seconds for which messages may have to wait in a worker: others can't see to them there.
HOLD_S = 5.0

AnyModel = Model[Any] | SequenceModel


def load_model(settings: Settings) -> AnyModel:
    """Return an instance of the class that ``BYLINE_MODEL`` names.

    Raises:
        SettingsError: there is no such class, it can't be made, or it is no model.
    """
    module, _, name = settings.model_class.partition(":")
    arguments = {} if settings.model_dir is None else {"directory": settings.model_dir}
    try:
        model = getattr(importlib.import_module(module), name)(**arguments)
    except (ImportError, AttributeError, TypeError, OSError, ValueError) as error:
        place = f" with BYLINE_MODEL_DIR={settings.model_dir}" if settings.model_dir else ""
        words = f"BYLINE_MODEL={settings.model}{place} can't be loaded: {error}"
        raise SettingsError(words) from error
    if not isinstance(model, Model | SequenceModel):
        raise SettingsError(
            f"BYLINE_MODEL={settings.model} lacks a part of the protocol model.types.Model, "
            "and one of model.types.SequenceModel"
        )
    return model


def build(settings: Settings, model: AnyModel, choose: Choose = choose) -> Celery:
    """Return the worker's Celery app, serving ``model`` on the device that ``choose`` gives."""
    redact()
    app = make_celery(settings)
    app.conf.worker_prefetch_multiplier = settings.prefetch  # the pool has one thread
    client = connect(settings.cache)
    registry = CollectorRegistry()
    ProcessCollector(registry=registry)
    metrics = WorkerMetrics(registry)
    prediction_stats = PredictionStats(metrics, model.card.authors, model.card.threshold)
    engine = Engine(model, _placement(settings), choose, observer(metrics, prediction_stats))
    cache = AttributionCache(client, settings.result_ttl_s)
    dead_letters = DeadLetters(client)
    app.conf.broker_transport_options |= {"put_dead_letter": MalformedTasks(dead_letters, metrics)}
    batch_processor = BatchProcessor(
        engine,
        cache,
        dead_letters,
        ReplyQueue(connect(settings.broker), apart=settings.broker != settings.cache),
        metrics,
        settings.max_characters,
    )
    # Of Celery's own tasks: a canvas carries others, with their texts and evidence.
    app.Task.Request, app.Task.resultrepr_maxsize = RedactedRequest, 0
    task = app.register_task(AttributeTask(batch_processor, settings.batch_messages))
    task_revoked.connect(task.on_revoked, sender=task, weak=False)
    serving = model_step(
        engine, task, settings.batch_messages, settings.batch_wait_ms / 1000, HOLD_S
    )
    asked, told = connect(settings.broker, retries=0), connect(settings.cache, retries=0)
    upkeep = Upkeep(settings, asked, told, prediction_stats, lambda: engine.version, metrics)
    app.steps["worker"].update([serving, upkeep_step(upkeep, serving)])
    port = settings.metrics_port + settings.worker_number
    app.steps["worker"].add(StacksStep)
    app.steps["worker"].add(metrics_step(registry, settings.metrics_host, port))
    holding = hold_step(settings.batch_timeout_s)
    app.steps["consumer"].update([EventsStep, RoomStep, AcknowledgeStep, MalformedStep, holding])
    worker_registry = WorkerRegistry(connect(settings.broker))

    def announcement() -> Announcement:
        metrics.model.clear()
        metrics.model.labels(engine.version, str(engine)).set(1)
        return Announcement(asdict(engine.card), str(engine))

    forwarder = Forwarder(connect(settings.broker), lambda: engine.version, worker_registry)
    app.steps["consumer"].update(
        [announce_step(worker_registry, announcement), forward_step(forwarder)]
    )
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
