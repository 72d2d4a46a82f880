"""Sends sample messages to the api over HTTP, and prints the attributions.

Run it as ``python -m compose.sample_message http://localhost:8000``. For a model that comes with
Byline, the program shows up to three attributions: a sure one, a hard one, and one in which the
model names no author. To find these, it may send several messages. Any other model gets one
message. If a message gets no attribution, the program prints the reason, and exits with status 1.
"""

from __future__ import annotations

import json
import os
import random
import sys
import textwrap
import time
import urllib.request
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple
from urllib.error import HTTPError

from celery_app.settings import MODELS, Settings
from compose.probe import DIRECT

#: The sample message for models that know other authors than the shipped models.
ANYTHING = (
    "I have given this a good deal of thought, and I would rather tell you plainly what I make "
    "of it than leave you to guess. We began late, we spent more than we had, and yet the work "
    "was done well; whoever comes after us will find it easier to go on than we found it to begin."
)
#: A sample message that none of the shipped models' authors has written.
NOBODYS = (
    "My train was late again this morning, so I bought a coffee, answered three emails on my phone "
    "and watched the rain on the platform. Could you start the meeting without me? The slides are "
    "in the shared folder, and Anna knows the password of the projector."
)
#: The text that the terminal shows about the author of the message ``NOBODYS``.
NOBODY = "nobody of the authors that the model knows: made up"
#: The titles of the three attributions that are shown.
SURE = "Sure, and right"
HARD = "Hard, and right"
ABSTAINED = "No author, on purpose"
#: The lowest confidence of a sure attribution.
SURE_FROM = 0.9
#: The confidence below which an attribution is hard.
HARD_BELOW = 0.7
#: Maximum number of held-out messages that are sent to a shipped model.
HELD_OUT = 24
#: Longest wait for an attribution, in seconds. The settings may allow only a shorter wait.
ANSWER_S = 30.0
#: Maximum number of parts of the evidence that are shown.
EVIDENCE = 5


class NoAttribution(Exception):
    """The sample message got no attribution. The error's text says why."""


class Sample(NamedTuple):
    """A sample message, and what the api answered."""

    text: str
    #: The true author; empty for a message that is made up.
    author: str
    answer: dict[str, Any]
    #: Milliseconds until the answer arrived.
    took_ms: float

    @property
    def right(self) -> bool:
        """Whether the model names the true author."""
        return bool(self.author) and self.answer["author"] == self.author


#: Sends a text with its true author.
Ask = Callable[[str, str], Sample]


def main(api: str) -> int:
    """Sends sample messages to the api, and prints the attributions. Returns the exit status.

    ``api`` is the URL of the api.
    """
    try:
        settings = Settings.from_environ(os.environ)
        if settings.keys_file is not None:
            raise NoAttribution("BYLINE_KEYS_FILE is set, and its file holds only hashes of keys")
        print(_shown(api, settings))
    except NoAttribution as reason:
        print(reason)
        return 1
    except Exception as error:  # of any kind: a failed sample must not end `make run`
        print(" ".join(f"{type(error).__name__}: {error}".split()))
        return 1
    return 0


def _shown(api: str, settings: Settings) -> str:
    """Sends sample messages to the api, and returns lines for the terminal."""
    url = f"{api}/v1/attributions"
    ask = partial(attribute, url, settings)
    if settings.model_dir is not None or settings.model_class not in MODELS.values():
        # This program knows no text of the model's authors.
        lines = described(ask(ANYTHING, ""), "nobody: made up for models of other authors")
    else:
        lines = _three(ask, _held_out(), threshold(api))
    curl = (
        f"""curl {api}/v1/attributions -H 'Content-Type: application/json' -d '{{"text": "…"}}'"""
    )
    return "\n".join([*(f"  {line}".rstrip() for line in lines), "", "Your turn:", f"  {curl}"])


def _held_out() -> list[tuple[str, str]]:
    """Returns random pairs of a text and its author. No shipped model was trained on the texts."""
    from model.training.corpus import HELD_OUT_FOLD, load_sotu  # noqa: PLC0415 - pandas takes 1 s

    messages = random.sample(load_sotu().part(HELD_OUT_FOLD), HELD_OUT)
    return [(message.text, message.author) for message in messages]


def attribute(url: str, settings: Settings, text: str, author: str) -> Sample:
    """Posts a text to ``url``, and returns the text with its attribution.

    Sends only as many characters as the settings allow. ``author`` is the true author.

    Raises:
        NoAttribution: the api answered with an error, or the attribution is pending.
    """
    text, wait_s = text[: settings.max_characters], min(ANSWER_S, settings.wait_max_s)
    request = urllib.request.Request(
        f"{url}?explain=true&wait={wait_s:g}",
        json.dumps({"text": text}).encode(),
        {"Content-Type": "application/json"},
    )
    begin = time.perf_counter()
    try:
        with DIRECT.open(request, timeout=wait_s + 5) as response:
            answer = json.load(response)
    except HTTPError as error:
        with error:
            raise NoAttribution(_problem(error)) from None
    if answer.get("status") == "pending":
        raise NoAttribution(f"202, it is still pending after {wait_s:g} s")
    return Sample(text, author, answer, (time.perf_counter() - begin) * 1000)


