"""Rows of what messages go through: the queue, batches, and Celery's own view of both."""

from __future__ import annotations

from monitoring.dashboards.common import (
    COUNT,
    MESSAGES,
    OBJECTIVE_S,
    RED,
    SECONDS,
    SHARE,
    Query,
    bars,
    lines,
)
from monitoring.dashboards.page import Row


def messages() -> Row:
    """What becomes of messages."""
    return Row(
        "Messages",
        [
            lines(
                "Messages by outcome",
                [Query("outcome:byline_messages:rate1m", "{{outcome}}")],
                MESSAGES,
                "What becomes of messages, each counted once: computed, cached, joined with the "
                "same at the same time, expired, failed, shed for want of room; or the deadline "
                "was too short for any answer.",
                "Shed or expired ones: the load is more than the workers take. Failed ones: read "
                "the worker's log.",
                stacked=True,
                width=12,
            ),
            lines(
                "Share of the cache",
                [
                    Query("system:byline_messages_cached:ratio_rate1m", "last minute"),
                    Query("system:byline_messages_cached:ratio_rate5m", "last five"),
                ],
                SHARE,
                "Share of the messages answered that nobody had to compute.",
                "A step down is an emptied cache: evictions, or another model.",
                width=6,
                top=1.0,
            ),
            lines(
                "Messages lost to the client",
                [
                    Query(
                        'outcome:byline_messages:ratio_rate1m{outcome=~"expired|failed|shed"}',
                        "{{outcome}}",
                    )
                ],
                SHARE,
                "Share of all messages that got no attribution, by why.",
                "Shed: add workers or have clients send less. Expired: their deadlines are too "
                "short for the wait there is. Failed: read the worker's log.",
                steps=((0.01, RED),),
                width=6,
            ),
        ],
    )


def queue() -> Row:
    """From api to worker: how long, and how many at once."""
    return Row(
        "From api to worker",
        [
            lines(
                "Wait in the queue",
                [
                    Query("system:byline_queue_wait_seconds:p50_1m", "P50"),
                    Query("system:byline_queue_wait_seconds:p95_1m", "P95"),
                ],
                SECONDS,
                "Time from a task's leaving the api until a batch takes it, over a minute. By two "
                "machines' clocks, where there are two.",
                "It is a batch's time at most while one worker keeps up. More is load that waits: "
                "add a worker. Seconds are redeliveries: see Resource.",
                steps=((OBJECTIVE_S, RED),),
            ),
            lines(
                "Tasks in flight",
                [
                    Query("sum(byline_credits_in_use)", "in flight"),
                    Query("sum(byline_credits)", "allowed"),
                ],
                COUNT,
                "Tasks that the api has sent and not yet seen answered, and how many may be.",
                "If all that are allowed are in flight, messages gather in the dispatcher: fine "
                "for a moment, the chunks get larger. For long, it is more load than workers take.",
            ),
            lines(
                "Messages that wait",
                [
                    Query("sum(byline_dispatcher_messages)", "api: accepted, not answered"),
                    Query("sum(byline_worker_waiting_messages)", "workers: held for a batch"),
                ],
                COUNT,
                "Messages in the api's dispatcher and in the workers' hands.",
                "If it rises and does not fall again, more comes than is computed: add a worker.",
            ),
            lines(
                "Messages a task",
                [
                    Query("system:byline_chunk_messages:mean1m", "mean"),
                    Query(_percentile(0.95, "byline_chunk_messages_bucket"), "P95"),
                ],
                COUNT,
                "Size of a chunk, the messages that leave the api as one Celery task.",
                "One each is an idle system. Large ones mean that messages wait for a credit.",
            ),
            lines(
                "Messages a batch",
                [
                    Query("system:byline_batch_messages:mean1m", "mean"),
                    Query(_percentile(0.95, "byline_batch_messages_bucket"), "P95"),
                ],
                COUNT,
                "Messages that the model computed together: no duplicates, none from the cache.",
                "Larger under load is as it should be. At the largest size for long, the worker "
                "is at its limit: add one.",
            ),
            bars(
                "Why a batch was no larger",
                Query("sum by (reason) (rate(byline_batches_total[5m]))", "{{reason}}"),
                "batches/s",
                "Drained: nothing else waited. Full: no more fit. Alone: its task had killed a "
                "worker.",
                "Many full ones: add a worker. Any alone: see Dead letters on the Resource "
                "dashboard.",
            ),
        ],
    )


