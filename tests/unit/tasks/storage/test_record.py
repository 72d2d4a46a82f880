"""Stored outcomes can be read again, also if an earlier release has written them."""

from __future__ import annotations

from collections.abc import Callable

import msgspec
import pytest

from model.types import Candidate, Evidence, Part
from tasks.messages import Attribution, Failure, Outcome
from tasks.storage.record import pack, unpack

ID = "5c" * 16
NAMED = (Candidate("Ada", 0.7), Candidate("Émile", 0.2), Candidate('"B"', 0.1))
EVIDENCE = Evidence("Ada", 1.5, 0.5, (Part("a word", 2, 0.75),), 0.25)


@pytest.mark.parametrize(
    "outcome",
    [
        Attribution(ID, "Ada", 0.7, NAMED, "v1"),
        Attribution(ID, None, 0.7, NAMED, "v1"),
        Attribution(ID, "Ada", 0.7, NAMED[:1], "v1", evidence=EVIDENCE),
        Attribution(ID, "Ada", 0.7, NAMED, "v1", evidence=None),
        Failure(ID, "dead_letter", "workers died of it"),
    ],
)
def test_a_record_is_read_as_it_was_written_and_marked_as_cached(outcome: Outcome) -> None:
    kept = unpack(ID, pack(outcome))
    if isinstance(outcome, Attribution):
        assert kept == msgspec.structs.replace(outcome, cached=True)
    else:
        assert kept == outcome


def test_a_record_holds_neither_the_id_nor_names_of_fields() -> None:
    raw = pack(Attribution(ID, None, 0.7, NAMED, "v1"))
    assert msgspec.json.decode(raw) == [
        1,
        "v1",
        None,
        0.7,
        [["Ada", 0.7], ["Émile", 0.2], ['"B"', 0.1]],
    ]


@pytest.mark.parametrize(
    "outcome",
    [
        Attribution(ID, None, 0.7, NAMED, "v1"),
        Attribution(ID, "Ada", 0.7, NAMED[:1], "v1", evidence=EVIDENCE),
        Failure(ID, "model_failed", "it raised"),
    ],
)
def test_json_of_an_earlier_release_is_read_as_well(outcome: Outcome) -> None:
    kept = unpack(ID, msgspec.json.encode(outcome))
    if isinstance(outcome, Attribution):
        assert kept == msgspec.structs.replace(outcome, cached=True)
    else:
        assert kept == outcome


@pytest.mark.parametrize("write", [pack, msgspec.json.encode], ids=["record", "json"])
def test_a_dead_letter_with_its_earlier_code_is_read_with_the_new_code(
    write: Callable[[Outcome], bytes],
) -> None:
    kept = unpack(ID, write(Failure(ID, "set_aside", "workers died of it")))
    assert kept == Failure(ID, "dead_letter", "workers died of it")


@pytest.mark.parametrize(
    "raw", [b"", b"{}", b"[]", b'["id","code"]', b"[1,null]", b"\xff", b'"\xff"', b"[" * 5000]
)
def test_bytes_that_are_no_record_are_read_as_none(raw: bytes) -> None:
    assert unpack(ID, raw) is None
