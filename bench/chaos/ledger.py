"""The account of a trial: each message that was accepted, and whether it is answered in the end."""

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

#: Messages a second of a light load; requests under way at most, which a freeze gathers.
RATE, MOST = 20.0, 256
#: Seconds that a client of the load waits for an answer.
TIMEOUT_S = 20.0
#: Seconds within which all that was accepted is answered, once the system serves again.
ANSWERED_S = 30.0

#: Nothing here is asked through a proxy.
_opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
_numbers = itertools.count()


def post(target: Target, wait_s: float, timeout_s: float) -> tuple[int, bytes]:
    """Sends a message that was never sent before. Returns the status and the body of the answer.

    Raises:
        OSError, HTTPException: none came.
    """
    url = f"http://{target.host}:{target.port}{target.path}?wait={wait_s:g}"
    text = f"aeiou, message {next(_numbers)} at {time.time_ns()}"
    headers = {"Content-Type": "application/json"}
    return _asked(
        urllib.request.Request(url, json.dumps({"text": text}).encode(), headers), timeout_s
    )


def get(target: Target, path: str, timeout_s: float = 5.0) -> tuple[int, bytes]:
    """Returns the status and the body of a page; status 0: no answer came."""
    try:
        return _asked(
            urllib.request.Request(f"http://{target.host}:{target.port}{path}"), timeout_s
        )
    except (OSError, HTTPException):
        return 0, b""


class Ledger:
    """The messages that were sent, and what became of each."""

    def __init__(self) -> None:
        #: Where the answers of all that was accepted are.
        self.accepted: list[str] = []
        #: How many were neither answered nor promised, by reason.
        self.failed: Counter[str] = Counter()

    def send(self, target: Target, wait_s: float = 2.0) -> None:
        """Sends one message, and note what became of it."""
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
        """Returns how many of the accepted have no answer in the end, by what is said of them."""
        until = time.monotonic() + ANSWERED_S
        waiting = list(self.accepted)
        while True:
            said = {place: get(target, place) for place in waiting}
            waiting = [place for place, (status, _) in said.items() if status != 200]
            if not waiting or time.monotonic() > until:
                return Counter(f"HTTP {said[place][0]}" for place in waiting)
            time.sleep(0.2)  # between two rounds, until the deadline


@contextmanager
def light_load(target: Target, ledger: Ledger) -> Iterator[None]:
    """Sends messages for as long as the block lasts; leave it when each has its outcome."""
    over = threading.Event()

    def keep_sending(senders: ThreadPoolExecutor) -> None:
        begin = time.monotonic()
        for number in itertools.count(1):
            senders.submit(ledger.send, target)
            if over.wait(max(0.0, begin + number / RATE - time.monotonic())):
                return

    with ThreadPoolExecutor(MOST) as senders, ThreadPoolExecutor(1) as clock:
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
