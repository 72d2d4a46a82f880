"""The trace of a message leads from its HTTP request to the forward pass, in real processes."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from celery_app.app import make_celery
from celery_app.settings import Settings
from tasks.messages import REQUEST_IDS, TASK, TRACED_REQUESTS, TRACEPARENT
from tests.parts import ROOT, Stack, free_port, needs_accelerator, wait_for
from tests.traces.otlp import Collector, Seen, collecting

TEXT = "aeiou AUBERGINES"
TRACE, CALLER = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
SAMPLED = f"00-{TRACE}-{CALLER}-01"
WAYS = [
    pytest.param({"BYLINE_ACCELERATOR": "off"}, id="flask"),
    pytest.param({"BYLINE_ACCELERATOR": "on"}, id="accelerator", marks=needs_accelerator),
    pytest.param(
        {"BYLINE_ACCELERATOR": "on", "BYLINE_API_PROCESSES": "2"},
        id="accelerators",
        marks=needs_accelerator,
    ),
]


@pytest.fixture
def collector() -> Iterator[Collector]:
    with collecting() as collector:
        yield collector


@pytest.fixture
def traced(own: Stack, collector: Collector) -> Stack:
    """A stack whose processes send no span before they stop."""
    own.env |= {**collector.settings, "OTEL_BSP_SCHEDULE_DELAY": "600000"}
    return own


def post(stack: Stack, json: object, traceparent: str | None = None, **params: str) -> Any:
    headers = {} if traceparent is None else {"traceparent": traceparent}
    url = f"{stack.url}/v1/attributions"
    return httpx.post(url, json=json, params=params, headers=headers, timeout=40)


def stop(stack: Stack) -> None:
    """Stops all processes but Valkey, which makes them send their spans."""
    for part in reversed(stack.parts[1:]):
        part.stop()
        assert "Traceback" not in part.output


def children(collector: Collector, parent: Seen) -> dict[str, Seen]:
    return {span.name: span for span in collector.spans if span.parent == parent.id}


def linked(collector: Collector, span: Seen) -> set[str]:
    names = {each.id: each.name for each in collector.spans}
    return {names[id] for id in span.links if id in names}


@pytest.mark.parametrize("settings", WAYS)
def test_a_message_can_be_followed_from_its_request_to_the_forward_pass(
    traced: Stack, collector: Collector, settings: dict[str, str]
) -> None:
    traced.worker()
    traced.api(**settings)
    response = post(traced, {"text": TEXT}, SAMPLED)
    assert response.status_code == 200
    stop(traced)
    answer = response.json()

    request = collector.one("POST /v1/attributions", "byline-api")
    assert (request.trace, request.parent, request.kind) == (TRACE, CALLER, "server")
    assert request.attributes == {
        "http.request.method": "POST",
        "http.response.status_code": 200,
        "http.route": "/v1/attributions",
        "byline.request_id": response.headers["X-Request-ID"],
        "byline.message_id": answer["id"],
        "byline.messages": 1,
        "byline.known": 0,
        "byline.joined": 0,
    }
    of_request = children(collector, request)
    assert set(of_request) == {"cache lookup", "enqueue"}
    assert of_request["cache lookup"].attributes == {"byline.messages": 1, "byline.found": 0}
    enqueue = of_request["enqueue"]
    assert (enqueue.service, enqueue.kind) == ("byline-api", "producer")
    assert enqueue.attributes["byline.version"] == answer["model"]
    of_chunk = children(collector, enqueue)
    assert set(of_chunk) == {"queue", "batch"}
    assert linked(collector, of_chunk["queue"]) == {"batch"}
    batch = of_chunk["batch"]
    assert (batch.service, batch.kind) == ("byline-worker", "consumer")
    assert linked(collector, batch) == {"enqueue", "POST /v1/attributions"}
    of_batch = children(collector, batch)
    assert set(of_batch) == {"cache lookup", "forward pass", "store"}
    forward = of_batch["forward pass"]
    assert forward.attributes == {"byline.messages": 1, "byline.version": answer["model"]}
    assert {span.trace for span in collector.spans} == {TRACE}
    order = [request, enqueue, of_chunk["queue"], batch, forward, of_batch["store"]]
    starts = [span.start for span in order]
    assert starts == sorted(starts)
    assert all(span.start <= span.end for span in collector.spans)
    assert not any(span.failed for span in collector.spans)
    assert not any(b"AUBERGINES" in body for body in collector.bodies)


@pytest.mark.parametrize("settings", WAYS[:2])
def test_a_traceparent_that_is_not_valid_begins_a_new_trace_and_one_that_says_no_is_obeyed(
    traced: Stack, collector: Collector, settings: dict[str, str]
) -> None:
    traced.worker()
    traced.api(**settings)
    for traceparent in ("", "nonsense", f"00-{'0' * 32}-{CALLER}-01", f"ff-{TRACE}-{CALLER}-01"):
        assert post(traced, {"text": f"aeiou {traceparent}"}, traceparent).status_code == 200
    assert post(traced, {"text": "unsampled"}, SAMPLED[:-1] + "0").status_code == 200
    assert post(traced, {"text": ""}).status_code == 422
    assert httpx.get(f"{traced.url}/v1/attributions/{'0' * 32}").status_code == 404
    assert httpx.get(f"{traced.url}/v1/models").status_code == 200
    stop(traced)
    requests = collector.named("POST /v1/attributions")
    assert len({span.trace for span in requests} - {TRACE}) == len(requests) == 5
    assert {span.parent for span in requests} == {""}
    assert len(collector.named("forward pass")) == 4
    refused = [span for span in requests if span.attributes["http.response.status_code"] == 422]
    assert len(refused) == 1
    assert not refused[0].failed
    assert collector.one("GET /v1/attributions/{id}").attributes["http.response.status_code"] == 404
    assert collector.one("GET /v1/models").attributes["http.route"] == "/v1/models"
    assert not [span for span in collector.spans if "healthz" in span.name]


def test_a_batch_of_several_tasks_links_to_each_and_each_leads_to_it(
    traced: Stack, collector: Collector
) -> None:
    traced.worker(BYLINE_BATCH_WAIT_MS="1000")
    app = make_celery(Settings.from_environ({"BYLINE_REDIS_URL": traced.env["BYLINE_REDIS_URL"]}))
    senders = [f"{number:016x}" for number in (1, 2)]
    requests = [f"{number:016x}" for number in (3, 4)]
    tasks = [
        app.send_task(
            TASK,
            [[f"text {sender}"]],
            headers={
                TRACEPARENT: f"00-{sender * 2}-{sender}-01",
                TRACED_REQUESTS: [f"00-{request * 2}-{request}-01", "nonsense", 7, None],
            },
        )
        for sender, request in zip(senders, requests, strict=True)
    ]
    tasks.append(app.send_task(TASK, [["untraced"]], headers={TRACED_REQUESTS: "nonsense"}))
    for task in tasks:
        task.get(timeout=20)
    stop(traced)
    batch = collector.one("batch")
    assert set(batch.links) == {*senders, *requests}
    assert batch.attributes["messaging.batch.message_count"] == 3
    assert batch.attributes["byline.worker"] == "byline@one"
    assert batch.parent in senders


def test_a_request_that_gets_no_answer_is_marked(traced: Stack, collector: Collector) -> None:
    traced.worker()
    api = traced.api()
    assert post(traced, {"text": "first"}).status_code == 200
    traced.parts[0].kill()
    response = post(traced, {"text": "second"})
    assert response.status_code in (503, 504)
    assert api.stop() == 0
    fine, failed = sorted(collector.named("POST /v1/attributions"), key=lambda span: span.start)
    assert (fine.failed, failed.failed) == (False, True)
    assert failed.attributes["error.type"] == str(response.status_code)
    assert failed.attributes["byline.request_id"] == response.headers["X-Request-ID"]


def test_without_a_collector_messages_are_answered_and_the_log_says_so(own: Stack) -> None:
    endpoint = f"http://127.0.0.1:{free_port()}"
    own.env |= {"BYLINE_TRACING": "on", "OTEL_EXPORTER_OTLP_ENDPOINT": endpoint}
    own.env |= {"OTEL_BSP_SCHEDULE_DELAY": "100", "OTEL_EXPORTER_OTLP_TIMEOUT": "1"}
    parts = [own.worker(), own.api()]
    assert post(own, {"text": TEXT}).status_code == 200
    for part in parts:
        wait_for(lambda: "Failed to export" in part.output, 30, "a line")  # noqa: B023
        assert part.stop() == 0
        assert "AUBERGINES" not in part.output


def test_without_the_setting_there_is_no_span_and_no_header(
    own: Stack, collector: Collector
) -> None:
    own.env |= {**collector.settings, "BYLINE_TRACING": "off", "OTEL_BSP_SCHEDULE_DELAY": "10"}
    worker = own.worker()
    own.api()
    assert post(own, {"text": "aeiou"}, SAMPLED).status_code == 200
    worker.stop()
    assert post(own, {"text": "queued"}, SAMPLED, wait="0.2").status_code == 202
    lists = [own.redis.lrange(name, 0, -1) for name in own.redis.scan_iter("attributions*")]
    [queued] = [task for tasks in lists for task in tasks]
    assert REQUEST_IDS.encode() in queued
    assert TRACEPARENT.encode() not in queued
    assert TRACED_REQUESTS.encode() not in queued
    stop(own)
    assert not collector.spans


#: A program with spans of its own, which calls the client within a span.
_PROGRAM = """
import asyncio, sys
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from celery_app.client import Client

