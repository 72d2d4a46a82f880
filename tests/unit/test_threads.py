"""No thread and no coroutine in the background ends because of an unexpected error."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

from tests.parts import ROOT

PACKAGES = ("api", "celery_app", "compose", "model", "monitoring", "tasks")
#: Names of functions and classes that start a thread.
STARTING = {"Thread", "Timer", "ThreadPoolExecutor", "start_http_server", "start_wsgi_server"}
TASKS = {"ensure_future", "create_task"}
#: Files that may start threads directly, and why.
THREADS = {
    "api/accelerator/flask_bridge.py": "the pool raises errors in the waiting caller",
    "celery_app/file_job/feeder.py": "passes each error to the event loop, where it ends the job",
    "compose/installer/progress.py": "the thread only prints, and nothing is installed yet",
    "monitoring/instruments/background.py": "handles all errors",
    "monitoring/instruments/tracing/export.py": "exports once, while the process ends",
}
#: Coroutines that end by themselves, by file. They handle every error, or it ends a whole job.
ONCE = {
    "api/accelerator/response_waiter.py": {"_wait_no_longer"},
    "celery_app/client/dispatch/late.py": {"_keep", "_release"},
    "celery_app/file_job/job.py": {"_send", "_watch", "outcomes"},
    "tasks/storage/pending_results.py": {"_values"},
}


def test_every_thread_is_started_where_failures_are_survived() -> None:
    found = {
        f"{path}:{call.lineno}"
        for path, call in calls()
        if name_of(call) in STARTING and path not in THREADS
    }
    assert not found, (
        "use monitoring.instruments.background.start, or monitoring.instruments.listener.Listener"
    )


def test_every_coroutine_in_the_background_goes_on_for_ever() -> None:
    found = set()
    for path, call in calls():
        if name_of(call) in TASKS:
            [begun] = call.args
            assert isinstance(begun, ast.Call)
            if name_of(begun) not in {"run_forever", *ONCE.get(path, ())}:
                found.add(f"{path}:{call.lineno}")
    assert not found, "use celery_app.client.run_forever.run_forever"


def test_what_is_looked_for_is_there() -> None:
    names = {name_of(call) for _, call in calls()}
    assert {"Thread", "ensure_future", "run_forever"} <= names


def calls() -> Iterator[tuple[str, ast.Call]]:
    """Yields every call in the source, with the path of its file."""
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*.py")):
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.Call):
                    yield str(path.relative_to(Path(ROOT))), node


def name_of(call: ast.Call) -> str:
    """Returns the last part of the called name; empty if the called object has no name."""
    if isinstance(call.func, ast.Attribute):
        return call.func.attr
    return call.func.id if isinstance(call.func, ast.Name) else ""
