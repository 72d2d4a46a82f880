"""Performance: is it fast?"""

from __future__ import annotations

from grafana_foundation_sdk.models.dashboard import Dashboard

from monitoring.dashboards.common import (
    COUNT,
    GREEN,
    MESSAGES,
    OBJECTIVE_S,
    RED,
    REQUESTS,
    ROUTE,
    SECONDS,
    SHARE,
    YELLOW,
    Query,
    bars,
    heat,
    lines,
    low_is_good,
    number,
)
from monitoring.dashboards.page import Row, page

GUIDE = """
The row above is the last minute or five. **P95 latency** is the promise, 55 ms; if it is red, ask
where the time goes, from left to right as a message does: does it wait for a credit in the api
(*Tasks in flight*), in the queue (*Wait in the queue*), or for the model (*Model thread busy*)?
A busy model with large batches has all the load it can take: add a worker. A busy model with
small ones is slow for another reason: look at *Time of a batch*.

No value means no traffic: a latency of nothing is not 0. Dashed lines are limits.
"""

_OF_ROUTE = f'{{route="{ROUTE}"}}'
_LATENCY = "route:byline_request_duration_seconds"
_OBJECTIVE = ((OBJECTIVE_S, RED),)


def build() -> Dashboard:
    """Return the dashboard."""
    rows = [_glance(), _requests(), _messages(), _queue(), _batches(), _celery()]
    return page("performance", "Is it fast?", GUIDE, rows)


def _glance() -> Row:
    return Row(
        "Is it fast?",
        [
            number(
                "P95 latency",
                f"{_LATENCY}:p95_1m{_OF_ROUTE}",
                SECONDS,
                "95 of 100 requests for attributions of the last minute were answered within this.",
                "See where the time goes: wait in the queue, or the model. If the model's thread "
                "is busy all the time, add a worker.",
                steps=low_is_good(0.04, OBJECTIVE_S),
                none="no traffic",
            ),
            number(
                "Within 55 ms",
                f"{_LATENCY}:within_55ms_ratio_rate5m{_OF_ROUTE}",
                SHARE,
                "Share of the requests for attributions of the last five minutes that were "
                "answered within the objective. 95 % keep it.",
                "As for P95 latency. If that is fine by now, it was a burst: see the heat map.",
                base=RED,
                steps=((0.95, YELLOW), (0.97, GREEN)),
                none="no traffic",
            ),
            number(
                "Messages answered",
                "system:byline_messages_answered:rate1m",
                MESSAGES,
                "Messages with an attribution: computed, cached or joined with another.",
                "If it is 0 although clients send, look at Requests refused, and on the Resource "
                "dashboard whether a worker is alive.",
            ),
            number(
                "Requests",
                f"route:byline_requests:rate1m{_OF_ROUTE}",
                REQUESTS,
                "Requests for attributions answered, whatever the status. One may hold many "
                "messages.",
                "If it is 0 although clients send, they do not reach the api: is its process up?",
            ),
            number(
                "Model thread busy",
                "max(instance:byline_batch_duration_seconds_sum:rate1m)",
                SHARE,
                "Share of the last minute in which the busiest worker's model thread was at work.",
                "No harm by itself, but there is no room left: add a worker before there is more "
                "load.",
                steps=low_is_good(0.8, 0.95),
            ),
            number(
                "From the cache",
                "system:byline_messages_cached:ratio_rate1m",
                SHARE,
                "Share of the messages answered that nobody had to compute: known already, or "
                "joined with the same at the same time.",
                "If it falls while clients repeat themselves, Redis loses the cache for want of "
                "room (Resource, Evictions), or a new model has begun with an empty one.",
                none="no traffic",
            ),
            number(
                "Requests failed",
                f"route:byline_requests_failed:ratio_rate5m{_OF_ROUTE}",
                SHARE,
                "Share of the last five minutes' requests that ended with a 5xx other than 503 "
                "and 504: defects and failures of the model.",
                "Look for ERROR in the logs of api and worker; one message that the model cannot "
                "take fails alone, and its task is in Flower.",
                steps=low_is_good(0.0001, 0.01),
                none="no traffic",
            ),
            number(
                "Requests refused",
                f"route:byline_requests_refused:ratio_rate1m{_OF_ROUTE}",
                SHARE,
                "Share of the last minute's requests that ended with 503 or 504: no room, no "
                "worker, no broker, or the deadline passed.",
                "See Messages by outcome: shed is more load than the workers take, so add one. "
                "Without shed ones, see on the Resource dashboard what is down.",
                steps=low_is_good(0.0001, 0.05),
                none="no traffic",
            ),
        ],
    )


