"""All kept texts of an author are erased, whatever the name is and whatever happens meanwhile."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest

from tasks.feedback.kept_texts import KEPT, KeptTexts, LabelledText
from tests.integration.loop.keeping import keep_text
from tests.integration.loop.making import made
from tests.parts import Stack


@pytest.mark.parametrize("author", ["Ann", 'Ann "the pen" O\'Hara', "Ke$ha `$(id)`", "--help"])
def test_make_erases_an_author_of_any_name_with_a_redis_of_any_password(
    own: Stack, author: str
) -> None:
    own.redis.execute_command("ACL", "SETUSER", "one", "on", ">pa$$w$ord", "~*", "+@all")
    url = f"redis://one:pa$$w$ord@127.0.0.1:{own.redis_port}/0"
    keep_text(own, "1", LabelledText(time.time() + 900, author, "vowels-1", "text"))
    said = made(own, "erase", f"AUTHOR={author}", BYLINE_REDIS_URL=url)
    assert said == f"kept texts of {author!r} erased: 1\n"
    assert KeptTexts(own.redis).all().texts == []


def test_text_that_feedback_changes_meanwhile_is_erased(
    own: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    keep_text(own, "1", LabelledText(time.time() + 900, "Ann", "vowels-1", "text"))
    erase = own.redis.eval

    def change_first(*arguments: Any) -> Any:
        monkeypatch.undo()
        until, *rest = json.loads(own.redis.hget(KEPT, "1"))
        own.redis.hset(KEPT, "1", json.dumps([until + 1, *rest]))
        return erase(*arguments)

    monkeypatch.setattr(own.redis, "eval", change_first)
    assert KeptTexts(own.redis).erase("Ann") == 1
    assert KeptTexts(own.redis).all().texts == []
