"""Redis behind TLS and a password: the server that Debian packages, and our own certificates."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from redis import Redis

from tests.parts import Stack, answers, free_port, wait_for
from tests.tls import certified

NEEDED = ("redis-server", "openssl")
missing = [program for program in NEEDED if shutil.which(program) is None]
pytestmark = pytest.mark.skipif(
    bool(missing) and os.environ.get("CI") != "true", reason=f"not installed: {', '.join(missing)}"
)


@pytest.fixture
def behind_tls(tmp_path: Path) -> Iterator[Stack]:
    """A stack whose Redis accepts only TLS connections with the password."""
    cert = certified(tmp_path, "DNS:localhost", "IP:127.0.0.1")
    port = free_port()
    stack = Stack(tmp_path, BYLINE_REDIS_URL=f"rediss://:secret@localhost:{port}/0")
    stack.redis = Redis(port=port, password="secret", ssl=True, ssl_ca_certs=str(cert))
    try:
        stack.start(
            [
                *("redis-server", "--port", "0", "--tls-port", str(port), "--bind", "127.0.0.1"),
                *("--tls-cert-file", str(cert), "--tls-key-file", str(tmp_path / "key.pem")),
                *("--tls-ca-cert-file", str(cert), "--tls-auth-clients", "no"),
                *("--requirepass", "secret", "--dir", str(tmp_path), "--save", ""),
            ],
            "redis",
        )
        wait_for(lambda: answers(stack.redis), what="Redis")
        yield stack
    finally:
        stack.close()


def test_messages_go_through_tls(behind_tls: Stack, tmp_path: Path) -> None:
    behind_tls.env["BYLINE_REDIS_URL"] += f"?ssl_ca_certs={tmp_path / 'cert.pem'}"
    behind_tls.worker()
    behind_tls.api()
    first = behind_tls.attribute({"text": "behind TLS"})
    assert (first.status_code, first.json()["cached"]) == (200, False)
    assert behind_tls.attribute({"text": "behind TLS"}).json()["cached"]
    wait_for(lambda: behind_tls.held() == 0)


def test_a_server_with_an_untrusted_certificate_is_refused(behind_tls: Stack) -> None:
    worker = behind_tls.start_worker()
    wait_for(lambda: "CERTIFICATE_VERIFY_FAILED" in worker.output, 30)
    assert "secret" not in worker.output
    assert behind_tls.redis.zcard("byline:workers") == 0
