"""Byline's other processes are found by host name, and their memory is added up."""

from __future__ import annotations

import socket
from typing import Any

import pytest

from monitoring.monitor import console_figures
from monitoring.monitor.console_figures import Figures
from monitoring.monitor.discovery import MetricsEndpoint

#: Addresses by name, as a name server of containers gives them.
NAMES = {"api": ["10.0.0.3", "10.0.0.2", "10.0.0.2"], "worker": ["fd00::1"]}


@pytest.fixture(autouse=True)
def _named(monkeypatch: pytest.MonkeyPatch) -> None:
    def resolve(host: str, port: int, **_: Any) -> list[Any]:
        if host not in NAMES:
            raise socket.gaierror(socket.EAI_NONAME, "unknown")
        return [(None, None, None, "", (address, port)) for address in NAMES[host]]

    monkeypatch.setattr(socket, "getaddrinfo", resolve)


def test_every_address_of_a_host_name_is_an_endpoint() -> None:
    assert MetricsEndpoint("api", "api", 9806).urls() == {
        "api@10.0.0.2:9806": "http://10.0.0.2:9806/metrics",
        "api@10.0.0.3:9806": "http://10.0.0.3:9806/metrics",
    }
    assert list(MetricsEndpoint("worker", "worker", 1).urls().values()) == [
        "http://[fd00::1]:1/metrics"
    ]
    assert MetricsEndpoint("worker", "nobody", 1).urls() == {}


def test_resident_memory_of_all_processes_is_added_up(monkeypatch: pytest.MonkeyPatch) -> None:
    pages: dict[str, dict[Any, float] | None] = {
        "http://10.0.0.2:1/metrics": {("process_resident_memory_bytes", ()): 30.0},
        "http://10.0.0.3:1/metrics": {("process_resident_memory_bytes", ()): 12.0},
        "http://[fd00::1]:2/metrics": None,
    }
    monkeypatch.setattr(console_figures, "scrape", lambda url, _: pages[url])
    seen = Figures([MetricsEndpoint("api", "api", 1), MetricsEndpoint("worker", "worker", 2)])
    seen.read_metrics()
    assert seen.resident == 42
