"""Runs the commands of the page on Hugging Face models, with a small model in the page's folder."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from tests.e2e.docs.pages import HUGGING_FACE_PAGE, needs_tools
from tests.e2e.docs.reader import Block, Reader, blocks
from tests.huggingface import tiny_models

pytestmark = needs_tools

BLOCKS = blocks([HUGGING_FACE_PAGE])


@pytest.fixture(scope="module")
def reader(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Reader]:
    reader = Reader(tmp_path_factory.mktemp("page"), BLOCKS, at_once=False)
    tiny_models.bert(reader.folder / "my-model")
    try:
        yield reader
    finally:
        reader.close()


@pytest.mark.parametrize("block", BLOCKS, ids=lambda block: f"{block.page}-{block.number}")
def test_the_commands_do_what_the_page_says(reader: Reader, block: Block) -> None:
    said = reader.follow(block)
    if block.commands.startswith("make check-model"):
        assert said.endswith("huggingface can be served\n")
    elif block.commands.startswith("curl"):
        assert json.loads(said)["author"] in tiny_models.LABELS
