"""Attributes each row of a file: ``make attribute DATA=in.jsonl OUT=out.jsonl``."""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import sys
import time
from collections.abc import Sequence
from copy import deepcopy

import msgspec

from celery_app import garbage
from celery_app.client.async_client import Client
from celery_app.client.dispatch.limits import MOST_CREDITS
from celery_app.client.event_loop import new_event_loop
from celery_app.file_job.asking import LOOK_S, Asking
from celery_app.file_job.errors import JobError
from celery_app.file_job.job import SILENT_S, Job
from celery_app.file_job.journal import Journal
from celery_app.file_job.opening import Files, open_files
from celery_app.file_job.outputs import PartFile
from celery_app.file_job.progress import Report, make_report
from celery_app.file_job.results import Counts
from celery_app.file_job.summary import summary
from celery_app.settings import Settings, SettingsError
from celery_app.settings.secret_url import SecretURL
from monitoring.instruments import logs
from tasks.errors import BrokerUnavailable, NoModel

#: Rows in progress, divided by the rows in flight. With this factor, the dispatcher always has a
#: full chunk. More rows would cost time, because it looks through all waiting rows for each chunk.
ROOM_FACTOR = 4
#: Exit status if the job could not begin or go on.
FAILED = 2
#: Exit status after Ctrl-C, and after SIGTERM. They differ because ``make attribute`` ends with 0
#: after the status 130: make itself gets Ctrl-C, too.
INTERRUPTED, TERMINATED = 130, 143


def main(arguments: Sequence[str]) -> int:
    """Runs the job that the command line describes, and returns the exit status.

    The status is 0 if each row has a result. A result may be an error. The status is 2 if the job
    could not begin or go on, 130 after Ctrl-C, and 143 after SIGTERM.
    """
    options = _options(arguments)
    try:
        settings = _for_job(Settings.from_environ(os.environ))
        logs.configure("attribute", "ERROR", settings.log_format)
        with asyncio.Runner(loop_factory=new_event_loop) as runner:
            runner.run(_run(options, settings))
    except (JobError, SettingsError) as error:
        return _say(str(error), FAILED)
    except ExceptionGroup as group:
        failed, defects = group.split(JobError)
        if defects is not None or failed is None:
            raise
        return _say(str(failed.exceptions[0]), FAILED)
    except KeyboardInterrupt:
        return INTERRUPTED
    except asyncio.CancelledError:
        return TERMINATED
    return 0


def _say(line: str, status: int) -> int:
    print(f"byline: {line}", file=sys.stderr)
    return status


def _for_job(settings: Settings) -> Settings:
    """Returns ``settings`` with a job's defaults for the Redis URL and ``credits``.

    A value that the user has set stays. The default URL is that of the Valkey that ``make run``
    starts. ``credits`` is the largest number of tasks in flight. Its default is high, so that the
    workers have a next task even while this process waits for a CPU. The api's messages do not wait
    for these tasks, which have the lowest priority.
    """
    url = SecretURL(f"redis://127.0.0.1:{settings.redis_port}/0")
    return msgspec.structs.replace(
        settings,
        redis_url=settings.redis_url or url,
        credits=settings.credits or MOST_CREDITS,
    )


async def _run(options: argparse.Namespace, settings: Settings) -> None:
    """Runs a job to its end.

    Raises:
        JobError: the input or the output can't be used.
        ExceptionGroup: an error ended the job later.
    """
    began = time.monotonic()
    task = asyncio.current_task()
    assert task is not None
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    files = open_files(options.data, options.out, options.explain)
    counts = Counts() if files.begun is None else deepcopy(files.begun.counts)
    before = counts.rows
    report = make_report(files.input.size, counts)
    try:
        await _attribute(files, settings, options.explain, counts, report)
    except asyncio.CancelledError:
        files.output.close()
        report.close()
        again = "" if files.identity is None else "; the same command goes on there"
        _say(f"stopped after {files.output.rows:,} rows{again}", TERMINATED)
        raise
    finally:
        report.close()
        files.output.close()
    for line in summary(counts, before, time.monotonic() - began, options.out):
        _say(line, 0)


async def _attribute(
    files: Files, settings: Settings, explain: bool, counts: Counts, report: Report
) -> None:
    """Sends the rows that have no result yet, writes their results, and finishes the output.

    ``counts`` says which rows have a result.
    """
    fields = msgspec.structs.asdict(settings)
    async with Client(fields.pop("redis_url"), **fields) as client:
        version = await _version(client, report) if files.begun is None else files.begun.model
        if isinstance(files.output, PartFile) and files.identity is not None:
            files.output.keep_journal(
                files.begun or Journal(files.identity, version, explain, Counts())
            )
        asking = Asking(client, version, explain)
        job = Job(files.output, asking, counts, _room(settings), explain)
        garbage.freeze_and_search_seldom()
        await job.run(files.input.blocks(counts.offset), report)
    files.input.check_unchanged()
    files.output.finish()


def _room(settings: Settings) -> int:
    """Returns the largest total size of rows in progress, in units of 2,000 characters.

    A row is in progress from when the job sends it until its result is written.
    """
    in_flight = (settings.credits or MOST_CREDITS) * settings.chunk_messages
    return min(settings.dispatcher_messages, ROOM_FACTOR * in_flight)


async def _version(client: Client, report: Report) -> str:
    """Returns the model version that is to answer the whole job. Waits for a worker if needed."""
    silent_s = 0.0
    while True:
        try:
            return client.current_version()
        except (BrokerUnavailable, NoModel) as error:
            reason = str(error)
        if silent_s >= SILENT_S:
            report.waits(reason)
        await asyncio.sleep(LOOK_S)  # the client looks for workers itself
        silent_s += LOOK_S


def _options(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m celery_app.file_job",
        description="Attributes each row of a file, and writes one result for each, in order. "
        "If it is interrupted, the same command goes on where it was.",
    )
    parser.add_argument(
        "--data", required=True, help="a .jsonl, .csv or .parquet file; - for standard input"
    )
    parser.add_argument(
        "--out", required=True, help="a .jsonl, .csv or .parquet file; - for standard output"
    )
    parser.add_argument("--explain", action="store_true", help="with the evidence, in .jsonl")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
