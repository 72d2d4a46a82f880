"""Records the commands of a Valkey, and replays them as fast as another Valkey can run them.

The replay gives an upper bound of the messages/s that one Valkey can take.
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

#: Blocking commands and their replacements. In a replay without other clients, a blocking command
#: would block for ever.
AT_ONCE = {b"BRPOP": b"RPOP", b"BLMOVE": b"LMOVE"}
#: Commands that are not part of the load, or that change the connection.
LEFT_OUT = {b"HELLO", b"CLIENT", b"PSUBSCRIBE", b"SUBSCRIBE", b"INFO", b"MONITOR", b"CONFIG"}
#: The text of the last command, which is an ECHO. The reply to the ECHO is the last reply.
END = b"end of the replay"
#: Maximum number of bytes that one call receives.
RECEIVED_BYTES = 1 << 20
#: The prefix of the keys of attributions.
RESULT = b"byline:result:"

_HEAD = re.compile(rb"^\+[\d.]+ \[\d+ (\S+)\] ")
_WORD = re.compile(rb'"((?:[^"\\]|\\.)*)"')


def record(port: int, after: float, seconds: float) -> list[list[bytes]]:
    """Returns the commands that the Valkey on ``port`` gets in ``seconds`` seconds, in order.

    The recording begins ``after`` seconds after the call. A command is the list of its words.
    """
    time.sleep(after)  # the load has begun then
    shown = []
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.sendall(b"MONITOR\r\n")
        until = time.monotonic() + seconds
        # Parsed later, because a slow reader of MONITOR slows down the server.
        while time.monotonic() < until:
            shown.append(connection.recv(RECEIVED_BYTES))
    lines = b"".join(shown).splitlines()[1:-1]  # the first line is "OK", the last may be incomplete
    return list(filter(None, map(parse, lines)))


def parse(line: bytes) -> list[bytes]:
    """Returns the words of the command in a line that Valkey's MONITOR prints.

    The result is empty if the command must not be replayed. A blocking command, such as BRPOP, is
    replaced by its non-blocking form, such as RPOP.
    """
    head = _HEAD.match(line)
    # A script's commands are left out, because the script itself is replayed.
    if head is None or head[1] == b"lua":
        return []
    words = [codecs.escape_decode(word)[0] for word in _WORD.findall(line, head.end())]
    name = words[0].upper()
    return [] if name in LEFT_OUT else at_once(words)


def at_once(words: list[bytes]) -> list[bytes]:
    """Returns the non-blocking form of the command ``words``, such as RPOP for BRPOP.

    A command that does not block is returned without a change.
    """
    name = words[0].upper()
    return [AT_ONCE[name], *words[1:-1]] if name in AT_ONCE else words


def pack(commands: Iterable[Sequence[bytes]]) -> bytes:
    """Returns the commands as bytes of Redis's protocol, ready to be sent."""
    return b"".join(
        b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%b\r\n" % (len(w), w) for w in words)
        for words in commands
    )


def stored(command: Sequence[bytes]) -> int:
    """Returns how many attributions a command stores in the cache."""
    if command[0].upper() != b"EVAL":
        return 0
    keys = command[3 : 3 + int(command[2])]
    return sum(key.startswith(RESULT) for key in keys)


def replay(port: int, commands: Sequence[Sequence[bytes]]) -> float:
    """Empties the Valkey on ``port``, and sends ``commands`` to this Valkey.

    Returns the CPU seconds of the thread that runs the commands.
    """
    client = Redis(port=port)
    client.flushall()
    sent = pack([*commands, (b"ECHO", END)])
    before = counters(client)
    # One connection and large pieces: the server spends almost no time on reading and writing. With
    # many clients, reading and writing would take more of its time.
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
