"""The environment variables for numpy on Zen 4: a worker sets them before it imports numpy."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from model.serving import numpy_cpu_features
from tests.parts import ROOT

ZEN_4 = {"vendor_id": "AuthenticAMD", "cpu family": "25", "flags": "fpu sse avx2 avx512f"}


def cpuinfo(folder: Path, **changes: str) -> Path:
    """Returns a file in the format of /proc/cpuinfo: a block of lines for each core."""
    lines = ["processor\t: 0", *(f"{k}\t: {v}" for k, v in (ZEN_4 | changes).items())]
    path = folder / "cpuinfo"
    path.write_text("\n".join([*lines, "power management:", "", "processor\t: 1", ""]))
    return path


def test_avx_512_is_disabled_on_zen_4(tmp_path: Path) -> None:
    assert numpy_cpu_features.environment(cpuinfo(tmp_path)) == {
        "NPY_DISABLE_CPU_FEATURES": "X86_V4"
    }


@pytest.mark.parametrize(
    "changes",
    [
        {"vendor_id": "GenuineIntel"},
        {"cpu family": "26"},
        {"flags": "fpu sse avx2"},
    ],
    ids=["Intel", "Zen 5", "Zen 3"],
)
def test_nothing_is_set_on_other_processors(tmp_path: Path, changes: dict[str, str]) -> None:
    assert numpy_cpu_features.environment(cpuinfo(tmp_path, **changes)) == {}


def test_nothing_is_set_without_a_readable_cpuinfo(tmp_path: Path) -> None:
    assert numpy_cpu_features.environment(tmp_path / "cpuinfo") == {}
    (tmp_path / "cpuinfo").write_bytes(b"\xff\n")
    assert numpy_cpu_features.environment(tmp_path / "cpuinfo") == {}


def test_worker_module_does_not_import_numpy() -> None:
    script = "import sys, celery_app.worker; sys.exit('numpy' in sys.modules)"
    subprocess.run([sys.executable, "-c", script], cwd=ROOT, check=True)
