"""What uvicorn writes, and what of it becomes a system call."""

from __future__ import annotations

import asyncio

from api.protocol import _Gathering

HEAD = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n"


class Transport:
    def __init__(self) -> None:
        self.calls: list[bytes | str] = []

    def write(self, data: bytes) -> None:
        self.calls.append(data)

    def close(self) -> None:
        self.calls.append("close")

    def is_closing(self) -> bool:
        return "close" in self.calls

    def get_extra_info(self, name: str) -> str:
        return name


def calls(*steps: str | bytes) -> list[bytes | str]:
    async def run() -> list[bytes | str]:
        transport = Transport()
        gathering = _Gathering(transport, asyncio.get_running_loop())  # type: ignore[arg-type]
        for step in steps:
            if step == "turn":
                await asyncio.sleep(0)
            elif step == "close":
                gathering.close()
            else:
                gathering.write(step)
        await asyncio.sleep(0)
        return transport.calls

    return asyncio.run(run())


def test_a_short_answer_is_one_write() -> None:
    assert calls(HEAD, b"{}", HEAD, b"[]") == [HEAD + b"{}", HEAD + b"[]"]


def test_a_head_alone_is_sent_in_the_same_turn() -> None:
    assert calls(HEAD, "turn", b"late") == [HEAD, b"late"]


def test_what_is_closed_is_sent_first() -> None:
    assert calls(HEAD, "close") == [HEAD, "close"]


def test_the_rest_is_the_transports() -> None:
    async def run() -> None:
        gathering = _Gathering(Transport(), asyncio.get_running_loop())  # type: ignore[arg-type]
        assert gathering.get_extra_info("peername") == "peername"
        assert not gathering.is_closing()

    asyncio.run(run())
