"""Tests of the quality figures against values computed by hand or from the literature."""

from __future__ import annotations

from array import array

import numpy as np
import pytest

from bench.load.messages import Passage
from bench.load.recorder import Recorder
from bench.report.quality import calibration_error, effective, judge, wilson

CARD = {"details": {"metrics": {"accuracy": 0.5, "coverage_at_threshold": 0.6}}}


def recorder(right: int, wrong: int, passages: int = 1000) -> Recorder:
    made = Recorder([Passage("text", "author")] * passages)
    made.right.extend([1] * right + [0] * wrong)
    made.named.extend([1] * right + [0] * wrong)
    for number in range(right + wrong):
        made.by_passage[number % passages] += 1
    made.confidence = array("f", [0.5] * (right + wrong))
    return made


def test_wilson_as_in_the_tables() -> None:
    assert wilson(0.9, 10, 1.959964) == pytest.approx((0.5958, 0.9821), abs=1e-4)


def test_calibration_error_is_the_mean_gap() -> None:
    confidence = np.array([0.95, 0.95, 0.15, 0.15])
    right = np.array([True, False, False, False])
    assert calibration_error(confidence, right) == pytest.approx((0.45 + 0.15) / 2)


def test_an_accuracy_within_chance_agrees_with_the_card() -> None:
    quality = judge(recorder(490, 510), CARD)
    assert quality is not None
    assert quality.agrees
    assert (quality.accuracy, quality.coverage, quality.card_accuracy) == (0.49, 0.49, 0.5)
    assert quality.accuracy_when_answered == 1.0


def test_an_accuracy_beyond_chance_disagrees_with_the_card() -> None:
    quality = judge(recorder(400, 600), CARD)
    assert quality is not None
    assert quality.agrees is False


def test_answers_to_one_passage_count_once() -> None:
    """An accuracy of 40 % may be chance for 100 passages sent ten times, not for 1,000 passages."""
    quality = judge(recorder(400, 600, passages=100), CARD)
    assert quality is not None
    assert quality.agrees


def test_without_answers_or_card_there_is_no_verdict() -> None:
    assert judge(recorder(0, 0), CARD) is None
    quality = judge(recorder(1, 1), None)
    assert quality is not None
    assert quality.agrees is None


def test_a_passage_that_is_sent_more_often_is_not_more_evidence() -> None:
    assert effective([1] * 100) == 100
    assert effective([10] * 100) == 100
    assert effective([1000, *[1] * 10]) == pytest.approx(1.02, abs=0.01)
