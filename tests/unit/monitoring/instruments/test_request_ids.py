"""Request ids are validated, and log lines name only valid ids."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest

from monitoring.instruments.request_ids import (
    MAX_LENGTH,
    MAX_SHOWN,
    about,
    is_valid,
    present,
    set_present,
    shown,
    words,
)

UUID = "9f1b5c0e-3a51-4c55-b2f4-6a1f0f1a2b3c"


@pytest.mark.parametrize(
    "id", ["a", "x" * MAX_LENGTH, UUID, UUID.replace("-", ""), "01K0Q3V_me.host-1", "..", "-"]
)
def test_ids_of_load_balancers_are_valid(id: str) -> None:
    assert is_valid(id)


@pytest.mark.parametrize(
    "id",
    [
        *(
            "",
            "x" * (MAX_LENGTH + 1),
            "two words",
            "a,b",
            "a;b",
            "a=b",
            "a/b",
            "a:b",
            "a\n",
            "\na",
            "a\r\nSet-Cookie:b",
        ),
        *("\x00", "a\x1b[31m", "ä", "١", "\ud83d", '"a"', "<a>", "100%", "a\\n", None, 7, [UUID]),
    ],
)
def test_id_that_could_end_a_header_or_a_log_line_is_invalid(id: object) -> None:
    assert not is_valid(id)


def test_line_names_each_valid_id_once_in_order() -> None:
    header: list[Any] = ["b", "", "a", None, "b", "c d", {"a": 1}, ["a"], 5]
    with about(header):
        assert shown() == (["b", "a"], 0)
        assert words() == " (requests b, a)"
    assert shown() == ([], 0)
    assert words() == ""


def test_line_names_four_ids_and_the_number_of_the_others() -> None:
    with about([f"id-{n}" for n in range(MAX_SHOWN)]):
        assert words().endswith(f"id-{MAX_SHOWN - 1})")
    with about([f"id-{n % 10}" for n in range(100)]):
        assert shown() == (["id-0", "id-1", "id-2", "id-3"], 6)
        assert words() == " (requests id-0, id-1, id-2, id-3 and 6 more)"


def test_nested_block_has_its_own_ids_until_it_ends_or_raises() -> None:
    with about(["outer"]):
        with about(["inner"]):
            assert words() == " (request inner)"
        assert words() == " (request outer)"
        with pytest.raises(ValueError, match="odd"), about(["inner"]):
            raise ValueError("odd")
        assert words() == " (request outer)"


def test_each_coroutine_and_thread_has_its_own_request() -> None:
    found: dict[str, str] = {}

    async def serve(id: str) -> None:
        set_present(id)
        await asyncio.sleep(0)
        found[id] = present()

    async def serve_both() -> None:
        await asyncio.gather(serve("one"), serve("two"))
        found["around"] = present()

    asyncio.run(serve_both())
    with about(["mine"]):
        other = threading.Thread(target=lambda: found.update(thread=present()))
        other.start()
        other.join()
    assert found == {"one": "one", "two": "two", "around": "", "thread": ""}
