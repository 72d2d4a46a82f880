"""A runtime starts its services once, in a separate thread, and again after a fork."""

from __future__ import annotations

import asyncio
import gc
import os
import threading
import weakref
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import Any
from unittest.mock import AsyncMock, Mock

import pytest

from api import runtime
from api.runtime import Runtime
from celery_app.settings import Settings, SettingsError
from monitoring.instruments import request_ids
from tasks.errors import NoAnswer
from tests.parts import wait_for


class Services:
    """Records the thread that started the services."""

    def __init__(self) -> None:
        self.client = Mock()
        self.client.dispatcher.stop = AsyncMock()
        self.thread = threading.current_thread()


@pytest.fixture
def built(monkeypatch: pytest.MonkeyPatch) -> list[Services]:
    """Returns the list of all services that were built."""
    found: list[Services] = []

    def build(*_: object) -> Services:
        found.append(Services())
        return found[-1]

    monkeypatch.setattr(runtime, "build", build)
    return found


async def value(given: int) -> int:
    await asyncio.sleep(0)
    return given


async def failing() -> None:
    raise LookupError("as raised on the loop")


def test_services_start_once_when_many_threads_ask(built: list[Services]) -> None:
    here = Runtime(Settings())
    assert built == []
    threads = [threading.Thread(target=here.ensure_started) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    [services] = built
    assert here.services is services  # type: ignore[comparison-overlap]
    assert services.thread.daemon
    here.stop()


def test_a_stopped_runtime_is_not_kept_until_the_process_ends(built: list[Services]) -> None:
    here = Runtime(Settings())
    here.ensure_started()
    here.stop()
    gone = weakref.ref(here)
    del here
    gc.collect()
    assert gone() is None


def test_services_that_hang_do_not_keep_the_process_from_ending(
    built: list[Services], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(runtime, "EXIT_S", 0.1)
    at_exit: list[Any] = []
    monkeypatch.setattr("atexit.register", at_exit.append)
    here = Runtime(Settings())
    here.ensure_started()
    released = threading.Event()
    here.services.client.dispatcher.stop = AsyncMock(side_effect=released.wait)  # type: ignore[method-assign]
    [end] = at_exit
    end()
    assert "services did not stop within 0.1 s" in caplog.text
    released.set()
    here.services.client.dispatcher.stop = AsyncMock()  # type: ignore[method-assign]
    here.stop()


def test_run_returns_and_raises_what_the_coroutine_does(built: list[Services]) -> None:
    here = Runtime(Settings())
    here.ensure_started()
    assert here.run(value(7)) == 7
    with pytest.raises(LookupError, match="as raised"):
        here.run(failing())
    here.stop()


def test_forked_process_starts_its_own_services(
    built: list[Services], monkeypatch: pytest.MonkeyPatch
) -> None:
    here = Runtime(Settings())
    here.ensure_started()
    first = here._thread
    monkeypatch.setattr(os, "getpid", lambda: -1)  # as in a child process
    here.ensure_started()
    assert len(built) == 2
    assert here._thread is not first
    assert here.run(value(8)) == 8
    here.stop()
    assert first is not None
    first.stop()


def test_waiting_thread_gets_an_error_when_the_loop_stops(built: list[Services]) -> None:
    here = Runtime(Settings())
    here.ensure_started()
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(here.run, asyncio.sleep(60))
        wait_for(waiting.running, what="the thread to wait")
        here.stop()
        with pytest.raises(NoAnswer):
            waiting.result(20)


def test_services_start_outside_the_request_context(
    built: list[Services], monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[str] = []

    def build(*_: object) -> Services:
        seen.append(request_ids.present())
        return Services()

    monkeypatch.setattr(runtime, "build", build)
    here = Runtime(Settings())
    with request_ids.about(["the-first"]):
        here.ensure_started()
    assert seen == [""]
    here.stop()


def test_spare_threads_may_not_wait(built: list[Services]) -> None:
    here = Runtime(Settings.from_environ({"BYLINE_API_THREADS": "6"}))
    with ExitStack() as waiting:
        may = [waiting.enter_context(here.may_wait()) for _ in range(4)]
        assert may == [True, True, False, False]
    with here.may_wait() as again:
        assert again


def test_stop_ends_the_thread_and_the_services(built: list[Services]) -> None:
    here = Runtime(Settings())
    here.stop()  # nothing was started
    here.ensure_started()
    thread: Any = here._thread
    here.stop()
    assert not thread.is_alive()
    built[0].client.dispatcher.stop.assert_awaited_once()


def test_failed_start_is_retried_by_the_next_request(
    built: list[Services], monkeypatch: pytest.MonkeyPatch
) -> None:
    here, build = Runtime(Settings()), runtime.build
    monkeypatch.setattr(runtime, "build", Mock(side_effect=OSError("the port is taken")))
    with pytest.raises(OSError, match="taken"):
        here.ensure_started()
    assert not here.started
    assert here.wait_s() == 0
    monkeypatch.setattr(runtime, "build", build)
    here.ensure_started()
    assert here.started
    here.stop()


def test_invalid_keys_file_is_refused_before_anything_starts(tmp_path: Any) -> None:
    settings = Settings.from_environ({"BYLINE_KEYS_FILE": str(tmp_path / "none")})
    with pytest.raises(SettingsError):
        Runtime(settings)
