"""The peer Ray Serve: serves the model with ``@serve.batch``, to be compared with Byline."""

from __future__ import annotations

import os
import signal
from typing import Any

import msgspec
import ray
from ray import serve
from ray.serve.config import HTTPOptions
from starlette.requests import Request
from starlette.responses import Response

from bench.peers.model import BATCH, PredictorThread


@serve.deployment(
    # One for each core: the replicas do HTTP and JSON in Python, which costs more than the model.
    num_replicas=2,
    ray_actor_options={"num_cpus": 1},
    # Requests beyond this number wait in front of the replica, where they cannot join a batch.
    max_ongoing_requests=4 * BATCH,
    logging_config={"enable_access_log": False, "log_level": "WARNING"},
)
class Attribution:
    """A replica of Ray Serve: a process with a model of its own."""

    def __init__(self) -> None:
        """Loads the model in a thread, so that the replica's event loop stays free for requests."""
        self._predictor = PredictorThread()

    # An idle replica waits 5 ms for more requests: little beside the 55 ms that an answer may take.
    @serve.batch(max_batch_size=BATCH, batch_wait_timeout_s=0.005)
    async def attribute(self, bodies: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Returns the answers to one batch of request bodies."""
        return await self._predictor.answer(bodies)

    async def __call__(self, request: Request) -> Response:
        """Answers one HTTP request.

        Ray sends a ``Response`` unchanged, and does not encode it a second time.
        """
        if request.method == "GET":
            return Response("ready")
        answer = await self.attribute(msgspec.json.decode(await request.body()))
        return Response(msgspec.json.encode(answer), media_type="application/json")


def main() -> None:
    """Starts a local Ray that serves the model. On SIGTERM, ends all of Ray's daemons."""
    signals = {signal.SIGTERM, signal.SIGINT}
    # Blocked before Ray starts threads, which inherit the mask. Ray's handlers would leave daemons.
    signal.pthread_sigmask(signal.SIG_BLOCK, signals)
    ray.init(
        address="local",
        num_cpus=2,
        include_dashboard=False,
        log_to_driver=False,
        object_store_memory=80 * 1024**2,  # the minimum: requests do not use the store
    )
    try:
        serve.start(http_options=HTTPOptions(host="127.0.0.1", port=int(os.environ["BENCH_PORT"])))
        serve.run(Attribution.bind(), route_prefix="/")
        signal.sigwait(signals)
        serve.shutdown()
    finally:
        ray.shutdown()


if __name__ == "__main__":
    main()
