"""The HTTP contract, through a real queue, worker and cache."""

from __future__ import annotations

import re
import socket

import pytest

from tasks.messages import message_id
from tests.integration.ways import Http
from tests.parts import Stack, wait_for

READY = {"broker": "ok", "queue": "ok", "cache": "ok", "worker": "ok"}


def test_a_message_comes_back_with_its_author(http: Http) -> None:
    response = http.attribute({"text": "aeiou aeiou"})
    assert response.status_code == 200
    answer = response.json()
    assert answer["author"] == "vowels"
    assert answer["confidence"] > 0.9
    assert [c["author"] for c in answer["candidates"]] == ["vowels", "consonants"]
    assert answer["id"] == message_id("vowels-1", "aeiou aeiou")
    assert (answer["model"], answer["cached"]) == ("vowels-1", False)


def test_the_model_abstains_where_it_is_unsure(http: Http) -> None:
    answer = http.attribute({"text": "abcdef"}).json()
    assert answer["author"] is None
    assert answer["candidates"][0]["confidence"] == answer["confidence"]


def test_a_cache_hit_never_reaches_the_model(http: Http, stack: Stack) -> None:
    text = "asked for twice"
    before = stack.calls().count(text)
    first, second = (http.attribute({"text": text}).json() for _ in range(2))
    assert (first.pop("cached"), second.pop("cached")) == (False, True)
    assert first == second
    assert stack.calls().count(text) == before + 1


def test_texts_that_differ_only_in_form_are_one_message(http: Http) -> None:
    first = http.attribute({"text": "caf\u00e9\nau lait"}).json()
    second = http.attribute({"text": "  cafe\u0301\r\nau lait\n"}).json()
    assert second["id"] == first["id"]
    assert second["cached"]


def test_a_bulk_call_keeps_its_order(http: Http) -> None:
    texts = [f"message number {n}" for n in range(256)]
    answer = http.attribute({"messages": [{"text": t, "ref": t} for t in texts]})
    assert answer.status_code == 200
    items = answer.json()["attributions"]
    assert [item["ref"] for item in items] == texts
    assert [item["id"] for item in items] == [message_id("vowels-1", t) for t in texts]


def test_bad_items_fail_alone(http: Http) -> None:
    messages = [
        {"text": "good one"},
        {"text": ""},
        {"text": "   "},
        {"text": 5},
        {"txt": "misspelt"},
        "no object",
        {"text": "x" * 20_001},
        {"text": "POISON for the model"},
        {"text": "good two", "ref": "2"},
    ]
    items = http.attribute({"messages": messages}).json()["attributions"]
    codes = [item.get("error", {}).get("code") for item in items]
    assert codes == [None, *["invalid"] * 6, "model_failed", None]
    assert items[-1]["ref"] == "2"


def test_duplicates_in_one_call_are_computed_once(http: Http, stack: Stack) -> None:
    messages = [{"text": "the same thrice"}] * 3 + [{"text": "another"}]
    before = stack.calls().count("the same thrice")
    items = http.attribute({"messages": messages}).json()["attributions"]
    assert items[0]["id"] == items[1]["id"] == items[2]["id"] != items[3]["id"]
    assert stack.calls().count("the same thrice") == before + 1


def test_an_unknown_id_is_not_found(http: Http) -> None:
    response = http.get(f"/v1/attributions/{'0' * 32}")
    assert response.status_code == 404
    assert response.headers["Content-Type"] == "application/problem+json"
    assert response.json()["code"] == "not_found"


def test_evidence_is_returned_only_on_request(http: Http) -> None:
    text = "why so many vowels"
    assert "evidence" not in http.attribute({"text": text}).json()
    assert http.attribute({"text": text}, explain="true").json()["evidence"] is None
    assert "evidence" not in http.attribute({"text": text}).json()


UTF_16 = "application/json; charset=utf-16"


