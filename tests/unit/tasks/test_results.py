"""The result of a task: a list in JSON, and only a number in logs and events."""

from __future__ import annotations

import json

import pytest
from celery.utils.saferepr import saferepr
from kombu.utils import json as kombu_json

from model.types import Candidate
from tasks.messages import Attribution, Failure
from tasks.results import Attributions

OUTCOMES = [
    Attribution("1" * 32, "Ada", 0.9, (Candidate("Ada", 0.9),), "v1"),
    Failure("", "invalid", "text is empty"),
]


def test_a_result_is_a_list_in_json_and_a_number_in_its_repr() -> None:
    result = Attributions(OUTCOMES)
    assert saferepr(result) == "(2 messages attributed)"
    plain = json.loads(kombu_json.dumps({"result": result}))["result"]
    author = {"author": "Ada", "confidence": 0.9}
    shared = {"id": "1" * 32, **author, "candidates": [author], "model": "v1", "cached": False}
    assert plain[0] == shared
    assert (len(result), result[0]["author"]) == (2, "Ada")
    assert plain[1] == {"id": "", "error": {"code": "invalid", "detail": "text is empty"}}


def test_a_result_that_is_not_read_is_not_converted() -> None:
    result = Attributions([object()])  # type: ignore[list-item]
    assert repr(result) == "(1 message attributed)"
    with pytest.raises(TypeError):
        list(result)
