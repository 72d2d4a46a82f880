"""Builds the dashboard rows about a machine: its memory, its processors, and Redis."""

from __future__ import annotations

from monitoring.dashboards.page import Row
from monitoring.dashboards.panels import (
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

#: Selects the monitor of the machine that the reader has chosen.
_HERE = 'instance=~"$monitor"'


def memory() -> Row:
    """Returns the dashboard row about the memory of components, processes and accelerators."""
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
        "Memory of the machine that is chosen above. app: all processes of Byline except Redis. "
        "redis: Redis. mps: memory that Metal holds. The dashed lines show where the levels "
        "warning and critical begin.",
        "If app grows for hours, a process leaks memory or batches are too large: restart the "
        "worker. If redis grows, that is the cache: lower its limit. Near critical, run nothing "
        "else on this machine.",
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
                "Resident memory of each process that reports it, such as worker and monitor.",
                "A line that only rises is a leak: note the time, restart that process, and report "
                "the leak.",
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
                "Memory that tensors hold, that the driver holds, and the limit. 0 on a CPU.",
                "Near the limit, passes are halved, which is slow: make batches smaller, or run "
                "fewer workers on the device.",
            ),
        ],
    )


def processors() -> Row:
    """Returns the dashboard row about CPU use and the model's forward passes."""
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
                "Cores that each process uses, of the processes that report it.",
                "A worker that uses all its cores is at its limit. Every other busy process takes "
                "cores from the workers.",
                width=6,
            ),
            lines(
                "Model thread busy",
                [Query("instance:byline_batch_duration_seconds_sum:rate1m", "{{instance}}")],
                SHARE,
                "Share of time in which each worker's model thread works.",
                "Near 100 % there is no spare capacity: add a worker. A worker far above the "
                "others runs on a slower machine.",
                steps=((0.95, RED),),
                width=6,
                top=1.0,
            ),
            lines(
                "Padding",
                [Query("system:byline_cells_padding:ratio_rate1m", "padding")],
                SHARE,
                "Share of the forward passes' cells that hold padding and are wasted.",
                "Every batch has some padding. Much padding means that a batch has short and long "
                "texts: make batches smaller.",
                width=6,
                top=0.5,
            ),
            lines(
                "Passes halved",
                [Query("sum(increase(byline_passes_halved_total[5m]))", "in five minutes")],
                COUNT,
                "Passes that did not fit into the accelerator's memory and were halved.",
                "Make batches smaller, or free memory of the device.",
                steps=((1, RED),),
                width=6,
            ),
        ],
    )


def redis() -> Row:
    """Returns the dashboard row about Redis: memory, keys, commands, clients and persistence."""
    memory = lines(
        "Redis: memory",
        [
            Query("sum by (instance) (redis_memory_used_bytes)", "{{instance}}"),
            Query("max(redis_memory_max_bytes)", "limit"),
        ],
        BYTES,
        "Memory that each Redis uses, and its limit. A limit of 0 means that there is none.",
        "At the limit Redis evicts the oldest cache entries, as intended. If the queue fills the "
        "memory, add workers or raise the limit.",
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
                "Keys that Redis evicted because memory was full, and keys that expired.",
                "If keys are evicted and the cache's share falls (Performance dashboard), raise "
                "Redis's memory limit.",
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
                "Commands per second.",
                "A batch takes a few commands. If there are many more, another program uses this "
                "Redis.",
            ),
            lines(
                "Redis: clients",
                [
                    Query("sum(redis_connected_clients)", "connected"),
                    Query("sum(redis_blocked_clients)", "blocked, waiting for tasks"),
                ],
                COUNT,
                "Connections to Redis. Each worker and each api process holds a few.",
                "If the number only rises, a client does not close its connections: `CLIENT LIST` "
                "shows which.",
            ),
            lines(
                "Redis: look-ups",
                [
                    Query("sum(rate(redis_keyspace_hits_total[$__rate_interval]))", "found"),
                    Query("sum(rate(redis_keyspace_misses_total[$__rate_interval]))", "not found"),
                ],
                "keys/s",
                "Look-ups of keys that existed, and of keys that did not, for cache and queue "
                "together.",
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
                "Whether Redis writes its data to disk: 1 is yes. A rewrite of the file keeps a "
                "core busy.",
                "If it is not written, a crash of Redis loses the queue: `CONFIG SET appendonly "
                "yes`. If it is rewritten all the time, raise auto-aof-rewrite-min-size.",
                top=1.0,
            ),
        ],
    )