@pytest.mark.parametrize(
    ("body", "headers", "params", "status", "code"),
    [
        (b'{"text": "a"', {}, {}, 400, "not_json"),
        (b"\xff\xfe", {}, {}, 400, "not_json"),
        (b'{"text": "\xff"}', {}, {}, 400, "not_json"),
        (b'{"text": "a"}', {"Content-Type": "text/plain"}, {}, 415, "wrong_type"),
        (b'{"text": "a"}', {"Content-Type": UTF_16}, {}, 415, "wrong_type"),
        (b'{"text": "a"}', {"Content-Encoding": "gzip"}, {}, 415, "wrong_type"),
        (b'{"text": "a"}', {}, {"wait": "1_0"}, 422, "invalid"),
        (b"[]", {}, {}, 422, "invalid"),
        (b"{}", {}, {}, 422, "invalid"),
        (b'{"text": "a", "messages": []}', {}, {}, 422, "invalid"),
        (b'{"text": 1}', {}, {}, 422, "invalid"),
        (b'{"text": "a", "deadline_ms": 0}', {}, {}, 422, "invalid"),
        (b'{"text": "never asked", "deadline_ms": 1}', {}, {}, 504, "deadline_too_short"),
        (b'{"text": "a", "deadline_ms": 1' + b"0" * 400 + b"}", {}, {}, 422, "invalid"),
        (b'{"messages": ' + b"[" * 5000 + b"]" * 5000 + b"}", {}, {}, 400, "not_json"),
        (b'{"text": "a", "priority": 10}', {}, {}, 422, "invalid"),
        (b'{"text": "\\ud800"}', {}, {}, 400, "not_json"),
        (b'{"text": "a\\u0000b"}', {}, {}, 422, "invalid"),
        (b'{"text": "a\x00b"}', {}, {}, 400, "not_json"),
        (b'{"text": NaN}', {}, {}, 400, "not_json"),
        (b'{"text": "a", "text": "b"}', {}, {}, 400, "not_json"),
        (b'{"text": "a", "te\\u0078t": "b"}', {}, {}, 400, "not_json"),
        (b'{"messages": [], "priority": 1, "priority": 1}', {}, {}, 400, "not_json"),
        (b'{"text": "a"}', {}, {"wait": "nan"}, 422, "invalid"),
        (b'{"text": "a"}', {}, {"wait": "31"}, 422, "invalid"),
        (b'{"text": "a"}', {}, {"wait": ""}, 422, "invalid"),
        (b'{"text": "a"}', {}, {"explain": "2"}, 422, "invalid"),
        (b'{"text": "' + b"a" * 4_200_000 + b'"}', {}, {}, 413, "too_large"),
        (b'{"messages": [' + b",".join([b'{"text":"a"}'] * 257) + b"]}", {}, {}, 422, "invalid"),
    ],
)
def test_a_bad_request_gets_its_error_code(
    http: Http,
    body: bytes,
    headers: dict[str, str],
    params: dict[str, str],
    status: int,
    code: str,
) -> None:
    response = http.post(
        "/v1/attributions",
        content=body,
        headers={"Content-Type": "application/json", **headers},
        params=params,
    )
    assert (response.status_code, response.json()["code"]) == (status, code)
    assert response.headers["Content-Type"] == "application/problem+json"


@pytest.mark.parametrize("path", ["", f"/{'0' * 32}"])
def test_an_answer_must_not_be_stored_or_sniffed(http: Http, path: str) -> None:
    headers = http.request("PATCH", f"/v1/attributions{path}").headers
    assert headers["Cache-Control"] == "no-store"
    assert headers["X-Content-Type-Options"] == "nosniff"


def test_pages_allow_no_frame_and_no_script_of_another_site(http: Http) -> None:
    headers = http.get("/docs/").headers
    assert "frame-ancestors 'none'" in headers["Content-Security-Policy"]
    assert "default-src 'self'" in headers["Content-Security-Policy"]
    assert headers["X-Frame-Options"] == "DENY"


def test_a_body_of_unknown_length_is_accepted(http: Http) -> None:
    pieces = iter([b'{"text": ', b'"in pieces"}'])
    response = http.post(
        "/v1/attributions",
        content=pieces,
        headers={"Content-Type": "application/json; charset=utf-8"},
    )
    assert response.json()["id"] == message_id("vowels-1", "in pieces")


def test_a_body_of_unknown_length_has_the_usual_size_limit(http: Http) -> None:
    pieces = iter([b'{"text": "small"}', *[b" " * 1_000_000] * 5])
    response = http.post(
        "/v1/attributions",
        content=pieces,
        headers={"Content-Type": "application/json"},
    )
    assert (response.status_code, response.json()["code"]) == (413, "too_large")


def test_a_client_that_does_not_wait_gets_a_cached_attribution(http: Http, stack: Stack) -> None:
    id = http.attribute({"text": "known already"}).json()["id"]
    url = "/v1/attributions"
    response = http.post(url, json={"text": "known already"}, params={"wait": 0}, timeout=3)
    assert response.status_code in (200, 202)  # 202 if the cache did not answer at once
    assert http.get(f"{url}/{id}").status_code == 200
    wait_for(lambda: not stack.redis.exists(f"byline:pending:{id}"), what="the mark to go")


