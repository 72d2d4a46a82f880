"""Compares the messages/s of a worker with the messages/s of its model without the worker.

``python -m bench.micro.worker_speed`` runs the worker and the bare model in turns. Each result is
the median of the rounds.

With ``--in-flight 2 --chunk 24 --model ngram``, only a worker runs. At most two tasks of 24
messages are under way, as from a busy api process. To learn whether a change makes the worker
faster, compare the CPU time of a message before and after the change, not the messages/s.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import Any

from celery import Celery
from redis import Redis

from bench.micro.texts import write_texts
from bench.system.gpu import Utilisation
from bench.system.processes import Processes, listens
from bench.system.system import free_ports
from bench.system.usage import PROC, cpu_seconds, tree
from bench.system.valkey import server_command

TASK = "byline.attribute"
#: Messages of a task.
CHUNK = 64
#: Messages of a batch.
BATCH = 256
#: Seconds that a task's answer may take: the task may wait behind all other tasks.
TIMEOUT_S = 600.0
#: Maximum share of the bare model's rate by which the worker may be slower.
ALLOWED = 0.10


def main() -> int:
    """Measures the bare model and the worker, and prints both speeds.

    Returns 1 if the worker is slower than the model by more than the share ``ALLOWED``.
    """
    options = _options()
    with tempfile.TemporaryDirectory(prefix="byline-bench-") as folder:
        messages = Path(folder) / "messages"
        write_texts(messages)
        if options.bare:
            print(json.dumps(bare(messages, options)))
            return 0
        if options.in_flight:
            for number in range(options.rounds):
                result = worker(Path(folder), messages, options)
                print(f"round {number + 1}: {_line(result)}", flush=True)
            return 0
        rates: dict[str, list[float]] = {"bare model": [], "worker": []}
        for number in range(options.rounds):
            for name in sorted(rates, reverse=bool(number % 2)):
                if name == "worker":
                    result = worker(Path(folder), messages, options)
                else:
                    result = _bare_in_a_process()
                rates[name].append(result["rate"])
                print(f"round {number + 1}, {name}: {_line(result)}", flush=True)
    medians = {name: statistics.median(found) for name, found in rates.items()}
    share = medians["worker"] / medians["bare model"]
    print(
        f"\nbare model {medians['bare model']:,.1f}, worker {medians['worker']:,.1f} messages/s: "
        f"the worker reaches {share:.1%}"
    )
    return 0 if share >= 1 - ALLOWED else 1


def bare(messages: Path, options: argparse.Namespace) -> dict[str, Any]:
    """Computes all messages in a loop with the model alone, without a worker.

    Returns the messages/s, the GPU use in percent, and the device.
    """
    torch, engine_module = import_module("torch"), import_module("model.serving.engine")
    module, _, name = _model_class(options.model).partition(":")
    model = getattr(import_module(module), name)()
    placement = engine_module.Placement(
        device=options.device, precision=options.precision, threads=options.threads
    )
    engine = engine_module.Engine(model, placement)
    engine.start()  # sets device, precision, threads as in a worker; the engine's thread is idle
    planner, device, limit = engine._planner, engine.device, engine.status.limit
    texts = texts_of(messages, options.messages)
    with Utilisation() as utilisation, torch.inference_mode():
        began = time.perf_counter()
        for start in range(0, len(texts), BATCH):
            answers = [
                device.download(model.forward(planned.batch()))
                for planned in planner.plan(texts[start : start + BATCH], limit)
            ]
            for answer in answers:
                answer()
        seconds = time.perf_counter() - began
    return {"rate": len(texts) / seconds, "gpu": utilisation.mean(), "device": str(engine)}


def worker(folder: Path, messages: Path, options: argparse.Namespace) -> dict[str, Any]:
    """Sends the messages to a worker. Returns the worker's messages/s and other figures."""
    env = {
        "BYLINE_MODEL": options.model,
        "BYLINE_DEVICE": options.device,
        "BYLINE_PRECISION": options.precision,
        "BYLINE_TORCH_THREADS": str(options.threads or ""),
    }
    texts, how = texts_of(messages, options.messages), (options.chunk, options.in_flight)
    return serve_all(folder, texts, env, ["celery_app.worker"], *how)


