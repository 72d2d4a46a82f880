"""`make run` with odd but allowed settings, with killed processes, and with damaged data."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.e2e.conftest import UP, Run
from tests.parts import ROOT, free_port, wait_for


def key_file(folder: Path) -> tuple[Path, str]:
    """Makes a key file. Returns its path, and the header with a key."""
    made = subprocess.run(
        [sys.executable, "-m", "api.access.keys", "tests"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    (folder / "keys").write_text(made.stdout)
    return folder / "keys", f"Bearer {made.stderr.split()[-1]}"


def runner(run: Run) -> int:
    """Returns the process id of the runner itself, which a shell may have started."""
    return int((run.folder / "state" / "lock").read_text())


def test_byline_serves_with_odd_settings_and_after_each_killed_process(
    tmp_path: Path, runs: list[Run]
) -> None:
    """One run has many faults, since each start takes long."""
    keys, authorization = key_file(tmp_path)
    temporary = tmp_path / ("t" * 100)
    temporary.mkdir()
    proxy = f"http://127.0.0.1:{free_port()}"
    odd = {
        **dict.fromkeys(("http_proxy", "HTTP_PROXY", "all_proxy"), proxy),
        "TMPDIR": str(temporary),
        "BYLINE_KEYS_FILE": str(keys),
        "BYLINE_WAIT_MAX_S": "10",
        "BYLINE_MAX_CHARACTERS": "150",
        "BYLINE_API_PROCESSES": "2",
    }
    # As with `nohup`, and with a lower limit of descriptors than supervisord asks for.
    shell = """trap '' HUP; ulimit -n 512; exec "$@" """
    runs.append(run := Run(tmp_path, shell=shell, **odd).wait_until_up())
    assert "not attributed: BYLINE_KEYS_FILE is set" in run.output
    os.kill(run.part.process.pid, signal.SIGHUP)
    assert run.serves("hung up", Authorization=authorization)

    # The other api processes still have the api's port.
    os.kill(run.pids["api"], signal.SIGKILL)
    wait_for(lambda: run.revived("api"), 30, "another api")
    assert run.serves("another api", Authorization=authorization)

    [supervisord] = [pid for pid in run.processes() if "supervisor.supervisord" in command(pid)]
    os.kill(supervisord, signal.SIGKILL)
    wait_for(lambda: run.revived("supervisord"), 30, "another supervisord")
    assert run.serves("another supervisord", Authorization=authorization)

    # The runner is killed, and started again on the same ports, with a stdout that closes soon.
    run.part.process.send_signal(signal.SIGKILL)
    run.part.process.wait()
    again = {**run.env, "BYLINE_KEYS_FILE": ""}
    shell = """{ "$@" 2>&1; echo "status $?" >&2; } | head -n 2"""
    runs.append(second := Run(tmp_path, shell=shell, **again))
    second.ports = run.ports
    assert second.serves("hung up")["cached"] is True
    os.kill(runner(second), signal.SIGINT)
    assert second.wait_until_ended() == 0
    assert second.output.endswith("status 0\n")
    assert second.processes() == []
    assert list(temporary.iterdir()) == [], "nothing is left"


def command(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().decode()
    except FileNotFoundError:
        return ""


@pytest.mark.parametrize(
    "phase", ["", "waiting for valkey", "waiting for worker", "sample message", UP]
)
def test_ctrl_c_prints_one_line_in_every_phase(phase: str, tmp_path: Path, runs: list[Run]) -> None:
    runs.append(run := Run(tmp_path))
    if phase:
        wait_for(lambda: phase in run.output, 60, phase)
    else:
        wait_for(lambda: imports(run.part.process.pid), what="the first second")
    assert run.interrupt() < 10
    assert run.part.process.returncode == 0
    assert run.output.endswith("byline: stopped\n")
    assert "Traceback" not in run.output
    assert run.processes() == []


def imports(pid: int) -> bool:
    """Returns whether a process is importing its modules, which takes about a second."""
    return "msgspec" in Path(f"/proc/{pid}/maps").read_text()


def test_damaged_data_is_reported_with_the_remedy(tmp_path: Path, runs: list[Run]) -> None:
    kept = tmp_path / "state" / "valkey" / "appendonlydir"
    kept.mkdir(parents=True)
    (kept / "appendonly.aof.manifest").write_text("file appendonly.aof.1.incr.aof seq 1 type i\n")
    (kept / "appendonly.aof.1.incr.aof").write_bytes(b"*1\r\n$4\r\nPING\r\n" + b"?" * 100)
    runs.append(run := Run(tmp_path))
    assert run.wait_until_ended() == 1
    assert f"kept in {kept}/appendonly.aof.1.incr.aof, are damaged" in run.output
    assert "valkey-check-aof --fix" in run.output
    assert run.processes() == []
