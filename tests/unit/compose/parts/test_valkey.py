"""Tests of the advice on damaged data, from the messages of the embedded Valkey."""

from __future__ import annotations

from pathlib import Path

import pytest

from compose.parts.valkey import damage_advice

FILE = "appendonly.aof.1.incr.aof"
PASSING = [
    f"Error trying to write the temporary AOF manifest file temp-{FILE}.manifest: No space left",
    "Can't open the AOF manifest file appendonly.aof.manifest: Permission denied",
    "Fatal error: can't open the AOF manifest file x for reading: Too many open files",
    f"Fatal error: can't open the append log file {FILE} for reading: Permission denied",
    f"Unrecoverable error reading the append only file {FILE}: Input/output error",
    f"Error reading the append only file {FILE}, error: Input/output error",
    "Can't open or create append-only dir appendonlydir: No space left on device",
    "Failed listening on port 1, aborting.",
]
DAMAGED = [
    f"Bad file format reading the append only file {FILE}: make a backup of your AOF file",
    f"Unexpected end of file reading the append only file {FILE}. You can: 1) Make a backup",
    "Error reading the RDB base file appendonly.aof.1.base.rdb, AOF loading aborted",
    "Wrong RDB checksum expected: (1) but got (2). Aborting now.",
    "Invalid AOF manifest file format",
]


@pytest.mark.parametrize("line", PASSING)
def test_a_full_disk_or_a_permission_is_no_damage(line: str) -> None:
    assert damage_advice([f"1:M # {line}"], Path("kept"), Path("server")) == ""


@pytest.mark.parametrize("line", DAMAGED)
def test_wrong_bytes_are_damage(line: str) -> None:
    assert line in damage_advice([f"1:M # {line}"], Path("kept"), Path("server"))