def serve_all(
    folder: Path,
    texts: Sequence[str],
    env: Mapping[str, str],
    module: Sequence[str],
    chunk: int = CHUNK,
    in_flight: int = 0,
) -> dict[str, Any]:
    """Starts Valkey and a worker, sends ``texts``, and returns the messages/s and other figures.

    ``module`` is the worker's Python module, followed by its arguments. ``env`` has the worker's
    settings. Each task has ``chunk`` messages. At most ``in_flight`` tasks are under way, or all
    tasks if ``in_flight`` is 0.

    Raises:
        RuntimeError: a message was not attributed.
    """
    redis_port, metrics_port = free_ports(2)
    redis = f"redis://127.0.0.1:{redis_port}/0"
    env = {
        "BYLINE_MODEL": "transformer",
        "BYLINE_REDIS_URL": redis,
        "BYLINE_METRICS_PORT": str(metrics_port),
        "BYLINE_BATCH_MESSAGES": str(BATCH),
        # Longer than the benchmark runs, so that no task is delivered twice.
        "BYLINE_VISIBILITY_TIMEOUT_S": "3600",
        **env,
    }
    # Each round has a folder of its own: with another round's data, the answers would be in the
    # cache.
    own = Path(tempfile.mkdtemp(dir=folder))
    with Processes(own) as processes, Celery(broker=redis, backend=redis) as app:
        processes.start("valkey", server_command(redis_port, own), {})
        processes.wait(lambda: listens(redis_port))
        processes.start("worker", [sys.executable, "-m", *module], env)
        client = Redis.from_url(redis)
        processes.wait(lambda: client.zcard("byline:workers") > 0)
        tasks = [texts[start : start + chunk] for start in range(0, len(texts), chunk)]
        pids = [pid for pid in tree(os.getpid()) if module[-1] in _command(pid)]
        cpu, began = sum(map(cpu_seconds, pids)), time.perf_counter()
        with Utilisation() as utilisation:
            if in_flight:
                answers = _replies(app, client, tasks, in_flight)
            else:
                sent = [app.send_task(TASK, [task], queue="attributions") for task in tasks]
                answers = [answer for task in sent for answer in task.get(timeout=TIMEOUT_S)]
        seconds, cpu = time.perf_counter() - began, sum(map(cpu_seconds, pids)) - cpu
        [version] = client.zrange("byline:versions", 0, -1)
        served = json.loads(client.get(b"byline:model:" + version) or b"{}")
    failed = sum("author" not in answer for answer in answers)
    if failed or len(answers) != len(texts):
        raise RuntimeError(f"{len(answers)} answers to {len(texts)} messages, {failed} failed")
    return {
        "rate": len(texts) / seconds,
        "gpu": utilisation.mean(),
        "device": served["device"],
        "cpu_us": 1e6 * cpu / len(texts),
    }


def _replies(
    app: Celery, client: Redis, tasks: Sequence[Sequence[str]], in_flight: int
) -> list[Any]:
    """Sends ``tasks``, at most ``in_flight`` of them under way at once, and returns the answers."""
    [version] = client.zrange("byline:versions", 0, -1)
    replies, answers = "byline:replies:speed", []
    for number in range(len(tasks) + in_flight):
        if number < len(tasks):
            app.send_task(
                TASK,
                [tasks[number]],
                queue=f"attributions.{version.decode()}",
                reply_to=replies,
                ignore_result=True,
                argsrepr="",
            )
        if number >= in_flight:
            _, reply = client.brpop([replies], timeout=int(TIMEOUT_S))
            answers += json.loads(reply)[1]
    return answers


def _command(pid: int) -> str:
    with suppress(OSError):  # the process has ended
        return (PROC / str(pid) / "cmdline").read_text()
    return ""


def _bare_in_a_process() -> dict[str, Any]:
    command = [sys.executable, "-m", "bench.micro.worker_speed", *sys.argv[1:], "--bare"]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return result


def texts_of(messages: Path, count: int) -> list[str]:
    """Returns ``count`` different texts, made from the file ``messages``.

    The texts differ, because a repeated text would be answered from the cache.
    """
    lines = [json.loads(line) for line in messages.read_text().splitlines()]
    return [f"{lines[n % len(lines)]} {n}" for n in range(count)]


def _model_class(name: str) -> str:
    classes: dict[str, str] = import_module("celery_app.settings").MODELS
    return classes.get(name, name)


def _line(result: dict[str, Any]) -> str:
    gpu = "" if result["gpu"] is None else f", GPU {result['gpu']:.0f} % busy"
    cpu = f", {result['cpu_us']:.1f} us of CPU a message" if result.get("cpu_us") else ""
    return f"{result['rate']:,.1f} messages/s on {result['device']}{gpu}{cpu}"


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.micro.worker_speed", description=__doc__)
    parser.add_argument("--model", default="transformer", help="as BYLINE_MODEL (transformer)")
    parser.add_argument("--device", default="cpu", help="as BYLINE_DEVICE (cpu)")
    parser.add_argument("--precision", default="fp32", help="as BYLINE_PRECISION (fp32)")
    parser.add_argument("--threads", type=int, help="as BYLINE_TORCH_THREADS (unset)")
    parser.add_argument("--messages", type=int, default=2048)
    parser.add_argument("--chunk", type=int, default=CHUNK, help=f"messages of a task ({CHUNK})")
    parser.add_argument("--in-flight", type=int, default=0, help="tasks at once (all)")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--bare", action="store_true", help="the bare loop only, as JSON")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
