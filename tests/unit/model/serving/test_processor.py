"""Which processors numpy is told about, and that it is told in time."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from model.serving import processor
from tests.parts import ROOT

ZEN_4 = {"vendor_id": "AuthenticAMD", "cpu family": "25", "flags": "fpu sse avx2 avx512f"}


def cpuinfo(folder: Path, **changes: str) -> Path:
    """Return a file as Linux has it: a block for each core."""
    lines = ["processor\t: 0", *(f"{k}\t: {v}" for k, v in (ZEN_4 | changes).items())]
    path = folder / "cpuinfo"
    path.write_text("\n".join([*lines, "power management:", "", "processor\t: 1", ""]))
    return path


def test_on_zen_4_numpy_sorts_without_avx_512(tmp_path: Path) -> None:
    assert processor.environment(cpuinfo(tmp_path)) == {"NPY_DISABLE_CPU_FEATURES": "X86_V4"}


@pytest.mark.parametrize(
    "changes",
    [
        {"vendor_id": "GenuineIntel"},
        {"cpu family": "26"},
        {"flags": "fpu sse avx2"},
    ],
    ids=["Intel", "Zen 5", "Zen 3"],
)
def test_on_others_it_is_told_nothing(tmp_path: Path, changes: dict[str, str]) -> None:
    assert processor.environment(cpuinfo(tmp_path, **changes)) == {}


def test_where_nothing_is_known_of_the_processor_it_is_told_nothing(tmp_path: Path) -> None:
    assert processor.environment(tmp_path / "cpuinfo") == {}
    (tmp_path / "cpuinfo").write_bytes(b"\xff\n")
    assert processor.environment(tmp_path / "cpuinfo") == {}


def test_a_worker_sets_it_before_numpy_is_imported() -> None:
    script = "import sys, celery_app.worker; sys.exit('numpy' in sys.modules)"
    subprocess.run([sys.executable, "-c", script], cwd=ROOT, check=True)
