"""The batch: cache, duplicates, deadlines, failures. The model and Redis are small fakes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

import msgspec
import pytest
from prometheus_client import CollectorRegistry
from redis import ConnectionError as RedisConnectionError

from model.types import Candidate, Evidence, ModelError, Prediction
from monitoring.instruments.metrics import WorkerMetrics
from tasks import batch_processor
from tasks.batch_processor import BatchProcessor
from tasks.errors import Revoked
from tasks.messages import Attribution, Chunk, Failure, Outcome, Reply, message_id
from tasks.progress import Progress
from tasks.storage.dead_letters import DEAD_LETTERS, DeadLetters
from tasks.storage.lua_scripts import own_script
from tasks.storage.pending_results import PROMISED, PendingResults
from tasks.storage.reply_queue import ReplyQueue
from tasks.storage.result_cache import ATTEMPTS, AttributionCache
from tasks.work import EVIDENCE


class Predictor:
    """Names the text's first letter as its author. Notes what it was asked."""

    version = "v1"

    def __init__(self) -> None:
        self.batches: list[list[str]] = []

    def launch(self, texts: Sequence[str]) -> Sequence[str]:
        self.batches.append(list(texts))
        return texts

    def collect(self, texts: Sequence[str]) -> list[Prediction]:
        if any("bad" in text for text in texts):
            raise ModelError("the model raised ValueError")
        return [Prediction(t[0], 0.9, (Candidate(t[0], 0.9),)) for t in texts]

    def explain(self, text: str, author: str) -> Evidence | None:
        return Evidence(author, 1.0, 1.0, (), 0.0)


class Store:
    """As much of Redis as the batch uses, in a dict; a client and a pipeline in one."""

    def __init__(self) -> None:
        self.values: dict[str, bytes] = {}
        self.lists: dict[str, list[bytes]] = {}
        self.hashes: dict[str, dict[str, bytes]] = {}
        self.counts: dict[str, int] = {}
        self.counted = ""
        self.down = False

    def mget(self, keys: list[str]) -> list[bytes | None]:
        if self.down:
            raise RedisConnectionError("down")
        return [self.values.get(key) for key in keys]

    def set(self, key: str, value: bytes | str, ex: int) -> None:
        self.values[key] = value.encode() if isinstance(value, str) else value

    def delete(self, key: str) -> None:
        self.values.pop(key, None)
        self.counts.pop(key, None)

    def pipeline(self) -> Store:
        return self

    def __enter__(self) -> Store:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def execute(self) -> list[int]:
        return [self.counts.get(self.counted, 0), 1]

    def incr(self, key: str) -> Store:
        self.counts[key] = self.counts.get(key, 0) + 1
        self.counted = key
        return self

    def expire(self, key: str, seconds: int) -> Store:
        return self

    def hset(self, key: str, field: str, value: bytes) -> None:
        self.hashes.setdefault(key, {})[field] = value

    def execute_command(self, command: str, key: str, *args: Any, then: Any = None) -> None:
        if command == "MGET":
            then([self.values.get(each) for each in (key, *args)])
        elif (command, key) == ("EVAL", own_script("keep", "pending_results")):
            pairs = dict(zip(args[2::2], args[3::2], strict=True))
            promised = {PROMISED + id: value for id, value in pairs.items()}
            self.values.update({k: v for k, v in promised.items() if k in self.values})
        elif command == "EVAL":  # the script that puts attributions, and no other
            number, *rest = args
            self.values.update(zip(rest[:number], rest[number + 1 :], strict=True))
        elif command == "LPUSH":
            self.lists.setdefault(key, []).insert(0, args[0])


