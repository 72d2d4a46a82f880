"""The Redis user of docs/security.md may do all that Byline needs, and nothing else."""

from __future__ import annotations

import httpx
import pytest
from redis import Redis
from redis.exceptions import NoPermissionError

from celery_app.app import make_celery
from celery_app.settings import Settings
from tests.parts import Stack, wait_for
from tests.tls import documented_user


@pytest.fixture
def limited(own: Stack) -> Stack:
    """Returns a stack whose Redis accepts only the user of docs/security.md."""
    own.redis.acl_setuser("byline", enabled=True)
    own.redis.execute_command("ACL", "SETUSER", "byline", *documented_user().split())
    own.redis.execute_command("ACL", "SETUSER", "default", "off")
    own.env["BYLINE_REDIS_URL"] = f"redis://byline:password@127.0.0.1:{own.redis_port}/0"
    own.env["BYLINE_KEEP_FEEDBACK"] = "1"
    own.redis = Redis(port=own.redis_port, username="byline", password="password")
    return own


def test_the_documented_user_may_do_all_that_byline_needs(limited: Stack) -> None:
    worker, api, monitor = limited.worker(), limited.api(), limited.monitor()
    answer = limited.attribute({"text": "as a user of Redis"})
    assert answer.status_code == 200
    feedback = {"id": answer.json()["id"], "author": "vowels"}
    assert httpx.post(f"{limited.url}/v1/feedback", json=feedback, timeout=10).status_code == 202
    wait_for(lambda: _figures(limited), what="the monitor's figures")
    pending = limited.attribute({"text": "for later"}, wait=0)
    assert pending.status_code in (200, 202)
    settings = Settings.from_environ({"BYLINE_REDIS_URL": limited.env["BYLINE_REDIS_URL"]})
    app = make_celery(settings)
    assert app.send_task("byline.attribute", [["from Celery"]]).get(timeout=10)
    assert app.control.inspect(timeout=3).ping()
    wait_for(lambda: limited.held() == 0, what="the queue to be empty")
    for part in (worker, api, monitor):
        assert "NOPERM" not in part.output
        assert "No permissions" not in part.output


def _figures(stack: Stack) -> bool:
    points = httpx.get(f"{stack.url}/v1/figures", timeout=10).json()["points"]
    return any(point["memory"] and point["quality"] for point in points)


@pytest.mark.parametrize("command", ["FLUSHALL", "CONFIG GET *", "SHUTDOWN", "KEYS *", "GET other"])
def test_the_documented_user_may_do_nothing_else(limited: Stack, command: str) -> None:
    with pytest.raises(NoPermissionError):
        limited.redis.execute_command(*command.split())
