"""The echo is a real server, and answers each request with the request's body."""

from __future__ import annotations

import json
from pathlib import Path

from bench.cost.echo_system import PART, EchoSystem
from bench.system.direct import DIRECT, request
from bench.system.processes import listens


def test_body_comes_back_and_nothing_is_left_running(tmp_path: Path) -> None:
    with EchoSystem(tmp_path) as echo:
        posted = {"text": "x" * 200_000}
        with DIRECT.open(request(echo.target, echo.target.path, posted), timeout=20) as response:
            assert json.load(response) == posted
        assert len(echo.parts()[PART]) == 1
    assert not listens(echo.target.port)
