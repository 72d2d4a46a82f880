"""The peer Mosec: serves the model, with HTTP and batching in Rust, to be compared with Byline."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
from mosec import Server, Worker

from bench.peers.model import BATCH, Predictor


class Attribution(Worker):
    """A Mosec worker process with a model of its own."""

    def __init__(self) -> None:
        """Loads the model in the worker process."""
        super().__init__()
        self._predictor = Predictor()

    def deserialize(self, data: bytes) -> Any:
        """Returns a request's body, decoded by msgspec.

        Mosec's default, the standard library's decoder, is slower.
        """
        return msgspec.json.decode(data)

    def serialize(self, data: Any) -> bytes:
        """Returns an answer as JSON, encoded by msgspec.

        Mosec's default is slower, and also indents.
        """
        return msgspec.json.encode(data)

    def forward(self, data: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
        """Returns the answers to one batch of requests."""
        return self._predictor.answer(data)


def main() -> None:
    """Runs the Mosec server until SIGTERM."""
    server = Server()
    # Two workers: the second core would be idle otherwise, and Mosec restarts a dead worker only
    # while another one lives. A batch waits for 5 ms at most: little beside the 55 ms of an answer.
    server.append_worker(Attribution, num=2, max_batch_size=BATCH, max_wait_time=5)
    server.run()


if __name__ == "__main__":
    main()
