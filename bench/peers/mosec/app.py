"""The peer Mosec, which does HTTP and batching in Rust."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
from mosec import Server, Worker

from bench.peers.model import BATCH, Predictor


class Attribution(Worker):
    """The code that Mosec's worker processes run."""

    def __init__(self) -> None:
        """Loads the model, in the worker."""
        super().__init__()
        self._predictor = Predictor()

    def deserialize(self, data: bytes) -> Any:
        """Decodes JSON faster than Mosec's default, the standard library."""
        return msgspec.json.decode(data)

    def serialize(self, data: Any) -> bytes:
        """Encodes JSON faster than Mosec's default, which also indents it."""
        return msgspec.json.encode(data)

    def forward(self, data: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
        """Attributes one batch of messages."""
        return self._predictor.answer(data)


def main() -> None:
    """Serves until SIGTERM."""
    server = Server()
    # Two workers: the second core would be idle otherwise, and Mosec restarts a dead worker only
    # while another one lives. A batch waits for 5 ms at most: little beside the 55 ms in all.
    server.append_worker(Attribution, num=2, max_batch_size=BATCH, max_wait_time=5)
    server.run()


if __name__ == "__main__":
    main()
