"""Every metric: its name, its help, its unit, its labels, its buckets and why they are those."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Histogram

#: The sizes that the engine's passes have, so that each bucket is one of them; a batch is one
#: message when nothing waits, and BYLINE_BATCH_MESSAGES at most.
BATCH_MESSAGES = (1, 2, 4, 8, 16, 32, 64, 96, 128, 192, 256, 512, 1024, 2048, 4096)


class WorkerMetrics:
    """What one worker counts."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.batch_messages = Histogram(
            "byline_batch_messages",
            "Messages that the model computed together: no duplicates, none from the cache.",
            registry=registry,
            buckets=BATCH_MESSAGES,
        )
