"""Settings of the api."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from celery_app.settings.field_types import Count, HostNames, Port, Seconds, about
from celery_app.settings.worker_settings import WorkerSettings


class ApiSettings(WorkerSettings, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How the api sends messages, waits, limits its callers and listens."""

    chunk_messages: Annotated[
        int, about("Largest task that an api process sends, in messages.", ge=1, le=4096)
    ] = 128
    credits: Annotated[
        Count, about("Tasks an api process has in flight before it lets messages gather.")
    ] = 2
    dispatcher_messages: Annotated[
        Count,
        about(
            "Messages an api process holds unanswered before it answers 503. A key that holds them "
            "all is refused, and others are not. Evidence does not count here."
        ),
    ] = 4096
    local_cache_messages: Annotated[
        int, about("Attributions that an api process itself remembers, for a minute.", ge=0)
    ] = 4096
    max_characters: Annotated[Count, about("Longest message, in characters.")] = 20_000
    max_bulk: Annotated[Count, about("Most messages in one request.")] = 256
    max_body_bytes: Annotated[Count, about("Largest request body, in bytes.")] = 4_194_304
    wait_s: Annotated[
        Seconds, about("Seconds a request waits for its answer unless `?wait=` says otherwise.")
    ] = 5.0
    wait_max_s: Annotated[Seconds, about("Largest `?wait=`, in seconds.")] = 30.0
    result_ttl_s: Annotated[
        Count, about("Seconds for which attributions and results are kept.")
    ] = 86_400
    max_pending_results: Annotated[
        Count,
        about(
            "Answers that are promised with 202 and not fetched, at most; further ones are refused "
            "with 503. Each takes about 1 KB of the broker's memory, of which all may take a "
            "quarter: 8,192 of 32 MB."
        ),
    ] = 50_000
    visibility_timeout_s: Annotated[
        Count,
        about(
            "Seconds after which a task that a dead worker held goes to another. "
            "The same for all processes on one Redis."
        ),
    ] = 6
    api_host: Annotated[str, about("Address the api listens on.")] = "127.0.0.1"
    api_port: Annotated[Port, about("Port of the api.")] = 8000
    hosts: Annotated[
        HostNames | None,
        about(
            "Names under which the api is asked, with commas between them; others are refused, "
            "except `localhost` and addresses. Unset: on the loopback address, without keys, all "
            "others are refused, and elsewhere none.",
        ),
    ] = None
    keys_file: Annotated[
        Path | None,
        about(
            "File of API keys, see `python -m api.access.keys --help`; it is read again when it "
            "changes. Unset: whoever reaches it asks."
        ),
    ] = None
    api_processes: Annotated[
        Count, about("Processes of the api. One takes about 0.1 ms of CPU for a message.")
    ] = 1
    accelerator: Annotated[
        Literal["on", "off"],
        about(
            "Whether the api answers requests for attributions ahead of Flask. `off`: all goes "
            "through Flask, under gunicorn, which is slower; see docs/architecture.md."
        ),
    ] = "on"
    api_threads: Annotated[
        Count,
        about("Threads of each api process without the accelerator: a request that waits has one."),
    ] = 64
