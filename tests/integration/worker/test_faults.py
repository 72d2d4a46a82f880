"""Processes, connections and models break, and no accepted message is lost."""

from __future__ import annotations

import signal
import socket
import time
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest
from celery import Celery

from tests.parts import Stack, wait_for


def test_a_killed_workers_messages_go_to_another(own: Stack) -> None:
    own.env["TEST_MODEL_SECONDS"] = "30"
    # A task that a worker of another app on this Redis has held longer than Byline's timeout.
    own.redis.hset("unacked", "theirs", '[{"headers": {}, "properties": {}}, "", "attributions"]')
    own.redis.zadd("unacked_index", {"theirs": 1.0})
    victim = own.worker(name="victim")
    own.api()
    accepted = own.attribute({"text": "outlives a worker"}, wait=0).json()
    wait_for(lambda: own.calls() == ["outlives a worker"])
    victim.kill()
    own.worker(name="heir", TEST_MODEL_SECONDS="0")
    where = own.url + accepted["location"]
    wait_for(lambda: httpx.get(where).status_code == 200, 20, "redelivery")
    wait_for(lambda: own.held() == 0)
    assert own.redis.hkeys("unacked") == [b"theirs"]


def test_a_task_that_a_dying_worker_just_got_goes_to_another(own: Stack) -> None:
    victim = own.worker(name="victim")
    own.api()
    client = httpx.Client(base_url=own.url, params={"wait": 0})

    def given_while_it_dies(text: str) -> str | None:
        victim.process.send_signal(signal.SIGSTOP)  # like a dead worker, but with open connections
        accepted = client.post("/v1/attributions", json={"text": text}).json()["location"]
        if own.queued() == 0:
            return str(own.url + accepted)
        victim.process.send_signal(signal.SIGCONT)  # the worker did not wait for a task
        wait_for(lambda: text in own.calls())
        return None

    where = wait_for(lambda: given_while_it_dies(f"given at {time.monotonic()}"))
    calls = own.calls()
    victim.kill()
    own.worker(name="heir")
    wait_for(lambda: httpx.get(where).status_code == 200, 20, "redelivery")
    assert len(own.calls()) == len(calls) + 1


def test_a_long_batch_stays_with_its_worker(own: Stack) -> None:
    own.env["TEST_MODEL_SECONDS"] = "6"  # three visibility timeouts
    own.worker(name="one")
    own.worker(name="two")
    own.api()
    assert own.attribute({"text": "takes long"}, wait=20).status_code == 200
    assert own.calls() == ["takes long"]


def test_a_stopping_worker_finishes_its_batch_and_gives_back_the_rest(own: Stack) -> None:
    own.env["TEST_MODEL_SECONDS"] = "1"
    own.env["BYLINE_BATCH_MESSAGES"] = "4"
    own.env["BYLINE_CHUNK_MESSAGES"] = "1"
    own.env["BYLINE_VISIBILITY_TIMEOUT_S"] = "600"  # so that a task comes back only if given back
    worker = own.worker()
    own.api()
    accepted = [own.attribute({"text": "number 0"}, wait=0).json()["location"]]
    wait_for(own.calls)
    texts = [f"number {n}" for n in range(8)]
    accepted += [own.attribute({"text": t}, wait=0).json()["location"] for t in texts[1:]]
    # The first message is being computed, and the worker holds some of the others.
    wait_for(lambda: own.redis.hlen("byline:unacked") > 2)
    assert worker.stop() == 0, worker.output
    computed = own.calls()
    assert 1 <= len(computed) < 8
    assert own.redis.hlen("byline:unacked") == 0
    assert own.queued() == 8 - len(computed)
    own.worker(name="next", TEST_MODEL_SECONDS="0")
    for location in accepted:
        wait_for(lambda at=location: httpx.get(own.url + at).status_code == 200, what=location)
    assert sorted(own.calls()) == texts  # each once


def test_a_worker_that_gets_sigquit_loses_no_message(own: Stack) -> None:
    own.env["TEST_MODEL_SECONDS"] = "1"
    worker = own.worker()
    own.api()
    accepted = own.attribute({"text": "in the middle"}, wait=0).json()["location"]
    wait_for(own.calls)
    worker.stop(signal.SIGQUIT)
    assert "Unrecoverable error" not in worker.output
    own.worker(name="next", TEST_MODEL_SECONDS="0")
    wait_for(lambda: httpx.get(own.url + accepted).status_code == 200, 20, "redelivery")


