"""After a batch has killed a worker, the batch's messages are tried one at a time.

The message that kills another worker becomes a dead letter.
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec
import pytest

from tasks.batch import solo_trial
from tasks.batch.progress import Progress
from tasks.messages import Failure, message_id
from tasks.storage.dead_letters import DEAD_LETTERS
from tasks.storage.result_cache import ATTEMPTS
from tests.unit.tasks.fakes import Processor, authors, make_chunk, run_alone, run_passes


def test_messages_that_a_worker_died_with_are_tried_one_at_a_time(processor: Processor) -> None:
    texts = ["a", "b", "a", "", "bad"]
    outcomes = run_alone(processor, make_chunk(*texts))
    assert processor.predictor.batches == [["a"], ["b"], ["bad"]]
    codes = [o.code if isinstance(o, Failure) else o.author for o in outcomes]
    assert codes == ["a", "b", "a", "invalid", "model_failed"]
    assert processor.store.counts == {}  # the count of a harmless message is deleted


def test_a_dead_letter_holds_the_valid_request_ids_of_its_message(
    processor: Processor, logged: Callable[[], str]
) -> None:
    deadly = message_id("v1", "deadly")
    processor.store.counts[ATTEMPTS + deadly] = 2
    ids = ["one", "two", "three", "not valid", None]
    run_alone(processor, make_chunk("a", "deadly", "b", "deadly", "deadly", request_ids=ids))
    letter = msgspec.json.decode(processor.store.hashes[DEAD_LETTERS][deadly])
    assert letter["request_ids"] == ["two"]
    assert logged() == f"workers died of the message {deadly}; it is a dead letter (request two)\n"


def test_only_the_message_that_killed_workers_again_becomes_a_dead_letter(
    processor: Processor,
) -> None:
    deadly = message_id("v1", "deadly")
    processor.store.counts[ATTEMPTS + deadly] = 2
    outcomes = run_alone(processor, make_chunk("a", "deadly", "b"))
    assert [o.author for o in (outcomes[0], outcomes[2])] == ["a", "b"]
    assert outcomes[1].code == "dead_letter"
    assert processor.predictor.batches == [["a"], ["b"]]
    letter = msgspec.json.decode(processor.store.hashes[DEAD_LETTERS][deadly])
    assert (letter["text"], letter["version"], letter["at"]) == ("deadly", "v1", 1000.0)
    # If the message is sent again, it is refused, and kills no worker.
    [[again]] = processor.run(make_chunk("deadly"))
    assert again.code == "dead_letter"
    assert processor.predictor.batches == [["a"], ["b"]]


def test_each_trial_begins_with_a_heartbeat(processor: Processor) -> None:
    computed: list[int] = []
    progress = Progress(make_chunk("a", "b"))
    processor.batch_processor.begin_alone(
        progress, 8, lambda: computed.append(len(processor.predictor.batches))
    )
    assert computed == [0, 1]


def test_a_pass_that_takes_too_long_leaves_its_last_messages_to_the_next_pass(
    processor: Processor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(solo_trial, "MAX_PASS_S", 0.0)
    processor.run(make_chunk("c"))
    processor.predictor.batches.clear()
    answered = run_passes(processor, Progress(make_chunk("a", "", "b", "a", "c", "d")), True, 8)
    assert [len(each) for each in answered] == [0, 0, 1]
    assert authors(answered[-1][0]) == ["a", "invalid", "b", "a", "c", "d"]
    assert processor.predictor.batches == [["a"], ["b"], ["d"]]
    value = processor.registry.get_sample_value
    assert value("byline_messages_total", {"outcome": "computed"}) == 4
    assert value("byline_messages_total", {"outcome": "cached"}) == 1
    assert value("byline_redelivered_tasks_total") == 1
