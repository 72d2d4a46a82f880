"""Builds the dashboard rows that follow a message: outcomes, queue, batches, Celery's events."""

from __future__ import annotations

from monitoring.dashboards.page import Row
from monitoring.dashboards.panels import (
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


def messages() -> Row:
    """Returns the dashboard row about the outcomes of messages."""
    return Row(
        "Messages",
        [
            lines(
                "Messages by outcome",
                [Query("outcome:byline_messages:rate1m", "{{outcome}}")],
                MESSAGES,
                "Messages by outcome, each counted once. joined: the message shares the answer of "
                "an equal message. shed: there was no room for the message. deadline_too_short: no "
                "answer could have been ready in time.",
                "If messages are shed or expire, the load is more than the workers can take: add "
                "workers. If messages fail, read the worker's log.",
                stacked=True,
                width=12,
            ),
            lines(
                "Share of the cache",
                [
                    Query("system:byline_messages_cached:ratio_rate1m", "last minute"),
                    Query("system:byline_messages_cached:ratio_rate5m", "last five minutes"),
                ],
                SHARE,
                "Share of the answered messages that the model did not have to compute.",
                "A sudden fall means that the cache was emptied: Redis evicted keys, or another "
                "model version is served.",
                width=6,
                top=1.0,
            ),
            lines(
                "Messages without an attribution",
                [
                    Query(
                        'outcome:byline_messages:ratio_rate1m{outcome=~"expired|failed|shed"}',
                        "{{outcome}}",
                    )
                ],
                SHARE,
                "Share of all messages that got no attribution, by reason.",
                "shed: add workers, or make clients send less. expired: the deadlines are shorter "
                "than the wait in the queue. failed: read the worker's log.",
                steps=((0.01, RED),),
                width=6,
            ),
        ],
    )


def queue() -> Row:
    """Returns the dashboard row about tasks between api and worker: their wait, number and size."""
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
                "Time from when a task leaves the api until a batch takes the task, over a minute. "
                "Two machines' clocks may differ.",
                "While workers keep up, the wait is at most the time of a batch. If it is longer, "
                "add a worker. Waits of seconds are redeliveries: see the Resource dashboard.",
                steps=((OBJECTIVE_S, RED),),
            ),
            lines(
                "Tasks in flight",
                [
                    Query("sum(byline_credits_in_use)", "in flight"),
                    Query("sum(byline_credits)", "allowed"),
                ],
                COUNT,
                "Tasks that the api has sent and that are not answered yet, and how many are "
                "allowed.",
                "While the allowed number is in flight, messages wait in the dispatcher, and "
                "chunks get larger. If that lasts, the load is more than the workers can take.",
            ),
            lines(
                "Messages that wait",
                [
                    Query("sum(byline_dispatcher_messages)", "api: accepted, not answered"),
                    Query("sum(byline_worker_waiting_messages)", "workers: held for a batch"),
                ],
                COUNT,
                "Messages in the api's dispatcher, and messages that workers hold.",
                "If it only rises, more messages arrive than the workers compute: add a worker.",
            ),
            lines(
                "Messages per task",
                [
                    Query("system:byline_chunk_messages:mean1m", "mean"),
                    Query(_percentile(0.95, "byline_chunk_messages_bucket"), "P95"),
                ],
                COUNT,
                "Size of a chunk: the messages that leave the api as one Celery task.",
                "One message per task means an idle system. Large chunks mean that messages wait "
                "for a credit.",
            ),
            lines(
                "Messages per batch",
                [
                    Query("system:byline_batch_messages:mean1m", "mean"),
                    Query(_percentile(0.95, "byline_batch_messages_bucket"), "P95"),
                ],
                COUNT,
                "Messages that the model computed in one batch, without duplicates and cache hits.",
                "Batches grow with the load, as intended. If they stay at the largest size, the "
                "worker is at its limit: add a worker.",
            ),
            bars(
                "Why a batch was no larger",
                Query("sum by (reason) (rate(byline_batches_total[5m]))", "{{reason}}"),
                "batches/s",
                "drained: no other message waited. full: no more messages fit. alone: the batch's "
                "task had killed a worker.",
                "If many batches are full, add a worker. If any is alone, see Dead letters on the "
                "Resource dashboard.",
            ),
        ],
    )


def batches() -> Row:
    """Returns the dashboard row about batches: the time that each stage of a batch takes."""
    rate = "rate(byline_batch_duration_seconds_{}[$__rate_interval])"
    each, count = (f"sum by (stage) ({rate.format(part)})" for part in ("sum", "count"))
    bucket = _percentile(0.95, "byline_batch_duration_seconds_bucket", "stage")
    return Row(
        "The model's thread",
        [
            lines(
                "Model thread's time by stage",
                [
                    Query(
                        "avg by (stage) (instance_stage:byline_batch_duration_seconds_sum:rate1m)",
                        "{{stage}}",
                    )
                ],
                SHARE,
                "Share of the model thread's time by stage, the mean of all workers. The rest, up "
                "to 100 %, is time in which the thread had nothing to do.",
                "forward, the model, should take most. If cache or store take much, Redis is slow "
                "or far away. If prepare takes much, texts are long.",
                stacked=True,
                steps=((0.95, RED),),
                top=1.0,
            ),
            lines(
                "Time of a batch",
                [Query(f"{each} / ({count} > 0)", "{{stage}}")],
                SECONDS,
                "Mean time of a batch by stage.",
                "The time rises with the size of batches. If batches have not grown, another "
                "program uses the machine, or Redis is slow.",
                stacked=True,
            ),
            lines(
                "P95 of a stage",
                [Query(bucket, "{{stage}}")],
                SECONDS,
                "95 of 100 batches took at most this long for the stage.",
                "A P95 far above the mean shows pauses: see CPU on the Resource dashboard, and "
                "Redis for the stages cache and store.",
            ),
        ],
    )


def celery() -> Row:
    """Returns the dashboard row about tasks and workers, as Celery's events show them."""
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
                "Celery's task events, as celery-exporter counts them.",
                "If tasks fail or are retried, Flower shows their names and tracebacks. If all "
                "states are 0 under load, celery-exporter gets no events: restart it.",
            ),
            lines(
                "P95 of a task",
                [
                    Query(_percentile(0.95, "celery_task_runtime_bucket"), "celery-exporter"),
                    Query(_percentile(0.95, "flower_task_runtime_seconds_bucket"), "Flower"),
                ],
                SECONDS,
                "Time of a task at the worker, as celery-exporter and Flower measure it. Times "
                "below their smallest bucket, 5 ms, are only estimated.",
                "See Time of a batch: a task is a part of a batch.",
            ),
            lines(
                "Workers by celery-exporter and Flower",
                [
                    Query("sum(celery_worker_up)", "celery-exporter"),
                    Query("sum(flower_worker_online)", "Flower"),
                    Query("sum(celery_worker_tasks_active)", "tasks active"),
                ],
                COUNT,
                "Workers whose heartbeats arrive, and the tasks that they work on.",
                "If a worker is missing, it has ended or its events do not arrive: the Resource "
                "dashboard has the monitor's own count.",
            ),
        ],
    )


def _percentile(share: float, bucket: str, *by: str) -> str:
    """Returns a PromQL query for a percentile of a histogram.

    ``share`` is 0.95 for P95, ``bucket`` is the histogram's bucket metric, and ``by`` are the
    labels to keep. The query returns no series for a histogram that counted nothing.
    """
    kept = ", ".join((*by, "le"))
    return f"histogram_quantile({share}, sum by ({kept}) (rate({bucket}[$__rate_interval]))) >= 0"
