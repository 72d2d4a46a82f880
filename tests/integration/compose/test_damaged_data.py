"""The embedded Valkey starts with a truncated log. For other damage the remedy is printed."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from redis import Redis

from celery_app.settings import Settings
from compose.native.logs import last_lines
from compose.parts import valkey
from compose.parts.part import Part
from tests.parts import Part as Process
from tests.parts import answers, free_port, wait_for

KEYS = 200


@pytest.fixture
def part(tmp_path: Path) -> Part:
    """Returns a Valkey as `make run` starts it, killed after it had stored some keys."""
    (tmp_path / "valkey").mkdir()
    part = valkey.part(Settings(redis_port=free_port()), tmp_path)
    process, client = start(part, tmp_path)
    try:
        wait_for(lambda: answers(client), what="Valkey")
        for number in range(KEYS):
            client.set(str(number), "value")
    finally:
        process.kill()
    return part


def start(part: Part, folder: Path) -> tuple[Process, Redis]:
    log = folder / f"log-{len(list(folder.glob('log-*')))}"
    return Process([*map(str, part.command)], log, {}), Redis.from_url(part.address)


def log(folder: Path) -> Path:
    return folder / "valkey" / "appendonlydir" / "appendonly.aof.1.incr.aof"


def test_a_truncated_log_is_read_up_to_its_end(part: Part, tmp_path: Path) -> None:
    log(tmp_path).write_bytes(log(tmp_path).read_bytes()[:-5])
    process, client = start(part, tmp_path)
    try:
        wait_for(lambda: answers(client), what="Valkey")
        assert client.dbsize() == KEYS - 1
        assert "AOF" in process.output
        assert part.advice(last_lines(process.log)) == "", "it goes on"
    finally:
        process.kill()


@pytest.mark.parametrize("repaired", [True, False])
def test_the_printed_commands_help_with_a_log_that_is_damaged_inside(
    repaired: bool, part: Part, tmp_path: Path
) -> None:
    whole = log(tmp_path).read_bytes()
    middle = len(whole) // 2
    log(tmp_path).write_bytes(whole[:middle] + b"\xff" * 40 + whole[middle + 40 :])
    process, _ = start(part, tmp_path)
    assert process.process.wait(20) == 1
    advice = part.advice(last_lines(process.log))
    assert f"kept in {log(tmp_path)}, " in advice
    commands = [line.strip() for line in advice.splitlines() if line.startswith("      ")]
    assert len(commands) == 3
    chosen = "\n".join(commands[:2] if repaired else commands[2:])
    subprocess.run(["sh", "-ec", chosen], check=True, timeout=20, capture_output=True)
    (tmp_path / "valkey").mkdir(exist_ok=True)  # as `make run` does
    process, client = start(part, tmp_path)
    try:
        wait_for(lambda: answers(client), what="Valkey")
        kept = int(client.dbsize())
        assert KEYS / 3 < kept < KEYS if repaired else kept == 0
    finally:
        process.kill()


def test_other_log_lines_of_valkey_give_no_advice(part: Part) -> None:
    said = [
        "# WARNING Memory overcommit must be enabled!",
        "# Failed listening on port 1, aborting.",
    ]
    assert part.advice(said) == ""
