"""A batch stores pending results, and the api finds them, also after an upgrade."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from model.types import Candidate
from tasks.errors import Revoked
from tasks.messages import Attribution, Failure, Reply, message_id
from tasks.storage.pending_results import PROMISED
from tests.unit.tasks.fakes import Processor, authors, find, make_chunk


@pytest.mark.parametrize("text", ["fine", "bad"])
@pytest.mark.parametrize("version", ["v1", "v0"])
def test_a_pending_result_is_found_after_the_cache_lost_its_outcome(
    processor: Processor, text: str, version: str
) -> None:
    asked = message_id(version, text)
    processor.store.values[PROMISED + asked] = b""
    assert find(processor, asked) is None
    processor.run(make_chunk(text, version=version))
    for key in [key for key in processor.store.values if not key.startswith(PROMISED)]:
        processor.store.delete(key)
    outcome = find(processor, asked)
    assert outcome is not None
    # The result was promised for an older model version. The served version computes it, under a
    # new id.
    assert outcome.id == message_id("v1", text)


def test_a_message_that_is_sent_again_is_pending_despite_an_earlier_failure(
    processor: Processor,
) -> None:
    id = message_id("v1", "bad")
    processor.run(make_chunk("bad"))
    assert isinstance(find(processor, id), Failure)
    processor.store.values[PROMISED + id] = b""
    assert find(processor, id) is None


def test_a_message_that_an_earlier_release_marked_is_pending_and_then_found(
    processor: Processor,
) -> None:
    id = message_id("v1", "fine")
    processor.store.values[f"byline:pending:{id}"] = b""
    assert find(processor, id) is None
    processor.run(make_chunk("fine"))
    assert isinstance(find(processor, id), Attribution)


def test_an_attribution_that_an_earlier_release_stored_is_found(processor: Processor) -> None:
    id = message_id("v1", "fine")
    kept = Attribution(id, "f", 0.9, (Candidate("f", 0.9),), "v1")
    processor.store.values[f"byline:attribution:{id}"] = msgspec.json.encode(kept)
    assert find(processor, id) == msgspec.structs.replace(kept, cached=True)


def test_a_failed_chunk_is_replied_and_found_under_its_pending_result(processor: Processor) -> None:
    processor.store.values[PROMISED + message_id("v1", "apple")] = b""
    chunks = [make_chunk("apple", "", to="byline:replies:x"), make_chunk("plain client's")]
    pipe: Any = processor.store
    processor.batch_processor.fail(chunks[:1], pipe, Revoked("the task was revoked"))
    [raw] = processor.store.lists["byline:replies:x"]
    assert authors(msgspec.json.decode(raw, type=Reply).outcomes) == ["revoked", "revoked"]
    failure = find(processor, message_id("v1", "apple"))
    assert isinstance(failure, Failure)
    assert len(processor.store.values) == 2  # the failure, and the pending result
