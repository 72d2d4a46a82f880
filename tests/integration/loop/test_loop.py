"""The loop: feedback on served messages trains a version, which is tried, promoted and left."""

from __future__ import annotations

import random
import re
import time
from hashlib import blake2b
from pathlib import Path
from typing import Any

import httpx
import pytest

from model.card import read
from tasks.feedback.kept_texts import KEPT, KeptTexts, LabelledText
from tests.integration.loop.keeping import keep_text
from tests.integration.loop.making import made, make
from tests.parts import Stack, free_port, wait_for
from tests.unit.model.test_train import corpus

#: Words that Ann uses only since the old version was trained, and those of an author who is new.
RECENT = {
    "Ann": ["ledger", "audit", "refund", "invoice", "payment", "credit", "debit", "tax"],
    "Dee": ["zeta", "omega", "kappa", "sigma", "lambda", "theta", "gamma", "delta"],
}


def texts(author: str, number: int, seed: int) -> list[str]:
    chance = random.Random(f"{author} {seed}")
    return [" ".join(chance.choices(RECENT[author], k=8)) for _ in range(number)]


def attribute(stack: Stack, messages: list[str]) -> list[dict[str, Any]]:
    answer = stack.attribute({"messages": [{"text": text} for text in messages]}, wait=20)
    assert answer.status_code == 200, answer.text
    return list(answer.json()["attributions"])


def tell(stack: Stack, id: str, author: str, **more: Any) -> None:
    body = {"id": id, "author": author, **more}
    httpx.post(f"{stack.url}/v1/feedback", json=body, timeout=20).raise_for_status()


def answered_by(stack: Stack, messages: list[str]) -> set[str]:
    return {item["model"] for item in attribute(stack, messages)}


def digests(folder: Path) -> dict[str, str]:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path): blake2b(path.read_bytes()).hexdigest() for path in files}


@pytest.fixture
def serving(own: Stack) -> Stack:
    """A Byline that serves a model trained on a small corpus, and keeps feedback."""
    old = own.folder / "models" / "ngram"
    made(own, "train", f"DATA={corpus(own.folder / 'mine.jsonl')}", f"OUT={old}")
    own.env |= {"BYLINE_MODEL": "ngram", "BYLINE_MODEL_DIR": str(old), "BYLINE_KEEP_FEEDBACK": "30"}
    own.env["BYLINE_MONITOR_PORT"] = str(free_port())
    own.worker()
    own.api()
    own.monitor(BYLINE_MONITOR_PORT=own.env["BYLINE_MONITOR_PORT"])
    return own


def retrained(stack: Stack) -> str:
    """Runs `make retrain` as the stack's operator. Returns what it prints."""
    data, old = stack.folder / "mine.jsonl", stack.env["BYLINE_MODEL_DIR"]
    return made(stack, "retrain", f"DATA={data}", f"OLD={old}")


def test_from_feedback_to_a_promoted_version_and_back(serving: Stack) -> None:
    models = serving.folder / "models"
    before, old = digests(models), read(models / "ngram").version
    for author in RECENT:
        for item in attribute(serving, texts(author, 60, seed=0)):
            tell(serving, item["id"], author)
    [wrong] = attribute(serving, [texts("Dee", 1, seed=1)[0]])
    tell(serving, wrong["id"], "Bob")
    tell(serving, wrong["id"], "Dee", corrects=True)
    kept = [text.author for text in KeptTexts(serving.redis).all().texts]
    assert (kept.count("Ann"), kept.count("Dee"), kept.count("Bob")) == (60, 61, 0)

    said = retrained(serving)
    new = re.findall(r"^(ngram-1-\w+), written to ", said, re.MULTILINE)[0]
    assert f"{new} is better: it is better on feedback" in said
    assert "no difference proven" in said, "on the old data"
    assert read(models / new).authors == ("Ann", "Bob", "Cy", "Dee")
    assert {path: digests(models)[path] for path in before} == before, "nothing is replaced"

    serving.worker(name="next", BYLINE_MODEL_DIR=str(models / new))
    fresh = texts("Dee", 40, seed=2)
    assert answered_by(serving, fresh[:10]) == {old}, "nobody has said that it may answer"
    made(serving, "canary", f"VERSION={new}", "SHARE=50")
    wait_for(lambda: answered_by(serving, fresh[10:30]) == {old, new}, what="both to answer")
    wait_for(lambda: _measured(serving) >= {old, new}, 30, "the quality of both versions")

    made(serving, "promote")
    wait_for(lambda: answered_by(serving, fresh[10:30]) == {new}, what="the new version alone")
    assert {item["candidates"][0]["author"] for item in attribute(serving, fresh)} == {"Dee"}
    made(serving, "back")
    wait_for(lambda: answered_by(serving, fresh[10:30]) == {old}, what="the old version again")


def _measured(stack: Stack) -> set[str]:
    """Returns the versions whose answers the monitor compares with their cards."""
    port = stack.env["BYLINE_MONITOR_PORT"]
    page = httpx.get(f"http://127.0.0.1:{port}/metrics", timeout=10).text
    return set(re.findall(r'^byline_quality_messages{version="(.+)"} [1-9]', page, re.MULTILINE))


def test_retraining_twice_replaces_nothing_and_damaged_records_are_left_out(
    serving: Stack,
) -> None:
    for item in attribute(serving, texts("Ann", 40, seed=0)):
        tell(serving, item["id"], "Ann")
    first, *_ = [id for id in serving.redis.hkeys(KEPT) if id != b"bytes"]
    serving.redis.hset(KEPT, first, b"garbage")
    said = retrained(serving)
    assert "kept texts that can't be read, left out: 1\n" in said
    assert "messages with feedback, added to the old data: 39" in said
    before = digests(serving.folder / "models")
    data, old = serving.folder / "mine.jsonl", serving.env["BYLINE_MODEL_DIR"]
    again = make(serving, "retrain", f"DATA={data}", f"OLD={old}")
    assert "this version exists already" in again.stderr
    assert again.returncode == 2
    assert digests(serving.folder / "models") == before


def test_retraining_is_refused_in_one_line_that_says_what_to_do(own: Stack) -> None:
    data, models = corpus(own.folder / "mine.jsonl"), own.folder / "models"
    refused = {
        "can't be read: No such file or directory": {"DATA": str(data), "OLD": str(models)},
        "no text with feedback is kept": {"DATA": str(data)},
        "Redis can't be reached": {"DATA": str(data), "BYLINE_REDIS_URL": "redis://localhost:1/0"},
        "invalid choice: 'vowels'": {"DATA": str(data), "MODEL": "vowels"},
    }
    for words, settings in refused.items():
        options = {"OLD": "model/weights/ngram", **settings}
        redis = {k: options.pop(k) for k in list(options) if k.startswith("BYLINE")}
        done = make(
            own, "retrain", *(f"{name}={value}" for name, value in options.items()), **redis
        )
        assert done.returncode == 2
        assert words in done.stderr
        assert "Traceback" not in done.stderr
    assert not models.exists()


def test_old_version_of_another_kind_is_refused_before_the_training(own: Stack) -> None:
    keep_text(own, "1", LabelledText(time.time() + 900, "Ann", "vowels-1", "a text"))
    data = corpus(own.folder / "mine.jsonl")
    done = make(own, "retrain", f"DATA={data}", "OLD=model/weights/transformer")
    [said, _] = done.stderr.splitlines()
    assert said.startswith("retrain: model/weights/transformer: no version of the model ngram can")
    assert said.endswith("with MODEL=, or its folder with OLD=")
    assert done.returncode == 2
    assert "n-grams, tuning" not in done.stdout