class Batch:
    """An attributor with fakes around it, and a clock that stands still."""

    def __init__(self) -> None:
        self.predictor = Predictor()
        self.store = Store()
        client: Any = self.store
        cache = AttributionCache(client, 60)
        self.registry = CollectorRegistry()
        metrics = WorkerMetrics(self.registry)
        letters = DeadLetters(client)
        self.batch_processor = BatchProcessor(
            self.predictor,
            cache,
            letters,
            ReplyQueue(client, apart=False),
            metrics,
            100,
            now=lambda: 1000.0,
        )

    def run(self, *chunks: Chunk) -> list[list[Any]]:
        pipe: Any = self.store
        in_flight = self.batch_processor.begin(chunks)
        outcomes = self.batch_processor.finish(in_flight, pipe)
        self.batch_processor.record(in_flight)
        return outcomes


@pytest.fixture
def batch() -> Batch:
    return Batch()


def chunk(*texts: Any, explain: bool = False, **options: Any) -> Chunk:
    deadlines = options.pop("deadlines", [None] * len(texts))
    version, to = options.pop("version", None), options.pop("to", None)
    ids = options.pop("request_ids", [])
    own = (options.pop("id", "c"), list(texts), deadlines, explain, version, to)
    return Chunk(*own, request_ids=ids)


def authors(outcomes: Sequence[Any]) -> list[str | None]:
    return [o.author if isinstance(o, Attribution) else o.code for o in outcomes]


def test_all_chunks_are_one_forward_pass_in_order(batch: Batch) -> None:
    one, two = batch.run(chunk("apple", "pear"), chunk("cherry"))
    assert (authors(one), authors(two)) == (["a", "p"], ["c"])
    assert batch.predictor.batches == [["apple", "pear", "cherry"]]


def test_duplicates_across_chunks_are_computed_once(batch: Batch) -> None:
    batch.run(chunk("apple", "apple"), chunk(" apple "))
    assert batch.predictor.batches == [["apple"]]


def test_what_is_cached_is_not_computed(batch: Batch) -> None:
    batch.run(chunk("apple"))
    [[hit, new]] = batch.run(chunk("apple", "pear"))
    assert (hit.cached, new.cached) == (True, False)
    assert batch.predictor.batches == [["apple"], ["pear"]]


def test_without_a_cache_everything_is_computed(batch: Batch) -> None:
    batch.run(chunk("apple"))
    batch.store.down = True
    [[again]] = batch.run(chunk("apple"))
    assert not again.cached


def test_an_empty_batch_does_nothing(batch: Batch) -> None:
    assert batch.run() == []
    assert batch.run(chunk()) == [[]]
    assert batch.predictor.batches == []


def test_bad_texts_fail_alone(batch: Batch) -> None:
    [outcomes] = batch.run(chunk("fine", "", 3, "x" * 101, "good"))
    assert authors(outcomes) == ["f", "invalid", "invalid", "invalid", "g"]


@pytest.mark.parametrize("size", [1, 2, 3, 8, 9])
@pytest.mark.parametrize("culprit", [0, -1])
def test_a_message_that_breaks_the_model_is_found_by_halving(
    batch: Batch, size: int, culprit: int
) -> None:
    texts = [f"{n} fine" for n in range(size)]
    texts[culprit] = "bad"
    [outcomes] = batch.run(chunk(*texts))
    failed = [n for n, outcome in enumerate(outcomes) if isinstance(outcome, Failure)]
    assert failed == [culprit % size]
    assert outcomes[culprit].code == "model_failed"


def test_a_failure_is_kept_for_those_who_ask_but_not_served_as_cached(batch: Batch) -> None:
    batch.run(chunk("bad"))
    batch.run(chunk("bad"))
    assert batch.predictor.batches == [["bad"], ["bad"]]
    assert f"byline:failure:{message_id('v1', 'bad')}" in batch.store.values


def test_what_is_too_late_is_not_computed(batch: Batch) -> None:
    [outcomes] = batch.run(chunk("late", "just", "whenever", deadlines=[999.9, 1000.0, None]))
    assert authors(outcomes) == ["deadline_passed", "j", "w"]
    assert batch.predictor.batches == [["just", "whenever"]]


