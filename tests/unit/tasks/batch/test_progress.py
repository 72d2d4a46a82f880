"""Chunks that are computed in several passes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from model.types import Evidence
from tasks.batch.progress import Progress
from tasks.messages import Reply
from tasks.work import EVIDENCE
from tests.unit.tasks.fakes import Processor, authors, make_chunk, run_passes


def test_a_chunk_computed_in_passes_has_one_reply_with_all_outcomes_in_order(
    processor: Processor,
) -> None:
    processor.run(make_chunk("known"))
    texts = ["a", "b", "", "bad", "a", "known", "c"]
    progress = Progress(make_chunk(*texts, to="byline:replies:x", deadlines=[None] * 6 + [1.0]))
    *before, [outcomes] = run_passes(processor, progress)
    assert before == [[], [], []]
    expected = ["a", "b", "invalid", "model_failed", "a", "k", "deadline_passed"]
    assert authors(outcomes) == expected
    [raw] = processor.store.lists["byline:replies:x"]
    assert authors(msgspec.json.decode(raw, type=Reply).outcomes) == expected


def test_a_pass_with_evidence_holds_fewer_messages(processor: Processor) -> None:
    progress = Progress(make_chunk("a", "b", "c", "d", explain=True))
    [*_, [outcomes]] = run_passes(processor, progress, messages=2 * EVIDENCE)
    assert processor.predictor.batches == [["a", "b"], ["c", "d"]]
    assert all(isinstance(outcome.evidence, Evidence) for outcome in outcomes)


def test_a_message_in_two_passes_is_computed_once_even_if_it_fails(
    processor: Processor,
) -> None:
    processor.store.down = True  # so that the outcome can not come from the cache
    run_passes(processor, Progress(make_chunk("a", "bad", "bad", "a", "c")))
    assert processor.predictor.batches == [["a", "bad"], ["a"], ["bad"], ["c"]]
    value = processor.registry.get_sample_value
    assert value("byline_messages_total", {"outcome": "joined"}) == 2
    assert value("byline_messages_total", {"outcome": "computed"}) == 2
    assert value("byline_messages_total", {"outcome": "failed"}) == 1


def test_a_text_in_two_passes_is_answered_also_where_the_client_named_another_version(
    processor: Processor,
) -> None:
    progress = Progress(make_chunk("a", "b", "a", version="v0"))
    [*_, [outcomes]] = run_passes(processor, progress)
    assert authors(outcomes) == ["a", "b", "a"]


def test_the_outcomes_of_each_pass_are_cached_at_once(processor: Processor) -> None:
    pipe: Any = processor.store
    progress = Progress(make_chunk("a", "b", "c", "d"))
    processor.batch_processor.finish(processor.batch_processor.begin_part(progress, 2), pipe)
    # The worker is killed here, and the task is delivered again.
    [*_, [outcomes]] = run_passes(processor, Progress(make_chunk("a", "b", "c", "d")), alone=True)
    assert processor.predictor.batches == [["a", "b"], ["c"], ["d"]]
    assert authors(outcomes) == ["a", "b", "c", "d"]


def test_the_log_names_the_requests_of_a_message_that_fails_in_any_pass(
    processor: Processor, logged: Callable[[], str]
) -> None:
    for is_alone in (False, True):
        named = make_chunk("a", "b", "c", "bad", request_ids=["0", "1", "2", "3"])
        run_passes(processor, Progress(named), alone=is_alone)
    assert [line.rpartition(" (")[2] for line in logged().splitlines()] == ["request 3)"] * 2