def batches() -> Row:
    """What the model's thread does."""
    rate = "rate(byline_batch_duration_seconds_{}[$__rate_interval])"
    each, count = (f"sum by (stage) ({rate.format(part)})" for part in ("sum", "count"))
    bucket = _percentile(0.95, "byline_batch_duration_seconds_bucket", "stage")
    return Row(
        "The model's thread",
        [
            lines(
                "What the time goes to",
                [
                    Query(
                        "avg by (stage) (instance_stage:byline_batch_duration_seconds_sum:rate1m)",
                        "{{stage}}",
                    )
                ],
                SHARE,
                "Share of a worker's time by stage, the mean of all workers. What is missing up "
                "to 100 % is time in which nothing was to be done.",
                "Most should be forward, the model. Much cache or store: Redis is slow or far. "
                "Much prepare: texts are long.",
                stacked=True,
                steps=((0.95, RED),),
                top=1.0,
            ),
            lines(
                "Time of a batch",
                [Query(f"{each} / ({count} > 0)", "{{stage}}")],
                SECONDS,
                "Mean time of a batch by stage.",
                "Rises with the size of batches. If it does not come from that, the machine is "
                "busy with something else, or Redis is slow.",
                stacked=True,
            ),
            lines(
                "P95 of a stage",
                [Query(bucket, "{{stage}}")],
                SECONDS,
                "95 of 100 batches needed no longer for the stage.",
                "Far above the mean are pauses: see CPU and, for cache and store, Redis on the "
                "Resource dashboard.",
            ),
        ],
    )


def celery() -> Row:
    """Tasks as Celery sees them."""
    states = ("received", "started", "succeeded", "failed", "retried", "revoked")
    return Row(
        "Celery",
        [
            lines(
                "Tasks by state",
                [
                    Query(
                        f"sum(rate(celery_task_{state}_total[$__rate_interval])) or vector(0)",
                        state,
                    )
                    for state in states
                ],
                "tasks/s",
                "Celery's own events, as celery-exporter counts them.",
                "Failed or retried tasks: Flower has their names and tracebacks. All 0 under "
                "load: celery-exporter does not hear the workers, start it again.",
            ),
            lines(
                "P95 of a task",
                [
                    Query(_percentile(0.95, "celery_task_runtime_bucket"), "celery-exporter"),
                    Query(_percentile(0.95, "flower_task_runtime_seconds_bucket"), "Flower"),
                ],
                SECONDS,
                "Time of a task at the worker, as both watchers see it. Coarse: what is below "
                "their smallest bucket, 5 ms, is drawn as a part of it.",
                "As for Time of a batch, of which a task is a part.",
            ),
            lines(
                "Workers that the watchers see",
                [
                    Query("sum(celery_worker_up)", "celery-exporter"),
                    Query("sum(flower_worker_online)", "Flower"),
                    Query("sum(celery_worker_tasks_active)", "tasks active"),
                ],
                COUNT,
                "Workers online by their heartbeats, and the tasks that they are at.",
                "If it is less than there should be, a worker is gone or its events are: the "
                "Resource dashboard has the monitor's own count.",
            ),
        ],
    )


def _percentile(share: float, bucket: str, *by: str) -> str:
    """A percentile of a histogram, nothing where nothing was counted."""
    kept = ", ".join((*by, "le"))
    return f"histogram_quantile({share}, sum by ({kept}) (rate({bucket}[$__rate_interval]))) >= 0"
