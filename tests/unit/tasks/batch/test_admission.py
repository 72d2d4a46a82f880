"""Which messages of a chunk are refused: invalid texts and passed deadlines."""

from __future__ import annotations

from tests.unit.tasks.fakes import Processor, authors, make_chunk


def test_invalid_texts_fail_alone(processor: Processor) -> None:
    [outcomes] = processor.run(make_chunk("fine", "", 3, "x" * 101, "good"))
    assert authors(outcomes) == ["f", "invalid", "invalid", "invalid", "g"]


def test_a_message_whose_deadline_has_passed_is_not_computed(processor: Processor) -> None:
    [outcomes] = processor.run(
        make_chunk("late", "just", "whenever", deadlines=[999.9, 1000.0, None])
    )
    assert authors(outcomes) == ["deadline_passed", "j", "w"]
    assert processor.predictor.batches == [["just", "whenever"]]


def test_a_text_that_is_late_for_one_client_is_computed_for_another(processor: Processor) -> None:
    one, two = processor.run(make_chunk("same", deadlines=[1.0]), make_chunk("same"))
    assert (authors(one), authors(two)) == (["deadline_passed"], ["s"])
