"""Rows of what a machine gives: memory, processors, and Redis."""

from __future__ import annotations

from monitoring.dashboards.common import (
    BYTES,
    CORES,
    COUNT,
    RED,
    SHARE,
    YELLOW,
    Query,
    limit_line,
    lines,
)
from monitoring.dashboards.page import Row

_HERE = 'instance=~"$monitor"'


def memory() -> Row:
    """What takes the memory, and how near the limits it is."""
    limits = {"warning": YELLOW, "critical": RED}
    component = lines(
        "Memory by component",
        [
            Query(
                f'sum by (component) (byline_memory_bytes{{component!="cuda", {_HERE}}})',
                "{{component}}",
            ),
            *(
                Query(f'max(byline_memory_limit_bytes{{level="{level}", {_HERE}}})', level)
                for level in limits
            ),
        ],
        BYTES,
        "Memory of the machine chosen above: app, every process of Byline but Redis; redis; mps, "
        "what Metal holds. The dashed lines are where warning and critical begin.",
        "app grows for long: a leak, or batches too large, start the worker again. redis: the "
        "cache, let it have less. Close to critical: nothing else should run on this machine.",
        stacked=True,
    )
    for level, color in limits.items():
        component = limit_line(component, level, color)
    return Row(
        "Memory",
        [
            component,
            lines(
                "Memory of processes",
                [Query("process_resident_memory_bytes", "{{job}} {{instance}}")],
                BYTES,
                "Resident memory of each process that tells it, worker and monitor among them.",
                "A line that only rises is a leak: note the time, start that part again, report "
                "it.",
            ),
            lines(
                "Memory of the accelerator",
                [
                    Query(
                        "sum by (kind) (byline_device_memory_bytes) or on () "
                        'label_replace(vector(0), "kind", "no accelerator", "", "")',
                        "{{kind}}",
                    )
                ],
                BYTES,
                "What tensors hold, what the driver has, and what is allowed. 0 on a CPU.",
                "Close to its limit, passes are halved, which is slow: smaller batches, or fewer "
                "workers on the device.",
            ),
        ],
    )


def processors() -> Row:
    """Who keeps the cores busy."""
    return Row(
        "Processors and the model",
        [
            lines(
                "CPU",
                [
                    Query(
                        "sum by (job, instance) "
                        "(rate(process_cpu_seconds_total[$__rate_interval]))",
                        "{{job}} {{instance}}",
                    )
                ],
                CORES,
                "Cores that each process uses that tells it.",
                "A worker at all the cores it may have is at its limit. Anything else that is "
                "busy takes them from it.",
                width=6,
            ),
            lines(
                "Model thread busy",
                [Query("instance:byline_batch_duration_seconds_sum:rate1m", "{{instance}}")],
                SHARE,
                "Share of time in which each worker's model thread is at work.",
                "Near 100 % there is no room left: add a worker. One far above the others: it "
                "runs on a slower machine.",
                steps=((0.95, RED),),
                width=6,
                top=1.0,
            ),
            lines(
                "Wasted on padding",
                [Query("system:byline_cells_padding:ratio_rate1m", "padding")],
                SHARE,
                "Share of the forward passes' cells that are padding.",
                "Some is the price of batches. Much means that short and long texts come "
                "together: smaller batches waste less.",
                width=6,
                top=0.5,
            ),
            lines(
                "Passes halved",
                [Query("sum(increase(byline_passes_halved_total[5m]))", "in five minutes")],
                COUNT,
                "Passes that did not fit the accelerator's memory, and were done in halves.",
                "Make batches smaller, or free the device's memory.",
                steps=((1, RED),),
                width=6,
            ),
        ],
    )


def redis() -> Row:
    """What Redis holds and does."""
    memory = lines(
        "Redis: memory",
        [
            Query("sum by (instance) (redis_memory_used_bytes)", "{{instance}}"),
            Query("max(redis_memory_max_bytes)", "limit"),
        ],
        BYTES,
        "What each Redis uses, and may. A limit of 0 is none.",
        "At the limit the cache loses its oldest, as meant. If the queue is what fills it, have "
        "workers empty it, or allow more.",
    )
    return Row(
        "Redis",
        [
            limit_line(memory, "limit", RED),
            lines(
                "Redis: keys dropped",
                [
                    Query("sum(rate(redis_evicted_keys_total[$__rate_interval]))", "evicted"),
                    Query("sum(rate(redis_expired_keys_total[$__rate_interval]))", "expired"),
                ],
                "keys/s",
                "Evicted for want of room, or expired at their time.",
                "Evictions with a falling share of the cache (Performance): allow Redis more.",
            ),
            lines(
                "Redis: commands",
                [
                    Query(
                        "sum by (instance) "
                        "(rate(redis_commands_processed_total[$__rate_interval]))",
                        "{{instance}}",
                    )
                ],
                "ops",
                "Commands a second.",
                "A batch is a few round trips. Many more than that: someone else uses this Redis.",
            ),
            lines(
                "Redis: clients",
                [
                    Query("sum(redis_connected_clients)", "connected"),
                    Query("sum(redis_blocked_clients)", "blocked, waiting for tasks"),
                ],
                COUNT,
                "Connections. Workers and api each hold a few.",
                "A number that only rises is a client that does not close: `CLIENT LIST` names it.",
            ),
            lines(
                "Redis: look-ups",
                [
                    Query("sum(rate(redis_keyspace_hits_total[$__rate_interval]))", "found"),
                    Query("sum(rate(redis_keyspace_misses_total[$__rate_interval]))", "not found"),
                ],
                "keys/s",
                "Keys that were asked for and were there, or were not: cache and queue together.",
                "Compare with Share of the cache on the Performance dashboard, which counts "
                "messages.",
            ),
            lines(
                "Redis: append-only file",
                [
                    Query("min(redis_aof_enabled)", "written"),
                    Query("max(redis_aof_rewrite_in_progress)", "being rewritten"),
                ],
                COUNT,
                "Whether what Redis accepts outlives it: 1 is yes. A rewrite keeps a core busy.",
                "Not written: what is queued is lost with Redis, `CONFIG SET appendonly yes`. "
                "Rewritten all the time: raise auto-aof-rewrite-min-size.",
                top=1.0,
            ),
        ],
    )