def _requests() -> Row:
    bucket = f"byline_request_duration_seconds_bucket{_OF_ROUTE}"
    return Row(
        "Requests",
        [
            lines(
                "Latency of attributions",
                [Query(f"{_LATENCY}:p{p}_1m{_OF_ROUTE}", f"P{p}") for p in (50, 95, 99)],
                SECONDS,
                "Percentiles over a minute, from a request's head to its answer's last byte. The "
                "line is the objective for P95.",
                "P50 as high: all is slow, look at the queue and the model. P50 low: some wait, "
                "see whether large bulk requests or redeliveries come at the same time.",
                steps=_OBJECTIVE,
            ),
            heat(
                "Latency, every request",
                f"sum by (le) (increase({bucket}[$__rate_interval]))",
                SECONDS,
                "How many requests for attributions took how long.",
                "Two bands are two kinds of request, say cached and computed. A band that rises "
                "is load that grows; a lone high spot is a pause, such as a worker's restart.",
            ),
            lines(
                "P95 by route",
                [Query(f"{_LATENCY}:p95_1m", "{{route}}")],
                SECONDS,
                "P95 over a minute of each route.",
                "If every route is slow, so is the machine or the api's process: see CPU on the "
                "Resource dashboard.",
                steps=_OBJECTIVE,
            ),
            lines(
                "Status codes",
                [
                    Query(
                        f"sum by (status) (route_status:byline_requests:rate1m{_OF_ROUTE})",
                        "{{status}}",
                    )
                ],
                REQUESTS,
                "Requests for attributions by the status of the answer.",
                "4xx are the clients' own: 429 asks one to be slower. 503 and 504: see Requests "
                "refused. 500: see Requests failed.",
                stacked=True,
                width=12,
            ),
            lines(
                "Failed and refused",
                [
                    Query(f"route:byline_requests_failed:ratio_rate1m{_OF_ROUTE}", "failed"),
                    Query(f"route:byline_requests_refused:ratio_rate1m{_OF_ROUTE}", "refused"),
                ],
                SHARE,
                "Share of requests for attributions that failed (5xx other than 503 and 504), or "
                "were refused (503, 504).",
                "Failed: read the logs of api and worker. Refused: add workers, or see what is "
                "down on the Resource dashboard.",
                steps=((0.01, RED),),
                width=12,
            ),
        ],
    )


def _messages() -> Row:
    return Row(
        "Messages",
        [
            lines(
                "Messages by outcome",
                [Query("outcome:byline_messages:rate1m", "{{outcome}}")],
                MESSAGES,
                "What becomes of messages, each counted once: computed, cached, joined with the "
                "same at the same time, expired, failed, shed for want of room.",
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


def _queue() -> Row:
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
                steps=_OBJECTIVE,
            ),
            lines(
                "Tasks in flight",
                [
                    Query("sum(byline_credits_in_use)", "in flight"),
                    Query("sum(byline_credits)", "allowed"),
                ],
                COUNT,
                "Tasks that the api has sent and not yet seen answered, and how many may be.",
                "If all that are allowed are in flight, messages gather in the outbox: fine for a "
                "moment, the chunks get larger. For long, it is more load than the workers take.",
            ),
            lines(
                "Messages that wait",
                [
                    Query("sum(byline_outbox_messages)", "api: accepted, not answered"),
                    Query("sum(byline_worker_waiting_messages)", "workers: held for a batch"),
                ],
                COUNT,
                "Messages in the api's outbox and in the workers' hands.",
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


def _batches() -> Row:
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


def _celery() -> Row:
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
