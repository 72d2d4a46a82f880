"""The api refuses requests that a page of another site makes in a browser on this machine."""

from __future__ import annotations

import httpx

from tests.parts import Stack, wait_for

FORGED = "sent by a page of another site"


def test_requests_of_another_site_reach_neither_queue_nor_model(stack: Stack) -> None:
    rebound = {"Host": "evil.example"}
    for headers, status in ((rebound, 421), ({"Origin": "http://evil.example"}, 403)):
        for path in ("/v1/attributions", "/v1/attributions?wait=0"):
            answer = httpx.post(stack.url + path, json={"text": FORGED}, headers=headers)
            assert answer.status_code == status
        for path in ("/", "/v1/models", "/v1/figures", "/docs"):
            assert httpx.get(stack.url + path, headers=headers).status_code == status
    own = {"Origin": stack.url}
    asked = {"text": "sent by the console"}
    assert httpx.post(f"{stack.url}/v1/attributions", json=asked, headers=own).status_code == 200
    wait_for(lambda: stack.held() == 0, what="an empty queue")
    assert FORGED not in stack.calls()
