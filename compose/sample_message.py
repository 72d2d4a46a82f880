"""Sends the api a sample message over HTTP, as any client does, and prints the attribution.

Run it as ``python -m compose.sample_message http://localhost:8000``. ``make run`` starts this
program as a separate process: the program loads pandas to read the shipped models' corpus, and
``make run`` has to watch the parts meanwhile. If there is no attribution, the exit status is 1, and
the reason is printed in one line.
"""

from __future__ import annotations

import json
import os
import random
import sys
import textwrap
import time
import urllib.request
from typing import Any
from urllib.error import HTTPError

from celery_app.settings import MODELS, Settings
from compose.probe import DIRECT

#: The sample message for models that know other authors than the shipped models.
ANYTHING = (
    "I have given this a good deal of thought, and I would rather tell you plainly what I make "
    "of it than leave you to guess. We began late, we spent more than we had, and yet the work "
    "was done well; whoever comes after us will find it easier to go on than we found it to begin."
)
#: Longest wait for an attribution, in seconds. The settings may allow only a shorter wait.
ANSWER_S = 30.0
#: Maximum number of parts of the evidence that are shown.
EVIDENCE = 5


class NoAttribution(Exception):
    """The sample message got no attribution. The error's text says why."""


def main(api: str) -> int:
    """Sends the sample message to the api, and prints the attribution. Returns the exit status.

    ``api`` is the URL of the api.
    """
    try:
        settings = Settings.from_environ(os.environ)
        if settings.keys_file is not None:
            raise NoAttribution("BYLINE_KEYS_FILE is set, and its file holds only hashes of keys")
        text, source = choose(settings)
        print(attribute(f"{api}/v1/attributions", text, source, min(ANSWER_S, settings.wait_max_s)))
    except NoAttribution as reason:
        print(reason)
        return 1
    except Exception as error:  # of any kind: a failed sample must not end `make run`
        print(" ".join(f"{type(error).__name__}: {error}".split()))
        return 1
    return 0


def choose(settings: Settings) -> tuple[str, str]:
    """Returns a sample message that the settings allow, and a description of its author."""
    text, source = ANYTHING, "nobody: made up for models of other authors"
    if settings.model_dir is None and settings.model_class in MODELS.values():
        from model.training.corpus import HELD_OUT_FOLD, load_sotu  # noqa: PLC0415 - pandas takes a second

        message = random.choice(load_sotu().part(HELD_OUT_FOLD))
        text = message.text
        source = f"{message.author}; held out, so the model has not seen it"
    return text[: settings.max_characters], source


def attribute(url: str, text: str, source: str, wait_s: float) -> str:
    """Sends ``text`` to the api, and returns lines for the terminal with the attribution.

    ``url`` is the URL of attributions. ``source`` describes the true author. ``wait_s`` is the
    number of seconds that the api may take.

    Raises:
        NoAttribution: the api did not answer with an attribution.
    """
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
    return _shown(url, text, source, answer, (time.perf_counter() - begin) * 1000)


def _problem(error: HTTPError) -> str:
    try:
        problem = json.load(error)
        return f"{error.code} {problem['code']}: {problem['detail']}"
    except (KeyError, TypeError, ValueError):
        return f"{error.code} {error.reason}"


def _shown(url: str, text: str, source: str, answer: dict[str, Any], took: float) -> str:
    author = answer["author"] or "none: the model abstains"
    rows = {
        "written by": source,
        "author": f"{author}, confidence {answer['confidence']:.2f}",
        "candidates": " · ".join(
            f"{each['author']} {each['confidence']:.2f}" for each in answer["candidates"]
        ),
        "evidence": _evidence(answer.get("evidence")),
        "took": f"{took:.0f} ms" + (", from the cache" if answer["cached"] else ""),
    }
    lines = [*textwrap.wrap(text, 92), "", *(f"{name:<12}{row}" for name, row in rows.items())]
    curl = f"""curl {url} -H 'Content-Type: application/json' -d '{{"text": "…"}}'"""
    return "\n".join([*(f"  {line}".rstrip() for line in lines), "", "Your turn:", f"  {curl}"])


def _evidence(evidence: dict[str, Any] | None) -> str:
    if not evidence:
        return "none: the model does not explain itself"
    speaking_for = [part for part in evidence["parts"] if part["weight"] > 0][:EVIDENCE]
    parts = (f"“{part['text']}” {part['weight']:+.2f}" for part in speaking_for)
    return f"for {evidence['author']}: {' · '.join(parts) or 'nothing in particular'}"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
