"""A message that breaks the model is found and logged, and no other message fails."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tasks.messages import Failure, message_id
from tests.unit.tasks.fakes import Processor, make_chunk


@pytest.mark.parametrize("size", [1, 2, 3, 8, 9])
@pytest.mark.parametrize("culprit", [0, -1])
def test_a_message_that_breaks_the_model_is_found_by_halving(
    processor: Processor, size: int, culprit: int
) -> None:
    texts = [f"{n} fine" for n in range(size)]
    texts[culprit] = "bad"
    [outcomes] = processor.run(make_chunk(*texts))
    failed = [n for n, outcome in enumerate(outcomes) if isinstance(outcome, Failure)]
    assert failed == [culprit % size]
    assert outcomes[culprit].code == "model_failed"


def test_a_message_that_breaks_the_model_is_logged_with_its_requests_and_without_its_text(
    processor: Processor, logged: Callable[[], str]
) -> None:
    named = make_chunk("fine", "bad", "bad too", request_ids=["one", "two", "three"])
    processor.run(named, make_chunk("bad", request_ids=["four"]), make_chunk("bad"))
    first = message_id("v1", "bad")
    words = f"the model failed on the message {first} and 1 more: the model raised ValueError"
    assert logged() == f"{words} (requests two, three, four)\n"
