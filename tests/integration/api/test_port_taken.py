"""An api ends if its port is taken, so that a supervisor can start the api again."""

from __future__ import annotations

import socket

from tests.parts import Stack


def test_an_api_whose_port_is_taken_ends(own: Stack) -> None:
    with socket.socket() as taken:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        taken.bind(("127.0.0.1", int(own.env["BYLINE_API_PORT"])))
        taken.listen()
        part = own.start_api()
        assert part.process.wait(60) != 0
    assert "address already in use" in part.output.lower()
