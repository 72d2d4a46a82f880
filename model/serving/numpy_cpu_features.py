"""Environment variables for a fast numpy sort on AMD's Zen 4. Set them before numpy is imported."""

from __future__ import annotations

import re
from pathlib import Path

#: Vendor and family of Zen 4, as /proc/cpuinfo names them. Zen 4 has AVX-512, but runs the
#: instruction ``vpcompress`` to memory in microcode, which is slow. numpy's AVX-512 sort uses this
#: instruction all the time, and takes 30 ns an integer; numpy's AVX2 sort takes 5 ns
#: (numpy/x86-simd-sort#6). Zen 3 is of the same family and has no AVX-512; Zen 5 is of another
#: family.
VENDOR = "AuthenticAMD"
FAMILY = "25"


def environment(cpuinfo: Path = Path("/proc/cpuinfo")) -> dict[str, str]:
    """Returns the environment variables that keep numpy from using AVX-512 on Zen 4.

    The result is empty for any other processor. ``cpuinfo`` is the file that names the processor.
    """
    try:
        first, _, _ = cpuinfo.read_text("utf-8", "replace").partition("\n\n")
    except OSError:  # This system is not Linux.
        return {}
    fields = dict(re.findall(r"^([^\t\n]+)\t*: (.*)$", first, re.MULTILINE))
    slow = (fields.get("vendor_id"), fields.get("cpu family")) == (VENDOR, FAMILY)
    if slow and "avx512f" in fields.get("flags", "").split():
        return {"NPY_DISABLE_CPU_FEATURES": "X86_V4"}
    return {}
