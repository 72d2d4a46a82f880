"""A batch: one forward pass for all chunks, with cache hits, duplicates, evidence and replies."""

from __future__ import annotations

import msgspec

from model.types import Evidence
from tasks.messages import Reply, message_id
from tests.unit.tasks.fakes import Processor, authors, make_chunk


def test_all_chunks_of_a_batch_are_one_forward_pass_with_outcomes_in_order(
    processor: Processor,
) -> None:
    one, two = processor.run(make_chunk("apple", "pear"), make_chunk("cherry"))
    assert (authors(one), authors(two)) == (["a", "p"], ["c"])
    assert processor.predictor.batches == [["apple", "pear", "cherry"]]


def test_duplicates_across_chunks_are_computed_once(processor: Processor) -> None:
    processor.run(make_chunk("apple", "apple"), make_chunk(" apple "))
    assert processor.predictor.batches == [["apple"]]


def test_a_cached_message_is_not_computed(processor: Processor) -> None:
    processor.run(make_chunk("apple"))
    [[hit, new]] = processor.run(make_chunk("apple", "pear"))
    assert (hit.cached, new.cached) == (True, False)
    assert processor.predictor.batches == [["apple"], ["pear"]]


def test_without_a_cache_everything_is_computed(processor: Processor) -> None:
    processor.run(make_chunk("apple"))
    processor.store.down = True
    [[again]] = processor.run(make_chunk("apple"))
    assert not again.cached


def test_an_empty_batch_does_nothing(processor: Processor) -> None:
    assert processor.run() == []
    assert processor.run(make_chunk()) == [[]]
    assert processor.predictor.batches == []


def test_evidence_goes_only_to_the_chunk_that_asked_for_it(processor: Processor) -> None:
    one, two = processor.run(make_chunk("apple", explain=True), make_chunk("apple"))
    assert isinstance(one[0].evidence, Evidence)
    assert two[0].evidence is msgspec.UNSET


def test_a_message_cached_without_evidence_is_computed_again_for_evidence(
    processor: Processor,
) -> None:
    processor.run(make_chunk("apple"))
    [[explained]] = processor.run(make_chunk("apple", explain=True))
    assert isinstance(explained.evidence, Evidence)
    [[hit]] = processor.run(make_chunk("apple", explain=True))
    assert hit.cached
    assert len(processor.predictor.batches) == 2


def test_a_reply_goes_to_the_list_that_its_chunk_names(processor: Processor) -> None:
    processor.run(
        make_chunk("apple", "", id="1", to="byline:replies:x"), make_chunk("pear", id="2")
    )
    [raw] = processor.store.lists["byline:replies:x"]
    reply = msgspec.json.decode(raw, type=Reply)
    assert reply.chunk == "1"
    assert authors(reply.outcomes) == ["a", "invalid"]


def test_a_failure_is_stored_for_lookups_but_not_used_as_a_cache_hit(processor: Processor) -> None:
    processor.run(make_chunk("bad"))
    processor.run(make_chunk("bad"))
    assert processor.predictor.batches == [["bad"], ["bad"]]
    assert f"byline:failure:{message_id('v1', 'bad')}" in processor.store.values
