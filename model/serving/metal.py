"""Environment variables that limit torch's memory on Apple's GPUs (Metal).

Set them before torch is imported.
"""

from __future__ import annotations

#: Share of the memory limit at which torch begins to give cached memory back to the system.
LOW_WATERMARK = 0.8


def environment(share: float) -> dict[str, str]:
    """Returns the variables that limit torch to ``share`` of the memory that Metal recommends.

    The variables also let operators without a Metal kernel run on the CPU.
    """
    return {
        # Torch allocates nothing above the high watermark, a share of the recommended memory. With
        # the default of 1.7, torch could use more than the machine's memory, and make it swap.
        "PYTORCH_MPS_HIGH_WATERMARK_RATIO": f"{share:.3f}",
        # Torch frees cached memory above the low watermark. Its default is 1.4, and torch refuses a
        # high watermark below it.
        "PYTORCH_MPS_LOW_WATERMARK_RATIO": f"{share * LOW_WATERMARK:.3f}",
        # Torch names the operators that run on the CPU.
        "PYTORCH_ENABLE_MPS_FALLBACK": "1",
    }
