"""The client library against a real worker, from asyncio and from threads."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from celery_app.client import Attribution, Client, Failure, SyncClient
from tasks.errors import BrokerUnavailable, DeadlinePassed, InvalidMessage, NoModel, UnknownModel
from tests.parts import Stack, free_port, wait_for

pytestmark = pytest.mark.anyio

AUTHORS = {"aeiou": "vowels", "xyz": "consonants"}


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"  # asyncio's own loop: a program may not have uvloop


def url(stack: Stack) -> str:
    return stack.env["BYLINE_REDIS_URL"]


@pytest.fixture
async def client(stack: Stack) -> AsyncIterator[Client]:
    async with Client(url(stack)) as client:
        yield client


@pytest.fixture
def slow(own: Stack) -> Stack:
    """A stack whose forward passes take a second."""
    own.env["TEST_MODEL_SECONDS"] = "1"
    own.worker()
    return own


def texts(name: str, count: int) -> list[str]:
    """Returns ``count`` different texts, of the two authors in turn."""
    return [f"{'aeiou' if n % 2 else 'xyz'} {name} {n}" for n in range(count)]


async def test_many_texts_of_several_coroutines_are_answered_in_order(
    client: Client, stack: Stack
) -> None:
    calls = [texts(f"call {n}", 400) for n in range(5)]
    results = await asyncio.gather(*(client.attribute(each) for each in calls))
    alone = [(await client.attribute([each[7]]))[0] for each in calls]
    for given, attributions, [seventh] in zip(calls, results, zip(alone), strict=True):
        assert len(attributions) == len(given)
        assert len({attribution.id for attribution in attributions}) == len(set(given))
        assert attributions[7].id == seventh.id
    response = stack.attribute({"text": calls[0][7]}).json()
    assert response["id"] == results[0][7].id
    assert response["author"] == results[0][7].author


async def test_authors_are_those_of_the_model(client: Client) -> None:
    attributions = await client.attribute(list(AUTHORS))
    assert [attribution.author for attribution in attributions] == list(AUTHORS.values())


async def test_an_invalid_text_fails_alone(client: Client) -> None:
    outcomes = await client.attribute_each(["aeiou", "", "POISON", "xyz"])
    assert [isinstance(outcome, Attribution) for outcome in outcomes] == [True, False, False, True]
    codes = [outcome.code for outcome in outcomes if isinstance(outcome, Failure)]
    assert codes == ["invalid", "model_failed"]
    with pytest.raises(InvalidMessage, match="text is empty"):
        await client.attribute(["aeiou", ""])


async def test_a_version_that_no_worker_serves_is_refused(client: Client) -> None:
    with pytest.raises(UnknownModel):
        await client.attribute(["aeiou"], version="none-such")


async def test_a_client_says_which_version_is_served_and_how_each_part_is(client: Client) -> None:
    assert client.current_version() == "vowels-1"
    assert client.workers("vowels-1") == 1
    assert client.workers("none-such") == 0
    assert client.states() == {"broker": "ok", "cache": "ok", "queue": "ok", "worker": "ok"}


async def test_a_deadline_that_a_slow_model_misses_is_an_error(slow: Stack) -> None:
    async with Client(url(slow)) as client:
        began = asyncio.get_running_loop().time()
        with pytest.raises(DeadlinePassed):
            await client.attribute(["in a hurry"], deadline_ms=300)
        assert asyncio.get_running_loop().time() - began < 0.9
        [patient] = await client.attribute(["aeiou"], deadline_ms=20_000)
        assert patient.author == "vowels"


async def test_a_client_without_a_worker_raises_no_model_and_leaves_no_connection(
    own: Stack,
) -> None:
    def connections() -> int:
        return len(own.redis.client_list())

    before = connections()
    async with Client(url(own)) as client:
        with pytest.raises(NoModel):
            await client.attribute(["aeiou"])
        with pytest.raises(NoModel):
            client.current_version()
        assert client.states()["worker"] == "none alive"
        assert connections() > before
    await asyncio.to_thread(wait_for, lambda: connections() == before)


async def test_a_call_without_redis_raises_broker_unavailable() -> None:
    async with Client(f"redis://127.0.0.1:{free_port()}/0") as client:
        with pytest.raises(BrokerUnavailable):
            await client.attribute(["aeiou"])
        with pytest.raises(BrokerUnavailable):
            client.current_version()


def test_threads_share_a_sync_client(stack: Stack) -> None:
    with SyncClient(url(stack)) as client, ThreadPoolExecutor(4) as pool:
        calls = [texts(f"thread {n}", 100) for n in range(8)]
        results = list(pool.map(client.attribute, calls))
        assert [len(attributions) for attributions in results] == [100] * 8
        [vowels] = client.attribute(["aeiou"])
        assert vowels.author == "vowels"
        with pytest.raises(InvalidMessage):
            client.attribute([""])