trace.set_tracer_provider(TracerProvider())
trace.get_tracer_provider().add_span_processor(SimpleSpanProcessor(kept := InMemorySpanExporter()))

async def main():
    async with Client(sys.argv[1], tracing="on") as client:
        with trace.get_tracer("mine").start_as_current_span("mine") as mine:
            await client.attribute(["aeiou"])
    own = mine.get_span_context()
    print(*sorted(span.name for span in kept.get_finished_spans() if span.parent == own))

asyncio.run(main())
"""


def test_the_spans_of_the_client_library_are_in_the_trace_of_its_program(own: Stack) -> None:
    own.worker()
    command = [sys.executable, "-c", _PROGRAM, own.env["BYLINE_REDIS_URL"]]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout == "cache lookup enqueue\n"


#: A program that imports modules and builds an app, and prints what it has imported for traces.
#: redis-py imports OpenTelemetry where it is installed, so this program makes it look missing.
_IMPORTED = """
import sys
from importlib import import_module
sys.modules["opentelemetry"] = None
for name in sys.argv[1:]:
    import_module(name)
from api.app import create_app
from api.runtime import Runtime
from celery_app.settings import Settings
create_app(Runtime(Settings(redis_url="redis://127.0.0.1:1/0")))
print([name for name in sys.modules if name.startswith("monitoring.instruments.tracing")])
"""


def test_without_the_setting_opentelemetry_is_neither_imported_nor_needed() -> None:
    modules = ["api.plain_server", "celery_app.client", "celery_app.worker.factory"]
    accelerator = ["api.accelerator.asgi_app"] if (ROOT / "api" / "accelerator").is_dir() else []
    command = [sys.executable, "-c", _IMPORTED, *modules, *accelerator]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout == "['monitoring.instruments.tracing']\n"


@pytest.mark.parametrize("module", ["api", "celery_app.worker"])
def test_a_process_that_lacks_the_extra_says_so_in_a_line(
    own: Stack, tmp_path: Path, module: str
) -> None:
    (tmp_path / "opentelemetry").mkdir()
    (tmp_path / "opentelemetry" / "__init__.py").touch()  # in the place of what is installed
    part = own.start(
        [sys.executable, "-m", module],
        "lacking",
        BYLINE_TRACING="on",
        BYLINE_METRICS_PORT=str(free_port()),
        PYTHONPATH=str(tmp_path),
    )
    assert part.process.wait(60) == 2
    [line] = part.output.splitlines()
    name = module.rpartition(".")[2]
    assert line == (
        f"byline {name}: BYLINE_TRACING=on needs the extra `otel`, which is not installed: "
        "python -m pip install -r requirements/otel.lock"
    )
