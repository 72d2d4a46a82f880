"""Provokes the alerts on quality, with other texts and contradicting labels."""

from __future__ import annotations

import time
from collections.abc import Iterator
from itertools import cycle

import httpx
import pytest

from bench.load.messages import variant
from tests.e2e.alerts.alarmed import Alarmed, Traffic, each, needs_alertmanager
from tests.e2e.watched import held_out, learn, paragraphs
from tests.parts import wait_for

pytestmark = [needs_alertmanager, each]
#: Messages a second.
RATE = 30


@pytest.fixture(scope="module")
def alarmed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Alarmed]:
    windows = {"BYLINE_QUALITY_WINDOW_S": "20", "BYLINE_FEEDBACK_WINDOW_S": "40"}
    alarmed = Alarmed(tmp_path_factory.mktemp("quality"), BYLINE_MODEL="", **windows)
    try:
        yield alarmed.start()
    finally:
        alarmed.close()


@pytest.fixture
def traffic(alarmed: Alarmed) -> Iterator[Traffic]:
    """Sends texts like those of the training, and waits until no alert fires."""
    messages, first = held_out(), int(time.monotonic())

    def text(number: int) -> str:
        turn, place = divmod(number, len(messages))
        return variant(messages[place].text, first + turn)  # in no cache

    with Traffic(alarmed.run, RATE) as traffic:
        traffic.text = text
        wait_for(lambda: len(traffic.answers) > 10 * RATE, 60, "answers")
        alarmed.calm()
        yield traffic


def test_other_texts_raise_alerts(alarmed: Alarmed, traffic: Traffic) -> None:
    usual, others = traffic.text, cycle(paragraphs())
    begin = time.monotonic()
    traffic.text = lambda number: f"{next(others)} ({number})"
    alerts = ("TextsUnseen", "AnswersDrift", "AbstentionUp", "EstimatedAccuracyDown")
    for alert in alerts:
        alarmed.told(begin, alert, "warning", "quality")
    again = time.monotonic()
    traffic.text = usual
    for alert in alerts:
        alarmed.over(again, alert, "warning", "quality")
    alarmed.calm()


def test_labels_that_contradict_the_model_raise_alerts(alarmed: Alarmed, traffic: Traffic) -> None:
    begin = time.monotonic()
    for answer in traffic.answers[-120:]:
        learn(alarmed.run, answer, "somebody else")
    for alert in ("AccuracyDown", "LabelsContradictModel"):
        alarmed.told(begin, alert, "warning", "quality")
    # The alerts end when these labels are old.
    again = time.monotonic()
    for alert in ("AccuracyDown", "LabelsContradictModel"):
        alarmed.over(again, alert, "warning", "quality")
    alarmed.calm()


def test_labels_that_contradict_each_other_raise_an_alert(
    alarmed: Alarmed, traffic: Traffic
) -> None:
    begin = time.monotonic()
    for number, answer in enumerate(traffic.answers[-120:]):
        author = answer["candidates"][0]["author"]
        learn(alarmed.run, answer, author)
        if number % 5 == 0:
            body = {"id": answer["id"], "author": "somebody else"}
            again = httpx.post(f"{alarmed.run.api}/v1/feedback", json=body, timeout=20)
            assert again.status_code == 409
    alarmed.told(begin, "LabelsContradictEachOther", "warning", "quality")
    alarmed.over(time.monotonic(), "LabelsContradictEachOther", "warning", "quality")
    alarmed.calm()
