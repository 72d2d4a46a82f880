"""The metrics servers refuse pages of other sites; the monitor's server also receives alerts."""

from __future__ import annotations

from http.client import HTTPConnection

import httpx
import pytest
from prometheus_client import CollectorRegistry

from monitoring.monitor import server
from monitoring.state.alerts import Alerts
from tests.parts import free_port

JSON = {"Content-Type": "application/json"}
BODY = (
    b'{"alerts": [{"status": "firing", "fingerprint": "1", "startsAt": "2026-01-01T00:00:00Z", '
    b'"labels": {"alertname": "Forged"}}]}'
)


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Host": "evil.example", "Origin": "http://evil.example"}, 421),
        ({"Host": "evil.example"}, 421),
        ({"Origin": "http://evil.example"}, 403),
        ({"Origin": "null"}, 403),
    ],
)
def test_page_of_another_site_can_neither_post_alerts_nor_read_metrics(
    headers: dict[str, str], status: int
) -> None:
    alerts, port = Alerts(), free_port()
    server.serve("127.0.0.1", port, CollectorRegistry(), alerts)
    url = f"http://127.0.0.1:{port}"
    assert httpx.post(f"{url}/alerts", content=BODY, headers=JSON | headers).status_code == status
    assert httpx.get(f"{url}/metrics", headers=headers).status_code == status
    assert alerts.firing() is None
    assert httpx.post(f"{url}/alerts", content=BODY, headers=JSON).status_code == 204
    assert httpx.get(f"{url}/metrics").status_code == 200
    assert alerts.firing() is not None


def test_http_1_0_request_without_host_is_answered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(HTTPConnection, "_http_vsn", 10)
    monkeypatch.setattr(HTTPConnection, "_http_vsn_str", "HTTP/1.0")
    port = free_port()
    server.serve("127.0.0.1", port, CollectorRegistry(), Alerts())
    connection = HTTPConnection("127.0.0.1", port, timeout=10)
    connection.putrequest("GET", "/metrics", skip_host=True)
    connection.endheaders()
    assert connection.getresponse().status == 200
