"""Declares the metrics of api and workers: name, help, unit, labels, and buckets with reasons.

Every label has a limited number of values, such as the model's authors or the served versions.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter as Counts
from collections.abc import Sequence
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

#: Bucket bounds in messages. The engine's forward passes have these sizes, so each bucket counts
#: passes of one size. A batch has one message if no other message waits. A batch has at most
#: BYLINE_BATCH_MESSAGES messages.
BATCH_MESSAGES = (1, 2, 4, 8, 16, 32, 64, 96, 128, 192, 256, 512, 1024, 2048, 4096)
#: Bucket bounds in seconds. They are dense around 55 ms, which is the objective for the 95th
#: percentile. The last bounds are for requests that ask for a long wait.
REQUEST_S = (
    *(0.002, 0.005, 0.01, 0.015, 0.02, 0.03, 0.04, 0.055, 0.08, 0.12),
    *(0.2, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0),
)
#: Bucket bounds in seconds. The lowest bounds are for an empty queue. The highest bounds are for
#: the redelivery of tasks that a dead worker held.
WAIT_S = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 120.0)
#: Bucket bounds in seconds: the lowest are for a round trip to the cache, and the highest are for a
#: forward pass of a large transformer on the CPU.
STAGE_S = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.5, 10.0, 60.0)
#: Bucket bounds of a probability: tenths, and closer bounds near 1, because a good model is often
#: nearly certain.
CONFIDENCE = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99, 1.0)

#: Outcomes of a message. Each message is counted once, by the process that decides its outcome:
#:
#: - ``computed``: the model computed the message's attribution.
#: - ``cached``: the message's attribution was in a cache.
#: - ``joined``: the message shares the answer of an equal message that was under way.
#: - ``expired``: the message's deadline passed before the message was computed.
#: - ``deadline_too_short``: the message's deadline was too early even for an empty queue.
#: - ``failed``: the message could not be computed.
#: - ``shed``: the message was refused, because Byline had no capacity for it.
OUTCOMES = ("computed", "cached", "joined", "expired", "deadline_too_short", "failed", "shed")
#: The stages of a batch. Each stage takes a part of the batch's time.
STAGES = ("cache", "prepare", "forward", "store")
#: Reasons why a batch was not larger:
#:
#: - ``drained``: no other message waited.
#: - ``full``: no other message fitted into the batch.
#: - ``alone``: a worker died while it had the batch's task, and such a task is computed alone.
REASONS = ("drained", "full", "alone")
#: Reasons why a worker can't read a task.
MALFORMED = (
    *("not JSON", "not UTF-8", "nested too deeply", "wrong properties", "no id", "no task name"),
    *("wrong header", "unreadable body", "wrong arguments", "other"),
)

#: What became of the texts of messages with feedback, where texts are kept:
#:
#: - ``kept``: the text is kept, with its true author.
#: - ``corrected``: the text was kept before, and its author was replaced.
#: - ``no_text``: Redis has the text no longer, or never had it.
#: - ``dropped``: the text made way for newer texts.
KEPT_TEXTS = ("kept", "corrected", "no_text", "dropped")

_MESSAGES = (
    "Messages by outcome. Each message is counted once, by the process that decides its outcome."
)


class BulkHistogram(Histogram):
    """A histogram that observes many values in one call.

    One call of ``observe_many`` takes an eighth of the CPU time of separate calls of ``observe``.
    """

    def observe_many(self, values: Sequence[float]) -> None:
        """Observes each of ``values``, with the same result as a call of ``observe`` for each."""
        indices = Counts(bisect_left(self._upper_bounds, value) for value in values)
        for index, count in indices.items():
            self._buckets[index].inc(count)
        self._sum.inc(sum(values))


class ApiMetrics:
    """The metrics of the api. Prometheus gets the sums over all api processes."""

    def __init__(self, registry: CollectorRegistry) -> None:
        own: dict[str, Any] = {"registry": registry}
        self.requests = Counter(
            "byline_requests", "HTTP requests answered.", ("route", "status"), **own
        )
        self.request_duration = BulkHistogram(
            "byline_request_duration_seconds",
            "Time from a request's head to the last byte of its response.",
            ("route",),
            buckets=REQUEST_S,
            **own,
        )
        self.messages = Counter("byline_messages", _MESSAGES, ("outcome",), **own)
        self.feedback = Counter(
            "byline_feedback",
            "True authors reported, by whether the best guess was right.",
            ("correct",),
            **own,
        )
        self.corrections = Counter(
            "byline_feedback_corrections",
            "Corrected feedback: another author was reported before. By whether the best guess was "
            "right according to the author before, and to the author now.",
            ("before", "now"),
            **own,
        )
        self.feedback_texts = Counter(
            "byline_feedback_texts",
            "Texts of messages with feedback, where texts are kept, by what became of them.",
            ("outcome",),
            **own,
        )
        self.chunk_messages = Histogram(
            "byline_chunk_messages",
            "Messages per task that the api sends.",
            buckets=BATCH_MESSAGES,
            **own,
        )
        self.replies_dropped = Counter(
            "byline_replies_dropped", "Workers' replies that could not be read.", **own
        )
        live: dict[str, Any] = {"multiprocess_mode": "livesum", **own}
        self.dispatcher = Gauge(
            "byline_dispatcher_messages", "Messages accepted and not yet answered.", **live
        )
        self.credits = Gauge("byline_credits", "Tasks that may be in flight for a model.", **live)
        self.credits_in_use = Gauge("byline_credits_in_use", "Tasks in flight.", **live)
        for outcome in OUTCOMES:
            self.messages.labels(outcome)
        for outcome in KEPT_TEXTS:
            self.feedback_texts.labels(outcome)
        for correct in ("true", "false"):
            self.feedback.labels(correct)
            for before in ("true", "false"):
                self.corrections.labels(before, correct)


class WorkerMetrics:
    """The metrics of one worker."""

    def __init__(self, registry: CollectorRegistry) -> None:
        own: dict[str, Any] = {"registry": registry}
        self.messages = Counter("byline_messages", _MESSAGES, ("outcome",), **own)
        self.queue_wait = Histogram(
            "byline_queue_wait_seconds",
            "Time from when a task leaves the api until a batch takes the task; two machines' "
            "clocks may differ.",
            buckets=WAIT_S,
            **own,
        )
        self.batch_messages = Histogram(
            "byline_batch_messages",
            "Messages that the model computed in one batch, without duplicates and cache hits.",
            buckets=BATCH_MESSAGES,
            **own,
        )
        self.batch_duration = Histogram(
            "byline_batch_duration_seconds",
            "Time of a batch, by stage. The rate of the sum is the share of time in which the "
            "model's thread is busy.",
            ("stage",),
            buckets=STAGE_S,
            **own,
        )
        self.batches = Counter(
            "byline_batches", "Batches by the reason why they were no larger.", ("reason",), **own
        )
        self.cells = Counter(
            "byline_cells",
            "Cells of the forward passes: tokens, or messages where the model does its own "
            "padding. Cells of the kind padding are wasted.",
            ("kind",),
            **own,
        )
        self.halved = Counter(
            "byline_passes_halved", "Passes that did not fit the device's memory.", **own
        )
        self.redelivered = Counter(
            "byline_redelivered_tasks",
            "Tasks that were redelivered, because a worker died or stopped responding.",
            **own,
        )
        self.dead_letters = Counter(
            "byline_dead_letter_messages",
            "Messages that became dead letters, because they killed workers.",
            **own,
        )
        self.malformed = Counter(
            "byline_malformed_tasks",
            "Tasks that can't be read, by what is wrong. The last 1,000 are among the dead "
            "letters.",
            ("fault",),
            **own,
        )
        self.waiting = Gauge(
            "byline_worker_waiting_messages", "Messages that this worker holds for a batch.", **own
        )
        self.confidence = BulkHistogram(
            "byline_confidence",
            "Calibrated probability of the best guess, for each message computed.",
            buckets=CONFIDENCE,
            **own,
        )
        self.attributed = Counter(
            "byline_attributed", "Messages computed, by the author named.", ("author",), **own
        )
        self.abstained = Counter(
            "byline_abstained", "Messages computed for which no author was named.", **own
        )
        self.device_memory = Gauge(
            "byline_device_memory_bytes",
            "Memory of the accelerator: allocated by tensors, held by the driver, and the limit. "
            "No series on the CPU.",
            ("kind",),
            **own,
        )
        self.model = Gauge(
            "byline_model_info",
            "The model that the worker serves. The value is always 1.",
            ("version", "device"),
            **own,
        )
        for outcome in OUTCOMES:
            self.messages.labels(outcome)
        for reason in REASONS:
            self.batches.labels(reason)
        for kind in ("filled", "padding"):
            self.cells.labels(kind)
        for fault in MALFORMED:
            self.malformed.labels(fault)
