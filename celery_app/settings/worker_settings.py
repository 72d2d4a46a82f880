"""Settings of Redis, the model and the workers."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import msgspec

from celery_app.settings.field_types import Count, Seconds, about
from celery_app.settings.secret_url import SecretURL


class WorkerSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The settings of Redis, the model, its device, and the batches of the workers."""

    redis_url: Annotated[
        SecretURL | None,
        about("Redis 6.2 or newer, or Valkey, for the queue. Unset: `make run` starts a Valkey."),
    ] = None
    cache_url: Annotated[
        SecretURL | None,
        about("Redis or Valkey for attributions and results. Unset: the one for the queue."),
    ] = None
    redis_password_file: Annotated[
        Path | None,
        about("File with the password of `BYLINE_REDIS_URL`, which must hold no password then."),
    ] = None
    cache_password_file: Annotated[
        Path | None, about("File with the password of `BYLINE_CACHE_URL`, likewise.")
    ] = None
    model: Annotated[
        str,
        about(
            "The model to serve: `ngram`, `transformer`, `huggingface`, or your own as "
            "`package.module:Class`. `huggingface` needs `BYLINE_MODEL_DIR`.",
            pattern=r"^(ngram|transformer|huggingface|[\w.]+:\w+)$",
            valid="must be ngram, transformer, huggingface, or your own class as "
            "package.module:Class",
        ),
    ] = "ngram"
    model_dir: Annotated[
        Path | None, about("Folder of the model's weights and card. Unset: the model's own folder.")
    ] = None
    device: Annotated[
        str,
        about(
            "Where the model runs: `auto`, `cpu`, `mps`, `cuda` or `cuda:N`.",
            pattern=r"^(auto|cpu|mps|cuda(:\d+)?)$",
            valid="must be auto, cpu, mps, cuda or cuda:N, where N is the number of a GPU",
        ),
    ] = "auto"
    precision: Annotated[
        Literal["fp32", "bf16", "fp16"],
        about(
            "Number format in which a transformer computes. At each start, `bf16` and `fp16` are "
            "compared with `fp32` on the device, and refused if they differ too much."
        ),
    ] = "fp32"
    torch_threads: Annotated[
        Count | None,
        about(
            "CPU threads of torch. Unset: 1; for a transformer, the number of cores divided by the "
            "number of workers."
        ),
    ] = None
    mps_memory: Annotated[
        float,
        about(
            "Share of the memory that Metal recommends, for all workers of this machine together. "
            "A batch that needs more is halved.",
            ge=0.05,
            le=2,
        ),
    ] = 1.0
    workers: Annotated[
        int,
        about(
            "Workers that `make run` starts: one for each GPU, or sharing the cores.",
            ge=1,
            le=64,
        ),
    ] = 1
    worker_number: Annotated[
        int,
        about("Number of a worker among those of its machine, from 0. `make run` sets it.", ge=0),
    ] = 0
    worker_name: Annotated[
        str,
        about(
            "Celery node name. The part after `@` must differ between workers; `%h` is the host.",
            pattern=r"^[^@]+@[^@]+$",
            valid="must be a name with one @ inside, such as byline@%h",
        ),
    ] = "byline@%h"
    batch_messages: Annotated[
        int,
        about(
            "Messages in one batch, at most. A long message counts as several, and a message with "
            "evidence as eight; so they do in other settings that count messages.",
            ge=1,
            le=4096,
        ),
    ] = 256
    batch_tokens: Annotated[
        Count | None,
        about(
            "Tokens in one forward pass of a transformer, with padding, at most. Unset: 32768, or "
            "3072 on the CPU."
        ),
    ] = None
    batch_wait_ms: Annotated[
        float,
        about("Milliseconds that an idle worker waits for a fuller batch.", ge=0, le=1000),
    ] = 0.0
    batch_timeout_s: Annotated[
        Seconds,
        about(
            "Seconds after which a forward pass counts as hung. Then the worker ends, and its "
            "messages go to another worker."
        ),
    ] = 60.0
