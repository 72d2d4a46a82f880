"""A new model version is rolled out and taken back under load, and no request fails."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import httpx
import pytest
import torch

from bench.faults.loss import measure
from bench.load import messages
from bench.load.http_client import Target
from bench.load.messages import Message
from bench.load.recorder import Answer, Recorder
from bench.load.scenario import Mix
from model.canonical import canonical
from model.ngram.classifier import NgramModel
from model.training.corpus import HELD_OUT_FOLD, load_sotu
from tasks.messages import message_id
from tasks.rollout import Rollout, WorkerRegistry
from tests.parts import Part, Stack, wait_for

#: Messages a second, and longest load in seconds.
RATE, MAX_LOAD_S = 500.0, 116.0
#: Seconds of load in a phase of the rollout, and in the canary's phase. The canary's phase is
#: longer, so that there are enough answers to measure the canary's share.
PHASE_S, CANARY_S = 2.0, 12.0
SHARE = 0.2
#: Seconds for which the api may follow the previous rollout. The api reads the rollout each second.
NOTICED_S = 2.0


class NextModel(NgramModel):
    """The default model under the name of a next version."""

    def __init__(self) -> None:
        super().__init__()
        self._own = self.card
        self.card = replace(self.card, version=f"{self.card.version}-next")

    def load(self, device: torch.device) -> None:
        renamed, self.card = self.card, self._own  # the weights must have that version
        super().load(device)
        self.card = renamed


class Seen(NamedTuple):
    """An answer. ``due`` (of the message) and ``came`` are monotonic times in seconds."""

    due: float
    came: float
    text: str
    id: str
    model: str


class Ledger(Recorder):
    """Records which model version answered each message."""

    def __init__(self, passages: list[messages.Passage]) -> None:
        super().__init__(passages)
        self.seen: list[Seen] = []

    def _judge(self, message: Message, answer: Answer, place: int) -> None:
        super()._judge(message, answer, place)
        due = self.began + self.due[place]
        text = canonical(message.text)
        self.seen.append(Seen(due, due + self.latency[place], text, answer.id, answer.model))


class Rolling(Stack):
    """Two api processes, and workers of two versions. ``told`` has the rollouts, with times."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, BYLINE_MODEL="ngram", BYLINE_LOG_LEVEL="WARNING")
        self.old, self.new = NgramModel().card.version, NextModel().card.version
        self.told: list[tuple[float, Rollout]] = []

    def tell(self, *arguments: str) -> None:
        """Runs the command ``celery_app.models``, as an operator does."""
        command = [sys.executable, "-m", "celery_app.models", *arguments]
        env = {"BYLINE_REDIS_URL": self.env["BYLINE_REDIS_URL"]}
        subprocess.run(command, env=env, check=True, stdout=subprocess.DEVNULL, timeout=20)
        self.note()

    def note(self) -> None:
        """Records the present rollout and the time."""
        rollout = WorkerRegistry(self.redis).look().rollout
        assert rollout is not None
        self.told.append((time.monotonic(), rollout))

    def next_worker(self) -> Part:
        return self.worker(name="next", BYLINE_MODEL=f"{__name__}:NextModel")

    def wrong(self, seen: Seen) -> bool:
        """Returns whether the answer is of a version that no rollout of that time chose."""
        if seen.id != message_id(seen.model, seen.text):
            return True
        then = [at for at, _ in self.told if at <= seen.due - NOTICED_S][-1:]
        # A rollout begins a moment before its recorded time.
        known = [each for at, each in self.told if [at] >= then and at <= seen.came + NOTICED_S]
        return seen.model not in {
            str(each.canary) if each.takes(seen.text) else each.current for each in known
        }

    def share(self, seen: list[Seen]) -> float:
        """Returns the canary's share of the answers, while each api process knew the canary."""
        [begin] = [at for at, each in self.told if each.canary]
        [end, *_] = [at for at, each in self.told if at > begin]
        during = [
            each for each in seen if begin + NOTICED_S < each.due and each.came < end - NOTICED_S
        ]
        assert len(during) > RATE * CANARY_S / 2
        return sum(each.model == self.new for each in during) / len(during)


@pytest.fixture
def rolling(tmp_path: Path) -> Iterator[Rolling]:
    rolling = Rolling(tmp_path)
    try:
        rolling.valkey()
        rolling.worker(name="old")
        rolling.api(BYLINE_API_PROCESSES="2")
        yield rolling
    finally:
        rolling.close()


def test_a_rollout_fails_no_request_and_no_wrong_version_answers(
    rolling: Rolling,
) -> None:
    passages = [messages.Passage(m.text, m.author) for m in load_sotu().part(HELD_OUT_FOLD)]
    rolling.note()

    def roll() -> None:
        """Runs the phases. Each sleep is the length of a phase, not a wait for an event."""
        rolling.next_worker()
        time.sleep(PHASE_S)
        rolling.tell("share", rolling.new, str(SHARE))
        time.sleep(CANARY_S)
        rolling.tell("serve", rolling.new)
        time.sleep(PHASE_S)
        old = rolling.parts[1]
        assert old.stop() == 0, old.output
        time.sleep(PHASE_S)
        rolling.worker(name="old")
        rolling.tell("back")
        time.sleep(PHASE_S)
        assert rolling.parts[-2].alive

    url = httpx.URL(rolling.url)
    target = Target(url.host, url.port or 80, "/v1/attributions")
    ledger = Ledger(passages)
    sent = messages.stream(passages, Mix(seed=7), 0)
    most = int(RATE * MAX_LOAD_S)
    loss = measure(target, sent, passages, roll, most, RATE, ledger, breaks_at=0.025, then_s=2.0)
    assert loss.lost == {}, loss
    assert loss.answered + loss.kept == loss.sent, loss
    assert [each for each in ledger.seen if rolling.wrong(each)] == []
    assert rolling.share(ledger.seen) == pytest.approx(SHARE, abs=0.02)
    answered = {each.model for each in ledger.seen}
    assert answered == {rolling.old, rolling.new}
    assert ledger.seen[-1].model == rolling.old
    wait_for(lambda: rolling.held() == 0, what="nothing to be held")
    refused = rolling.attribute({"text": "to none"}, model=f"{rolling.old}-older")
    assert (refused.status_code, refused.json()["code"]) == (404, "unknown_model")
    taken = rolling.share(ledger.seen)
    print(f"{loss.answered:,} of {loss.sent:,} answered at once; canary {taken:.1%}")
