"""The id of a request: the client's, or a new one."""

from __future__ import annotations

import subprocess
import sys

import pytest

from api.requests.request_ids import request_id_of
from monitoring.instruments.request_ids import is_valid


def test_valid_id_is_kept() -> None:
    assert request_id_of("9f1b-load.balancer_7") == "9f1b-load.balancer_7"


@pytest.mark.parametrize("given", [None, "", "x" * 129, "two words", "a\r\nb"])
def test_request_without_valid_id_gets_a_new_id(given: str | None) -> None:
    made = {request_id_of(given) for _ in range(100)}
    assert len(made) == 100
    assert given not in made
    assert all(is_valid(id) for id in made)


def test_forked_processes_make_different_ids() -> None:
    code = (
        "import os; from api.requests.request_ids import request_id_of; request_id_of(None)\n"
        "child = os.fork(); child and os.wait(); print(request_id_of(None), flush=True)"
    )
    made = subprocess.check_output([sys.executable, "-c", code], text=True, timeout=60).split()
    assert len(made) == len(set(made)) == 2
