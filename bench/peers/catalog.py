"""The catalog of peers: the command lines, URLs and model processes of each serving system."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType

from bench.peers import marks


@dataclass(frozen=True, slots=True)
class Peer:
    """A serving system that Byline is compared with, and how to start, reach and stop it.

    The peer's processes get these environment variables. ``BENCH_PORT`` has the port of the peer's
    HTTP server, at 127.0.0.1. ``BENCH_REDIS`` has the URL of a Valkey, which runs if
    ``needs_redis`` is True. ``BENCH_RUN`` is different in each run, so that a run's processes can
    be found. ``BENCH_MODEL``, if set, names the model class to serve.
    """

    #: The name in the tables.
    name: str
    #: The folder beside this file, with the requirements. The folder of the peer's virtual
    #: environment has the same name as this folder.
    folder: str
    #: Parts and their command lines, in the order of their start. ``{bin}`` stands for the folder
    #: of the programs, and ``{port}`` for the port. Each part starts in the repository's root,
    #: which is also the part's ``PYTHONPATH``.
    parts: tuple[tuple[str, str], ...]
    #: The URL path that takes both ``{"text": …}`` and ``{"messages": […]}``.
    path: str
    #: The URL path where GET answers 200 as soon as the model is loaded.
    ready_path: str
    #: A word in the command line of a process that runs the model. Such a process is always a child
    #: process.
    model: str
    needs_redis: bool = False
    #: Variables in addition to the benchmark's own environment.
    env: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    #: Seconds from SIGTERM until the processes that still run are killed. The parts get SIGTERM in
    #: the reverse order of their start.
    stop_seconds: float = 15.0

    def programs(self, binaries: Path, port: int) -> dict[str, list[str]]:
        """Returns a mapping from each part's name to the part's command line, a list of words.

        The parts are in the order of their start. ``binaries`` is the folder with the programs of
        the peer's virtual environment.
        """
        return {
            part: [word.format(bin=binaries, port=port) for word in command.split()]
            for part, command in self.parts
        }


def model_pids(peer: Peer, run: str) -> list[int]:
    """Returns the ids of the processes that run the model of ``peer``.

    ``run`` is the value of the environment variable ``BENCH_RUN`` in the peer's processes.
    """
    found = marks.processes(run)
    return sorted(
        pid
        for pid, process in found.items()
        if process.parent in found and peer.model in process.command
    )


def _celery(folder: str) -> tuple[tuple[str, str], ...]:
    app = f"bench.peers.{folder}"
    return (
        # Two processes for two cores. The options turn off features that only several workers need.
        ("worker", (f"{{bin}}/celery -A {app}.app worker --loglevel=WARNING --concurrency=2 "
                   "--without-gossip --without-mingle --without-heartbeat")),
        ("api", ("{bin}/gunicorn --worker-class=gevent --workers=2 --bind=127.0.0.1:{port} "
                f"--no-control-socket {app}.web:create()")),
    )  # fmt: skip


#: The peer Ray Serve, configured as in Ray Serve's guide to batching.
RAY_SERVE = Peer(
    name="Ray Serve",
    folder="ray_serve",
    parts=(("server", "{bin}/python -m bench.peers.ray_serve.app"),),
    path="/", ready_path="/",
    model="ray::ServeReplica",
    env=MappingProxyType({"RAY_USAGE_STATS_ENABLED": "0"}),
    stop_seconds=60.0,
)  # fmt: skip

PEERS = (
    Peer(
        name="plain Celery",
        folder="plain_celery",
        parts=_celery("plain_celery"),
        path="/", ready_path="/",
        model="peers.plain_celery.app",
        needs_redis=True,
    ),
    Peer(
        name="celery-batches",
        folder="celery_batches",
        parts=_celery("celery_batches"),
        path="/", ready_path="/",
        model="peers.celery_batches.app",
        needs_redis=True,
    ),
    RAY_SERVE,
    # With Ray Serve's two switches for throughput: HAProxy instead of a proxy in Python, and fewer
    # threads and log lines for each request.
    replace(
        RAY_SERVE,
        name="Ray Serve, HAProxy",
        env=MappingProxyType({
            **RAY_SERVE.env,
            "RAY_SERVE_ENABLE_HA_PROXY": "1",
            "RAY_SERVE_THROUGHPUT_OPTIMIZED": "1",
            "RAY_SERVE_HAPROXY_METRICS_ENABLED": "0",  # otherwise the network can read them
        }),
    ),
    Peer(
        name="BentoML",
        folder="bentoml",
        parts=(("server", ("{bin}/bentoml serve bench.peers.bentoml.service:Attribution "
                          "--host=127.0.0.1 --port={port}")),),
        path="/attribute", ready_path="/readyz",
        model="_bentoml_impl.worker.service",
        env=MappingProxyType({"BENTOML_DO_NOT_TRACK": "True"}),
    ),
    Peer(
        name="LitServe",
        folder="litserve",
        parts=(("server", "{bin}/python -m bench.peers.litserve.app"),),
        path="/predict", ready_path="/health",
        model="spawn_main",
        stop_seconds=45.0,  # LitServe waits 30 s for connections that are kept open
    ),
    Peer(
        name="Mosec",
        folder="mosec",
        parts=(("server", ("{bin}/python -m bench.peers.mosec.app --address=127.0.0.1 "
                          "--port={port} --log-level=warning")),),
        path="/inference", ready_path="/metrics",
        model="spawn_main",
    ),
)  # fmt: skip
