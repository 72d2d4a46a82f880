"""Settings of the api: limits of tasks and requests, times, addresses, keys, processes, threads."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from celery_app.settings.field_types import Count, Days, HostNames, Port, Seconds, about
from celery_app.settings.worker_settings import WorkerSettings


class ApiSettings(WorkerSettings, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The settings of the api. The class inherits the settings of the workers."""

    chunk_messages: Annotated[
        int, about("Messages in one task of an api process, at most.", ge=1, le=4096)
    ] = 128
    credits: Annotated[
        Count | None,
        about(
            "Tasks that an api process has in flight before messages gather. Unset: the "
            "`BYLINE_API_PROCESSES` of one api server share one task more than there are workers. "
            "Each process has at least two (one without the accelerator) and at most four."
        ),
    ] = None
    dispatcher_messages: Annotated[
        Count,
        about(
            "Messages that an api process holds without an answer, before it answers 503. A key "
            "that takes all the room is refused; other keys are not. Evidence does not count here."
        ),
    ] = 4096
    local_cache_messages: Annotated[
        int, about("Attributions that an api process keeps in its own memory for a minute.", ge=0)
    ] = 4096
    max_characters: Annotated[Count, about("Longest message, in characters.")] = 20_000
    max_bulk: Annotated[Count, about("Most messages in one request.")] = 256
    max_body_bytes: Annotated[Count, about("Largest request body, in bytes.")] = 4_194_304
    wait_s: Annotated[
        Seconds, about("Seconds that a request waits for its answer, unless it has `?wait=`.")
    ] = 5.0
    wait_max_s: Annotated[Seconds, about("Largest `?wait=`, in seconds.")] = 30.0
    result_ttl_s: Annotated[
        Count, about("Seconds for which attributions and results are kept.")
    ] = 86_400
    keep_feedback: Annotated[
        Days | None,
        about(
            "Days for which texts with feedback are kept; see docs/how-to/retrain.md. Api and "
            "workers need the same value. Unset: no text is kept."
        ),
    ] = None
    keep_feedback_megabytes: Annotated[
        Count,
        about(
            "Megabytes that the kept texts take at most. The oldest make way for new texts. Redis "
            "can't evict kept texts, so set at most a quarter of its memory."
        ),
    ] = 8
    max_pending_results: Annotated[
        Count,
        about(
            "Answers that are promised with 202 and not fetched, at most. Beyond that, requests "
            "are refused with 503. An answer takes about 1 KB of the broker's memory. All of them "
            "may take a quarter of it: 8,192 answers in 32 MB."
        ),
    ] = 50_000
    visibility_timeout_s: Annotated[
        Count,
        about(
            "Seconds after which a dead worker's task goes to another worker. All processes on one "
            "Redis must have the same value."
        ),
    ] = 6
    api_host: Annotated[str, about("Address that the api listens on.")] = "127.0.0.1"
    api_port: Annotated[Port, about("Port of the api.")] = 8000
    hosts: Annotated[
        HostNames | None,
        about(
            "Host names that requests may be for, with commas between them. Others are refused, "
            "except `localhost` and IP addresses. Unset: an api on the loopback address without "
            "keys refuses all other names, and any other api refuses none.",
        ),
    ] = None
    keys_file: Annotated[
        Path | None,
        about(
            "File of API keys, see `python -m api.access.keys --help`. It is read again when it "
            "changes. Unset: requests need no key."
        ),
    ] = None
    api_processes: Annotated[
        Count, about("Processes of the api. A message takes about 0.1 ms of CPU in one of them.")
    ] = 1
    accelerator: Annotated[
        Literal["on", "off"],
        about(
            "Whether the api answers requests for attributions ahead of Flask. `off`: Flask, under "
            "gunicorn, answers all requests, which is slower; see docs/architecture.md. `true`, "
            "`1` and `yes` mean `on`; `false`, `0` and `no` mean `off`."
        ),
    ] = "on"
    api_threads: Annotated[
        Count,
        about("Threads of an api process without the accelerator. A waiting request takes one."),
    ] = 64
    api_pinned: Annotated[
        Literal["on", "off"],
        about(
            "Whether each api process without the accelerator runs on one CPU only, on Linux. Its "
            "threads take turns, and take them faster on one CPU. Set `off` if other programs keep "
            "single CPUs busy."
        ),
    ] = "on"
