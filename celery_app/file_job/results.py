"""The results of a file job, one for each row, and the number of results of each kind.

A result has the fields of an item in a bulk response of the HTTP API, except ``cached``. The field
``cached`` depends on earlier requests, so repeated rows would get another result.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec
from msgspec import UNSET, Raw, UnsetType

from celery_app.file_job.readers.rows import Row
from model.types import Candidate, Evidence
from tasks.messages import Attribution, Failure, Outcome


class Reason(msgspec.Struct, frozen=True):
    """Why a row has no attribution: a stable ``code`` for programs, a ``detail`` for people."""

    code: str
    detail: str


class RowError(msgspec.Struct, frozen=True):
    """The result of a row that has no attribution."""

    error: Reason
    ref: Raw | UnsetType = UNSET


class RowAttribution(msgspec.Struct, frozen=True):
    """The result of a row that has an attribution. ``author`` is null if the model abstains."""

    id: str
    author: str | None
    confidence: float
    candidates: tuple[Candidate, ...]
    model: str
    evidence: Evidence | UnsetType | None = UNSET
    ref: Raw | UnsetType = UNSET


class Counts(msgspec.Struct):
    """How far a job is: its place in the input, and the number of results of each kind.

    The journal, a file beside the output, stores this object.
    """

    #: Where the next row begins in the input, as ``Input.blocks`` takes it.
    offset: int = 0
    rows: int = 0
    #: Rows with an author.
    attributions: int = 0
    #: Rows for which the model is not sure enough to name an author.
    abstentions: int = 0
    #: Number of rows with an error, by the error's code.
    errors: dict[str, int] = {}

    def add(self, outcomes: Iterable[Outcome], offset: int) -> None:
        """Counts the outcomes of the next rows. The first row after these begins at ``offset``."""
        for outcome in outcomes:
            self.rows += 1
            if isinstance(outcome, Failure):
                self.errors[outcome.code] = self.errors.get(outcome.code, 0) + 1
            elif outcome.author is None:
                self.abstentions += 1
            else:
                self.attributions += 1
        self.offset = offset


def encode(row: Row, outcome: Outcome, explain: bool) -> bytes:
    """Returns a row's result as a line of JSON, with the line break.

    Without ``explain``, leaves out the evidence, even if ``outcome`` has it from the cache.
    """
    return msgspec.json.encode(_result(row, outcome, explain)) + b"\n"


def _result(row: Row, outcome: Outcome, explain: bool) -> RowAttribution | RowError:
    if isinstance(outcome, Failure):
        return RowError(Reason(outcome.code, outcome.detail), row.ref)
    return _attributed(row, outcome, explain)


def _attributed(row: Row, found: Attribution, explain: bool) -> RowAttribution:
    return RowAttribution(
        found.id,
        found.author,
        found.confidence,
        found.candidates,
        found.model,
        found.evidence if explain else UNSET,
        row.ref,
    )
