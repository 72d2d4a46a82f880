"""Pending answers: a client that does not wait gets a URL, and fetches the answer later."""

from __future__ import annotations

import signal

import httpx
import pytest

from tests.integration.ways import WAYS, opened
from tests.parts import Stack, wait_for


def test_a_client_that_does_not_wait_gets_the_url_of_the_answer(own: Stack) -> None:
    worker = own.worker()
    own.api()
    worker.process.send_signal(signal.SIGSTOP)  # so that the answer is late on any machine
    response = own.attribute({"text": "for later"}, wait=0)
    assert response.status_code == 202
    pending = response.json()
    assert pending["status"] == "pending"
    assert response.headers["Location"] == f"/v1/attributions/{pending['id']}"
    where = own.url + response.headers["Location"]
    assert httpx.get(where).status_code == 202
    worker.process.send_signal(signal.SIGCONT)
    done = wait_for(lambda: (r := httpx.get(where)).status_code == 200 and r, what="the answer")
    assert done.json()["id"] == pending["id"]
    assert httpx.head(where).status_code == 200


@pytest.mark.parametrize("kind", WAYS)
def test_a_client_can_wait_for_a_pending_answer_by_its_id(own: Stack, kind: str) -> None:
    worker = own.worker(TEST_MODEL_SECONDS="1")
    with opened(kind, own) as http:
        worker.process.send_signal(signal.SIGSTOP)
        answer = http.attribute({"text": "waited for"}, wait=0)
        assert answer.status_code == 202, answer.text
        id = answer.json()["id"]
        there = f"/v1/attributions/{id}"
        assert http.get(there, params={"wait": "0.1"}).status_code == 202
        worker.process.send_signal(signal.SIGCONT)
        done = http.get(there, params={"wait": "20"})
        assert (done.status_code, done.json()["id"]) == (200, id)
        assert http.get(there, params={"wait": "31"}).status_code == 422
        # The api does not wait for a message that it never accepted.
        assert http.get(f"/v1/attributions/{'0' * 32}", params={"wait": "20"}).status_code == 404
