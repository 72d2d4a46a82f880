"""The peer BentoML: serves the model with adaptive batching, to be compared with Byline."""

from __future__ import annotations

from typing import Any

import bentoml

from bench.peers.bentoml.envelope import Envelope
from bench.peers.model import BATCH, PredictorThread


@bentoml.service(
    # One for each core: the workers do HTTP and JSON in Python, which costs more than the model.
    workers=2,
    traffic={"timeout": 60},
    # Off, because each of these adds a middleware to every request.
    metrics={"enabled": False},
    logging={"access": {"enabled": False}},
)
class Attribution:
    """A BentoML worker process with a model of its own."""

    def __init__(self) -> None:
        """Loads the model in a thread, so that the worker's event loop stays free for requests."""
        self._predictor = PredictorThread()

    # BentoML adapts the wait by itself. max_latency_ms is a limit and not a target: BentoML answers
    # 503 to requests that it estimates to take longer, and its estimate is far off after a quiet
    # start. So the limit is the documented default, with which no request is refused.
    @bentoml.api(route="/attribute", batchable=True, max_batch_size=BATCH, max_latency_ms=60_000)
    async def attribute(self, messages: list[dict[str, str]]) -> list[dict[str, Any]]:
        """Returns the attributions of one batch of messages."""
        return await self._predictor.predict([message["text"] for message in messages])


Attribution.add_asgi_middleware(Envelope)