def threshold(api: str) -> float:
    """Returns the confidence below which the served model names no author."""
    with DIRECT.open(f"{api}/v1/models", timeout=ANSWER_S) as response:
        return float(json.load(response)["card"]["threshold"])


def _problem(error: HTTPError) -> str:
    try:
        problem = json.load(error)
        return f"{error.code} {problem['code']}: {problem['detail']}"
    except (KeyError, TypeError, ValueError):
        return f"{error.code} {error.reason}"


def _three(ask: Ask, held_out: Sequence[tuple[str, str]], least: float) -> list[str]:
    """Returns lines with up to three attributions, and a count of the right and wrong ones.

    The three are a sure one, a hard one, and one in which the model names no author. ``ask`` sends
    a text to the api. ``held_out`` has texts with their authors. ``least`` is the confidence below
    which the model names no author.
    """
    first = ask(ANYTHING, "")  # not one of the three: the first after a start takes longer
    nobodys = ask(NOBODYS, "")
    chosen: dict[str, Sample] = {} if nobodys.answer["author"] else {ABSTAINED: nobodys}
    asked: list[Sample] = []
    for text, author in held_out:
        asked.append(sample := ask(text, author))
        chosen.setdefault(kind(sample), sample)
        if chosen.keys() >= {SURE, HARD, ABSTAINED}:
            break
    lines: list[str] = []
    for title in (SURE, HARD, ABSTAINED):
        if title in chosen:
            source = chosen[title].author
            held = f"{source}; held out, so the model has not seen it"
            lines += [f"{title}:", *described(chosen[title], held if source else NOBODY, least), ""]
    tally = f"{_tally(asked)} The first message after the start took {first.took_ms:.0f} ms."
    return [*lines, *textwrap.wrap(tally, 92)]


def kind(sample: Sample) -> str:
    """Returns a sample's kind: :data:`ABSTAINED`, "wrong", :data:`SURE`, :data:`HARD` or "right".

    ABSTAINED means that the model names no author. The last three kinds mean that the model is
    right, with a high (SURE), a low (HARD) or a medium confidence.
    """
    if sample.answer["author"] is None:
        return ABSTAINED
    if not sample.right:
        return "wrong"
    confidence = sample.answer["confidence"]
    return SURE if confidence >= SURE_FROM else HARD if confidence < HARD_BELOW else "right"


def _tally(asked: Sequence[Sample]) -> str:
    right = sum(sample.right for sample in asked)
    abstained = sum(sample.answer["author"] is None for sample in asked)
    wrong = len(asked) - right - abstained
    return (
        f"To find these, it took {len(asked)} held-out messages in random order: {right} right, "
        f"{wrong} wrong, {abstained} without an author."
    )


def described(sample: Sample, source: str, least: float = 0.0) -> list[str]:
    """Returns lines for the terminal about one sample.

    ``source`` is a text on who wrote the sample message. ``least`` is the confidence below which
    the model names no author, or 0 if that confidence is unknown.
    """
    answer = sample.answer
    rows = {
        "written by": source,
        "author": _author(answer, least),
        "candidates": " · ".join(
            f"{each['author']} {each['confidence']:.2f}" for each in answer["candidates"]
        ),
        "evidence": _evidence(answer.get("evidence")),
        "took": f"{sample.took_ms:.0f} ms" + (", from the cache" if answer["cached"] else ""),
    }
    shown = (f"{name:<12}{row}" for name, row in rows.items())
    return [*textwrap.wrap(sample.text, 92), "", *shown]


def _author(answer: dict[str, Any], least: float) -> str:
    if answer["author"]:
        return f"{answer['author']}, confidence {answer['confidence']:.2f}"
    why = f"; below {least:.2f} it would be wrong too often" if least else ""
    return (
        f"none: the model abstains, because its best guess has only {answer['confidence']:.2f}{why}"
    )


def _evidence(evidence: dict[str, Any] | None) -> str:
    if not evidence:
        return "none: the model does not explain itself"
    speaking_for = [part for part in evidence["parts"] if part["weight"] > 0][:EVIDENCE]
    parts = (f"“{part['text']}” {part['weight']:+.2f}" for part in speaking_for)
    return f"for {evidence['author']}: {' · '.join(parts) or 'nothing in particular'}"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
