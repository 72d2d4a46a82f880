"""``Client`` returns an attribution or an error for each text, in order."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest

from celery_app.client import Client, Failure, async_client
from celery_app.client.attribution_client import AttributionClient
from celery_app.settings import SettingsError
from tasks.errors import (
    BrokerUnavailable,
    DeadlinePassed,
    DeadlineTooShort,
    InvalidMessage,
    NoAnswer,
    NoModel,
    Overloaded,
    UnknownModel,
)
from tasks.messages import Attribution, Reply
from tests.unit.celery_app.client.desk import Desk, idle

pytestmark = pytest.mark.anyio

URL = "redis://127.0.0.1:1/0"


class Answering(Desk):
    """A desk that answers each chunk at once. The author in each attribution is the text."""

    async def answer_all(self) -> None:
        answered: set[str] = set()
        while True:
            await asyncio.sleep(0)
            for chunk_id, entries in list(self.broker.chunks.items()):
                if chunk_id not in answered:
                    answered.add(chunk_id)
                    outcomes: Any = [Attribution(e.id, e.text, 0.9, (), "v1") for e in entries]
                    self.broker.replies.put_nowait(msgspec.json.encode(Reply(chunk_id, outcomes)))


@pytest.fixture
async def desk() -> Answering:
    return Answering()


@pytest.fixture
async def client(desk: Answering, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Client]:
    def make_client(settings: Any, metrics: Any) -> AttributionClient:
        fakes: list[Any] = [desk.model_registry, None]
        return AttributionClient(settings, desk.dispatcher, *fakes)

    monkeypatch.setattr(async_client, "make_client", make_client)
    async with Client(URL) as client:
        yield client
    assert desk.model_registry.started
    assert desk.model_registry.stopped


@pytest.fixture
async def answering(desk: Answering) -> AsyncIterator[None]:
    task = asyncio.ensure_future(desk.answer_all())
    yield
    task.cancel()


@pytest.mark.usefixtures("answering")
async def test_attributions_are_in_the_order_of_their_texts(client: Client) -> None:
    texts = [f"text {n % 7}" for n in range(20)]
    attributions = await client.attribute(texts)
    assert [attribution.author for attribution in attributions] == texts


@pytest.mark.usefixtures("answering")
async def test_more_texts_than_the_window_are_sent_in_parts(
    client: Client, desk: Answering, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(async_client, "WINDOW", 20)
    monkeypatch.setattr(async_client, "PART", 5)
    most = 0
    ask = desk.dispatcher.ask

    def note(entries: Any) -> Any:
        nonlocal most
        joined = ask(entries)
        most = max(most, desk.dispatcher.unanswered)
        return joined

    monkeypatch.setattr(desk.dispatcher, "ask", note)
    texts = [f"text {n}" for n in range(203)]
    attributions = await client.attribute(iter(texts))
    assert [attribution.author for attribution in attributions] == texts
    assert most <= 20


@pytest.mark.usefixtures("answering")
async def test_no_texts_have_no_attributions(client: Client) -> None:
    assert await client.attribute([]) == []


async def test_texts_of_several_calls_share_a_chunk(client: Client, desk: Answering) -> None:
    calls = [asyncio.ensure_future(client.attribute([f"text {n}"])) for n in range(4)]
    await idle()
    assert desk.broker.sizes() == [4]
    await desk.answer()
    assert [len(await call) for call in calls] == [1] * 4


async def test_options_reach_the_message(client: Client, desk: Answering) -> None:
    call = client.attribute(["one"], explain=True, deadline_ms=60_000, priority=3, version="v1")
    calling = asyncio.ensure_future(call)
    await idle()
    [[entry]] = desk.broker.chunks.values()
    assert (entry.explain, entry.deadline_s, entry.priority, entry.exact) == (True, 60.0, 3, True)
    await desk.answer()
    assert len(await calling) == 1


@pytest.mark.usefixtures("answering")
async def test_an_invalid_text_does_not_affect_the_others(client: Client) -> None:
    before, invalid, after = await client.attribute_each(["one", " ", "two"])
    assert isinstance(before, Attribution)
    assert isinstance(after, Attribution)
    assert invalid == Failure("", "invalid", "text is empty")


@pytest.mark.usefixtures("answering")
async def test_attribute_raises_the_error_of_the_first_failed_text(client: Client) -> None:
    with pytest.raises(InvalidMessage, match="text is empty") as raised:
        await client.attribute(["one", " ", "\0"])
    assert "texts[1]" in raised.value.__notes__[0]


@pytest.mark.parametrize(("deadline_ms", "error"), [(1, DeadlineTooShort), (50, DeadlinePassed)])
async def test_a_deadline_ends_the_wait_with_its_error(
    client: Client, deadline_ms: float, error: type[Exception]
) -> None:
    with pytest.raises(error):
        await client.attribute(["one"], deadline_ms=deadline_ms)


async def test_a_broker_that_is_down_fails_the_call(client: Client, desk: Answering) -> None:
    desk.broker.down = True
    with pytest.raises(BrokerUnavailable):
        await client.attribute(["one"])


async def test_a_broker_that_was_never_reached_is_not_a_missing_model(
    client: Client, desk: Answering
) -> None:
    desk.model_registry.reachable = False
    with pytest.raises(BrokerUnavailable, match="can't be reached"):
        await client.attribute(["one"])
    desk.model_registry.reachable, desk.model_registry.worker_count = True, 0
    with pytest.raises(NoModel):
        await client.attribute(["one"])


async def test_a_version_that_is_not_served_is_refused(client: Client) -> None:
    with pytest.raises(UnknownModel):
        await client.attribute(["one"], version="v2")


async def test_a_call_beyond_the_capacity_is_refused(client: Client) -> None:
    first = asyncio.ensure_future(client.attribute([f"text {n}" for n in range(100)]))
    await idle()
    with pytest.raises(Overloaded):
        await client.attribute(["one more"])
    first.cancel()


async def test_a_call_that_waits_ends_when_the_client_is_closed(client: Client) -> None:
    calling = asyncio.ensure_future(client.attribute(["one"]))
    await idle()
    await client.close()
    with pytest.raises(NoAnswer, match="the client was closed"):
        await calling


async def test_a_client_that_is_not_open_refuses_a_call() -> None:
    with pytest.raises(RuntimeError, match="not open"):
        await Client(URL).attribute(["one"])


async def test_a_client_is_not_opened_twice(client: Client) -> None:
    with pytest.raises(RuntimeError, match="open already"):
        await client.open()


async def test_one_string_in_the_place_of_a_list_is_refused(client: Client) -> None:
    with pytest.raises(TypeError, match="list of strings"):
        await client.attribute("one")


@pytest.mark.parametrize("priority", [-1, 10])
async def test_a_priority_out_of_range_is_refused(client: Client, priority: int) -> None:
    with pytest.raises(ValueError, match="from 0 to 9"):
        await client.attribute(["one"], priority=priority)


def test_settings_are_checked_and_none_is_read_from_the_environment(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("BYLINE_API_PROT", "no setting")
    assert Client(URL, credits=4)._settings.credits == 4
    with pytest.raises(SettingsError, match="must begin with"):
        Client("no url")
    with pytest.raises(TypeError):
        Client(URL, credit=4)
