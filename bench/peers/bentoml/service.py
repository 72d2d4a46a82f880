"""The peer: BentoML with adaptive batching."""

from __future__ import annotations

from typing import Any

import bentoml

from bench.peers.bentoml.envelope import Envelope
from bench.peers.model import BATCH, PredictorThread


@bentoml.service(
    # A core each: HTTP and JSON are Python's work in the workers and cost more than the model.
    workers=2,
    traffic={"timeout": 60},
    # Each is a middleware around every request.
    metrics={"enabled": False},
    logging={"access": {"enabled": False}},
)
class Attribution:
    """A worker with a model of its own."""

    def __init__(self) -> None:
        """Loads the model; its thread leaves the worker's loop free to take requests."""
        self._predictor = PredictorThread()

    # The wait adapts by itself. The latency is no target for it but a limit: who would take longer
    # by an estimate is answered 503, and after a quiet start the estimate is far off. So it is the
    # documented default, with which nothing is turned away.
    @bentoml.api(route="/attribute", batchable=True, max_batch_size=BATCH, max_latency_ms=60_000)
    async def attribute(self, messages: list[dict[str, str]]) -> list[dict[str, Any]]:
        """Attributes what has gathered."""
        return await self._predictor.predict([message["text"] for message in messages])


Attribution.add_asgi_middleware(Envelope)
