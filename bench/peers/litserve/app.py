"""The peer LitServe: serves the model with batching, to be compared with Byline."""

from __future__ import annotations

import os
import signal
from typing import Any

import litserve

from bench.peers.model import BATCH, Predictor


class Attribution(litserve.LitAPI):
    """The LitServe API that calls the model. LitServe's inference worker runs this class."""

    def setup(self, device: str) -> None:
        """Loads the model in the inference worker's process."""
        self._predictor = Predictor()

    # Not annotated: FastAPI would take the types as models of the request and of the response.
    def decode_request(self, request):  # type: ignore[no-untyped-def]
        """Returns ``request``, the body of a request, without a change."""
        return request

    def batch(self, inputs: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Returns the list of requests unchanged: there are no tensors to stack."""
        return inputs

    def predict(self, inputs: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Returns the answers to one batch of requests."""
        return self._predictor.answer(inputs)

    def unbatch(self, output: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Returns the list of answers unchanged."""
        return output

    def encode_response(self, output):  # type: ignore[no-untyped-def]
        """Returns ``output``, the answer to a request, without a change."""
        return output


def main() -> None:
    """Runs the LitServe server until SIGTERM."""
    # LitServe stops its processes after Ctrl-C only; SIGTERM would leave all of them behind.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    # Without a timeout the worker polls its empty queue all the time, and uses a whole core.
    api = Attribution(max_batch_size=BATCH, batch_timeout=0.005, api_path="/predict")
    server = litserve.LitServer(
        api,
        accelerator="cpu",
        # One worker: the HTTP servers below need the cores more, and two would halve the batches.
        workers_per_device=1,
        # ZeroMQ, which LitServe recommends above 100 requests/s. In 0.2.19 this option has no
        # effect, because it is passed on under a wrong name. With the name corrected by hand, no
        # request was answered in our trial.
        fast_queue=True,
        restart_workers=True,
        disable_openapi_url=True,
    )
    server.run(
        host="127.0.0.1",
        port=int(os.environ["BENCH_PORT"]),
        num_api_servers=2,  # one for each core: they do HTTP and JSON in Python
        log_level="warning",
        access_log=False,
        generate_client_file=False,
    )


if __name__ == "__main__":
    main()
