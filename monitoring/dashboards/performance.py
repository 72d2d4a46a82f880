"""Builds the Performance dashboard: does the system answer fast enough?"""

from __future__ import annotations

from grafana_foundation_sdk.models.dashboard import Dashboard

from monitoring.dashboards import pipeline_rows
from monitoring.dashboards.page import Row, page
from monitoring.dashboards.panels import (
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

GUIDE = """
The row above shows the last minute, or the last five. **P95 latency** should be at most 55 ms. If
it is red, find out where messages wait. Follow a message from left to right: it waits for a credit
in the api (*Tasks in flight*), then in the queue (*Wait in the queue*), then for the model (*Model
thread busy*). A busy model with large batches has all the load that it can take: add a worker. A
busy model with small batches is slow for another reason: look at *Time of a batch*.

An empty panel means that there is no traffic: without requests there is no latency. Dashed lines
are limits.
"""

_OF_ROUTE = f'{{route="{ROUTE}"}}'
_LATENCY = "route:byline_request_duration_seconds"
_OBJECTIVE = ((OBJECTIVE_S, RED),)


def build() -> Dashboard:
    """Returns the Performance dashboard."""
    rows = [
        _glance(),
        _requests(),
        pipeline_rows.messages(),
        pipeline_rows.queue(),
        pipeline_rows.batches(),
        pipeline_rows.celery(),
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
                "95 of 100 attribution requests of the last minute were answered within this time.",
                "See whether messages wait in the queue or for the model. If the model thread is "
                "busy all the time, add a worker.",
                steps=low_is_good(0.04, OBJECTIVE_S),
                none="no traffic",
            ),
            number(
                "Within 55 ms",
                f"{_LATENCY}:within_55ms_ratio_rate5m{_OF_ROUTE}",
                SHARE,
                "Share of the attribution requests of the last five minutes that were answered "
                "within 55 ms. The objective is 95 %.",
                "See P95 latency. If that is green again, there was a short burst: see the heat "
                "map.",
                base=RED,
                steps=((0.95, YELLOW), (0.97, GREEN)),
                none="no traffic",
            ),
            number(
                "Messages answered",
                "system:byline_messages_answered:rate1m",
                MESSAGES,
                "Messages that got an attribution: computed, cached, or shared with an equal one.",
                "If it is 0 although clients send messages, see Requests refused, and Workers on "
                "the Resource dashboard.",
            ),
            number(
                "Requests",
                f"route:byline_requests:rate1m{_OF_ROUTE}",
                REQUESTS,
                "Attribution requests that were answered, with any status. A request may hold many "
                "messages.",
                "If it is 0 although clients send requests, they do not reach the api: check "
                "whether its process runs.",
            ),
            number(
                "Model thread busy",
                "max(instance:byline_batch_duration_seconds_sum:rate1m)",
                SHARE,
                "Share of the last minute in which the busiest worker's model thread worked.",
                "A busy thread alone is no fault, but there is no spare capacity: add a worker "
                "before the load grows.",
                steps=low_is_good(0.8, 0.95),
            ),
            number(
                "From the cache",
                "system:byline_messages_cached:ratio_rate1m",
                SHARE,
                "Share of the answered messages that the model did not have to compute: their "
                "attribution was cached, or they share that of an equal message.",
                "If the share falls while clients repeat messages, Redis evicts cache entries (see "
                "Redis: keys dropped on Resource), or a new model has an empty cache.",
                none="no traffic",
            ),
            number(
                "Requests failed",
                f"route:byline_requests_failed:ratio_rate5m{_OF_ROUTE}",
                SHARE,
                "Share of the last five minutes' requests that ended with a 5xx other than 503 and "
                "504, because of a defect or a failure of the model.",
                "Look for ERROR in the logs of api and worker. If one message fails in the model, "
                "only that message fails; Flower shows its task.",
                steps=low_is_good(0.0001, 0.01),
                none="no traffic",
            ),
            number(
                "Requests refused",
                f"route:byline_requests_refused:ratio_rate1m{_OF_ROUTE}",
                SHARE,
                "Share of the last minute's requests that ended with 503 or 504: there was no "
                "room, no worker or no broker, or the deadline passed.",
                "See Messages by outcome. If messages are shed, the load is too high: add a "
                "worker. If not, see on the Resource dashboard what is down.",
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
                "Percentiles over a minute of the time from a request's head to the last byte of "
                "the response. The dashed line is the objective for P95.",
                "If P50 is high, too, all requests are slow: look at the queue and the model. If "
                "P50 is low, only some wait: look for large bulk requests or redeliveries.",
                steps=_OBJECTIVE,
            ),
            heat(
                "Latency, every request",
                f"sum by (le) (increase({bucket}[$__rate_interval]))",
                SECONDS,
                "The number of attribution requests by the time that they took.",
                "Two bands are two kinds of requests, such as cached and computed. A band rises "
                "when the load grows. A single high spot is a pause, such as a restart.",
            ),
            lines(
                "P95 by route",
                [Query(f"{_LATENCY}:p95_1m", "{{route}}")],
                SECONDS,
                "P95 of each route over a minute.",
                "If every route is slow, the machine or the api process is busy: see CPU on the "
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
                "Attribution requests by the status of the response.",
                "4xx are errors of clients; 429 tells a client to send less. For 503 and 504 see "
                "Requests refused, for 500 see Requests failed.",
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
                "Share of the attribution requests that failed (5xx other than 503 and 504), and "
                "share that was refused (503, 504).",
                "If requests fail, read the logs of api and worker. If they are refused, add "
                "workers, or see on the Resource dashboard what is down.",
                steps=((0.01, RED),),
                width=12,
            ),
        ],
    )
