"""The texts that a batch stores, so that they can be kept if feedback on them comes."""

from __future__ import annotations

from tasks.feedback.waiting_texts import TEXT, WaitingTexts
from tasks.messages import message_id
from tests.unit.tasks.fakes import Processor, make_chunk, run_alone


def waiting(processor: Processor) -> dict[str, object]:
    return {key: text for key, text in processor.store.values.items() if key.startswith(TEXT)}


def key(text: str) -> str:
    return TEXT + message_id("v1", text)


def test_batch_stores_no_text_by_default(processor: Processor) -> None:
    processor.run(make_chunk("apple"))
    run_alone(processor, make_chunk("pear"))
    assert waiting(processor) == {}


def test_batch_stores_the_texts_of_attributed_messages_only() -> None:
    processor = Processor(WaitingTexts(60))
    processor.run(make_chunk(" apple ", "bad pear", "", "apple", 5))
    assert waiting(processor) == {key("apple"): "apple"}


def test_batch_of_cached_messages_stores_no_text_again() -> None:
    processor = Processor(WaitingTexts(60))
    processor.run(make_chunk("apple"))
    del processor.store.values[key("apple")]
    processor.run(make_chunk("apple"))
    assert waiting(processor) == {}


def test_text_of_a_message_that_was_tried_alone_is_stored() -> None:
    processor = Processor(WaitingTexts(60))
    run_alone(processor, make_chunk("apple", "bad pear"))
    assert waiting(processor) == {key("apple"): "apple"}
