"""Performance: is it fast?"""

from __future__ import annotations

from grafana_foundation_sdk.models.dashboard import Dashboard

from monitoring.dashboards import pipeline
from monitoring.dashboards.common import (
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
    rows = [
        _glance(),
        _requests(),
        pipeline.messages(),
        pipeline.queue(),
        pipeline.batches(),
        pipeline.celery(),
    ]
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
