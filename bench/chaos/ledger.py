"""Records which messages Byline accepts in a case of ``make chaos``, and which it never answers."""

from __future__ import annotations

import itertools
import json
import threading
import time
import urllib.request
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from http.client import HTTPException
from urllib.error import HTTPError, URLError

from bench.load.http_client import Target
from bench.load.recorder import BROKEN, NO_ANSWER, Promise, outcomes

#: Messages a second of the light load.
RATE = 20.0
#: Maximum number of requests that are under way. Requests accumulate while a part is frozen.
MAX_UNDER_WAY = 256
#: Seconds that a client of the load waits for an answer.
TIMEOUT_S = 20.0
#: Seconds within which every accepted message has to be answered, once the system serves again.
ANSWERED_S = 30.0

#: Opens URLs without the environment's proxy.
_opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
_numbers = itertools.count()


def post(target: Target, wait_s: float, timeout_s: float) -> tuple[int, bytes]:
    """Sends a new message to the api, and returns the HTTP status and the body of the response.

    If the message is not attributed within ``wait_s`` seconds, the status is 202.

    Raises:
        OSError, HTTPException: there was no response within ``timeout_s`` seconds.
    """
    url = f"http://{target.host}:{target.port}{target.path}?wait={wait_s:g}"
    text = f"aeiou, message {next(_numbers)} at {time.time_ns()}"
    headers = {"Content-Type": "application/json"}
    return _asked(
        urllib.request.Request(url, json.dumps({"text": text}).encode(), headers), timeout_s
    )


def get(target: Target, path: str, timeout_s: float = 5.0) -> tuple[int, bytes]:
    """Returns the HTTP status and the body of the page at ``path``.

    If there is no response, the status is 0.
    """
    try:
        return _asked(
            urllib.request.Request(f"http://{target.host}:{target.port}{path}"), timeout_s
        )
    except (OSError, HTTPException):
        return 0, b""


class Ledger:
    """The accepted messages of a case, and the reasons why Byline refused other messages."""

    def __init__(self) -> None:
        #: The URL path of the attribution of each accepted message.
        self.accepted: list[str] = []
        #: Number of messages that were neither answered nor promised (status 202), by reason.
        self.failed: Counter[str] = Counter()

    def send(self, target: Target, wait_s: float = 2.0) -> None:
        """Sends one message. Records the URL path of its answer, or the reason of a refusal."""
        try:
            status, body = post(target, wait_s, TIMEOUT_S)
        except (OSError, HTTPException) as error:
            reason = error.reason if isinstance(error, URLError) else error
            self.failed[NO_ANSWER if isinstance(reason, TimeoutError) else BROKEN] += 1
            return
        found = outcomes(status, body, bulk=False)
        if isinstance(found, str):
            self.failed[found] += 1
        elif isinstance(found, Promise):
            self.accepted.append(found.location)
        else:
            self.accepted += [f"{target.path}/{answer.id}" for answer in found]

    def missing(self, target: Target) -> Counter[str]:
        """Fetches the answers to all accepted messages; gives up after ``ANSWERED_S`` seconds.

        Returns the number of messages without an answer, by the HTTP status of the last response.
        A key is, for example, ``HTTP 404``.
        """
        until = time.monotonic() + ANSWERED_S
        waiting = list(self.accepted)
        while True:
            responses = {path: get(target, path) for path in waiting}
            waiting = [path for path, (status, _) in responses.items() if status != 200]
            if not waiting or time.monotonic() > until:
                return Counter(f"HTTP {responses[path][0]}" for path in waiting)
            time.sleep(0.2)  # between two rounds, until the deadline


@contextmanager
def light_load(target: Target, ledger: Ledger) -> Iterator[None]:
    """Sends ``RATE`` messages a second during a ``with`` block.

    Records the outcomes in ``ledger``. At the end of the block, waits until every message has an
    outcome.
    """
    over = threading.Event()

    def keep_sending(senders: ThreadPoolExecutor) -> None:
        begin = time.monotonic()
        for number in itertools.count(1):
            senders.submit(ledger.send, target)
            if over.wait(max(0.0, begin + number / RATE - time.monotonic())):
                return

    with ThreadPoolExecutor(MAX_UNDER_WAY) as senders, ThreadPoolExecutor(1) as clock:
        sending = clock.submit(keep_sending, senders)
        try:
            yield
        finally:
            over.set()
            sending.result()


def _asked(request: urllib.request.Request, timeout_s: float) -> tuple[int, bytes]:
    try:
        with _opener.open(request, timeout=timeout_s) as response:
            return response.status, response.read()
    except HTTPError as error:
        with error:
            return error.code, error.read()