def test_too_late_for_one_is_in_time_for_another(batch: Batch) -> None:
    one, two = batch.run(chunk("same", deadlines=[1.0]), chunk("same"))
    assert (authors(one), authors(two)) == (["deadline_passed"], ["s"])


def test_evidence_goes_to_those_who_asked(batch: Batch) -> None:
    one, two = batch.run(chunk("apple", explain=True), chunk("apple"))
    assert isinstance(one[0].evidence, Evidence)
    assert two[0].evidence is msgspec.UNSET


def test_what_is_cached_without_evidence_is_computed_for_it(batch: Batch) -> None:
    batch.run(chunk("apple"))
    [[explained]] = batch.run(chunk("apple", explain=True))
    assert isinstance(explained.evidence, Evidence)
    [[hit]] = batch.run(chunk("apple", explain=True))
    assert hit.cached
    assert len(batch.predictor.batches) == 2


def test_each_chunk_is_replied_to_where_it_asked(batch: Batch) -> None:
    batch.run(chunk("apple", "", id="1", to="byline:replies:x"), chunk("pear", id="2"))
    [raw] = batch.store.lists["byline:replies:x"]
    reply = msgspec.json.decode(raw, type=Reply)
    assert reply.chunk == "1"
    assert authors(reply.outcomes) == ["a", "invalid"]


def found(batch: Batch, id: str) -> Outcome | None:
    """Return what the api finds under an id."""

    async def call(command: str, *keys: Any) -> Any:
        assert command == "MGET"
        return batch.store.mget(list(keys))

    return asyncio.run(PendingResults(call, call, 60, lambda: 1, list).find(id))


@pytest.mark.parametrize("text", ["fine", "bad"])
@pytest.mark.parametrize("version", ["v1", "v0"])
def test_what_was_promised_is_there_without_the_cache(
    batch: Batch, text: str, version: str
) -> None:
    asked = message_id(version, text)
    batch.store.values[PROMISED + asked] = b""
    assert found(batch, asked) is None
    batch.run(chunk(text, version=version))
    for key in [key for key in batch.store.values if not key.startswith(PROMISED)]:
        batch.store.delete(key)
    outcome = found(batch, asked)
    assert outcome is not None
    # Promised under an older model, it is answered by the one that is served, and has its id.
    assert outcome.id == message_id("v1", text)


def test_what_was_promised_and_waits_to_be_tried_again_is_pending_whatever_came_before(
    batch: Batch,
) -> None:
    id = message_id("v1", "bad")
    batch.run(chunk("bad"))
    assert isinstance(found(batch, id), Failure)
    batch.store.values[PROMISED + id] = b""
    assert found(batch, id) is None


def test_what_an_earlier_version_marked_is_pending(batch: Batch) -> None:
    id = message_id("v1", "fine")
    batch.store.values[f"byline:pending:{id}"] = b""
    assert found(batch, id) is None
    batch.run(chunk("fine"))
    assert isinstance(found(batch, id), Attribution)


def test_what_earlier_code_promised_and_kept_is_found(batch: Batch) -> None:
    id = message_id("v1", "fine")
    kept = Attribution(id, "f", 0.9, (Candidate("f", 0.9),), "v1")
    batch.store.values[f"byline:attribution:{id}"] = msgspec.json.encode(kept)
    assert found(batch, id) == msgspec.structs.replace(kept, cached=True)


def test_a_failed_chunk_is_told_to_the_api_and_to_those_who_ask(batch: Batch) -> None:
    batch.store.values[PROMISED + message_id("v1", "apple")] = b""
    chunks = [chunk("apple", "", to="byline:replies:x"), chunk("plain client's")]
    pipe: Any = batch.store
    batch.batch_processor.fail(chunks[:1], pipe, Revoked("somebody did"))
    [raw] = batch.store.lists["byline:replies:x"]
    assert authors(msgspec.json.decode(raw, type=Reply).outcomes) == ["revoked", "revoked"]
    failure = found(batch, message_id("v1", "apple"))
    assert isinstance(failure, Failure)
    assert len(batch.store.values) == 2  # for whoever sends it again, and for the promise


