"""A file job that is interrupted goes on where it was, and its output is that of any other job."""

from __future__ import annotations

import asyncio
import signal
from pathlib import Path

import pytest

from celery_app.client import Client
from tests.integration.file_job.jobs import (
    forget,
    results,
    rows_done,
    run,
    saved,
    start,
    texts,
    wait_for_rows,
)
from tests.parts import Stack, wait_for

#: Eight seconds of work, so that a job on a busy machine does not end before it is disturbed.
ROWS = 4000


@pytest.fixture
def slow(own: Stack) -> Stack:
    """A stack with a worker that computes 500 messages a second."""
    own.env["TEST_MODEL_MESSAGE_SECONDS"] = "0.002"
    own.worker()
    return own


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return saved(tmp_path, "in.jsonl", [*texts("disturbed", ROWS), "", "POISON"])


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "out.jsonl"


def check_equals_undisturbed(stack: Stack, data: Path, out: Path) -> None:
    """Runs the same job without a disturbance and without a cache, and compares the outputs."""
    forget(stack)
    other = out.with_name("undisturbed.jsonl")
    run(stack, data, other)
    assert out.read_bytes() == other.read_bytes()
    assert [each["ref"] for each in results(out)] == list(range(ROWS + 2))


def test_job_killed_twice_and_worker_killed_once_gives_each_row_once(
    slow: Stack, data: Path, out: Path
) -> None:
    job = start(slow, data, out)
    wait_for_rows(job, out, 0)
    job.kill()
    first = rows_done(out)
    job = start(slow, data, out)
    wait_for_rows(job, out, first)
    [worker] = [part for part in slow.parts if part.log.name == "worker-one.log"]
    worker.kill()
    slow.start_worker(name="two")
    wait_for_rows(job, out, rows_done(out))
    job.kill()
    second = rows_done(out)
    assert first < second < ROWS
    said = run(slow, data, out)
    assert f"{second:,} of them before this start" in said
    check_equals_undisturbed(slow, data, out)


def test_job_goes_on_after_the_broker_was_restarted(slow: Stack, data: Path, out: Path) -> None:
    job = start(slow, data, out)
    wait_for_rows(job, out, 0)
    [valkey] = [part for part in slow.parts if part.log.name == "valkey.log"]
    valkey.kill()
    wait_for(lambda: "byline: waits: broker: unreachable" in job.output, 30, "a line on the wait")
    slow.valkey()
    assert job.process.wait(100) == 0, job.output
    check_equals_undisturbed(slow, data, out)


@pytest.mark.parametrize(("sign", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_stopped_job_says_how_it_goes_on(
    sign: signal.Signals, status: int, slow: Stack, data: Path, out: Path
) -> None:
    job = start(slow, data, out)
    wait_for_rows(job, out, 0)
    assert job.stop(sign) == status
    rows = rows_done(out)
    said = f"byline: stopped after {rows:,} rows; the same command goes on there"
    assert said in job.output
    assert "Traceback" not in job.output
    assert not out.exists()
    run(slow, data, out)
    assert [each["ref"] for each in results(out)] == list(range(ROWS + 2))


def test_job_waits_for_its_first_worker(own: Stack, tmp_path: Path, out: Path) -> None:
    job = start(own, saved(tmp_path, "in.jsonl", ["aeiou"]), out)
    wait_for(lambda: "byline: waits: no worker has announced a model yet" in job.output)
    own.worker()
    assert job.process.wait(60) == 0, job.output
    assert [each["author"] for each in results(out)] == ["vowels"]


def test_job_keeps_its_model_version_and_says_that_it_waits_for_it(
    slow: Stack, data: Path, out: Path
) -> None:
    job = start(slow, data, out)
    wait_for_rows(job, out, 0)
    job.kill()
    [worker] = [part for part in slow.parts if part.log.name == "worker-one.log"]
    worker.stop()
    slow.worker(name="next", BYLINE_MODEL="tests.models:NextVowels")
    job = start(slow, data, out)
    said = "byline: waits: no worker serves vowels-1, the version of this job: start one"
    wait_for(lambda: said in job.output, 60, said)
    slow.worker(name="old")
    assert job.process.wait(100) == 0, job.output
    assert {each.get("model", "vowels-1") for each in results(out)} == {"vowels-1"}
    assert [each["ref"] for each in results(out)] == list(range(ROWS + 2))


def test_changed_input_is_refused_with_the_remedy(slow: Stack, data: Path, out: Path) -> None:
    job = start(slow, data, out)
    wait_for_rows(job, out, 0)
    job.kill()
    rows = rows_done(out)
    with data.open("a") as file:
        file.write('{"text": "one more"}\n')
    said = run(slow, data, out, status=2)
    assert said.count("\n") == 1
    assert (
        f"the input changed since this job was interrupted: to begin anew, remove {out}.part"
        in (said)
    )
    assert rows_done(out) == rows


def test_a_text_that_workers_die_of_becomes_the_error_of_its_row(
    own: Stack, tmp_path: Path, out: Path
) -> None:
    job = start(own, saved(tmp_path, "in.jsonl", ["aeiou", "DEADLY", "xyz"]), out)
    for number in range(10):
        worker = own.start_worker(name=f"number-{number}")
        wait_for(lambda worker=worker: not (worker.alive and job.alive), 60, "an end")
        if not job.alive:
            break
    assert job.process.wait(20) == 0, job.output
    first, deadly, last = results(out)
    assert (first["author"], last["author"]) == ("vowels", "consonants")
    assert deadly["error"]["code"] == "dead_letter"


def test_live_messages_go_before_those_of_a_job(slow: Stack, data: Path, out: Path) -> None:
    async def ask() -> str | None:
        async with Client(slow.env["BYLINE_REDIS_URL"]) as client:
            [found] = await client.attribute(["xyz"])
            return found.author

    job = start(slow, data, out)
    wait_for_rows(job, out, 0)
    assert asyncio.run(ask()) == "consonants"
    assert job.alive, job.output
    assert not out.exists()
