"""``FairQueue``: each API key has a fair share of the messages that are sent."""

from __future__ import annotations

import time
from collections import Counter

from celery_app.client.dispatch.fair_queue import QUANTUM, FairQueue
from celery_app.client.entry import Entry

SHORT, LONG = "a", "a" * 8_000
#: Work of ``LONG``.
LONG_WORK = 4


def entry(owner: str, number: int = 0, text: str = SHORT, deadline: float | None = None) -> Entry:
    return Entry(f"{owner} {number}", text, "v1", owner=owner, deadline=deadline)


def queue(**messages: int) -> FairQueue:
    """Returns a queue with the given number of messages of each owner, owner after owner."""
    waiting = FairQueue()
    for owner, count in messages.items():
        for number in range(count):
            waiting.add(entry(owner, number))
    return waiting


def ids(entries: list[Entry]) -> list[str]:
    return [entry.id for entry in entries]


def test_messages_of_one_owner_leave_in_their_order() -> None:
    waiting = queue(a=5)
    assert ids(waiting.take(3)) == ["a 0", "a 1", "a 2"]
    assert waiting.work == 2
    assert ids(waiting.take(3)) == ["a 3", "a 4"]
    assert not waiting
    assert waiting.take(3) == []


def test_a_million_messages_of_one_owner_do_not_keep_another_owner_waiting() -> None:
    waiting, greedy = FairQueue(), entry("greedy")
    for _ in range(1_000_000):
        waiting.add(greedy)
    assert len(waiting.take(128)) == 128
    waiting.add(entry("other"))
    assert ids(waiting.take(128)).index("other 0") == QUANTUM
    waiting.add(entry("other"))
    assert ids(waiting.take(128)).index("other 0") <= QUANTUM


def test_owners_have_equal_shares_of_a_chunk() -> None:
    waiting = queue(a=1000, b=1000, c=1000)
    for _ in range(5):
        assert Counter(entry.owner for entry in waiting.take(6 * QUANTUM)) == {
            "a": 2 * QUANTUM,
            "b": 2 * QUANTUM,
            "c": 2 * QUANTUM,
        }


def test_the_unused_share_of_an_owner_goes_to_others() -> None:
    waiting = queue(a=100, b=3)
    assert Counter(entry.owner for entry in waiting.take(40)) == {"a": 37, "b": 3}


def test_owners_have_equal_shares_of_work_and_not_of_messages() -> None:
    waiting = queue(short=1000)
    for number in range(1000):
        waiting.add(entry("long", number, LONG))
    taken = Counter(entry.owner for entry in waiting.take(16 * QUANTUM))
    assert taken == {"short": 8 * QUANTUM, "long": 8 * QUANTUM // LONG_WORK}


def test_a_turn_that_a_full_chunk_interrupts_goes_on_in_the_next_chunk() -> None:
    waiting = queue(a=1000, b=1000)
    taken = [entry.owner for _ in range(2 * QUANTUM) for entry in waiting.take(1)]
    assert taken == ["a"] * QUANTUM + ["b"] * QUANTUM


def test_a_message_with_more_work_than_a_chunk_leaves_alone_and_costs_its_owner_turns() -> None:
    waiting = FairQueue()
    for owner in ("a", "b"):
        for number in range(20):
            text = LONG * 4 if owner == "a" else SHORT
            waiting.add(entry(owner, number, text))
    chunks = [waiting.take(8) for _ in range(4)]
    assert [Counter(entry.owner for entry in chunk) for chunk in chunks] == [
        {"b": QUANTUM},  # a message of owner a costs two turns
        {"a": 1},
        {"b": QUANTUM},
        {"b": 4},
    ]


def test_a_message_that_does_not_fit_waits_for_the_next_chunk() -> None:
    waiting = queue(a=2)
    waiting.add(entry("a", 2, LONG))
    waiting.add(entry("a", 3))
    assert ids(waiting.take(3)) == ["a 0", "a 1"]
    assert ids(waiting.take(5)) == ["a 2", "a 3"]


def test_urgent_messages_leave_before_others() -> None:
    waiting, urgent = FairQueue(), [entry("a", 1), entry("b", 1), entry("b", 2)]
    for each in (entry("a"), *urgent, entry("b")):
        waiting.add(each)
    for each in urgent:
        each.urgent = True
    assert ids(waiting.take_urgent(2)) == ["a 1", "b 1"]
    assert ids(waiting.take_urgent(2)) == ["b 2"]
    assert waiting.take_urgent(2) == []
    assert waiting.work == 2


def test_only_messages_whose_deadline_has_passed_are_dropped() -> None:
    now = time.time()
    waiting = FairQueue()
    for number, deadline in enumerate((None, now - 1, now + 1, now + 2)):
        waiting.add(entry("a", number, deadline=deadline))
    waiting.add(entry("b", 0, deadline=now - 2))
    assert sorted(ids(waiting.drop_late(now))) == ["a 1", "b 0"]
    assert waiting.drop_late(now) == []
    assert ids(waiting.drop_late(now + 1.5)) == ["a 2"]
    assert ids(waiting.take(9)) == ["a 0", "a 3"]


def test_only_an_equal_share_of_other_owners_leaves_before_a_message() -> None:
    waiting = queue(greedy=1000)
    assert waiting.ahead_of(entry("greedy")) == 1000
    assert waiting.ahead_of(entry("other")) == QUANTUM + 1
    waiting.add(entry("other"))
    assert waiting.ahead_of(entry("other")) == 1 + QUANTUM + 2
    assert waiting.ahead_of(entry("greedy")) == 1001


def test_the_last_messages_are_found_owner_by_owner() -> None:
    waiting = queue(a=3, b=1)
    assert ids(waiting.newest(3)) == ["a 2", "b 0", "a 1"]
    assert len(waiting.newest(100)) == 4
