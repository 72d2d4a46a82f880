"""The scenario of a load test, read from a TOML file, with changes from the command line."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

FOLDER = Path(__file__).parents[1] / "scenarios"
#: Largest number of seconds that a scenario can set. A load test must end by itself.
LONGEST_S = 3600

Positive = Annotated[float, Meta(gt=0)]
Share = Annotated[float, Meta(ge=0, le=1)]


class ScenarioError(ValueError):
    """A scenario can't be run. The error's text says what to change in the scenario."""


class Mix(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The mix of new and repeated messages in a load."""

    #: Share of messages that are drawn from the population, and so repeat. All other messages are
    #: new.
    repeats: Share = 0.0
    #: The frequency of the population's k-th message is proportional to k ** -exponent (Zipf).
    exponent: Annotated[float, Meta(ge=0)] = 1.0
    #: Messages in the population.
    population: Annotated[int, Meta(ge=1)] = 1000
    seed: int = 1


class Beside(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A second load beside the measured load: a closed loop with an API key of its own."""

    connections: Annotated[int, Meta(ge=1, le=20_000)]
    #: Messages in one request.
    bulk: Annotated[int, Meta(ge=1, le=256)] = 1


class Scenario(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A load: the messages, their rate, the way they are sent, the duration, and the limits."""

    #: One line that says what is measured, and why.
    title: str
    #: Messages per second, sent on a fixed schedule (open loop); None for a closed loop.
    rate: Positive | None = None
    #: Maximum number of requests under way. In a closed loop, each response is followed by the next
    #: request.
    connections: Annotated[int, Meta(ge=1, le=20_000)] = 64
    #: Seconds that are measured.
    seconds: Annotated[float, Meta(gt=0, le=LONGEST_S)] = 30.0
    #: Seconds of load before the measurement.
    warmup_seconds: Annotated[float, Meta(ge=0, le=LONGEST_S)] = 5.0
    #: Number of messages after which the run ends early.
    most_messages: Annotated[int, Meta(ge=1)] = 2_000_000
    #: Messages in one request. Above 1, requests use the API's bulk form.
    bulk: Annotated[int, Meta(ge=1, le=256)] = 1
    #: The deadline in milliseconds that each request gives; None for none.
    deadline_ms: Annotated[int, Meta(ge=1)] | None = None
    #: ``http`` for requests to the api, or ``celery`` for tasks that are sent to the queue.
    way: Literal["http", "celery"] = "http"
    #: The setting ``BYLINE_MODEL``.
    model: str = "ngram"
    mix: Mix = Mix()
    #: A second load, with another API key, at the same time. Only if ``way`` is ``http``.
    beside: Beside | None = None
    #: Further ``BYLINE_`` settings of the system that is started.
    settings: dict[str, str] = {}
    #: The limits of a run, by figure. A limit is the highest value allowed. For ``throughput``, the
    #: limit is the lowest value allowed, in answered messages per second.
    limits: dict[
        Literal["p50_ms", "p95_ms", "p99_ms", "failed", "pss_mb", "throughput"], float
    ] = {}

    @property
    def request_rate(self) -> float | None:
        """The requests per second of an open loop; None for a closed loop."""
        return None if self.rate is None else self.rate / self.bulk


def names() -> list[str]:
    """Returns the names of the scenarios that come with Byline."""
    return sorted(path.stem for path in FOLDER.glob("*.toml"))


def load(name: str, changes: Mapping[str, Any] | None = None) -> Scenario:
    """Returns a scenario, with the fields in ``changes`` replaced.

    ``name`` is one of :func:`names`, or the path of a TOML file. A field that is None in
    ``changes`` is not replaced.

    Raises:
        ScenarioError: there is no such file, or its content is not a scenario.
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
