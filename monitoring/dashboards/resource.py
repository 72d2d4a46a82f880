"""Resource: has it room?"""

from __future__ import annotations

from grafana_foundation_sdk.models.dashboard import Dashboard

from monitoring.dashboards import machine
from monitoring.dashboards.common import (
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
from monitoring.dashboards.page import Row, choice, page

GUIDE = """
The row above is now. **Memory** is what decides whether a machine is killed for it: app, Redis and
Metal's together, against the limits from which the monitor warns. **Workers** and **Servers** say
whether anyone is there to do the work; **Oldest in the queue** whether they keep up.

Redis fills to its limit and stays there: what it drops then is the cache's oldest, never the queue.
Rows below go from memory and processors over Redis to queue and workers. *Machine* is the monitor
whose memory is shown, where there are several.
"""

#: Tasks of this age wait for longer than a batch takes; of this one, for what a dead worker held.
_OLD_S = low_is_good(1, 5)


def build() -> Dashboard:
    """Return the dashboard."""
    return page(
        "resource",
        "Has it room?",
        GUIDE,
        [_glance(), machine.memory(), machine.processors(), machine.redis(), _queue(), _workers()],
        [choice("monitor", "Machine", "label_values(byline_memory_limit_bytes, instance)")],
    )


def _glance() -> Row:
    return Row(
        "Has it room?",
        [
            number(
                "Memory level",
                "max(byline_memory_level)",
                COUNT,
                "What the monitor makes of the memory used, on the worst machine.",
                "See Memory by component. app: run fewer workers, or smaller batches. redis: "
                "allow it less.",
                steps=((1, YELLOW), (2, RED)),
                names={"0": "ok", "1": "warning", "2": "critical"},
                none="no monitor",
            ),
            number(
                "Of the critical limit",
                "max(instance:byline_memory_critical:ratio)",
                SHARE,
                "Memory used, as a share of where critical begins, on the worst machine.",
                "As for Memory level.",
                steps=((1, RED),),
                none="no monitor",
            ),
            number(
                "Workers",
                "system:byline_workers:max",
                COUNT,
                "Workers that are alive and consume, as the monitor sees them.",
                "Nothing is computed: read the worker's log. It is started again by itself; if "
                "it dies each time, of its model or of one message, its last lines say why.",
                base=RED,
                steps=((1, GREEN),),
                none="no monitor",
            ),
            number(
                "Servers",
                "min(server:byline_server_up:min)",
                COUNT,
                "Whether broker and cache both answer.",
                "Without the broker nothing is accepted; without the cache all is computed. Is "
                "Redis running, has it memory, is its disk full?",
                base=RED,
                steps=((1, GREEN),),
                names={"0": "down", "1": "up"},
                none="no monitor",
            ),
            number(
                "Oldest in the queue",
                "system:byline_queue_oldest_seconds:max",
                SECONDS,
                "Age of the task that has been ready for longest; 0 where none is.",
                "Workers do not keep up, or there are none: see Workers, then add one.",
                steps=_OLD_S,
                none="no monitor",
            ),
            number(
                "Dead letters",
                "system:byline_dead_letters:max",
                COUNT,
                "Messages that workers died of, and that nobody has replayed or dropped.",
                "Look at them, `python -m celery_app.dead_letters list`, then replay or drop them: "
                "nobody else does.",
                steps=((1, RED),),
                none="no monitor",
            ),
            number(
                "Redis memory",
                "max(redis_memory_used_bytes / (redis_memory_max_bytes > 0))",
                SHARE,
                "Share of what Redis may use. A cache that is warm fills it.",
                "No harm by itself: what is cached gives way. See Room for the queue.",
                none="no limit",
            ),
            number(
                "Not scraped",
                "sum(up == bool 0)",
                COUNT,
                "Parts that do not answer Prometheus.",
                "See Scraped by part: which is it, and is its process up? Until then its panels "
                "are empty, which is no good sign.",
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
                "Celery messages, each a task of one text or more: ready in the queue, or "
                "unacked, held by a worker.",
                "ready rises: workers do not keep up, add one. unacked without progress: a "
                "worker hangs; another gets its tasks within seconds.",
            ),
            lines(
                "Age of the oldest",
                [Query("system:byline_queue_oldest_seconds:max", "oldest")],
                SECONDS,
                "Age of the task that has been ready for longest.",
                "See Workers: is there one, and is it busy? Add one.",
                steps=_OLD_S,
            ),
            lines(
                "Room for the queue",
                [
                    Query("system:byline_queue_room:ratio", "tasks and promises"),
                    Query("max(byline_pending_results) / 50000", "promises, of 50,000"),
                ],
                SHARE,
                "Share of the room in the broker's memory that tasks and promised answers take, "
                "and promised answers that nobody has fetched yet.",
                "At 100 % what is new is refused: see the runbook of QueueMemoryShort.",
                steps=((0.8, YELLOW), (1, RED)),
            ),
            lines(
                "Redelivered and dead letters",
                [
                    Query("system:byline_redelivered_tasks:increase5m", "tasks redelivered"),
                    Query("system:byline_dead_letter_messages:increase5m", "new dead letters"),
                    Query("system:byline_dead_letters:max", "dead letters, in all"),
                    Query("system:byline_malformed_tasks:increase5m", "malformed tasks"),
                    Query("system:byline_replies_dropped:increase5m", "replies dropped"),
                ],
                COUNT,
                "Tasks that came again in the last five minutes, as a worker died or went silent "
                "with them; messages that workers died of; tasks and replies nobody can read.",
                "A restart redelivers a few, once. Again and again: a message kills workers, or "
                "memory does; see Restarts and the dead letters. Malformed tasks: find the client "
                "that sends them.",
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
                "Workers, as each of those who watch them counts.",
                "If all see fewer than there should be: read the workers' logs. If one does, it "
                "is that one that is not well.",
            ),
            lines(
                "Restarts",
                [Query("sum by (job) (changes(process_start_time_seconds[15m]))", "{{job}}")],
                COUNT,
                "Starts of each part's process within the last fifteen minutes, after its first.",
                "Read the end of its log before the start. Killed without a word: memory.",
                steps=((1, YELLOW),),
            ),
            lines(
                "Scraped by part",
                [Query("min by (job) (up)", "{{job}}")],
                COUNT,
                "1 while every process of the part answers Prometheus.",
                "Is its process up, and does it listen where targets/*.json says?",
                top=1.0,
            ),
        ],
    )
