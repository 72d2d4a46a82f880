"""Environment variables that limit torch's memory on Apple's GPUs (Metal).

Set them before torch is imported.
"""

from __future__ import annotations

#: Share of the memory limit at which torch begins to give cached memory back to the system.
LOW_WATERMARK = 0.8


def environment(share: float) -> dict[str, str]:
    """Returns the variables that limit torch to ``share`` of the memory that Metal recommends.

    Torch allocates no memory above the high watermark. Above the low watermark, torch frees cached
    memory. Both watermarks are shares of the recommended memory. The high watermark's default is
    1.7: torch could then use more than the machine's memory, and the machine would swap. The low
    watermark's default is 1.4. Torch refuses a high watermark below the low watermark, so this
    function sets both.
    """
    return {
        "PYTORCH_MPS_HIGH_WATERMARK_RATIO": f"{share:.3f}",
        "PYTORCH_MPS_LOW_WATERMARK_RATIO": f"{share * LOW_WATERMARK:.3f}",
        # Operators without a Metal kernel run on the CPU, and torch names them.
        "PYTORCH_ENABLE_MPS_FALLBACK": "1",
    }
