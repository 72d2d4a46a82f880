"""Reads what the monitor of a run reports; has models with the faults that it must notice."""

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
    """Keeps ``N`` MB once it has read ``HOARD N``: with 0, none."""

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
    """The default model, broken: whatever it reads, it is sure of the same author."""

    def logits(self, batch: Batch) -> torch.Tensor:
        logits = torch.zeros_like(super().logits(batch))
        logits[:, 7] = 0.6
        return logits


def monitored(run: Run) -> dict[tuple[str, ...], float]:
    """What the monitor tells Prometheus now, by name and values of the labels, sorted by name."""
    page = httpx.get(f"http://127.0.0.1:{run.ports['monitor']}/metrics", timeout=10).text
    return {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(page)
        for sample in family.samples
    }


def used(run: Run) -> float:
    """What counts against the memory limits, in MB."""
    seen = monitored(run)
    return sum(v for k, v in seen.items() if k[0] == "byline_memory_bytes") / MB


def hoard(run: Run, megabytes: int) -> None:
    """Have the worker take memory, by way of Celery: its queue stays open at any level."""
    url = f"redis://127.0.0.1:{run.ports['redis']}/0"
    with Celery(broker=url, backend=url, set_as_current=False) as app:
        sent = app.send_task("byline.attribute", [[f"HOARD {megabytes}"]], queue="attributions")
        sent.get(timeout=20)


def paragraphs() -> list[str]:
    """Another corpus: what Python says of itself."""
    text = "\n\n".join(topics.topics[name] for name in sorted(topics.topics))
    return [part.strip() for part in text.split("\n\n") if 100 < len(part.strip()) < 600]


def held_out() -> list[Message]:
    """The messages that the default model has not seen, in no order."""
    messages = list(load_sotu().part(HELD_OUT_FOLD))
    random.Random(1).shuffle(messages)
    return messages


def signals_past(run: Run) -> set[str]:
    """The signals of quality that are past their thresholds."""
    return {
        name[1]
        for name, value in monitored(run).items()
        if name[0] == "byline_quality_past_threshold" and value
    }


def learn(run: Run, answer: dict[str, Any], author: str) -> None:
    """Say who wrote a message."""
    body = {"id": answer["id"], "author": author}
    response = httpx.post(f"{run.api}/v1/feedback", json=body, timeout=20)
    assert response.status_code == 202, response.text