def test_a_pending_message_is_answered_by_the_next_model(own: Stack) -> None:
    own.worker().stop()
    own.api()
    accepted = own.attribute({"text": "between two models"}, wait=0).json()["location"]
    own.worker(name="next", BYLINE_MODEL="tests.models:NextVowels")
    answer = wait_for(
        lambda: (r := httpx.get(own.url + accepted)).status_code == 200 and r.json(), 20
    )
    assert answer["model"] == "vowels-2"


def test_a_revoked_message_is_not_pending_for_ever(own: Stack) -> None:
    own.env["TEST_MODEL_SECONDS"] = "4"
    own.worker()
    own.api()
    own.attribute({"text": "keeps the model busy"}, wait=0)
    wait_for(own.calls)
    accepted = own.attribute({"text": "called off"}, wait=0).json()["location"]
    app = Celery(broker=own.env["BYLINE_REDIS_URL"], set_as_current=False)

    def held() -> list[str]:
        replies = app.control.inspect(timeout=1).reserved() or {}
        return [request["id"] for requests in replies.values() for request in requests]

    app.control.revoke(wait_for(held))
    gone = wait_for(lambda: (r := httpx.get(own.url + accepted)).status_code != 202 and r)
    assert (gone.status_code, gone.json()["code"]) == (503, "revoked")
    app.close()


def test_one_late_message_of_a_bulk_fails_alone(own: Stack) -> None:
    own.env["TEST_MODEL_SECONDS"] = "1.5"
    own.worker()
    own.api()
    own.attribute({"text": "known"}, wait=10)
    bulk = {"messages": [{"text": "known"}, {"text": "slow"}, {"text": ""}], "deadline_ms": 300}
    answer = own.attribute(bulk)
    assert answer.status_code == 200
    items = answer.json()["attributions"]
    codes = [item.get("error", {}).get("code") for item in items]
    assert codes == [None, "deadline_passed", "invalid"]


def test_requests_are_refused_in_time_while_redis_hangs(own: Stack) -> None:
    own.worker()
    own.api()
    own.attribute({"text": "known"})
    own.parts[0].process.send_signal(signal.SIGSTOP)
    try:
        url = f"{own.url}/v1/attributions"
        asked = httpx.post(url, json={"text": "new"}, params={"wait": 1}, timeout=20)
        assert asked.status_code == 503
        unknown = httpx.get(f"{url}/{'0' * 32}", timeout=20)
        assert (unknown.status_code, unknown.json()["code"]) == (503, "broker_unavailable")
        assert httpx.get(f"{own.url}/readyz", timeout=15).status_code == 503
    finally:
        own.parts[0].process.send_signal(signal.SIGCONT)
    wait_for(lambda: own.attribute({"text": "after"}, wait=2).status_code == 200, 30)


def test_messages_are_answered_after_a_restart_of_valkey(own: Stack) -> None:
    own.worker()
    own.api()
    before = own.attribute({"text": "before"}).json()
    own.parts[0].stop()
    lost = own.attribute({"text": "meanwhile"}, wait=1)
    assert (lost.status_code, lost.json()["code"]) == (503, "broker_unavailable")
    assert int(lost.headers["Retry-After"]) > 0
    own.valkey()
    answer = wait_for(
        lambda: (r := own.attribute({"text": "after"}, wait=2)).status_code == 200 and r.json(),
        60,
        "an answer after the restart",
    )
    assert answer["id"] != before["id"]
    assert own.attribute({"text": "before"}).json()["cached"]  # the cache was on disk


def test_without_a_worker_messages_are_accepted_and_kept(own: Stack) -> None:
    own.worker().stop()
    own.api()
    ready = httpx.get(f"{own.url}/readyz")
    assert (ready.status_code, ready.json()["parts"]["worker"]) == (503, "none alive")
    texts = [f"patient {n}" for n in range(20)]
    with ThreadPoolExecutor(20) as pool:
        answers = list(pool.map(lambda t: own.attribute({"text": t}, wait=0.2), texts))
    assert {answer.status_code for answer in answers} == {202}
    own.worker(name="late")
    for answer in answers:
        where = own.url + answer.headers["Location"]
        wait_for(lambda at=where: httpx.get(at).status_code == 200, what=where)


def test_before_any_worker_there_is_no_model(own: Stack) -> None:
    own.api()
    response = own.attribute({"text": "too early"})
    assert (response.status_code, response.json()["code"]) == (503, "no_model")


