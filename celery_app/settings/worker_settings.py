"""Settings of Redis, the model and the workers."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import msgspec

from celery_app.settings.field_types import Count, Seconds, about
from celery_app.settings.secret_url import SecretURL


class WorkerSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Where Redis is, which model is served on which device, and how workers form batches."""

    redis_url: Annotated[
        SecretURL | None,
        about("Redis 6.2 or newer, or Valkey, for the queue. Unset: `make run` starts its own."),
    ] = None
    cache_url: Annotated[
        SecretURL | None,
        about("Redis or Valkey for attributions and results. Unset: the same one."),
    ] = None
    redis_password_file: Annotated[
        Path | None,
        about("File of the password for `BYLINE_REDIS_URL`, which then holds none."),
    ] = None
    cache_password_file: Annotated[
        Path | None, about("The same for `BYLINE_CACHE_URL`. Unset: the URL is as it should be.")
    ] = None
    model: Annotated[
        str,
        about(
            "The model to serve: `ngram`, `transformer`, or your own as `package.module:Class`.",
            pattern=r"^(ngram|transformer|[\w.]+:\w+)$",
        ),
    ] = "ngram"
    model_dir: Annotated[
        Path | None, about("Folder of weights and card, for the model's class. Unset: its own.")
    ] = None
    device: Annotated[
        str,
        about(
            "Where the model runs: `auto`, `cpu`, `mps`, `cuda` or `cuda:N`.",
            pattern=r"^(auto|cpu|mps|cuda(:\d+)?)$",
        ),
    ] = "auto"
    precision: Annotated[
        Literal["fp32", "bf16", "fp16"],
        about(
            "What a transformer computes in. The halves only after a comparison with `fp32` on "
            "the device, at each start."
        ),
    ] = "fp32"
    torch_threads: Annotated[
        Count | None,
        about(
            "CPU threads for torch. Unset: 1, or for a transformer the cores shared among the "
            "workers."
        ),
    ] = None
    mps_memory: Annotated[
        float,
        about(
            "Share of the memory that Metal recommends, for all workers here. Beyond it a batch "
            "is halved.",
            ge=0.05,
            le=2,
        ),
    ] = 1.0
    workers: Annotated[
        int,
        about(
            "Workers that `make run` starts here, one for each GPU or sharing the cores.",
            ge=1,
            le=64,
        ),
    ] = 1
    worker_number: Annotated[
        int, about("Which of them a worker is, from 0. `make run` sets it.", ge=0)
    ] = 0
    worker_name: Annotated[
        str,
        about(
            "Celery node name. What follows the `@` must differ between workers; `%h` is the host.",
            pattern=r"^[^@]+@[^@]+$",
        ),
    ] = "byline@%h"
    batch_messages: Annotated[
        int,
        about(
            "Largest batch, in messages. Here and below a long one counts as several, one with "
            "evidence as eight.",
            ge=1,
            le=4096,
        ),
    ] = 256
    batch_tokens: Annotated[
        Count | None,
        about(
            "Largest forward pass of a transformer, in tokens with padding. Unset: 32768, on the "
            "CPU 3072."
        ),
    ] = None
    batch_wait_ms: Annotated[
        float,
        about("Milliseconds that an idle worker waits for a fuller batch.", ge=0, le=1000),
    ] = 0.0
    batch_timeout_s: Annotated[
        Seconds,
        about(
            "Seconds after which a forward pass counts as hung: the worker ends, and its messages "
            "go to another."
        ),
    ] = 60.0