def alone(batch: Batch, given: Chunk) -> list[Any]:
    pipe: Any = batch.store
    in_flight = batch.batch_processor.begin_alone(Progress(given), 8, lambda: None)
    [outcomes] = batch.batch_processor.finish(in_flight, pipe)
    return outcomes


def test_messages_that_a_worker_died_with_are_tried_one_at_a_time(batch: Batch) -> None:
    texts = ["a", "b", "a", "", "bad"]
    outcomes = alone(batch, chunk(*texts))
    assert batch.predictor.batches == [["a"], ["b"], ["bad"]]
    codes = [o.code if isinstance(o, Failure) else o.author for o in outcomes]
    assert codes == ["a", "b", "a", "invalid", "model_failed"]
    assert batch.store.counts == {}  # who was tried and is alive is no suspect


def test_what_the_model_fails_on_is_logged_with_its_requests_and_without_its_text(
    batch: Batch, logged: Callable[[], str]
) -> None:
    named = chunk("fine", "bad", "bad too", request_ids=["one", "two", "three"])
    batch.run(named, chunk("bad", request_ids=["four"]), chunk("bad"))
    first = message_id("v1", "bad")
    words = f"the model failed on the message {first} and 1 more: the model raised ValueError"
    assert logged() == f"{words} (requests two, three, four)\n"


def test_the_log_names_the_request_of_a_message_in_each_pass(
    batch: Batch, logged: Callable[[], str]
) -> None:
    for is_alone in (False, True):
        named = chunk("a", "b", "c", "bad", request_ids=["0", "1", "2", "3"])
        passes(batch, Progress(named), alone=is_alone)
    assert [line.rpartition(" (")[2] for line in logged().splitlines()] == ["request 3)"] * 2


def test_a_dead_letter_names_its_requests_if_they_are_valid(
    batch: Batch, logged: Callable[[], str]
) -> None:
    deadly = message_id("v1", "deadly")
    batch.store.counts[ATTEMPTS + deadly] = 2
    ids = ["one", "two", "three", "not valid", None]
    alone(batch, chunk("a", "deadly", "b", "deadly", "deadly", request_ids=ids))
    letter = msgspec.json.decode(batch.store.hashes[DEAD_LETTERS][deadly])
    assert letter["request_ids"] == ["two"]
    assert logged() == f"workers died of the message {deadly}; it is a dead letter (request two)\n"


def test_a_message_that_workers_died_of_again_becomes_a_dead_letter_alone(
    batch: Batch,
) -> None:
    deadly = message_id("v1", "deadly")
    batch.store.counts[ATTEMPTS + deadly] = 2
    outcomes = alone(batch, chunk("a", "deadly", "b"))
    assert [o.author for o in (outcomes[0], outcomes[2])] == ["a", "b"]
    assert outcomes[1].code == "dead_letter"
    assert batch.predictor.batches == [["a"], ["b"]]
    letter = msgspec.json.decode(batch.store.hashes[DEAD_LETTERS][deadly])
    assert (letter["text"], letter["version"], letter["at"]) == ("deadly", "v1", 1000.0)
    # Sent again, it is refused, and nobody dies of it.
    [[again]] = batch.run(chunk("deadly"))
    assert again.code == "dead_letter"
    assert batch.predictor.batches == [["a"], ["b"]]


def test_each_trial_is_a_sign_of_life(batch: Batch) -> None:
    signs: list[int] = []
    texts = ("a", "b")
    batch.batch_processor.begin_alone(
        Progress(chunk(*texts)), 8, lambda: signs.append(len(batch.predictor.batches))
    )
    assert signs == [0, 1]


