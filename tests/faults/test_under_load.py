"""Breaks one part after the other, under load: no message is lost.

``make faults`` breaks and measures each part separately.
"""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from bench.faults import fault_injection as faults
from bench.faults.__main__ import HONEST, Outcome, watched
from bench.faults.duplicate_check import DuplicateCheck, computed_twice
from bench.faults.loss import measure
from bench.load import messages
from bench.load.recorder import BROKEN
from bench.load.scenario import Mix
from bench.system.system import Started
from model.training.corpus import HELD_OUT_FOLD, load_sotu

#: Messages a second.
RATE = 100.0
#: Seconds from one fault to the next. A fault that takes longer, such as the restart of two
#: workers, delays the next fault.
APART_S = 8.0
#: Seconds of load before the first fault, and longest load in seconds. The longest load is long,
#: since a busy machine takes long to replace a part.
BREAKS_S, MOST_S = 3.0, 400.0

SETTINGS = {
    "BYLINE_WORKERS": "2",
    "BYLINE_API_PROCESSES": "2",
    "BYLINE_VISIBILITY_TIMEOUT_S": "3",
    "BYLINE_BATCH_TIMEOUT_S": "3",
}


@pytest.fixture(scope="session")
def passages() -> list[messages.Passage]:
    return [messages.Passage(m.text, m.author) for m in load_sotu().part(HELD_OUT_FOLD)]


def strike_all(system: Started, strikes: list[faults.Strike]) -> None:
    for strike in strikes:
        due = time.monotonic() + APART_S
        strike(system)
        time.sleep(max(0.0, due - time.monotonic()))  # until the next fault


def broken(
    folder: Path,
    passages: list[messages.Passage],
    strikes: list[faults.Strike],
    honest: frozenset[str] = HONEST,
) -> Outcome:
    """Breaks parts one after the other, under load. The load ends ``APART_S`` after the last."""
    number = int(RATE * MOST_S)
    with Started(folder, watched(folder) | SETTINGS) as system:
        duplicate_check = DuplicateCheck(passages)
        loss = measure(
            system.target,
            messages.stream(passages, Mix(repeats=0.3, seed=7), 0),
            passages,
            lambda: strike_all(system, strikes),
            number,
            RATE,
            duplicate_check,
            breaks_at=BREAKS_S / MOST_S,
            then_s=APART_S,
        )
        twice = computed_twice(folder / "calls")
        log = (folder / "state" / "logs" / "api.log").read_text()
        assert "Traceback" not in log, log[-5000:]  # the api expects each of these faults
        assert loss.sent > RATE * len(strikes) * APART_S
        return Outcome(loss, duplicate_check.contradicted(system.target), twice, honest)


def test_every_message_has_one_outcome_whichever_part_breaks(
    tmp_path: Path, passages: list[messages.Passage]
) -> None:
    strikes = [
        faults.kill("worker-1"),
        faults.freeze("worker-2"),
        faults.slow_model,
        faults.hang_model,
        faults.cut_connections,
        faults.fill_disk,
        faults.freeze("valkey"),
        faults.kill("valkey"),
    ]
    outcome = broken(tmp_path, passages, strikes)
    assert outcome.harmless, outcome.complaints


def test_a_killed_api_breaks_only_its_own_connections(
    tmp_path: Path, passages: list[messages.Passage]
) -> None:
    """Tested by itself: after any other fault, a broken connection is a defect of Byline."""
    outcome = broken(tmp_path, passages, [faults.kill("api")], HONEST | {BROKEN})
    assert outcome.harmless, outcome.complaints


def test_a_rolling_restart_fails_no_request(
    tmp_path: Path, passages: list[messages.Passage]
) -> None:
    outcome = broken(tmp_path, passages, [faults.restart_workers, faults.restart_api])
    assert outcome.harmless, outcome
    # On a busy machine, a request may be promised its answer (202) and fetch it later.
    assert outcome.loss.answered + outcome.loss.kept == outcome.loss.sent, outcome
