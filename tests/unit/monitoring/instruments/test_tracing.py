"""Spans of requests and of steps: parents, links, failures, and headers that are not valid."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import pytest
from opentelemetry.trace import SpanKind, StatusCode

from monitoring.instruments.tracing import wsgi
from monitoring.instruments.tracing.span_tracer import MAX_LINKS, parse, written
from tests.traces.in_memory import Memory, context_of, in_memory, links_of
from tests.unit.api.fake_runtime import fake_app

TRACE, CALLER = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
HEADER = f"00-{TRACE}-{CALLER}-01"


@pytest.fixture
def memory() -> Iterator[Memory]:
    with in_memory() as memory:
        yield memory


def test_a_valid_header_is_written_as_it_was_read() -> None:
    for header in (HEADER, HEADER[:-1] + "0"):
        context = parse(header)
        assert context is not None
        assert written(context) == header


@pytest.mark.parametrize(
    "header",
    [
        *("", "nonsense", HEADER[:-1], HEADER.upper(), f"{HEADER}, {HEADER}", f"ff{HEADER[2:]}"),
        *(f"00-{'0' * 32}-{CALLER}-01", f"00-{TRACE}-{'0' * 16}-01", None, 7, [HEADER], "\0"),
        "00-" + "é" * 32 + f"-{CALLER}-01",
    ],
)
def test_a_header_that_is_not_valid_names_no_span(header: object) -> None:
    assert parse(header) is None


def test_a_step_is_the_child_of_the_first_sampled_span_and_links_to_all_sampled(
    memory: Memory,
) -> None:
    headers = [HEADER.replace("4bf9", f"{i}bf9")[:-1] + str(int(i > 0)) for i in range(3)]
    unsampled, first, second = [memory.tracer.start_request("POST", each) for each in headers]
    assert not unsampled.is_recording()
    with memory.tracer.step("step", "producer", [unsampled, None, first, second, first], {}):
        pass
    step = memory.one("step")
    assert step.kind == SpanKind.PRODUCER
    assert step.parent == first.get_span_context()
    assert links_of(step) == {each.get_span_context().span_id for each in (first, second)}
    for span in (first, second):
        memory.tracer.end_request(span, "POST", "/v1/x", 200, "id")
    ended = {context_of(span).span_id: links_of(span) for span in memory.spans}
    # The first one's trace has the step; the other one's has a link that leads there.
    assert ended[first.get_span_context().span_id] == set()
    assert ended[second.get_span_context().span_id] == {context_of(step).span_id}


def test_a_step_for_spans_that_are_not_sampled_is_not_sampled(memory: Memory) -> None:
    unsampled = memory.tracer.start_request("POST", HEADER[:-1] + "0")
    with memory.tracer.step("step", "producer", [unsampled], {}) as step:
        assert memory.tracer.header_of(step).endswith("-00")
    assert memory.tracer.headers_of([unsampled]) == []
    assert memory.spans == []


def test_a_step_that_fails_says_the_class_of_the_error_and_not_its_words(memory: Memory) -> None:
    with pytest.raises(ValueError, match="a text"), memory.tracer.step("step", "client", [], {}):
        raise ValueError("a text")
    step = memory.one("step")
    assert step.status.status_code == StatusCode.ERROR
    assert step.attributes == {"error.type": "ValueError"}
    assert not step.events
    assert "a text" not in step.to_json()


def test_a_span_has_no_more_links_than_opentelemetry_keeps(memory: Memory) -> None:
    spans = [memory.tracer.start_request("POST", None) for _ in range(MAX_LINKS + 9)]
    assert len(memory.tracer.headers_of(spans)) == MAX_LINKS
    with memory.tracer.step("step", "client", spans, {}):
        pass
    assert len(memory.one("step").links) == MAX_LINKS


def test_a_request_after_its_end_takes_no_link(memory: Memory, caplog: Any) -> None:
    ended, other = (memory.tracer.start_request("GET", None) for _ in range(2))
    memory.tracer.end_request(ended, "GET", "", 200, "")
    with memory.tracer.step("step", "client", [other, ended], {}):
        pass
    assert caplog.text == ""


@pytest.mark.parametrize(
    ("method", "path", "name", "status"),
    [
        ("GET", "/v1/models", "GET /v1/models", 200),
        ("GET", "/v1/attributions/0", "GET /v1/attributions/{id}", 200),
        ("GET", "/v1/nothing", "GET", 404),
        ("DELETE", "/v1/models", "DELETE", 405),
        ("BREW", "/v1/models", "HTTP", 405),
    ],
)
def test_flask_makes_a_span_of_each_request_for_a_resource(
    memory: Memory, method: str, path: str, name: str, status: int
) -> None:
    app = fake_app()
    app.wsgi_app = wsgi.traced(app.wsgi_app)  # type: ignore[method-assign]
    headers = {"traceparent": HEADER, "X-Request-ID": "mine"}
    response = app.test_client().open(path, method=method, headers=headers)
    assert response.status_code == status
    [span] = memory.spans
    assert span.name == name
    assert f"{context_of(span).trace_id:032x}" == TRACE
    found = span.attributes or {}
    assert found["byline.request_id"] == "mine"
    assert found["http.response.status_code"] == status
    assert found["http.request.method"] == (method if method != "BREW" else "_OTHER")


@pytest.mark.parametrize("path", ["/healthz", "/", "/docs/", "/openapi.json"])
def test_flask_makes_no_span_of_other_requests(memory: Memory, path: str) -> None:
    app = fake_app()
    app.wsgi_app = wsgi.traced(app.wsgi_app)  # type: ignore[method-assign]
    assert app.test_client().get(path).status_code == 200
    assert memory.spans == []


def test_a_request_that_raises_an_error_has_failed(memory: Memory) -> None:
    def application(environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
        raise RuntimeError("a text")

    environ = {"REQUEST_METHOD": "GET", "PATH_INFO": "/v1/models"}
    with pytest.raises(RuntimeError):
        wsgi.traced(application)(environ, print)
    span = memory.one("GET")
    assert (span.attributes or {})["error.type"] == "500"
    assert "a text" not in span.to_json()