def passes(
    batch: Batch, progress: Progress, alone: bool = False, messages: int = 2
) -> list[list[Any]]:
    """Compute the whole chunk, so many messages a pass. Returns what each pass answered."""
    pipe: Any = batch.store
    answered = []
    while not progress.complete:
        in_flight = (
            batch.batch_processor.begin_alone(progress, messages, lambda: None)
            if alone
            else batch.batch_processor.begin_part(progress, messages)
        )
        answered.append(batch.batch_processor.finish(in_flight, pipe))
        batch.batch_processor.record(in_flight)
    return answered


def test_a_chunk_computed_in_passes_is_answered_once_whole_and_in_order(batch: Batch) -> None:
    batch.run(chunk("known"))
    texts = ["a", "b", "", "bad", "a", "known", "c"]
    progress = Progress(chunk(*texts, to="byline:replies:x", deadlines=[None] * 6 + [1.0]))
    *before, [outcomes] = passes(batch, progress)
    assert before == [[], [], []]
    expected = ["a", "b", "invalid", "model_failed", "a", "k", "deadline_passed"]
    assert authors(outcomes) == expected
    [raw] = batch.store.lists["byline:replies:x"]
    assert authors(msgspec.json.decode(raw, type=Reply).outcomes) == expected


def test_a_pass_with_evidence_is_of_fewer_messages(batch: Batch) -> None:
    progress = Progress(chunk("a", "b", "c", "d", explain=True))
    [*_, [outcomes]] = passes(batch, progress, messages=2 * EVIDENCE)
    assert batch.predictor.batches == [["a", "b"], ["c", "d"]]
    assert all(isinstance(outcome.evidence, Evidence) for outcome in outcomes)


def test_a_message_that_comes_in_two_passes_is_computed_once_even_if_it_fails(
    batch: Batch,
) -> None:
    batch.store.down = True  # so that it is not the cache that knows it
    passes(batch, Progress(chunk("a", "bad", "bad", "a", "c")))
    assert batch.predictor.batches == [["a", "bad"], ["a"], ["bad"], ["c"]]
    value = batch.registry.get_sample_value
    assert value("byline_messages_total", {"outcome": "joined"}) == 2
    assert value("byline_messages_total", {"outcome": "computed"}) == 2
    assert value("byline_messages_total", {"outcome": "failed"}) == 1


def test_a_text_that_comes_in_two_passes_has_an_answer_under_another_version_too(
    batch: Batch,
) -> None:
    progress = Progress(chunk("a", "b", "a", version="v0"))
    [*_, [outcomes]] = passes(batch, progress)
    assert authors(outcomes) == ["a", "b", "a"]


def test_what_each_pass_computed_is_in_the_cache_at_once(batch: Batch) -> None:
    pipe: Any = batch.store
    progress = Progress(chunk("a", "b", "c", "d"))
    batch.batch_processor.finish(batch.batch_processor.begin_part(progress, 2), pipe)
    # Its worker is killed here; the task is delivered again.
    [*_, [outcomes]] = passes(batch, Progress(chunk("a", "b", "c", "d")), alone=True)
    assert batch.predictor.batches == [["a", "b"], ["c"], ["d"]]
    assert authors(outcomes) == ["a", "b", "c", "d"]


def test_messages_tried_alone_leave_the_rest_to_a_later_pass_in_time(
    batch: Batch, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batch_processor, "ALONE_S", 0.0)
    batch.run(chunk("c"))
    batch.predictor.batches.clear()
    answered = passes(batch, Progress(chunk("a", "", "b", "a", "c", "d")), True, 8)
    assert [len(each) for each in answered] == [0, 0, 1]
    assert authors(answered[-1][0]) == ["a", "invalid", "b", "a", "c", "d"]
    assert batch.predictor.batches == [["a"], ["b"], ["d"]]
    value = batch.registry.get_sample_value
    assert value("byline_messages_total", {"outcome": "computed"}) == 4
    assert value("byline_messages_total", {"outcome": "cached"}) == 1
    assert value("byline_redelivered_tasks_total") == 1
