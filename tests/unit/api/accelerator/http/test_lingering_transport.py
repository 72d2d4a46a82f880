"""The lingering transport calls the wrapped transport in the right order."""

from __future__ import annotations

import asyncio

from api.accelerator.http.lingering_transport import LingeringTransport

HEAD = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n"


class FakeTransport:
    """A transport that records the calls of its methods."""

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
    """Runs ``steps`` on a lingering transport. Returns the calls of the wrapped transport."""

    async def run() -> list[bytes | str]:
        fake = FakeTransport()
        transport = LingeringTransport(fake, asyncio.get_running_loop())  # type: ignore[arg-type]
        transport.at_eof = True  # so that close() does not linger
        for step in steps:
            if step == "close":
                transport.close()
            else:
                transport.write(step)
        return fake.calls

    return asyncio.run(run())


def test_writes_pass_through_in_their_order() -> None:
    assert calls(HEAD, b"{}", HEAD, b"[]") == [HEAD, b"{}", HEAD, b"[]"]


def test_write_after_close_is_dropped() -> None:
    assert calls(HEAD, "close", b"late") == [HEAD, "close"]


def test_other_attributes_are_those_of_the_transport() -> None:
    async def run() -> None:
        fake = FakeTransport()
        transport = LingeringTransport(fake, asyncio.get_running_loop())  # type: ignore[arg-type]
        assert transport.get_extra_info("peername") == "peername"
        assert not transport.is_closing()

    asyncio.run(run())
