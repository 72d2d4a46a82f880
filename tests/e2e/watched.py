"""Reads the metrics of a run's monitor. Defines faulty models that the monitor must notice."""

from __future__ import annotations

import os
import random
import time
from collections.abc import Sequence
from pydoc_data import topics
from typing import Any

import httpx
import torch
from celery import Celery
from prometheus_client.parser import text_string_to_metric_families

from model.ngram.classifier import Batch, NgramModel
from model.training.corpus import HELD_OUT_FOLD, Message, load_sotu
from tests.e2e.conftest import Run
from tests.models import Vowels

MB = 2**20


class Hoarder(Vowels):
    """Keeps ``N`` MB of memory after a text ``HOARD N``."""

    def prepare(self, texts: Sequence[str]) -> torch.Tensor:
        for text in texts:
            if text.startswith("HOARD "):
                self.kept = os.urandom(MB) * int(text.split()[1])
        return super().prepare(texts)


class Troubled(Hoarder):
    """Takes ``N`` milliseconds for a batch in which a text begins with ``SLOW N``."""

    def prepare(self, texts: Sequence[str]) -> torch.Tensor:
        slow = [int(text.split()[1]) for text in texts if text.startswith("SLOW ")]
        time.sleep(max(slow, default=0) / 1000)  # stands in for a model that has become slow
        return super().prepare(texts)


class Stuck(NgramModel):
    """The default model with a defect: it names the same author for each text."""

    def forward(self, batch: Batch) -> torch.Tensor:
        probabilities = super().forward(batch)
        probabilities[:] = 0.4 / (probabilities.shape[1] - 1)
        probabilities[:, 7] = 0.6
        return probabilities


def monitored(run: Run) -> dict[tuple[str, ...], float]:
    """Returns the monitor's present metrics, by name and label values."""
    page = httpx.get(f"http://127.0.0.1:{run.ports['monitor']}/metrics", timeout=10).text
    return {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(page)
        for sample in family.samples
    }


def used(run: Run) -> float:
    """Returns the memory that counts for the memory limits, in MB."""
    seen = monitored(run)
    return sum(v for k, v in seen.items() if k[0] == "byline_memory_bytes") / MB


def hoard(run: Run, megabytes: int) -> None:
    """Makes the worker take memory. The task comes from Celery, which no memory level refuses."""
    url = f"redis://127.0.0.1:{run.ports['redis']}/0"
    with Celery(broker=url, backend=url, set_as_current=False) as app:
        sent = app.send_task("byline.attribute", [[f"HOARD {megabytes}"]], queue="attributions")
        sent.get(timeout=20)


def paragraphs() -> list[str]:
    """Returns the paragraphs of another corpus: Python's help topics."""
    text = "\n\n".join(topics.topics[name] for name in sorted(topics.topics))
    return [part.strip() for part in text.split("\n\n") if 100 < len(part.strip()) < 600]


def held_out() -> list[Message]:
    """Returns the messages that the default model has not seen, in random order."""
    messages = list(load_sotu().part(HELD_OUT_FOLD))
    random.Random(1).shuffle(messages)
    return messages


def signals_past(run: Run) -> set[str]:
    """Returns the quality signals that are past their thresholds."""
    return {
        name[1]
        for name, value in monitored(run).items()
        if name[0] == "byline_quality_past_threshold" and value
    }


def learn(run: Run, answer: dict[str, Any], author: str) -> None:
    """Sends the author of an attributed message as feedback."""
    body = {"id": answer["id"], "author": author}
    response = httpx.post(f"{run.api}/v1/feedback", json=body, timeout=20)
    assert response.status_code == 202, response.text
