"""Runs the commands of the tutorial on support mail: train, serve, route, report, train again."""

from __future__ import annotations

import json
from collections.abc import Iterator

import httpx
import pytest

from tests.e2e.docs.pages import TRAINED_PAGE, needs_tools
from tests.e2e.docs.reader import Block, Reader, blocks

pytestmark = needs_tools

BLOCKS = blocks([TRAINED_PAGE])
#: What the page says about its new mails: a word of the mail, and who gets it.
ROUTES = {
    "parcel": "delivery",
    "password": "account",
    "toaster": "returns",
    "lamp": "a person",
    "Thank you": "a person",
    "call me": "returns",
}


@pytest.fixture(scope="module")
def reader(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Reader]:
    reader = Reader(tmp_path_factory.mktemp("mail"), BLOCKS, at_once=False)
    try:
        yield reader
    finally:
        reader.close()


@pytest.mark.parametrize("block", BLOCKS, ids=lambda block: f"{block.page}-{block.number}")
def test_the_commands_do_what_the_page_says(reader: Reader, block: Block) -> None:
    said = reader.follow(block)
    if block.commands.startswith("make train DATA=mine/mails.jsonl\n"):
        assert "right for 20 of 24 held-out messages" in " ".join(said.split())
    elif block.commands.startswith("curl"):
        assert json.loads(said)["author"] == "billing"
    elif block.commands.startswith("cat >mine/router.py"):
        lines = said.splitlines()
        assert [line.split("  ")[0].strip() for line in lines] == [*ROUTES.values()]
        assert all(word in line for word, line in zip(ROUTES, lines, strict=True))
    elif block.commands.startswith("id="):
        assert json.loads(said)["correct"] is True


def test_the_served_labels_are_the_teams(reader: Reader) -> None:
    card = httpx.get(f"{reader.run.api}/v1/models", timeout=10).json()["card"]
    assert sorted(card["authors"]) == ["account", "billing", "delivery", "returns"]
