"""The quality monitor of a running Byline reports a change within a minute.

While nothing changes, it reports no change. `make drift` sets QUALITY_UNCHANGED_S=600: then nothing
changes for ten minutes.
"""

from __future__ import annotations

import math
import os
import time
from collections.abc import Iterator, Sequence
from typing import Any

import pytest

from model.training.corpus import Message
from monitoring.instruments.monitor_metrics import SIGNALS
from tests.e2e.conftest import Run
from tests.e2e.watched import held_out, learn, monitored, paragraphs, signals_past
from tests.parts import wait_for

UNCHANGED_S = float(os.environ.get("QUALITY_UNCHANGED_S", "15"))
#: Messages a second. There must be enough messages for ten minutes: cached messages do not count.
RATE = 8 if UNCHANGED_S > 100 else 40
#: Number of labels.
LEARNED = 100
#: Seconds within which a change must show.
SOON_S = 60.0


@pytest.fixture(scope="module")
def unseen() -> list[Message]:
    return held_out()


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    run = Run(tmp_path_factory.mktemp("quality"), BYLINE_MODEL="")
    try:
        yield run.wait_until_up()
    finally:
        run.close()


def send(run: Run, texts: Sequence[str], until: float, past: set[str]) -> list[dict[str, Any]]:
    """Sends texts at an even rate until a time, or until a signal of ``past`` shows.

    If ``past`` is empty, no signal may show. A signal shows when it is past its threshold.
    """
    answers: list[dict[str, Any]] = []
    looked = begin = time.monotonic()
    for number, text in enumerate(texts):
        due = begin + number / RATE
        while (now := time.monotonic()) < min(due, until):
            time.sleep(min(due, until) - now)  # the rate of the load
        answers.append(run.attribute(text))
        if now > looked + 2:
            looked = now
            shown = signals_past(run)
            assert past or not shown, (shown, monitored(run))
            if past & shown:
                break
        if now > until:
            break
    return answers


def test_no_signal_shows_without_a_change_and_each_change_shows(
    run: Run, unseen: list[Message]
) -> None:
    # A fixed number, so that a slow machine takes longer, but has as many messages.
    texts = [message.text for message in unseen[: int(RATE * UNCHANGED_S)]]
    unchanged = send(run, texts, math.inf, set())
    assert len(unchanged) == RATE * UNCHANGED_S
    for message, answer in list(zip(unseen, unchanged, strict=False))[:LEARNED]:
        learn(run, answer, message.author)
    wait_for(lambda: _told(run) == set(SIGNALS), 20, "all signals")
    labels = ("byline_quality_labels", run.model["card"]["version"])
    wait_for(lambda: monitored(run)[labels] == LEARNED, 20, "all labels")
    assert signals_past(run) == set()

    # Cached messages do not count.
    before = _messages(run)
    for answer in unchanged[:50]:
        assert run.attribute(unseen[unchanged.index(answer)].text)["cached"]
    assert _messages(run) <= before

    # The signals remain when the worker that counted for them is killed.
    os.kill(run.pids["worker"], 9)
    wait_for(lambda: bool(run.revived("worker")), 30, "another worker")
    time_left = time.monotonic() + 20
    wait_for(lambda: _told(run) == set(SIGNALS) or time.monotonic() > time_left, 30, "signals")
    assert _told(run) == set(SIGNALS)

    # Texts of another corpus.
    run.serves("Fellow citizens, the worker is another one")
    begin = time.monotonic()
    send(run, paragraphs(), begin + SOON_S, {"unseen"})
    assert "unseen" in signals_past(run)
    assert time.monotonic() - begin < SOON_S

    # Labels that contradict.
    assert "accuracy" not in signals_past(run)
    begin = time.monotonic()
    for answer in unchanged[LEARNED : 2 * LEARNED]:
        learn(run, answer, "somebody else")
    wait_for(lambda: "accuracy" in signals_past(run), SOON_S, "the accuracy")


def test_a_model_that_always_names_the_same_author_shows(
    runs: list[Run], unseen: list[Message], tmp_path_factory: pytest.TempPathFactory
) -> None:
    run = Run(tmp_path_factory.mktemp("stuck"), BYLINE_MODEL="tests.e2e.watched:Stuck")
    runs.append(run)
    run.wait_until_up()
    begin = time.monotonic()
    answers = send(run, [m.text for m in unseen], begin + SOON_S, {"author_drift"})
    assert len({answer["author"] for answer in answers}) == 1
    assert {"author_drift", "confidence_drift"} <= signals_past(run)
    assert time.monotonic() - begin < SOON_S


def _told(run: Run) -> set[str]:
    return {name[1] for name in monitored(run) if name[0] == "byline_quality_ratio"}


def _messages(run: Run) -> float:
    return monitored(run)["byline_quality_messages", run.model["card"]["version"]]
