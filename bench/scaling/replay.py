"""The commands that a server was sent, sent again: as fast as it can run them, and nothing else.

What it takes is a bound from above. All come over one connection and in large pieces, so that the
server spends next to nothing on reading and writing, which it does for each of its clients else.
"""

from __future__ import annotations

import codecs
import re
import socket
import threading
import time
from collections.abc import Iterable, Sequence

from redis import Redis

from bench.scaling.redis_usage import between, counters

#: What waits for others would wait for ever: nothing else happens meanwhile.
AT_ONCE = {b"BRPOP": b"RPOP", b"BLMOVE": b"LMOVE"}
#: Not of the load, or not for a connection that goes on.
LEFT_OUT = {b"HELLO", b"CLIENT", b"PSUBSCRIBE", b"SUBSCRIBE", b"INFO", b"MONITOR", b"CONFIG"}
#: The last that is sent, and with it the last that is answered.
END = b"end of the replay"
RECEIVED_BYTES = 1 << 20
#: How the keys of attributions begin.
RESULT = b"byline:result:"

_HEAD = re.compile(rb"^\+[\d.]+ \[\d+ (\S+)\] ")
_WORD = re.compile(rb'"((?:[^"\\]|\\.)*)"')


def record(port: int, after: float, seconds: float) -> list[list[bytes]]:
    """Returns what a server here is sent in so many seconds after so many, in order."""
    time.sleep(after)  # into the load
    shown = []
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.sendall(b"MONITOR\r\n")
        until = time.monotonic() + seconds
        # Looked at later: who is slow here slows down what is recorded.
        while time.monotonic() < until:
            shown.append(connection.recv(RECEIVED_BYTES))
    lines = b"".join(shown).splitlines()[1:-1]  # "OK" comes first, the last may not be all here
    return list(filter(None, map(parse, lines)))


def parse(line: bytes) -> list[bytes]:
    """Returns a command as MONITOR shows it; empty where it is none to be sent again.

    What a script runs is not: the script is.
    """
    head = _HEAD.match(line)
    if head is None or head[1] == b"lua":
        return []
    words = [codecs.escape_decode(word)[0] for word in _WORD.findall(line, head.end())]
    name = words[0].upper()
    return [] if name in LEFT_OUT else at_once(words)


def at_once(words: list[bytes]) -> list[bytes]:
    """Returns the command that does the same without waiting."""
    name = words[0].upper()
    return [AT_ONCE[name], *words[1:-1]] if name in AT_ONCE else words


def pack(commands: Iterable[Sequence[bytes]]) -> bytes:
    """Returns commands as they go over the wire."""
    return b"".join(
        b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%b\r\n" % (len(w), w) for w in words)
        for words in commands
    )


def stored(command: Sequence[bytes]) -> int:
    """Returns of how many messages a command stores the attributions."""
    if command[0].upper() != b"EVAL":
        return 0
    keys = command[3 : 3 + int(command[2])]
    return sum(key.startswith(RESULT) for key in keys)


def replay(port: int, commands: Sequence[Sequence[bytes]]) -> float:
    """Sends ``commands`` to a server here, which forgets all it has before; returns its CPU seconds.

    Only those of the thread that runs them.
    """
    client = Redis(port=port)
    client.flushall()
    sent = pack([*commands, (b"ECHO", END)])
    before = counters(client)
    with socket.create_connection(("127.0.0.1", port)) as connection:
        sender = threading.Thread(target=connection.sendall, args=(sent,))
        sender.start()
        tail = b""
        while END not in tail:
            received = connection.recv(RECEIVED_BYTES)
            if not received:
                raise RuntimeError("the server closed the connection of the replay")
            tail = tail[-len(END) :] + received
        sender.join()
    return between(before, counters(client)).main_s
