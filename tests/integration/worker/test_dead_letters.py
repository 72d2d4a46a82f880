"""Messages that kill or hang workers become dead letters. An operator can list and replay them."""

from __future__ import annotations

import sys
from uuid import uuid4

import httpx
import pytest

from tests.parts import Stack, wait_for


def test_a_message_that_kills_workers_becomes_a_dead_letter_and_others_are_answered(
    own: Stack,
) -> None:
    workers = [own.worker(name="0")]
    own.api()
    texts = [f"neighbour {n}" for n in range(3)]
    messages = [{"text": text} for text in (texts[0], "DEADLY", *texts[1:])]
    accepted = own.attribute({"messages": messages}, wait=0).json()["attributions"]
    places = [own.url + item["location"] for item in accepted]

    def answered() -> list[httpx.Response] | None:
        if not workers[-1].alive:  # as a supervisor does
            workers.append(own.start_worker(name=str(len(workers))))
        answers = [httpx.get(place) for place in places]
        return None if any(answer.status_code == 202 for answer in answers) else answers

    answers = wait_for(answered, 60, "every message to be answered")
    assert [answer.status_code for answer in answers] == [200, 422, 200, 200]
    assert answers[1].json()["code"] == "dead_letter"
    assert len(workers) == 4  # one died of the batch, two of the message alone
    assert workers[-1].alive
    refused = own.attribute({"text": "DEADLY"})
    assert (refused.status_code, refused.json()["code"]) == (422, "dead_letter")

    id = accepted[1]["id"]
    assert id in dead_letters(own, "list")
    assert "DEADLY" not in dead_letters(own, "list")
    assert "DEADLY" in dead_letters(own, "show", id)
    assert "sent once more" in dead_letters(own, "replay", id)
    wait_for(lambda: not workers[-1].alive, what="it is as deadly as it was")
    assert "there are no dead letters" in dead_letters(own, "list")


def dead_letters(own: Stack, *arguments: str) -> str:
    part = own.start([sys.executable, "-m", "celery_app.dead_letters", *arguments], str(uuid4()))
    assert part.process.wait(20) == 0, part.output
    return part.output


def test_an_unknown_dead_letter_can_not_be_shown(own: Stack) -> None:
    part = own.start([sys.executable, "-m", "celery_app.dead_letters", "show", "0" * 32], "letters")
    assert part.process.wait(20) == 1
    assert "no dead letter has the id" in part.output


@pytest.mark.parametrize(
    ("text", "said"), [("ENDLESS", "the model has been silent"), ("GREEDY", "Timeout (0:00:02)")]
)
def test_a_model_that_never_returns_ends_its_worker(own: Stack, text: str, said: str) -> None:
    own.env["BYLINE_BATCH_TIMEOUT_S"] = "2"
    hung = own.worker(name="hung")
    own.api()
    accepted = own.attribute({"text": text}, wait=0).json()["location"]
    wait_for(lambda: own.calls() == [text])
    waiting = own.attribute({"text": "waits behind it"}, wait=0).json()["location"]
    wait_for(lambda: not hung.alive, 15, "the watchdog")
    assert hung.process.returncode == 1
    assert said in hung.output
    heirs = [own.start_worker(name="heir 0")]

    def answered() -> bool:
        if not heirs[-1].alive:  # this worker got the deadly message, too
            heirs.append(own.start_worker(name=f"heir {len(heirs)}"))
        return httpx.get(own.url + waiting).status_code == 200

    wait_for(answered, 40)
    assert httpx.get(own.url + accepted).status_code in (202, 422)
