"""celery-exporter, as `make run` starts it, logs no password when its broker has stopped."""

from __future__ import annotations

import httpx
import pytest

from tests.parts import ROOT, Stack, free_port, wait_for

PYTHON = ROOT / ".venv-exporter" / "bin" / "python"
PASSWORD = "hushhush"


@pytest.mark.skipif(not PYTHON.exists(), reason="celery-exporter is not installed")
def test_tracebacks_of_the_exporter_have_no_password(own: Stack) -> None:
    """A traceback would show local variables. One of them is the broker's URL."""
    port, exporter = free_port(), free_port()
    valkey = own.valkey(port, "locked", f"--requirepass {PASSWORD}")
    part = own.start(
        [
            *(str(PYTHON), "-I", "-u", str(ROOT / "compose" / "parts" / "exporter.py"), "1000"),
            *("--host=127.0.0.1", f"--port={exporter}", "--log-level=WARNING"),
        ],
        "exporter",
        CE_BROKER_URL=f"redis://:{PASSWORD}@127.0.0.1:{port}/0",
    )

    def answers() -> bool:
        try:
            return httpx.get(f"http://127.0.0.1:{exporter}/metrics", timeout=10).status_code == 200
        except httpx.TransportError:
            return False

    wait_for(answers, 60, "celery-exporter")
    valkey.kill()
    wait_for(lambda: "Traceback" in part.output, 60, "a traceback")
    assert PASSWORD not in part.output