def test_a_wrong_method_gets_the_allowed_methods(http: Http) -> None:
    response = http.put("/v1/attributions", json={})
    assert (response.status_code, response.json()["code"]) == (405, "method_not_allowed")
    assert "POST" in response.headers["Allow"]


def test_no_redirect_uses_the_host_header(http: Http) -> None:
    for path in ("/v1//models", "//v1/models", "/docs"):
        answer = http.get(path, headers={"Host": "elsewhere.localhost"})
        assert "elsewhere" not in str(answer.headers)
        assert answer.status_code in (200, 404)


@pytest.mark.parametrize("path", [".".join(["x" * 70] * 2), "[", "a:b@c", "%2F%2Fx", "%ff"])
def test_an_odd_path_is_not_found(stack: Stack, path: str) -> None:
    for slashes in ("/", "//"):
        line = f"GET {slashes}{path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
        place = ("127.0.0.1", int(stack.env["BYLINE_API_PORT"]))
        with socket.create_connection(place, 10) as client:
            client.sendall(line.encode())
            answer = b"".join(iter(lambda: client.recv(4096), b""))
        assert answer.startswith((b"HTTP/1.1 404", b"HTTP/1.1 400"))


def test_an_empty_bulk_call_has_an_empty_answer(http: Http) -> None:
    assert http.attribute({"messages": []}).json() == {"attributions": []}


def test_a_message_that_the_model_fails_on_gets_model_failed(http: Http) -> None:
    response = http.attribute({"text": "POISON alone"})
    assert (response.status_code, response.json()["code"]) == (500, "model_failed")


def test_the_model_and_its_card_are_shown(http: Http) -> None:
    shown = http.get("/v1/models").json()
    assert shown["card"]["version"] == "vowels-1"
    assert shown["card"]["authors"] == ["vowels", "consonants"]
    assert (shown["device"], shown["workers"]) == ("cpu", 1)


def test_readiness_shows_the_state_of_each_part(http: Http) -> None:
    assert http.get("/healthz").status_code == 200
    ready = http.get("/readyz")
    assert (ready.status_code, ready.json()["parts"]) == (200, READY)


def test_the_docs_show_the_schema(http: Http) -> None:
    page = http.get("/docs", follow_redirects=True)
    assert "swagger-ui" in page.text
    assert http.get("/docs/swagger-ui-bundle.js").status_code == 200
    assert http.get("/openapi.json").json()["openapi"].startswith("3.1")


def test_half_of_a_surrogate_pair_fails_alone(http: Http) -> None:
    pieces = [rb'{"text": "aeiou"}', rb'{"text": "half \ud83d", "ref": "x"}', rb'{"text": "xyz"}']
    for half in (b"\\ud83d", b"\\ude00\\ud83d"):
        body = b'{"messages": [%s]}' % b",".join(pieces).replace(b"\\ud83d", half)
        url, headers = "/v1/attributions", {"Content-Type": "application/json"}
        answer = http.post(url, content=body, headers=headers, timeout=20)
        assert answer.status_code == 200, answer.text
        first, failed, last = answer.json()["attributions"]
        assert (first["author"], last["author"]) == ("vowels", "consonants")
        assert failed["error"]["code"] == "invalid"
        assert failed["error"]["detail"] == "messages[1]: text holds half of a surrogate pair"
        assert failed["ref"] == "x"


@pytest.mark.parametrize("given", ["mine-1", "a" * 128])
def test_the_request_id_of_the_client_is_used(http: Http, given: str) -> None:
    for path in ("/v1/attributions", "/v1/feedback", "/v1/nowhere"):
        answer = http.post(path, json={"text": "with an id"}, headers={"X-Request-ID": given})
        assert answer.headers.get_list("X-Request-ID") == [given], path


@pytest.mark.parametrize("given", [None, "", "a" * 129, "two words", 'quo"te'])
def test_request_without_a_valid_id_gets_a_new_one(http: Http, given: str | None) -> None:
    headers = {} if given is None else {"X-Request-ID": given}
    ids = set()
    for path in ("/v1/attributions", "/v1/feedback", "/v1/nowhere"):
        answer = http.post(path, json={"text": "without an id"}, headers=headers)
        [id] = answer.headers.get_list("X-Request-ID")
        assert re.fullmatch("[0-9a-f]{16}", id), path
        ids.add(id)
    assert len(ids) == 3
