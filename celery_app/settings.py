"""Every setting of Byline, in one frozen object. The only reader of the environment."""

from __future__ import annotations

import re
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from celery_app.secret_url import SecretURL
from celery_app.settings_checks import SettingsError, check_together, with_password
from celery_app.settings_words import PREFIX, in_words, unknown

__all__ = ["GIB", "MODELS", "Settings", "SettingsError"]

#: Bytes of a GiB, the unit in which memory is sold.
GIB = 2**30

#: The models that come with Byline.
MODELS = {
    "ngram": "model.ngram:NgramModel",
    "transformer": "model.transformer:TransformerModel",
}

WebURL = Annotated[str, Meta(pattern=r"^https?://")]
HostNames = Annotated[str, Meta(pattern=r"^[A-Za-z\d_.-]+( *, *[A-Za-z\d_.-]+)*$")]
Port = Annotated[int, Meta(ge=1, le=65535)]
Count = Annotated[int, Meta(ge=1)]
Positive = Annotated[float, Meta(gt=0)]
Seconds = Positive


def about(description: str, **limits: Any) -> Meta:
    """Return what the README's table says of a field, and what msgspec checks of it."""
    return Meta(description=description, **limits)


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Read once by a composition root, then passed on. Each field is ``BYLINE_<NAME>``."""

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
    chunk_messages: Annotated[
        int, about("Largest task that an api process sends, in messages.", ge=1, le=4096)
    ] = 128
    credits: Annotated[
        Count, about("Tasks an api process has in flight before it lets messages gather.")
    ] = 2
    outbox_messages: Annotated[
        Count,
        about(
            "Messages an api process holds unanswered before it answers 503. A key that holds them "
            "all is refused, and others are not. Evidence does not count here."
        ),
    ] = 4096
    recent_messages: Annotated[
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
    promised_messages: Annotated[
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
            "File of API keys, see `python -m api.keys --help`; it is read again when it changes. "
            "Unset: whoever reaches it asks."
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
    redis_port: Annotated[Port, about("Port of the embedded Valkey.")] = 6390
    redis_megabytes: Annotated[
        Count,
        about(
            "Memory for the data of the embedded Valkey: at most half of it for queue and "
            "promises, the rest for the cache, of which what was used longest ago goes."
        ),
    ] = 32
    flower_port: Annotated[Port, about("Port of Flower.")] = 5555
    exporter_port: Annotated[Port, about("Port of celery-exporter.")] = 9808
    metrics_port: Annotated[
        Port, about("Port of the worker's own metrics; a second worker's is next.")
    ] = 9809
    metrics_host: Annotated[
        str, about("Address that everybody's metrics are served on. They name authors, no texts.")
    ] = "127.0.0.1"
    api_metrics_port: Annotated[Port, about("Port of the metrics of the api's processes.")] = 9806
    monitor_port: Annotated[Port, about("Port of the monitor: queue, memory, quality.")] = 9807
    prometheus_port: Annotated[
        int,
        about(
            "Port of Prometheus, which `make run` starts where it is installed; 0: it does not.",
            ge=0,
            le=65535,
        ),
    ] = 9095
    alertmanager_port: Annotated[
        int,
        about(
            "Port of Alertmanager, started with Prometheus where it is installed; 0: it is not.",
            ge=0,
            le=65535,
        ),
    ] = 9096
    grafana_url: Annotated[
        WebURL | None, about("Where Grafana is, for the console's link to it.")
    ] = None
    redis_exporter_port: Annotated[
        Port, about("Port of the exporter for Redis, started with Prometheus where installed.")
    ] = 9122
    memory_gb: Annotated[
        Positive | None,
        about(
            "Memory that Byline may fill, in GiB (2^30 bytes). Unset: all that this machine, or "
            "container, has."
        ),
    ] = None
    memory_warning: Annotated[float, about("Share of it from which caches shrink.", gt=0, le=1)] = (
        0.7
    )
    memory_critical: Annotated[
        float, about("Share of it from which new messages are refused.", gt=0, le=1)
    ] = 0.85
    worker_memory_gb: Annotated[
        Positive | None,
        about(
            "Memory in GiB past which a worker ends after its batch, to be replaced. Unset: none."
        ),
    ] = None
    quality_window_s: Annotated[
        float, about("Seconds that the signals of quality look back.", ge=10, le=86_400)
    ] = 300.0
    feedback_window_s: Annotated[
        float, about("The same of the accuracy that feedback shows.", ge=10, le=2_592_000)
    ] = 86_400.0
    machine: Annotated[
        str | None,
        about(
            "Name under which the processes of one machine tell each other of its memory and its "
            "figures. Unset: the host's, which containers do not share."
        ),
    ] = None
    state_dir: Annotated[Path, about("Folder for what outlives a restart: queue, cache, logs.")] = (
        Path(".byline")
    )
    log_level: Annotated[
        Literal["DEBUG", "INFO", "WARNING", "ERROR"], about("How much worker and api log.")
    ] = "WARNING"
    log_format: Annotated[
        Literal["text", "json"],
        about("How worker, api and monitor log: `text`, or `json`, one object a line."),
    ] = "text"

    def __post_init__(self) -> None:
        """Refuse values that contradict each other. No URL is kept as a plain string.

        Raises:
            SettingsError: naming both.
        """
        for field in ("redis_url", "cache_url"):
            if (url := getattr(self, field)) is not None:
                msgspec.structs.force_setattr(self, field, SecretURL(url))
        check_together(self)

    @classmethod
    def from_environ(cls, environ: Mapping[str, str]) -> Settings:
        """Build the settings from the variables that begin with ``BYLINE_``.

        An empty variable counts as unset. Passwords that are in files are in the URLs then.

        Raises:
            SettingsError: a name is unknown, a value does not fit, two contradict, or a file can't
                be read.
        """
        values = {
            name.removeprefix(PREFIX).lower(): value
            for name, value in environ.items()
            if name.startswith(PREFIX) and value != ""
        }
        for field in values:
            if field not in cls.__struct_fields__:
                raise SettingsError(unknown(field, cls.__struct_fields__))
        try:
            settings = msgspec.convert(
                values, cls, strict=False, dec_hook=lambda kind, value: kind(value)
            )
        except msgspec.ValidationError as error:
            raise SettingsError(in_words(str(error), values)) from None
        return msgspec.structs.replace(
            settings,
            redis_url=with_password("redis", settings.redis_url, settings.redis_password_file),
            cache_url=with_password("cache", settings.cache_url, settings.cache_password_file),
        )

    @property
    def broker(self) -> SecretURL:
        """The broker's URL.

        Raises:
            SettingsError: there is none.
        """
        if self.redis_url is None:
            raise SettingsError(
                "BYLINE_REDIS_URL is not set. `make run` starts an embedded Valkey and sets it; "
                "a part started by hand needs the URL of a Redis or Valkey server"
            )
        return self.redis_url

    @property
    def prefetch(self) -> int:
        """Tasks that a worker holds at most: two batches on the device and two that wait.

        Of tasks of one message each; what waits is bounded in messages besides.
        """
        return 4 * self.batch_messages

    @property
    def host_names(self) -> frozenset[str] | None:
        """The names under which the api is asked; None: nobody has said."""
        return None if self.hosts is None else frozenset(re.split(r" *, *", self.hosts))

    @property
    def here(self) -> str:
        """The name of this machine."""
        return self.machine or socket.gethostname()

    @property
    def model_class(self) -> str:
        """The model's class, as ``package.module:Class``."""
        return MODELS.get(self.model, self.model)

    @property
    def cache(self) -> SecretURL:
        """The URL of the cache: its own, or the broker's."""
        return self.cache_url or self.broker
