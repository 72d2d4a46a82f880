"""What numpy reads of its environment about the processor. To be set before numpy is imported."""

from __future__ import annotations

import re
from pathlib import Path

#: AMD's Zen 4. It has AVX-512, but writes what ``vpcompress`` leaves to memory in microcode, and
#: numpy's sort does so all the time: 30 ns an integer, where its code for AVX2 takes 5
#: (numpy/x86-simd-sort#6). Zen 3, of the same family, has no AVX-512; Zen 5 is another.
VENDOR, FAMILY = "AuthenticAMD", "25"


def environment(cpuinfo: Path = Path("/proc/cpuinfo")) -> dict[str, str]:
    """Return the variables for this machine: those that have numpy sort with AVX2 on Zen 4."""
    try:
        first, _, _ = cpuinfo.read_text("utf-8", "replace").partition("\n\n")
    except OSError:  # not Linux
        return {}
    found = dict(re.findall(r"^([^\t\n]+)\t*: (.*)$", first, re.MULTILINE))
    slow = (found.get("vendor_id"), found.get("cpu family")) == (VENDOR, FAMILY)
    if slow and "avx512f" in found.get("flags", "").split():
        return {"NPY_DISABLE_CPU_FEATURES": "X86_V4"}
    return {}
