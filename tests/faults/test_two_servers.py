"""Broker and cache on two Redis servers: what works while one server can't be reached."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from celery_app.app import make_celery
from celery_app.settings import Settings
from tests.parts import Part, Stack, free_port, wait_for


class Two(Stack):
    """A stack whose cache is a second Redis server."""

    broker: Part

    def __init__(self, *args: object, **settings: str) -> None:
        self.cache_port = free_port()
        url = f"redis://127.0.0.1:{self.cache_port}/0"
        super().__init__(*args, BYLINE_CACHE_URL=url, **settings)  # type: ignore[arg-type]

    def cache(self) -> Part:
        """Starts the Redis server of the cache."""
        return self.valkey(self.cache_port, "cache")


@pytest.fixture
def two(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Two]:
    stack = Two(tmp_path_factory.mktemp("two"), BYLINE_VISIBILITY_TIMEOUT_S="2")
    try:
        stack.broker = stack.valkey()
        yield stack
    finally:
        stack.close()


@pytest.mark.parametrize("sign", [signal.SIGKILL, signal.SIGSTOP])
def test_without_the_cache_messages_are_computed(two: Two, sign: signal.Signals) -> None:
    cache, worker = two.cache(), two.worker()
    two.api()
    assert two.attribute({"text": "before"}).status_code == 200
    cache.process.send_signal(sign)
    for text in ("meanwhile", "meanwhile too", "before the cache is back"):
        answer = two.attribute({"text": text}, wait=20)
        assert answer.status_code == 200, answer.text
        assert answer.json()["cached"] is False
    # The api has a local cache of its own answers.
    assert two.attribute({"text": "meanwhile"}).json()["cached"] is True
    parts = wait_for(lambda: (p := ready(two))["cache"] != "ok" and p, 10, "the api to notice")
    assert parts["broker"] == parts["worker"] == "ok"
    assert httpx.get(f"{two.url}/readyz").status_code == 200
    # Pending results are stored in the broker.
    worker.process.send_signal(signal.SIGSTOP)  # else it may answer before the promise is made
    promise = two.attribute({"text": "for later"}, wait=0)
    assert promise.status_code == 202
    worker.process.send_signal(signal.SIGCONT)
    where = two.url + promise.headers["Location"]
    wait_for(lambda: httpx.get(where, timeout=20).status_code == 200, what="the promised answer")


def test_a_cache_that_freezes_during_a_batch_delays_answers_by_seconds_only(two: Two) -> None:
    cache = two.cache()
    two.worker(TEST_MODEL_SECONDS="1")
    two.api()
    with ThreadPoolExecutor(1) as pool:
        asked = pool.submit(two.attribute, {"text": "in the batch"}, wait=20)
        wait_for(lambda: "in the batch" in two.calls(), what="the forward pass")
        cache.process.send_signal(signal.SIGSTOP)
        began = time.monotonic()
        assert asked.result().status_code == 200
        assert two.attribute({"text": "after it"}, wait=20).status_code == 200
        assert time.monotonic() - began < 15


def test_a_pending_result_can_be_fetched_after_the_cache_has_died(two: Two) -> None:
    cache = two.cache()
    two.worker(TEST_MODEL_SECONDS="1")
    two.api()
    for options in ({"wait": 0}, {"wait": 0.2}):
        text = f"promised, having waited {options['wait']}"
        promise = two.attribute({"text": text}, **options)
        assert promise.status_code == 202
        cache.kill()
        where = two.url + promise.headers["Location"]
        wait_for(lambda: httpx.get(where).status_code == 200, 30, "the promised answer")  # noqa: B023
        cache = two.cache()


def test_a_celery_client_gets_its_result_when_the_cache_is_back(two: Two) -> None:
    cache = two.cache()
    two.worker(TEST_MODEL_SECONDS="1")
    names = ("BYLINE_REDIS_URL", "BYLINE_CACHE_URL")
    app = make_celery(Settings.from_environ({name: two.env[name] for name in names}))
    sent = app.send_task("byline.attribute", [["from Celery"]])
    cache.kill()
    wait_for(lambda: "from Celery" in two.calls(), 20, "the forward pass")
    two.cache()
    wait_for(sent.ready, 30, "the result")
    assert sent.get()[0]["author"] in ("vowels", "consonants")


def test_cached_messages_are_answered_without_the_broker(two: Two) -> None:
    two.cache()
    two.worker()
    two.api(BYLINE_LOCAL_CACHE_MESSAGES="1")
    for text in ("before", "the one that the api remembers itself"):
        assert two.attribute({"text": text}).status_code == 200
    two.broker.kill()
    assert two.attribute({"text": "before"}).json()["cached"] is True
    assert refusal(two.attribute({"text": "new"})) == "broker_unavailable"
    assert refusal(httpx.get(unknown(two))) == "broker_unavailable"


def test_a_refusal_names_the_server_that_can_not_be_reached(two: Two) -> None:
    cache = two.cache()
    two.worker()
    two.api()
    id = two.attribute({"text": "before"}).json()["id"]
    promised = two.attribute({"text": "for later"}, wait=0).json()["id"]
    where = f"{two.url}/v1/attributions/{promised}"
    wait_for(lambda: httpx.head(where).status_code == 200, what="the promised answer")
    cache.kill()
    for known in (id, promised):
        learned = httpx.post(f"{two.url}/v1/feedback", json={"id": known, "author": "vowels"})
        assert refusal(learned) == "cache_unavailable"
    assert refusal(httpx.get(f"{two.url}/v1/figures")) == "cache_unavailable"
    assert refusal(httpx.get(unknown(two))) == "cache_unavailable"
    two.broker.kill()
    assert refusal(httpx.get(unknown(two))) == "broker_unavailable"


def unknown(two: Two) -> str:
    """Returns the URL of an attribution that does not exist."""
    return f"{two.url}/v1/attributions/{'0' * 32}"


def refusal(answer: httpx.Response) -> str:
    """Returns the error code of an answer with status 503 and ``Retry-After``."""
    assert answer.status_code == 503, answer.text
    assert int(answer.headers["Retry-After"]) > 0
    return str(answer.json()["code"])


def ready(two: Two) -> dict[str, str]:
    """Returns the state of each part, from ``/readyz``."""
    return dict(httpx.get(f"{two.url}/readyz").json()["parts"])
