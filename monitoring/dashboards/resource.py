"""Builds the Resource dashboard: has the system enough memory, workers and queue space?"""

from __future__ import annotations

from grafana_foundation_sdk.models.dashboard import Dashboard

from monitoring.dashboards import machine_rows
from monitoring.dashboards.page import Row, choice, page
from monitoring.dashboards.panels import (
    COUNT,
    GREEN,
    RED,
    SECONDS,
    SHARE,
    YELLOW,
    Query,
    lines,
    low_is_good,
    number,
)

GUIDE = """
The row above shows the present moment. **Memory level** compares the memory of Byline, Redis and
Metal with the limits of the machine: past the critical limit new messages are refused. **Workers**
and **Servers** show whether the processes that do the work are running. **Oldest in the queue**
shows whether the workers keep up.

Redis fills its memory up to its limit, and then evicts the oldest cache entries, never the queue.
The rows below show memory, processors, Redis, the queue, and workers. Where there are several
monitors, *Machine* chooses the one whose memory is shown.
"""

#: Colours of the oldest task's age, in seconds: after 1 s the wait is longer than a batch takes;
#: after 5 s the task may have been held by a worker that died.
_OLD_S = low_is_good(1, 5)


def build() -> Dashboard:
    """Returns the Resource dashboard."""
    return page(
        "resource",
        "Does it have room?",
        GUIDE,
        [
            _glance(),
            machine_rows.memory(),
            machine_rows.processors(),
            machine_rows.redis(),
            _queue(),
            _workers(),
        ],
        [choice("monitor", "Machine", "label_values(byline_memory_limit_bytes, instance)")],
    )


def _glance() -> Row:
    return Row(
        "Does it have room?",
        [
            number(
                "Memory level",
                "max(byline_memory_level)",
                COUNT,
                "Memory level of the machine whose memory is fullest.",
                "See Memory by component. If app is large, run fewer workers, or make batches "
                "smaller. If redis is large, lower its limit.",
                steps=((1, YELLOW), (2, RED)),
                names={"0": "ok", "1": "warning", "2": "critical"},
                none="no monitor",
            ),
            number(
                "Share of the critical limit",
                "max(instance:byline_memory_critical:ratio)",
                SHARE,
                "Memory used, as a share of the critical limit, on the machine that is fullest.",
                "See Memory level.",
                steps=((1, RED),),
                none="no monitor",
            ),
            number(
                "Workers",
                "system:byline_workers:max",
                COUNT,
                "Workers that are alive and take tasks, as the monitor counts them.",
                "Without a worker nothing is computed: read the worker's log. A worker is "
                "restarted automatically; if it dies each time, its last log lines say why.",
                base=RED,
                steps=((1, GREEN),),
                none="no monitor",
            ),
            number(
                "Servers",
                "min(server:byline_server_up:min)",
                COUNT,
                "Whether both broker and cache answer.",
                "Without the broker no message is accepted; without the cache every message is "
                "computed. Check whether Redis runs, has memory, and has room on its disk.",
                base=RED,
                steps=((1, GREEN),),
                names={"0": "down", "1": "up"},
                none="no monitor",
            ),
            number(
                "Oldest in the queue",
                "system:byline_queue_oldest_seconds:max",
                SECONDS,
                "Age of the task that has waited longest; 0 where none waits.",
                "The workers do not keep up, or there is none: see Workers, then add a worker.",
                steps=_OLD_S,
                none="no monitor",
            ),
            number(
                "Dead letters",
                "system:byline_dead_letters:max",
                COUNT,
                "Messages that killed workers, and that nobody has replayed or dropped yet.",
                "List them with `python -m celery_app.dead_letters list`, then replay or drop "
                "each. They stay until you do.",
                steps=((1, RED),),
                none="no monitor",
            ),
            number(
                "Redis memory",
                "max(redis_memory_used_bytes / (redis_memory_max_bytes > 0))",
                SHARE,
                "Share of Redis's memory limit that is used. A warm cache fills all of it.",
                "A full Redis is normal: it evicts cache entries. See Room for the queue.",
                none="no limit",
            ),
            number(
                "Not scraped",
                "sum(up == bool 0)",
                COUNT,
                "Processes that do not answer Prometheus.",
                "See Scraped by part, and check whether the process runs. Until it answers, its "
                "panels are empty.",
                steps=((1, RED),),
            ),
        ],
    )


def _queue() -> Row:
    return Row(
        "Queue",
        [
            lines(
                "Queue",
                [Query("state:byline_queue_messages:max", "{{state}}")],
                COUNT,
                "Tasks, each with one text or more. ready: tasks that wait in the queue. unacked: "
                "tasks that a worker holds.",
                "If ready rises, the workers do not keep up: add a worker. If unacked stays the "
                "same, a worker hangs; another worker gets its tasks within seconds.",
            ),
            lines(
                "Age of the oldest",
                [Query("system:byline_queue_oldest_seconds:max", "oldest")],
                SECONDS,
                "Age of the task that has waited longest.",
                "See Workers. If a worker runs and is busy, add another worker.",
                steps=_OLD_S,
            ),
            lines(
                "Room for the queue",
                [
                    Query("system:byline_queue_room:ratio", "tasks and promised answers"),
                    Query("max(byline_pending_results) / 50000", "promised answers, of 50,000"),
                ],
                SHARE,
                "Share of the broker's room for tasks and promised answers that is used, and share "
                "of the allowed number of promised answers that nobody has fetched yet.",
                "At 100 % new messages are refused: see the runbook of QueueMemoryShort.",
                steps=((0.8, YELLOW), (1, RED)),
            ),
            lines(
                "Redelivered and dead letters",
                [
                    Query("system:byline_redelivered_tasks:increase5m", "tasks redelivered"),
                    Query("system:byline_dead_letter_messages:increase5m", "new dead letters"),
                    Query("system:byline_dead_letters:max", "all dead letters"),
                    Query("system:byline_malformed_tasks:increase5m", "malformed tasks"),
                    Query("system:byline_replies_dropped:increase5m", "replies dropped"),
                ],
                COUNT,
                "Tasks that were redelivered in the last five minutes, because a worker died or "
                "went silent; messages that killed workers; tasks and replies that can't be read.",
                "A restart redelivers a few tasks once. If it goes on, a message or a lack of "
                "memory kills workers: see Restarts and the dead letters. If tasks are malformed, "
                "find the client that sends them.",
                steps=((1, YELLOW),),
            ),
        ],
    )


def _workers() -> Row:
    return Row(
        "Workers and other parts",
        [
            lines(
                "Workers alive",
                [
                    Query("system:byline_workers:max", "monitor"),
                    Query("sum(celery_worker_up)", "celery-exporter"),
                    Query("sum(flower_worker_online)", "Flower"),
                ],
                COUNT,
                "Workers, as the monitor, celery-exporter and Flower count them.",
                "If all three count too few, read the workers' logs. If only one does, that one is "
                "broken: restart it.",
            ),
            lines(
                "Restarts",
                [Query("sum by (job) (changes(process_start_time_seconds[15m]))", "{{job}}")],
                COUNT,
                "Restarts of each part's processes within the last fifteen minutes.",
                "Read the log before the restart. If it ends without an error, memory ran out.",
                steps=((1, YELLOW),),
            ),
            lines(
                "Scraped by part",
                [Query("min by (job) (up)", "{{job}}")],
                COUNT,
                "1 while every process of the part answers Prometheus, else 0.",
                "Check whether the process runs, and listens where targets/*.json says.",
                top=1.0,
            ),
        ],
    )