def test_a_message_whose_deadline_passes_fails_and_is_not_computed(own: Stack) -> None:
    own.env["TEST_MODEL_SECONDS"] = "1.5"
    own.worker()
    own.api()
    with ThreadPoolExecutor(1) as pool:
        busy = pool.submit(own.attribute, {"text": "keeps the model busy"})
        wait_for(own.calls)
        late = own.attribute({"text": "in a hurry", "deadline_ms": 300})
        assert (late.status_code, late.json()["code"]) == (504, "deadline_passed")
        assert busy.result().status_code == 200
    wait_for(lambda: own.held() == 0)
    assert own.calls() == ["keeps the model busy"]


def test_messages_of_disconnected_clients_take_no_capacity(own: Stack) -> None:
    own.env["TEST_MODEL_SECONDS"] = "0.5"
    own.worker()
    own.api(BYLINE_DISPATCHER_MESSAGES="300")
    for n in range(290):
        _send_and_hang_up(own, f"abandoned {n}")
    wait_for(lambda: len(own.calls()) == 290 and own.held() == 0, 30)

    def is_answered(name: str) -> bool:
        bulk = {"messages": [{"text": f"{name} {m}"} for m in range(250)]}
        return own.attribute(bulk, wait=30).status_code == 200

    # If these messages still counted, the dispatcher would be full after 10 more messages. The api
    # may still have to take the last replies.
    wait_for(lambda: is_answered("first bulk"), 3)
    assert is_answered("second bulk")
    wait_for(lambda: own.held() == 0)


def _send_and_hang_up(own: Stack, text: str) -> None:
    body = b'{"text": "%s"}' % text.encode()
    head = "POST /v1/attributions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    with socket.create_connection(("127.0.0.1", int(own.env["BYLINE_API_PORT"]))) as client:
        client.sendall(head.encode() + b"Content-Length: %d\r\n\r\n" % len(body) + body)


def test_a_full_dispatcher_refuses_messages(own: Stack) -> None:
    own.worker().stop()
    own.api(BYLINE_DISPATCHER_MESSAGES="10", BYLINE_MAX_BULK="10")
    with ThreadPoolExecutor(1) as pool:
        bulk = {"messages": [{"text": f"waiting {n}"} for n in range(10)]}
        waiting = pool.submit(own.attribute, bulk, wait=2)
        wait_for(own.held)
        refused = own.attribute({"text": "one more"}, wait=0)
        assert refused.status_code == 503
        assert refused.json()["code"] == "overloaded"
        assert int(refused.headers["Retry-After"]) > 0
        assert waiting.result().status_code == 202


def test_the_api_answers_accepted_requests_before_it_stops(own: Stack) -> None:
    own.env["TEST_MODEL_SECONDS"] = "1"
    own.worker()
    api = own.api()
    with ThreadPoolExecutor(1) as pool:
        asked = pool.submit(own.attribute, {"text": "just in time"})
        wait_for(own.calls)
        assert api.stop() == 0
        assert asked.result().status_code == 200


def test_a_model_that_fails_to_warm_up_ends_the_worker(own: Stack) -> None:
    worker = own.start_worker(BYLINE_MODEL="tests.models:Broken")
    assert worker.process.wait(30) != 0
    assert "the model raised RuntimeError" in worker.output
    assert "ready" not in worker.output


@pytest.mark.parametrize(
    ("options", "env", "words"),
    [
        (["--pool=prefork"], {}, "one thread must own the model"),
        (["--concurrency=2"], {}, "one thread must own the model"),
        ([], {"BYLINE_DEVICE": "cuda:7"}, "device cuda:7 can't be used"),
        ([], {"BYLINE_MODEL": "tests.models:Missing"}, "BYLINE_MODEL=tests.models:Missing"),
        ([], {"BYLINE_MODEL": "tests.parts:Stack"}, "BYLINE_MODEL=tests.parts:Stack"),
        ([], {"BYLINE_MODEL": "tests.parts:ROOT"}, "BYLINE_MODEL=tests.parts:ROOT"),
        ([], {"BYLINE_CHUNK_MESSAGES": "1000"}, "BYLINE_BATCH_MESSAGES"),
        ([], {"BYLINE_REDIS_URL": ""}, "BYLINE_REDIS_URL is not set"),
    ],
)
def test_a_worker_with_wrong_options_ends_with_the_reason(
    own: Stack, options: list[str], env: dict[str, str], words: str
) -> None:
    worker = own.start_worker(*options, **env)
    assert worker.process.wait(30) != 0
    assert words in worker.output


def test_a_stopped_worker_is_no_longer_counted(own: Stack) -> None:
    worker = own.worker()
    own.api()
    assert httpx.get(f"{own.url}/readyz").status_code == 200
    worker.stop(signal.SIGTERM)
    wait_for(lambda: httpx.get(f"{own.url}/readyz").status_code == 503, 5, "the api to notice")
