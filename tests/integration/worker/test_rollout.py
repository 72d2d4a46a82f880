"""Rollout of a model version: which version answers, also when a version has lost its workers."""

from __future__ import annotations

import subprocess
import sys
import time
from typing import Any

import httpx
import pytest

from celery_app.app import make_celery
from celery_app.settings import Settings
from tasks.messages import ALIVE_S, TASK, message_id
from tasks.rollout import (
    Rollout,
    WorkerRegistry,
    canary_hash,
    queue_of,
)
from tasks.storage.dead_letters import DeadLetter, DeadLetters
from tests.parts import Part, Stack, wait_for

OLD, NEW = "vowels-1", "vowels-2"
#: A text that goes to the canary at a share of 0.5.
TAKEN = next(text for text in map("aei {}".format, range(100)) if canary_hash(text) < 0.5)
#: A text that does not go to the canary at a share of 0.5.
KEPT = next(text for text in map("aei {}".format, range(100)) if canary_hash(text) >= 0.5)


def models(stack: Stack, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Runs the command ``celery_app.models``, as an operator does."""
    return subprocess.run(
        [sys.executable, "-m", "celery_app.models", *arguments],
        env={"BYLINE_REDIS_URL": stack.env["BYLINE_REDIS_URL"]},
        check=False,
        capture_output=True,
        text=True,
        timeout=20,
    )


def told(stack: Stack, *arguments: str) -> None:
    """Runs the command ``celery_app.models``, and waits until the api knows the rollout."""
    done = models(stack, *arguments)
    assert done.returncode == 0, done.stderr
    rollout = WorkerRegistry(stack.redis).look().rollout
    assert rollout is not None
    shares = {rollout.current: 1 - rollout.share} | (
        {rollout.canary: rollout.share} if rollout.canary else {}
    )
    wait_for(lambda: {k: v for k, v in _shares(stack).items() if v} == shares, what=str(shares))


def _shares(stack: Stack) -> dict[str, float]:
    known = httpx.get(f"{stack.url}/v1/models", timeout=5).json()
    return {each["version"]: each["share"] for each in known["versions"]}


def next_worker(stack: Stack, name: str = "next", **env: str) -> Part:
    worker = stack.worker(name=name, BYLINE_MODEL="tests.models:NextVowels", **env)
    wait_for(lambda: NEW in _shares(stack), what="the api to know")
    return worker


def answered_by(stack: Stack, text: str, **params: Any) -> str:
    answer = stack.attribute({"text": text}, **params)
    assert answer.status_code == 200, answer.text
    found = answer.json()
    assert found["id"] == message_id(found["model"], text)
    return str(found["model"])


@pytest.fixture
def both(own: Stack) -> Stack:
    """An api, a worker of the served version, and a worker of the next, which started later."""
    own.worker(name="old")
    own.api()
    next_worker(own)
    return own


def test_a_new_version_gets_messages_only_when_an_operator_chooses_it(both: Stack) -> None:
    assert {answered_by(both, text) for text in (TAKEN, KEPT)} == {OLD}
    listed = models(both, "list").stdout
    assert [line.split()[:2] for line in listed.splitlines()[1:3]] == [[OLD, "1"], [NEW, "1"]]
    assert "nobody has said" in listed
    told(both, "share", NEW, "0.5")
    assert (answered_by(both, TAKEN), answered_by(both, KEPT)) == (NEW, OLD)
    told(both, "serve", NEW)
    assert {answered_by(both, text) for text in (TAKEN, KEPT)} == {NEW}
    told(both, "back")
    assert {answered_by(both, text) for text in (TAKEN, KEPT)} == {OLD}


def test_a_request_can_name_its_version(both: Stack) -> None:
    assert answered_by(both, "by name", model=NEW) == NEW
    assert answered_by(both, "by name", model=OLD) == OLD
    bulk = both.attribute({"messages": [{"text": "by name"}, {"text": "again"}]}, model=NEW).json()
    assert {item["model"] for item in bulk["attributions"]} == {NEW}
    refused = both.attribute({"text": "by name"}, model="vowels-0")
    assert (refused.status_code, refused.json()["code"]) == (404, "unknown_model")
    assert refused.json()["detail"] == f"no worker serves it; served: {OLD}, {NEW}"


def test_a_version_without_workers_is_refused_and_its_answers_stay(both: Stack) -> None:
    answered = both.attribute({"text": "by the old one"}).json()
    told(both, "serve", NEW)
    both.parts[1].stop()
    wait_for(lambda: _shares(both) == {NEW: 1.0}, what="the old one to be gone")
    refused = both.attribute({"text": "by the old one"}, model=OLD)
    assert (refused.status_code, refused.json()["code"]) == (404, "unknown_model")
    kept = httpx.get(f"{both.url}/v1/attributions/{answered['id']}").json()
    assert kept["model"] == OLD
    back = models(both, "back")
    assert back.returncode == 1
    assert f"no worker serves {OLD}" in back.stderr
    assert answered_by(both, "by the old one") == NEW


def test_celery_clients_are_answered_by_the_served_version(both: Stack) -> None:
    app = make_celery(Settings.from_environ({"BYLINE_REDIS_URL": both.env["BYLINE_REDIS_URL"]}))

    def asked(text: str, **options: Any) -> Any:
        return app.send_task(TASK, [[text]], **options).get(timeout=10)[0]

    assert {asked(f"from Celery {n}", priority=n)["model"] for n in (0, 3, 9)} == {OLD}
    assert asked("to that one", queue=queue_of(NEW))["model"] == NEW
    told(both, "serve", NEW)

    def answered() -> set[str]:
        return {asked(f"{n}, {time.monotonic()}", priority=n)["model"] for n in range(10)}

    wait_for(lambda: answered() == {NEW}, 10, "all of them to be answered by the next")
    exact = {"version": OLD, "exact": True}
    assert asked("or nobody", kwargs=exact)["error"]["code"] == "unknown_model"
    app.close()


def test_tasks_of_a_dead_canary_are_answered_by_the_served_version(own: Stack) -> None:
    own.worker(name="old")
    own.api()
    victim = next_worker(own, TEST_MODEL_SECONDS="60")
    told(own, "share", NEW, "0.5")
    places = [own.attribute({"text": TAKEN}, wait=0).json()["location"]]
    wait_for(lambda: own.calls() == [TAKEN])
    exact = own.attribute({"text": "or nobody"}, wait=0, model=NEW).json()["location"]
    victim.kill()
    assert answered_by(own, KEPT) == OLD
    for place in places:
        done = wait_for(
            lambda at=place: (r := httpx.get(own.url + at)).status_code == 200 and r.json(), 30
        )
        assert done["model"] == OLD
    gone = wait_for(lambda: (r := httpx.get(own.url + exact)).status_code != 202 and r, 30)
    assert (gone.status_code, gone.json()["code"]) == (404, "unknown_model")
    assert answered_by(own, TAKEN) == OLD, "it takes nothing any more"
    wait_for(lambda: own.held() == 0, what="nothing to be held")


def test_without_an_operator_s_choice_the_served_version_follows_the_workers(own: Stack) -> None:
    old = own.worker(name="old")
    own.api()
    next_worker(own)
    old.stop()
    wait_for(lambda: _shares(own) == {NEW: 1.0}, what="the next to be served")
    assert answered_by(own, "to the next") == NEW


def test_messages_for_a_version_that_an_operator_chose_wait_for_its_workers(own: Stack) -> None:
    old = own.worker(name="old")
    own.api()
    told(own, "serve", OLD)
    next_worker(own)
    old.stop()
    place = own.attribute({"text": "waits"}, wait=0).json()["location"]
    ready = wait_for(
        lambda: (r := httpx.get(f"{own.url}/readyz")).status_code == 503 and r, what="not ready"
    )
    assert ready.json()["parts"]["worker"] == "none alive"
    rollout = WorkerRegistry(own.redis).look().rollout
    assert rollout == Rollout(OLD, set_by_operator=True)
    own.worker(name="old")
    done = wait_for(lambda: (r := httpx.get(own.url + place)).status_code == 200 and r.json(), 20)
    assert done["model"] == OLD
    told(own, "serve", NEW)
    assert models(own, "follow").returncode == 0
    assert "nobody has said" in models(own, "list").stdout


def test_an_outage_of_redis_does_not_change_the_rollout(both: Stack) -> None:
    """The first worker that registers again must not take the other workers for dead."""
    both.parts[0].stop()
    time.sleep(ALIVE_S + 1)  # the outage
    both.valkey()
    worker_registry = WorkerRegistry(both.redis)
    until = time.monotonic() + ALIVE_S
    while time.monotonic() < until:
        served = worker_registry.look()
        assert served.rollout is not None
        assert served.rollout.current == OLD
        time.sleep(0.2)  # between two checks, until the deadline
    assert served.workers == {OLD: 1, NEW: 1}
    assert answered_by(both, "afterwards") == OLD


def test_a_dead_letter_is_replayed_to_its_version(both: Stack) -> None:
    text = "of the next"
    id = message_id(NEW, text)
    DeadLetters(both.redis).put(DeadLetter(id, text, False, NEW, "task", time.time()))
    replayed = subprocess.run(
        [sys.executable, "-m", "celery_app.dead_letters", "replay", id],
        env={"BYLINE_REDIS_URL": both.env["BYLINE_REDIS_URL"]},
        check=True,
        capture_output=True,
        timeout=20,
    )
    assert b"sent once more" in replayed.stdout
    where = f"{both.url}/v1/attributions/{id}"
    done = wait_for(lambda: (r := httpx.get(where)).status_code == 200 and r.json())
    assert (done["id"], done["model"]) == (id, NEW)
