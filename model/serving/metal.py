"""What torch reads of its environment about Metal. To be set before torch is imported."""

from __future__ import annotations

#: Where torch begins to give back what it keeps, as a share of the most it may take.
LOW = 0.8


def environment(share: float) -> dict[str, str]:
    """Return the variables for at most ``share`` of the memory that Metal recommends.

    Both marks at once: torch refuses a high one below the low one, whose default is 1.4. Its
    default for the high one, 1.7, lies above the memory of the machine, which then swaps.
    """
    return {
        "PYTORCH_MPS_HIGH_WATERMARK_RATIO": f"{share:.3f}",
        "PYTORCH_MPS_LOW_WATERMARK_RATIO": f"{share * LOW:.3f}",
        "PYTORCH_ENABLE_MPS_FALLBACK": "1",  # torch names each operator that runs on the CPU
    }
