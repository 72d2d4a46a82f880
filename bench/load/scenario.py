"""What a load test does: read from a TOML file, checked, and overridden from the command line."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

FOLDER = Path(__file__).parents[1] / "scenarios"
#: No run may take longer, whatever a file says: a load test must end by itself.
LONGEST_S = 3600

Positive = Annotated[float, Meta(gt=0)]
Share = Annotated[float, Meta(ge=0, le=1)]


class ScenarioError(ValueError):
    """The scenario can't be run. Its words are for whoever wrote it."""


class Mix(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Which messages are sent."""

    #: Share of messages that are drawn from ``population`` and so come again and again; every
    #: other message is one that was never sent before.
    repeats: Share = 0.0
    #: The k-th most frequent of the population comes in proportion to k ** -exponent (Zipf).
    exponent: Annotated[float, Meta(ge=0)] = 1.0
    population: Annotated[int, Meta(ge=1)] = 1000
    seed: int = 1


class Beside(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A second load beside the measured one, with an API key of its own: a closed loop."""

    connections: Annotated[int, Meta(ge=1, le=20_000)]
    #: Messages in one request.
    bulk: Annotated[int, Meta(ge=1, le=256)] = 1


class Scenario(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A load: how much of what is sent which way, for how long, to what."""

    #: One line that says what is measured, and why.
    title: str
    #: Messages per second, sent on time whatever comes back (open loop).
    rate: Positive | None = None
    #: Most requests under way. Without a rate, each is followed by the next (closed loop).
    connections: Annotated[int, Meta(ge=1, le=20_000)] = 64
    #: Seconds that are measured, and before them, seconds that are not.
    seconds: Annotated[float, Meta(gt=0, le=LONGEST_S)] = 30.0
    warmup_seconds: Annotated[float, Meta(ge=0, le=LONGEST_S)] = 5.0
    #: The run ends early once so many messages were sent.
    most_messages: Annotated[int, Meta(ge=1)] = 2_000_000
    #: Messages in one request; above 1 the API's bulk form is used.
    bulk: Annotated[int, Meta(ge=1, le=256)] = 1
    #: Milliseconds after which an answer is worth nothing to the client, which says so.
    deadline_ms: Annotated[int, Meta(ge=1)] | None = None
    #: ``http`` to the api, or ``celery``: tasks sent straight to the queue.
    way: Literal["http", "celery"] = "http"
    #: As ``BYLINE_MODEL``.
    model: str = "ngram"
    mix: Mix = Mix()
    #: What another key asks for meanwhile. Only over HTTP.
    beside: Beside | None = None
    #: Further ``BYLINE_`` settings of the system that is started.
    settings: dict[str, str] = {}
    #: What a run must keep to, by the name of a figure: the highest allowed, of ``throughput`` the
    #: lowest, in answered messages per second.
    limits: dict[
        Literal["p50_ms", "p95_ms", "p99_ms", "failed", "pss_mb", "throughput"], float
    ] = {}

    @property
    def request_rate(self) -> float | None:
        """Requests per second of an open loop."""
        return None if self.rate is None else self.rate / self.bulk


def names() -> list[str]:
    """Returns the names of the scenarios that come with Byline."""
    return sorted(path.stem for path in FOLDER.glob("*.toml"))


def load(name: str, changes: Mapping[str, Any] | None = None) -> Scenario:
    """Returns the scenario ``name``, one that comes with Byline or a file, with ``changes``.

    Raises:
        ScenarioError: there is none, or it is not a scenario.
    """
    path = FOLDER / f"{name}.toml" if name in names() else Path(name)
    try:
        fields = tomllib.loads(path.read_text())
    except OSError:
        known = ", ".join(names())
        raise ScenarioError(f"no scenario {name!r}: name a .toml file, or one of {known}") from None
    except tomllib.TOMLDecodeError as error:
        raise ScenarioError(f"{path}: {error}") from None
    given = {key: value for key, value in (changes or {}).items() if value is not None}
    try:
        return msgspec.convert(fields | given, Scenario)
    except msgspec.ValidationError as error:
        raise ScenarioError(f"{path}: {error}") from None
