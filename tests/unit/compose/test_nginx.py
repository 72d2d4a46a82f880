"""Tests of nginx's configuration: nginx accepts it, and its limits agree with the api's."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest

from api.__main__ import KEEP_ALIVE_S
from celery_app.client.dispatch.late import ACCEPT_S
from celery_app.settings import Settings
from monitoring.instruments.request_ids import PATTERN
from tests import nginx
from tests.parts import free_port
from tests.unit.compose.files import DEFAULTS

REQUEST_S = pytest.importorskip("api.accelerator.http.connection").REQUEST_S
TEMPLATE = (nginx.TEMPLATES / "nginx.conf.template").read_text("utf-8")


def seconds(directive: str) -> list[int]:
    found = re.findall(rf"^\s+{directive}\s+(\d+)s;", TEMPLATE, re.MULTILINE)
    return [int(number) for number in found]


@nginx.needs_nginx
def test_nginx_accepts_the_configuration(tmp_path: Path) -> None:
    file = nginx.configured(tmp_path, [1, 2], free_port(), free_port(), 1000)
    (tmp_path / "operators.conf").write_text(nginx.filled_in("operators.conf.template", {}))
    tested = subprocess.run(
        nginx.command(file, "-t"), capture_output=True, text=True, timeout=20, check=False
    )
    assert tested.returncode == 0, tested.stderr
    assert "warn" not in tested.stderr


def test_nginx_uses_only_the_first_name_server() -> None:
    script = nginx.TEMPLATES / "16-one-resolver.envsh"
    assert os.access(script, os.X_OK)  # else the entry point ignores the file
    told = subprocess.run(
        ["sh", "-ec", f'. {script}; sh -c "echo \\$NGINX_LOCAL_RESOLVERS"'],
        env={"PATH": os.environ["PATH"], "NGINX_LOCAL_RESOLVERS": "10.89.2.1 [fd00::1] 9.9.9.9"},
        capture_output=True,
        text=True,
        timeout=10,
        check=True,
    )
    assert told.stdout == "10.89.2.1\n"


def test_nginx_accepts_the_same_request_ids_as_the_api() -> None:
    assert f'"~^{PATTERN}$" $http_x_request_id;' in TEMPLATE


def test_nginx_and_the_api_have_the_same_limit_of_bodies() -> None:
    assert int(DEFAULTS["BYLINE_MAX_BODY_BYTES"]) == Settings().max_body_bytes
    assert "client_max_body_size ${BYLINE_MAX_BODY_BYTES};" in TEMPLATE


def test_nginx_waits_for_longer_than_any_answer_takes() -> None:
    (waits,) = seconds("proxy_read_timeout")
    # After the longest wait, the api stores a promise, sends it, and may withdraw it.
    assert waits > Settings().wait_max_s + 3 * ACCEPT_S


def test_an_idle_connection_is_closed_by_nginx_and_not_by_the_api() -> None:
    (upstream,) = re.findall(r"upstream api \{(.*?)\n    \}", TEMPLATE, re.DOTALL)
    (kept,) = re.findall(r"keepalive_timeout\s+(\d+)s;", upstream)
    assert int(kept) < KEEP_ALIVE_S


def test_nginx_gives_slow_clients_the_same_time_as_the_api() -> None:
    for directive in ("client_header_timeout", "client_body_timeout", "send_timeout"):
        assert seconds(directive) == [int(REQUEST_S)]
